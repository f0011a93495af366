use super::*;
use crate::paillier::{
    Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, PublicEncryptor, Rerandomiser, Scheme,
};
use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::One;
use rand::{SeedableRng, rngs::ChaCha20Rng};

fn key(bits: u32, seed: u64) -> (SecretKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = SecretKey::generate_subgroup_insecure(bits, &mut rng).expect("an even size");
    (key, rng)
}

fn big(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_be(bytes)
}

/// p, q, α_p, α_q.
fn parts(key: &SecretKey) -> [BigUint; 4] {
    let [p, q] = key.primes();
    let [a, b] = key.orders().expect("a subgroup key");
    [big(&p), big(&q), big(&a), big(&b)]
}

fn is_prime(n: &BigUint) -> bool {
    primality::is_prime(&n.to_u64_digits())
}

#[test]
fn keys_meet_every_condition() {
    for bits in [128, 130, 192, 256, 512, 1024] {
        let (key, _) = key(bits, u64::from(bits));
        let public = key.public();
        assert_eq!((public.bits(), public.scheme()), (bits, Scheme::Subgroup));
        let [p, q, a, b] = parts(&key);
        assert_eq!(&p * &q, *public.n());
        assert_eq!((&p - 1u32).gcd(&(&q - 1u32)), BigUint::from(2u32));
        for (prime, order) in [(&p, &a), (&q, &b)] {
            assert_eq!(prime.bits(), u64::from(bits / 2));
            assert_eq!(order.bits(), u64::from(public.exponent_bits() / 2));
            let (cofactor, rest) = (prime - 1u32).div_rem(&(order * 2u32));
            assert!(is_prime(prime) && is_prime(order) && is_prime(&cofactor));
            assert_eq!(rest, BigUint::ZERO);
        }
        // h = −y^(2β) has order 2α modulo n, and −h order α; h_s = h^n.
        let (n, h) = (public.n(), public.h().expect("generated"));
        let alpha = &a * &b;
        let square = n * n;
        assert_eq!(h.modpow(&alpha, n), n - 1u32);
        assert!(!h.modpow(&(&a * 2u32), n).is_one());
        assert!(!h.modpow(&(&b * 2u32), n).is_one());
        let h_s = public.h_s().expect("generated");
        assert_eq!(*h_s, h.modpow(n, &square));
        assert!(h_s.modpow(&(alpha * 2u32), &square).is_one());
    }
}

#[test]
fn only_sizes_with_a_known_order_are_generated() {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    for bits in [0, 512, 1024, 2047, 2050, 8192] {
        let refused = SecretKey::generate_subgroup(bits, &mut rng).err();
        assert_eq!(refused, Some(PaillierError::SubgroupSize(bits)));
    }
    for bits in [0, 126, 129, 2050, 8192] {
        let refused = SecretKey::generate_subgroup_insecure(bits, &mut rng).err();
        assert_eq!(refused, Some(PaillierError::SubgroupSize(bits)));
    }
}

#[test]
fn ciphertexts_follow_the_definition() {
    for bits in [128, 256, 514] {
        let (key, _) = key(bits, 71);
        let public = key.public();
        let (n, h_s) = (public.n(), public.h_s().expect("generated"));
        let square = n * n;
        let values = [0i64, 1, -1, 77, -12_345];
        let plain: Vec<Plaintext> = values.iter().map(|&v| v.into()).collect();
        let [mut same, mut rng] = [70; 2].map(ChaCha20Rng::seed_from_u64);
        let c = PublicEncryptor::new(public, 5).encrypt(&plain, &mut rng);
        let width = limbs_for(public.exponent_bits());
        let exponents = limbs::random_rows(5, public.exponent_bits(), width, &mut same);
        let [_, _, a, b] = parts(&key);
        let twice = a * b * 2u32;
        for (i, (&value, c)) in values.iter().zip(c.to_integers()).enumerate() {
            let r = limbs::to_biguint(&exponents[i * width..(i + 1) * width]);
            let x = BigInt::from(value).mod_floor(&BigInt::from(n.clone()));
            let x = x.to_biguint().expect("a residue");
            let expected = (BigUint::one() + &x * n) * h_s.modpow(&r, &square) % &square;
            assert_eq!(c, expected);
            // The textbook's decryption: L(c^(2α) mod n²)·(2α)^{-1} mod n.
            let scaled = (c.modpow(&twice, &square) - 1u32) / n;
            let inverse = twice.modinv(n).expect("coprime to n");
            assert_eq!(scaled * inverse % n, x);
        }
    }
}

#[test]
fn the_owner_gets_the_same_ciphertexts_from_the_same_generator() {
    for (bits, seed) in [
        (128, 32),
        (130, 33),
        (192, 34),
        (256, 35),
        (514, 36),
        (1024, 37),
    ] {
        let (key, _) = key(bits, seed);
        let plain: Vec<Plaintext> = (-4..7).map(Plaintext::from).collect();
        let [mut a, mut b] = [seed; 2].map(ChaCha20Rng::seed_from_u64);
        let public = PublicEncryptor::new(key.public(), 9).encrypt(&plain, &mut a);
        let owner = OwnerEncryptor::new(&key, 9).encrypt(&plain, &mut b);
        assert_eq!(public.to_bytes(), owner.to_bytes(), "{bits} bits");
        assert!(key.decrypt(&owner) == plain);
    }
}

#[test]
fn the_ends_of_the_range_come_back() {
    let (key, mut rng) = key(192, 38);
    let most = BigInt::from(key.public().n() / 2u32);
    let ends = [&most, &-&most].map(Plaintext::from_signed);
    let c = OwnerEncryptor::new(&key, 2).encrypt(&ends, &mut rng);
    assert_eq!(key.decrypt(&c), ends);
}

/// Whether the ciphertext's randomiser is in the subgroup.
fn inside(key: &SecretKey, c: &BigUint) -> bool {
    let [_, _, a, b] = parts(key);
    let n = key.public().n();
    c.modpow(&(a * b * 2u32), n).is_one()
}

#[test]
fn randomisers_from_outside_the_subgroup_are_decrypted_too() {
    let (key, mut rng) = key(256, 39);
    let plain: Vec<Plaintext> = (-9..10).map(Plaintext::from).collect();
    let own = PublicEncryptor::new(key.public(), 19).encrypt(&plain, &mut rng);
    // r^n, as other programs have it, in place of every third.
    let plain_key = PublicKey::from_parts(key.public().n(), None).expect("a valid n");
    let other = PublicEncryptor::new(&plain_key, 19).encrypt(&plain, &mut rng);
    let (own, other) = (own.to_integers(), other.to_integers());
    let mixed: Vec<BigUint> = (0..19)
        .map(|i| if i % 3 == 0 { &other[i] } else { &own[i] }.clone())
        .collect();
    for (i, c) in mixed.iter().enumerate() {
        assert_eq!(inside(&key, c), i % 3 != 0);
    }
    let mixed = Ciphertexts::from_integers(key.public(), &mixed).expect("units");
    assert!(key.decrypt(&mixed) == plain);
}

#[test]
fn rerandomisation_stays_in_the_subgroup_unless_asked_to_be_uniform() {
    let (key, mut rng) = key(256, 40);
    let plain: Vec<Plaintext> = (-10..10).map(Plaintext::from).collect();
    let c = PublicEncryptor::new(key.public(), 20).encrypt(&plain, &mut rng);
    for uses in [1, 20, 1000] {
        let rerandomiser = Rerandomiser::new(key.public(), uses, &mut rng);
        assert!(!rerandomiser.is_uniform());
        let fresh = rerandomiser.apply(&c, &mut rng);
        assert!(key.decrypt(&fresh) == plain);
        let (old, new) = (c.to_integers(), fresh.to_integers());
        assert!(old.iter().zip(&new).all(|(a, b)| a != b));
        assert!(new.iter().all(|c| inside(&key, c)));
    }
    let uniform = Rerandomiser::uniform(key.public()).apply(&c, &mut rng);
    assert!(key.decrypt(&uniform) == plain);
    assert!(!uniform.to_integers().iter().any(|c| inside(&key, c)));
}

/// The key with its orders replaced.
fn with_orders(key: &SecretKey, orders: [&BigUint; 2]) -> PaillierError {
    let [p, q] = key.primes();
    let orders = orders.map(BigUint::to_bytes_be);
    let orders = [&orders[0][..], &orders[1][..]];
    SecretKey::from_subgroup_parts(key.public().clone(), [&p, &q], orders).expect_err("refused")
}

#[test]
fn a_key_is_rebuilt_from_its_parts() {
    let (key, mut rng) = key(256, 41);
    let public = key.public();
    let public = PublicKey::from_subgroup_parts(
        public.n(),
        public.h().expect("generated"),
        public.h_s().expect("generated"),
        public.h_steps(),
    )
    .expect("valid");
    assert_eq!(&public, key.public());
    let ([p, q], [a, b]) = (key.primes(), key.orders().expect("a subgroup key"));
    let again = SecretKey::from_subgroup_parts(public, [&p, &q], [&a, &b]).expect("valid");
    let c = OwnerEncryptor::new(&again, 1).encrypt(&[7.into()], &mut rng);
    assert!(key.decrypt(&c) == [Plaintext::from(7)]);
}

#[test]
fn an_order_of_another_length_is_refused() {
    let (key, _) = key(256, 42);
    let [_, _, a, b] = parts(&key);
    let refused = |name| PaillierError::SubgroupOrderSize { name, expected: 32 };
    for wrong in [&a >> 1, &a << 1, BigUint::ZERO, &a << 400] {
        assert_eq!(with_orders(&key, [&wrong, &b]), refused("alpha_p"));
        assert_eq!(with_orders(&key, [&a, &wrong]), refused("alpha_q"));
    }
}

#[test]
fn an_order_that_is_no_prime_is_refused() {
    let (key, _) = key(256, 43);
    let [_, _, a, b] = parts(&key);
    let refused = PaillierError::SubgroupOrderNotPrime;
    for wrong in [(1u32 << 31) + 2, (1 << 31) + 9] {
        let wrong = BigUint::from(wrong);
        assert_eq!(with_orders(&key, [&wrong, &b]), refused("alpha_p"));
        assert_eq!(with_orders(&key, [&a, &wrong]), refused("alpha_q"));
    }
}

#[test]
fn an_order_that_does_not_divide_is_refused() {
    let (key, _) = key(256, 44);
    let [_, _, a, b] = parts(&key);
    let refused = PaillierError::SubgroupOrderNotDividing;
    assert_eq!(with_orders(&key, [&b, &a]), refused("alpha_p"));
    assert_eq!(with_orders(&key, [&a, &a]), refused("alpha_q"));
}

#[test]
fn equal_orders_are_refused() {
    // q = 2kα_p + 1 for the α_p of a key.
    let (key, _) = key(256, 45);
    let [p, _, a, _] = parts(&key);
    let q = (1u32..)
        .map(|k| ((BigUint::one() << 95) + k) * 2u32 * &a + 1u32)
        .find(|q: &BigUint| primality::small_factor(&q.to_u64_digits()).is_none() && is_prime(q))
        .expect("primes are dense");
    let n = &p * &q;
    let h = BigUint::from(4u32);
    let h_s = h.modpow(&n, &(&n * &n));
    let public = PublicKey::from_subgroup_parts(&n, &h, &h_s, None).expect("a valid n");
    let [p, q, a] = [&p, &q, &a].map(BigUint::to_bytes_be);
    let refused = SecretKey::from_subgroup_parts(public, [&p, &q], [&a, &a]).err();
    assert_eq!(refused, Some(PaillierError::SubgroupOrdersEqual));
}

/// The key with h replaced, and h_s with it.
fn with_h(key: &SecretKey, h: &BigUint) -> Result<SecretKey, PaillierError> {
    let n = key.public().n();
    let h_s = h.modpow(n, &(n * n));
    let public = PublicKey::from_subgroup_parts(n, h, &h_s, None)?;
    let ([p, q], [a, b]) = (key.primes(), key.orders().expect("a subgroup key"));
    SecretKey::from_subgroup_parts(public, [&p, &q], [&a, &b])
}

#[test]
fn an_h_of_another_order_is_refused() {
    let (key, mut rng) = key(256, 46);
    let n = key.public().n();
    let h = key.public().h().expect("generated");
    assert!(with_h(&key, &h.modpow(&3u32.into(), n)).is_ok());
    // α and 1 modulo p; DJN's h, of an order many times as large.
    let djn = SecretKey::generate_insecure(256, &mut rng).expect("an even size");
    let large = djn.public().h().expect("generated") % n;
    for wrong in [n - h, h * h % n, large, BigUint::from(2u32)] {
        let refused = with_h(&key, &wrong).err();
        assert_eq!(refused, Some(PaillierError::SubgroupOrderOfH("alpha_p")));
    }
    // Right modulo p, −1 modulo q: the order of h is 2α_p.
    let [p, q, _, _] = parts(&key);
    let t = ((h + 1u32) * q.modinv(&p).expect("different primes")) % &p;
    let small = (n - 1u32 + &q * t) % n;
    let refused = with_h(&key, &small).err();
    assert_eq!(refused, Some(PaillierError::SubgroupOrderOfH("alpha_q")));
}

#[test]
fn orders_and_scheme_belong_together() {
    let (key, mut rng) = key(256, 47);
    let [p, q] = key.primes();
    assert_eq!(
        SecretKey::from_parts(key.public().clone(), &p, &q).err(),
        Some(PaillierError::SubgroupOrdersMissing)
    );
    let djn = SecretKey::generate_insecure(256, &mut rng).expect("an even size");
    let ([p, q], [a, b]) = (djn.primes(), key.orders().expect("a subgroup key"));
    assert_eq!(
        SecretKey::from_subgroup_parts(djn.public().clone(), [&p, &q], [&a, &b]).err(),
        Some(PaillierError::SubgroupOrdersUnexpected)
    );
}

#[test]
fn a_public_key_of_a_size_without_subgroup_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(48);
    let key = SecretKey::generate_insecure(2050, &mut rng).expect("an even size");
    let public = key.public();
    let refused = PublicKey::from_subgroup_parts(
        public.n(),
        public.h().expect("generated"),
        public.h_s().expect("generated"),
        None,
    );
    assert_eq!(refused.err(), Some(PaillierError::SubgroupSize(2050)));
}
