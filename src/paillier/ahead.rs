//! Randomisers made in the background, while their maker's owner waits or
//! cannot use every core.
//!
//! Seeds are drawn at once and cut into blocks. Each block is made by whoever
//! comes first: a thread of rayon's pool that has nothing else to do, or the
//! one that takes the block out. Blocks leave in the order in which they came,
//! each once; blocks that nobody takes are wiped and, where that is still
//! possible, not made at all.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};

use rand::CryptoRng;
use rayon::prelude::*;

use super::{Randomise, Randomisers, Seeds};

/// Most randomisers that a queue is asked to [prepare](Ahead::prepare).
const MOST: usize = 4096;

/// A queue of randomisers that `M` makes in the background.
pub struct Ahead<M> {
    maker: Arc<M>,
    blocks: Mutex<VecDeque<Arc<Block>>>,
}

/// As many randomisers as are best made at once, or what is left of them.
struct Block {
    len: usize,
    state: Mutex<State>,
}

enum State {
    Drawn(Seeds),
    InWork,
    Made(Randomisers),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Block {
    fn new(len: usize, state: State) -> Arc<Block> {
        let state = Mutex::new(state);
        Arc::new(Block { len, state })
    }

    /// Makes the randomisers unless somebody does or has. No lock is held
    /// meanwhile, and [`Randomise::raise`] waits for nobody.
    fn make(&self, maker: &impl Randomise) {
        let mut state = lock(&self.state);
        match mem::replace(&mut *state, State::InWork) {
            State::Drawn(seeds) => {
                drop(state);
                let made = maker.raise(seeds);
                *lock(&self.state) = State::Made(made);
            }
            other => *state = other,
        }
    }

    /// The randomisers, once they are made.
    fn wait(&self) -> Randomisers {
        loop {
            let mut state = lock(&self.state);
            match mem::replace(&mut *state, State::InWork) {
                State::Made(randomisers) => return randomisers,
                other => *state = other,
            }
            drop(state);
            // Another thread is at it, for a fraction of a millisecond.
            thread::yield_now();
        }
    }
}

impl<M: Randomise + 'static> Ahead<M> {
    /// An empty queue.
    pub fn new(maker: Arc<M>) -> Ahead<M> {
        Ahead {
            maker,
            blocks: Mutex::default(),
        }
    }

    /// Who makes them.
    pub fn maker(&self) -> &M {
        &self.maker
    }

    /// How many randomisers are in the queue, made or not.
    pub fn len(&self) -> usize {
        lock(&self.blocks).iter().map(|block| block.len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends randomisers up to `count` of them, unless those are so many that
    /// every core will be busy without a background.
    pub fn prepare(&self, count: usize, rng: &mut impl CryptoRng) {
        let missing = count.saturating_sub(self.len());
        if count <= MOST && missing > 0 {
            self.add(missing, rng);
        }
    }

    /// `count` randomisers, from the queue as far as it goes.
    pub fn randomisers(&self, count: usize, rng: &mut impl CryptoRng) -> Randomisers {
        let mut randomisers = self.take(count);
        let missing = count - randomisers.len();
        if missing > 0 {
            randomisers.append(self.maker.randomisers(missing, rng));
        }
        randomisers
    }

    /// Appends `count` randomisers, to be made when there is time.
    pub fn add(&self, count: usize, rng: &mut impl CryptoRng) {
        let added: Vec<Arc<Block>> = self
            .maker
            .draw(count, rng)
            .split(self.maker.at_once())
            .into_iter()
            .map(|seeds| Block::new(seeds.len(), State::Drawn(seeds)))
            .collect();
        lock(&self.blocks).extend(added.iter().cloned());
        let waiting: Vec<Weak<Block>> = added.iter().map(Arc::downgrade).collect();
        let maker = Arc::clone(&self.maker);
        // What comes to the pool from outside is done last: after all work that
        // its threads have given each other. So a thread from outside brings it,
        // which nobody waits for.
        thread::spawn(move || {
            for block in waiting {
                let maker = Arc::clone(&maker);
                rayon::spawn(move || {
                    if let Some(block) = block.upgrade() {
                        block.make(&*maker);
                    }
                });
            }
        });
    }

    /// At most `most` randomisers, fewer if the queue holds no more (a block
    /// that another thread is cutting up is not in it); those that are not made
    /// yet are made now.
    pub fn take(&self, most: usize) -> Randomisers {
        let mut taken = Vec::new();
        let mut missing = most;
        let mut blocks = lock(&self.blocks);
        while missing > 0 {
            let Some(block) = blocks.pop_front() else {
                break;
            };
            missing = missing.saturating_sub(block.len);
            taken.push(block);
        }
        drop(blocks);
        taken.par_iter().for_each(|block| block.make(&*self.maker));
        let mut parts: Vec<Randomisers> = taken.iter().map(|block| block.wait()).collect();
        let found: usize = parts.iter().map(Randomisers::len).sum();
        if let Some(last) = parts.last_mut().filter(|_| found > most) {
            let kept = last.take(last.len() - (found - most));
            let rest = mem::replace(last, kept);
            lock(&self.blocks).push_front(Block::new(rest.len(), State::Made(rest)));
        }
        Randomisers::concat(self.maker.public(), parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paillier::{Encrypt, OwnerEncryptor, Plaintext, SecretKey};
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    fn queue(seed: u64) -> (SecretKey, Ahead<OwnerEncryptor>, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = SecretKey::generate_insecure(128, &mut rng).expect("an even size");
        let maker = Arc::new(OwnerEncryptor::new(&key, 100));
        (key, Ahead::new(maker), rng)
    }

    fn integers(key: &SecretKey, randomisers: Randomisers) -> Vec<num_bigint::BigUint> {
        let zeros = vec![Plaintext::from(0); randomisers.len()];
        OwnerEncryptor::new(key, 1)
            .encrypt_with(&zeros, randomisers)
            .to_integers()
    }

    #[test]
    fn randomisers_come_in_the_order_of_their_seeds_and_once() {
        let (key, ahead, _) = queue(61);
        let [mut rng, mut same] = [64; 2].map(ChaCha20Rng::seed_from_u64);
        ahead.add(30, &mut rng);
        ahead.add(7, &mut rng);
        let maker = OwnerEncryptor::new(&key, 100);
        let mut expected = integers(&key, maker.randomisers(30, &mut same));
        expected.extend(integers(&key, maker.randomisers(7, &mut same)));
        let mut found = Vec::new();
        for most in [1, 0, 9, 8, 15, 100, 5] {
            let before = ahead.len();
            let taken = ahead.take(most);
            assert_eq!(taken.len(), most.min(before));
            assert_eq!(ahead.len(), before - taken.len());
            found.extend(integers(&key, taken));
        }
        assert!(ahead.is_empty());
        assert_eq!(found, expected);
    }

    #[test]
    fn threads_share_a_queue_without_sharing_a_randomiser() {
        let (key, ahead, mut rng) = queue(62);
        ahead.add(200, &mut rng);
        let mut found: Vec<_> = thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..10).map(|_| ahead.take(5)).collect::<Vec<_>>()))
                .collect();
            let taken = takers.into_iter().flat_map(|t| t.join().expect("no panic"));
            taken.flat_map(|r| integers(&key, r)).collect()
        });
        found.extend(integers(&key, ahead.take(200)));
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 200);
    }

    #[test]
    fn a_queue_that_is_dropped_leaves_nothing_to_wait_for() {
        let (_, ahead, mut rng) = queue(63);
        ahead.add(500, &mut rng);
        drop(ahead);
        // The jobs that are left in the pool find nothing to make.
        rayon::join(|| (), || ());
    }
}
