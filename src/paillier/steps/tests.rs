use super::*;
use crate::paillier::{Candidate, PublicKey, Rerandomiser, SecretKey};
use num_traits::One;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};

fn ring(n: &BigUint) -> Ring {
    Ring::new(&n.to_u64_digits()).expect("odd")
}

fn steps_of(n: &BigUint, h: &BigUint) -> Vec<BigUint> {
    let ring = ring(n);
    of(&ring, n, &limbs::from_biguint(h, ring.limbs()))
}

/// g_1 to g_7 by the definition.
fn by_definition(n: &BigUint, h: &BigUint) -> Vec<BigUint> {
    let k = n.bits().div_ceil(8);
    let power = |i: u64| h.modpow(&(BigUint::one() << (k * i)), &(n * n));
    (1..=7).map(power).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn steps_lead_to_the_nth_power(
        bytes in prop::collection::vec(any::<u8>(), 16..90),
        top in 0u32..8,
        h in prop::collection::vec(any::<u8>(), 1..90),
    ) {
        // Of any length in bits, not only whole bytes.
        let mut n = BigUint::from_bytes_le(&bytes) >> top;
        n.set_bit(120, true);
        n.set_bit(0, true);
        let h = BigUint::from_bytes_le(&h) % &n;
        let steps = steps_of(&n, &h);
        prop_assert_eq!(&steps, &by_definition(&n, &h));
        let ring = ring(&n);
        let power = nth_power(&ring, &n, &h, &steps).expect("its steps");
        let power = limbs::to_biguint(&ring.leave(&power));
        prop_assert_eq!(power, h.modpow(&n, &(&n * &n)));
    }
}

fn key(bits: u32, seed: u64) -> PublicKey {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = SecretKey::generate_subgroup_insecure(bits, &mut rng).expect("an even size");
    key.public().clone()
}

fn parts(key: &PublicKey) -> (&BigUint, &BigUint, &BigUint, Vec<BigUint>) {
    let steps = key.h_steps().expect("generated").to_vec();
    let (h, h_s) = key.h().zip(key.h_s()).expect("generated");
    (key.n(), h, h_s, steps)
}

/// What is said of the key with other steps.
fn with_steps(key: &PublicKey, steps: &[BigUint]) -> Option<PaillierError> {
    let (n, h, h_s, _) = parts(key);
    PublicKey::from_subgroup_parts(n, h, h_s, Some(steps)).err()
}

#[test]
fn generated_keys_have_the_steps_of_their_h() {
    for bits in [128, 130, 192, 514, 1024, 2046] {
        let key = key(bits, 21);
        let (n, h, _, steps) = parts(&key);
        assert_eq!(steps, by_definition(n, h), "{bits} bits");
        assert_eq!(with_steps(&key, &steps), None, "{bits} bits");
    }
}

#[test]
fn a_key_without_steps_is_the_same_key() {
    let key = key(256, 22);
    let (n, h, h_s, _) = parts(&key);
    let without = PublicKey::from_subgroup_parts(n, h, h_s, None).expect("valid");
    assert!(without.h_steps().is_none());
    assert_eq!(without, key);
    assert_eq!(without.fingerprint(), key.fingerprint());
    let wrong = PublicKey::from_subgroup_parts(n, h, &(h_s + 1u32), None);
    assert_eq!(wrong.err(), Some(PaillierError::GeneratorMismatch));
}

#[test]
fn a_step_that_is_not_the_power_of_h_is_refused() {
    let key = key(256, 23);
    let (n, h, _, steps) = parts(&key);
    let square = n * n;
    for at in 0..STEPS {
        // Another number, the square, the number mod n, minus it, 0.
        for wrong in [
            (&steps[at] + 1u32) % &square,
            &steps[at] * &steps[at] % &square,
            &steps[at] % n,
            &square - &steps[at],
            BigUint::ZERO,
        ] {
            let mut steps = steps.clone();
            steps[at] = wrong;
            let refused = Some(PaillierError::StepMismatch(at + 1));
            assert_eq!(with_steps(&key, &steps), refused, "step {at}");
        }
    }
    let mut swapped = steps.clone();
    swapped.swap(3, 5);
    let refused = with_steps(&key, &swapped);
    assert_eq!(refused, Some(PaillierError::StepMismatch(4)));
    // A sound chain from another number.
    let other = steps_of(n, &(h + 1u32));
    let refused = with_steps(&key, &other);
    assert_eq!(refused, Some(PaillierError::StepMismatch(1)));
}

#[test]
fn steps_that_would_make_a_wrong_h_s_pass_are_refused() {
    // h_s·x^(n_1) is what comes out of the product with g_1·x in place of g_1.
    let key = key(256, 24);
    let (n, h, h_s, mut steps) = parts(&key);
    let square = n * n;
    let digit = (n >> 32) % (BigUint::one() << 32);
    let x = BigUint::from(3u32);
    let forged = h_s * x.modpow(&digit, &square) % &square;
    steps[0] = &steps[0] * x % &square;
    let refused = PublicKey::from_subgroup_parts(n, h, &forged, Some(&steps)).err();
    assert_eq!(refused, Some(PaillierError::StepMismatch(1)));
}

#[test]
fn an_h_s_that_is_not_h_to_the_n_is_refused_with_steps() {
    let key = key(256, 25);
    let (n, h, h_s, steps) = parts(&key);
    let square = n * n;
    for wrong in [h_s + 1u32, h_s * h_s % &square, &square - h_s, h.clone()] {
        let refused = PublicKey::from_subgroup_parts(n, h, &wrong, Some(&steps)).err();
        assert_eq!(refused, Some(PaillierError::GeneratorMismatch));
    }
}

#[test]
fn a_wrong_number_of_steps_is_refused() {
    let key = key(256, 26);
    let (_, h, _, mut steps) = parts(&key);
    assert_eq!(with_steps(&key, &[]), Some(PaillierError::StepCount(0)));
    let refused = with_steps(&key, &steps[..6]);
    assert_eq!(refused, Some(PaillierError::StepCount(6)));
    steps.push(h.clone());
    let refused = with_steps(&key, &steps);
    assert_eq!(refused, Some(PaillierError::StepCount(8)));
}

#[test]
fn a_step_that_is_not_reduced_is_refused() {
    let key = key(256, 27);
    let (n, _, _, steps) = parts(&key);
    for at in 0..STEPS {
        for multiple in [n * n, (n * n) << 3000] {
            let mut steps = steps.clone();
            steps[at] += multiple;
            let refused = Some(PaillierError::StepRange(at + 1));
            assert_eq!(with_steps(&key, &steps), refused);
        }
    }
}

#[test]
fn a_prime_n_is_refused_whatever_its_steps() {
    let n = (BigUint::one() << 521) - 1u32;
    let h = BigUint::from(3u32);
    let h_s = h.modpow(&n, &(&n * &n));
    let sound = steps_of(&n, &h);
    let mut wrong = sound.clone();
    wrong[2] += 1u32;
    for steps in [&sound[..], &wrong[..], &sound[..3]] {
        let refused = PublicKey::from_subgroup_parts(&n, &h, &h_s, Some(steps)).err();
        assert_eq!(refused, Some(PaillierError::KeyPrime));
    }
}

#[test]
fn a_rerandomiser_is_made_beside_the_check_of_steps() {
    let key = key(256, 28);
    let mut rng = ChaCha20Rng::seed_from_u64(28);
    let (n, h, h_s, mut steps) = parts(&key);
    for uses in [1, 400] {
        let candidate = Candidate::from_subgroup_parts(n, h, h_s, Some(&steps)).expect("odd");
        assert!(Rerandomiser::admitting(&candidate, uses, &mut rng)().is_ok());
    }
    steps[6] += 1u32;
    let candidate = Candidate::from_subgroup_parts(n, h, h_s, Some(&steps)).expect("odd");
    let error = Rerandomiser::admitting(&candidate, 400, &mut rng)().err();
    assert_eq!(error, Some(PaillierError::StepMismatch(7)));
}

#[test]
fn others_are_raised_beside_the_check_of_steps() {
    let key = key(256, 29);
    let (n, h, h_s, steps) = parts(&key);
    let candidate = Candidate::from_subgroup_parts(n, h, h_s, Some(&steps)).expect("odd");
    let ring = key.ring();
    let others = [2u32, 5, 77].map(BigUint::from);
    let rows = others.iter().flat_map(|x| limbs::from_biguint(x, 4));
    let others = others.each_ref().map(|x| x.modpow(n, &(n * n)));
    let powers = candidate.admit_beside(&ring.enter(&rows.collect::<Vec<_>>(), 4));
    let rows = ring.leave(&powers.expect("sound"));
    let found: Vec<_> = rows.chunks(8).map(limbs::to_biguint).collect();
    assert_eq!(found, others);
}
