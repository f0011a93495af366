//! Keys of the sizes that people use: conditions, exact length, and every
//! operation once.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::One;
use pdnn::{
    file::key,
    paillier::{
        Ciphertexts, Encrypt, OwnerEncryptor, Plaintext, PublicEncryptor, Rerandomiser, SecretKey,
        SlotLayout, pack, unpack,
    },
};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

fn everything_works_at(bits: u32) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
    let key = SecretKey::generate(bits, &mut rng).expect("a standard size");
    everything_works_with(&key, bits, rng);
}

fn everything_works_in_a_subgroup_at(bits: u32, order_bits: u32) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
    let key = SecretKey::generate_subgroup(bits, &mut rng).expect("a standard size");
    let [a, b] = key
        .orders()
        .expect("a subgroup key")
        .map(|order| BigUint::from_bytes_be(&order));
    let half = u64::from(order_bits / 2);
    assert_eq!((a.bits(), b.bits()), (half, half));
    assert_eq!(key.public().exponent_bits(), order_bits);
    let square = key.public().n() * key.public().n();
    let h_s = key.public().h_s().expect("generated");
    assert!(h_s.modpow(&(a * b * 2u32), &square).is_one());
    everything_works_with(&key, bits, rng);
}

fn everything_works_with(key: &SecretKey, bits: u32, mut rng: ChaCha20Rng) {
    let public = key.public();
    assert_eq!(public.bits(), bits);
    assert!(!public.is_insecure());

    let [p, q] = key.primes().map(|prime| BigUint::from_bytes_be(&prime));
    let (three, four) = (BigUint::from(3u32), BigUint::from(4u32));
    assert_eq!((&p % &four, &q % &four), (three.clone(), three));
    assert_eq!((&p - 1u32).gcd(&(&q - 1u32)), BigUint::from(2u32));
    assert_eq!(&p * &q, *public.n());
    assert_eq!(
        (p.bits(), q.bits()),
        (u64::from(bits) / 2, u64::from(bits) / 2)
    );
    let h = public.h().expect("generated");
    let square = public.n() * public.n();
    assert_eq!(public.h_s(), Some(&h.modpow(public.n(), &square)));
    let lambda = (&p - 1u32).lcm(&(&q - 1u32));
    let h_s = public.h_s().expect("generated");
    assert!(h_s.modpow(&lambda, &square).is_one());

    // The file that this key makes is the key.
    let again = key::secret_from_json(&key::secret_to_json(key)).expect("its own file");
    assert_eq!(again.public(), public);

    // Packed sums, through bytes, re-randomised.
    let layout = SlotLayout::fit(bits, 20);
    let half = 1i64 << 18;
    let mut values = || -> Vec<i64> {
        (0..layout.slots)
            .map(|_| rng.random_range(-half..half))
            .collect()
    };
    let (a, b) = (values(), values());
    let (x, y) = ([pack(&a, layout)], [pack(&b, layout)]);
    let [mut first, mut second] = [7; 2].map(ChaCha20Rng::seed_from_u64);
    let by_public = PublicEncryptor::new(public, 1).encrypt(&x, &mut first);
    let by_owner = OwnerEncryptor::new(key, 1).encrypt(&x, &mut second);
    assert_eq!(by_public.to_bytes(), by_owner.to_bytes());
    let sum = Ciphertexts::from_bytes(public, &by_owner.to_bytes())
        .expect("its own bytes")
        .add_plain(&y);
    let expected: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    for uses in [1, 100] {
        let fresh = Rerandomiser::new(public, uses, &mut rng).apply(&sum, &mut rng);
        assert_ne!(fresh.to_bytes(), sum.to_bytes());
        let plain = key.decrypt(&fresh);
        assert_eq!(
            unpack(&plain[0], layout, layout.slots).expect("packed"),
            expected
        );
    }

    // The ends of the range.
    let most = BigInt::from(public.n() / 2u32);
    let ends = [&most, &-&most].map(Plaintext::from_signed);
    let c = OwnerEncryptor::new(key, 2).encrypt(&ends, &mut rng);
    assert_eq!(key.decrypt(&c), ends);
    assert!(!public.holds(&Plaintext::from_signed(&(most + 1))));
}

#[test]
fn everything_works_at_2048_bits() {
    everything_works_at(2048);
}

#[test]
fn everything_works_at_3072_bits() {
    everything_works_at(3072);
}

#[test]
fn everything_works_at_4096_bits() {
    everything_works_at(4096);
}

#[test]
fn subgroup_keys_work_at_2048_bits() {
    everything_works_in_a_subgroup_at(2048, 448);
}

#[test]
fn subgroup_keys_work_at_3072_bits() {
    everything_works_in_a_subgroup_at(3072, 512);
}

#[test]
fn subgroup_keys_work_at_4096_bits() {
    everything_works_in_a_subgroup_at(4096, 608);
}
