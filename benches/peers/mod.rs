//! Other libraries of numbers, behind one trait, and Paillier as the textbook
//! has it on each: what the benches compare with. GMP is there in the package
//! `benches/gmp` only, which has the feature of that name.

// Not every bench needs all of it.
#![allow(dead_code)]

use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use num_bigint::BigUint;

/// Arithmetic modulo a fixed odd number.
pub(crate) trait Library {
    const NAME: &str;
    type Residue;
    fn new(modulus: &BigUint) -> Self;
    /// `x` is below the modulus.
    fn residue(&self, x: &BigUint) -> Self::Residue;
    fn number(&self, x: &Self::Residue) -> BigUint;
    fn product(&self, a: &Self::Residue, b: &Self::Residue) -> Self::Residue;
    fn power(&self, a: &Self::Residue, exponent: &BigUint) -> Self::Residue;
    fn small_power(&self, a: &Self::Residue, exponent: u8) -> Self::Residue;
    /// `a` is a unit.
    fn inverse(&self, a: &Self::Residue) -> Self::Residue;
}

/// `(a * b) % m` and `modpow`.
pub(crate) struct NumBigint(BigUint);

impl Library for NumBigint {
    const NAME: &str = "num-bigint";
    type Residue = BigUint;

    fn new(modulus: &BigUint) -> Self {
        NumBigint(modulus.clone())
    }
    fn residue(&self, x: &BigUint) -> BigUint {
        x.clone()
    }
    fn number(&self, x: &BigUint) -> BigUint {
        x.clone()
    }
    fn product(&self, a: &BigUint, b: &BigUint) -> BigUint {
        a * b % &self.0
    }
    fn power(&self, a: &BigUint, exponent: &BigUint) -> BigUint {
        a.modpow(exponent, &self.0)
    }
    fn small_power(&self, a: &BigUint, exponent: u8) -> BigUint {
        a.modpow(&exponent.into(), &self.0)
    }
    fn inverse(&self, a: &BigUint) -> BigUint {
        a.modinv(&self.0).expect("a unit")
    }
}

/// Montgomery form of boxed integers, in constant time.
pub(crate) struct CryptoBigint(BoxedMontyParams);

fn boxed(x: &BigUint, bits: u32) -> BoxedUint {
    let mut words = x.to_u64_digits();
    words.resize(bits.div_ceil(64) as usize, 0);
    BoxedUint::from_words(words)
}

impl Library for CryptoBigint {
    const NAME: &str = "crypto-bigint";
    type Residue = BoxedMontyForm;

    fn new(modulus: &BigUint) -> Self {
        let modulus = Odd::new(boxed(modulus, modulus.bits() as u32)).expect("odd");
        CryptoBigint(BoxedMontyParams::new_vartime(modulus))
    }
    fn residue(&self, x: &BigUint) -> BoxedMontyForm {
        BoxedMontyForm::new(boxed(x, self.0.bits_precision()), &self.0)
    }
    fn number(&self, x: &BoxedMontyForm) -> BigUint {
        BigUint::from_bytes_le(&x.retrieve().to_le_bytes())
    }
    fn product(&self, a: &BoxedMontyForm, b: &BoxedMontyForm) -> BoxedMontyForm {
        a * b
    }
    fn power(&self, a: &BoxedMontyForm, exponent: &BigUint) -> BoxedMontyForm {
        a.pow(&boxed(exponent, exponent.bits() as u32))
    }
    fn small_power(&self, a: &BoxedMontyForm, exponent: u8) -> BoxedMontyForm {
        a.pow_bounded_exp(&boxed(&exponent.into(), 64), 8)
    }
    fn inverse(&self, a: &BoxedMontyForm) -> BoxedMontyForm {
        a.invert().expect("a unit")
    }
}

/// GMP: `(a * b) % m` and `mpz_powm`.
#[cfg(feature = "gmp")]
pub(crate) struct Gmp(rug::Integer);

#[cfg(feature = "gmp")]
fn integer(x: &BigUint) -> rug::Integer {
    rug::Integer::from_digits(&x.to_u64_digits(), rug::integer::Order::Lsf)
}

#[cfg(feature = "gmp")]
impl Library for Gmp {
    const NAME: &str = "GMP";
    type Residue = rug::Integer;

    fn new(modulus: &BigUint) -> Self {
        Gmp(integer(modulus))
    }
    fn residue(&self, x: &BigUint) -> rug::Integer {
        integer(x)
    }
    fn number(&self, x: &rug::Integer) -> BigUint {
        let mut bytes = vec![0u8; x.significant_digits::<u8>()];
        x.write_digits(&mut bytes, rug::integer::Order::Lsf);
        BigUint::from_bytes_le(&bytes)
    }
    fn product(&self, a: &rug::Integer, b: &rug::Integer) -> rug::Integer {
        rug::Integer::from(a * b) % &self.0
    }
    fn power(&self, a: &rug::Integer, exponent: &BigUint) -> rug::Integer {
        let exponent = integer(exponent);
        rug::Integer::from(a.pow_mod_ref(&exponent, &self.0).expect("e >= 0"))
    }
    fn small_power(&self, a: &rug::Integer, exponent: u8) -> rug::Integer {
        let exponent = rug::Integer::from(exponent);
        rug::Integer::from(a.pow_mod_ref(&exponent, &self.0).expect("e >= 0"))
    }
    fn inverse(&self, a: &rug::Integer) -> rug::Integer {
        rug::Integer::from(a.invert_ref(&self.0).expect("a unit"))
    }
}

/// Calls a function, generic over a [`Library`], with each of them.
macro_rules! with_libraries {
    ($function:ident($($argument:expr),* $(,)?)) => {
        $function::<crate::peers::NumBigint>($($argument),*);
        $function::<crate::peers::CryptoBigint>($($argument),*);
        #[cfg(feature = "gmp")]
        $function::<crate::peers::Gmp>($($argument),*);
    };
}
pub(crate) use with_libraries;

/// Paillier with g = n + 1 and full-length randomisers; decryption by the
/// Chinese remainder theorem (Paillier 1999, section 7).
pub(crate) struct Textbook<L> {
    n: BigUint,
    modulo_nn: L,
    sides: [Side<L>; 2],
    /// q⁻¹ mod p.
    q_inverse: BigUint,
}

/// What decryption needs of a prime.
struct Side<L> {
    p: BigUint,
    pp: BigUint,
    modulo_pp: L,
    /// p − 1.
    exponent: BigUint,
    /// L(g^(p−1) mod p²)⁻¹ mod p.
    factor: BigUint,
}

impl<L: Library> Side<L> {
    fn new(p: &BigUint, n: &BigUint) -> Side<L> {
        let pp = p * p;
        let exponent = p - 1u32;
        let g = (n + 1u32) % &pp;
        let l = (g.modpow(&exponent, &pp) - 1u32) / p;
        Side {
            p: p.clone(),
            modulo_pp: L::new(&pp),
            factor: l.modinv(p).expect("a unit"),
            pp,
            exponent,
        }
    }

    fn decrypt(&self, c: &BigUint) -> BigUint {
        let c = self.modulo_pp.residue(&(c % &self.pp));
        let u = self
            .modulo_pp
            .number(&self.modulo_pp.power(&c, &self.exponent));
        (u - 1u32) / &self.p * &self.factor % &self.p
    }
}

impl<L: Library> Textbook<L> {
    pub(crate) fn new(p: &BigUint, q: &BigUint) -> Textbook<L> {
        let n = p * q;
        Textbook {
            modulo_nn: L::new(&(&n * &n)),
            sides: [Side::new(p, &n), Side::new(q, &n)],
            q_inverse: q.modinv(p).expect("two primes"),
            n,
        }
    }

    /// `r` is the randomiser, a unit modulo n.
    pub(crate) fn encrypt(&self, plaintext: &BigUint, r: &BigUint) -> BigUint {
        let power = self.modulo_nn.power(&self.modulo_nn.residue(r), &self.n);
        let message = self.modulo_nn.residue(&(plaintext * &self.n + 1u32));
        self.modulo_nn
            .number(&self.modulo_nn.product(&message, &power))
    }

    pub(crate) fn decrypt(&self, ciphertext: &BigUint) -> BigUint {
        let [p, q] = &self.sides;
        let (mp, mq) = (p.decrypt(ciphertext), q.decrypt(ciphertext));
        let difference = &mp + &p.p - &mq % &p.p;
        &mq + &q.p * (difference * &self.q_inverse % &p.p)
    }
}

/// The dot product of ciphertexts with signed weights, a power for each term:
/// the positive terms, times the inverse of the negative ones.
pub(crate) fn dot_product<L: Library>(
    library: &L,
    bases: &[L::Residue],
    weights: &[i8],
) -> L::Residue {
    let mut sides = [None, None];
    for (base, &weight) in bases.iter().zip(weights).filter(|&(_, &w)| w != 0) {
        let power = library.small_power(base, weight.unsigned_abs());
        let side = &mut sides[usize::from(weight < 0)];
        *side = Some(match side.take() {
            None => power,
            Some(sum) => library.product(&sum, &power),
        });
    }
    let [plus, minus] = sides.map(|side| side.expect("weights of both signs"));
    library.product(&plus, &library.inverse(&minus))
}
