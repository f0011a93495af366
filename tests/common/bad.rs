//! Files that are wrong in one way each, for the snapshots of what the program
//! says to them.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use num_bigint::{BigInt, BigUint};
use pdnn::{
    dataset::{Images, write_idx_images, write_idx_labels, write_png},
    file::{
        Container, Kind, Overwrite,
        folder::{save_bayesian, save_network},
        key,
    },
    network::Network,
    paillier::{Ciphertexts, Encrypt, Plaintext, PublicEncryptor, PublicKey, SecretKey},
    protocol::{
        bayhenn,
        two_party_dnn::{Client, ClientKeys, LayoutChoice, Server},
    },
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use serde_json::{Value, json};

use super::{bayesian::bayesian, tiny};

/// Sound files, and wrong ones made of them, in one folder.
pub(crate) struct Bad<'a> {
    folder: &'a Path,
    rng: ChaCha20Rng,
    /// Whose key the messages are for.
    pub(crate) alice: SecretKey,
    /// Somebody else's.
    pub(crate) bob: SecretKey,
    /// The network that the messages are for.
    pub(crate) network: Network,
    /// Another network of the same shape.
    pub(crate) other: Network,
}

impl Bad<'_> {
    /// Fills `folder`, which must be empty.
    pub(crate) fn fill(folder: &Path) -> Bad<'_> {
        let mut rng = ChaCha20Rng::seed_from_u64(2019);
        let mut secret = || SecretKey::generate_insecure(512, &mut rng).expect("a key");
        let mut bad = Bad {
            alice: secret(),
            bob: secret(),
            folder,
            rng,
            network: tiny::tiny_network("tiny", 1),
            other: tiny::tiny_network("other", 2),
        };
        bad.networks();
        bad.images();
        bad.public_keys();
        bad.secret_keys();
        bad.messages();
        bad.drawn_messages();
        bad
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), bytes).expect("writable");
    }

    fn networks(&self) {
        for (name, network) in [("net", &self.network), ("other", &self.other)] {
            let folder = self.folder.join(name);
            fs::create_dir(&folder).expect("writable");
            save_network(&folder, network, Overwrite::Never).expect("writable");
        }
        // The profile of one network beside the weights of another.
        fs::create_dir(self.folder.join("mixed")).expect("writable");
        for (from, file) in [("net", "profile.json"), ("other", "model.safetensors")] {
            let to = self.folder.join("mixed").join(file);
            fs::copy(self.folder.join(from).join(file), to).expect("writable");
        }
        let profile = self.network.profile().to_json();
        let version = profile.replace("\"version\": 1", "\"version\": 2");
        assert_ne!(version, profile);
        self.write("version.profile.json", version);
        self.write("truncated.profile.json", &profile[..profile.len() / 2]);
    }

    fn images(&self) {
        let pixels = tiny::images(3, 7);
        let png = write_png(&pixels[0], 8, 8).expect("8x8 pixels");
        self.write("0.png", &png);
        self.write("truncated.png", &png[..png.len() / 2]);
        // 65,535 x 65,535 pixels in a header whose checksum is right.
        let mut absurd = png[..33].to_vec();
        absurd[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let sum = crc32(&absurd[12..29]);
        absurd[29..33].copy_from_slice(&sum.to_be_bytes());
        absurd.extend_from_slice(&png[33..]);
        self.write("absurd.png", absurd);
        self.write("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF");
        self.write("noise.bin", [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff]);
        fs::create_dir(self.folder.join("empty")).expect("writable");
        let idx = |pixels: &[Vec<u8>], side| {
            write_idx_images(&Images::new(side, side, pixels.concat()).expect("whole images"))
                .expect("small")
        };
        let sound = idx(&pixels, 8);
        self.write("three.idx", &sound);
        self.write("truncated.idx", &sound[..sound.len() - 1]);
        self.write("four-by-four.idx", idx(&pixels, 4));
        self.write("two.labels", write_idx_labels(&[1, 2]).expect("small"));
        self.write(
            "eleven.labels",
            write_idx_labels(&[1, 2, 11]).expect("small"),
        );
        self.write("words.csv", "a,b,c\n1,2,3\n");
    }

    fn public_keys(&self) {
        let public =
            |name: &str, key: Value| self.write(&format!("{name}.pub.json"), key.to_string());
        let alice = self.alice.public();
        let sound: Value = parse(&key::public_to_json(alice));
        public("alice", sound.clone());
        public("bob", parse(&key::public_to_json(self.bob.public())));

        let n = alice.n().clone();
        let one = BigUint::from(1u8);
        let bare = |n: &BigUint| json!({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": number(n)});
        let [p, q] = self
            .alice
            .primes()
            .map(|prime| BigUint::from_bytes_be(&prime));
        public("even", bare(&(&n + &one)));
        public(
            "short",
            bare(&(BigUint::from(4_294_967_291u64) * 4_294_967_279u64)),
        );
        public("prime", bare(&mersenne(521)));
        public("power", bare(&(&p * &p)));
        public("small-factor", bare(&(&p * 3u8 * &mersenne(127))));
        let with = |member: &str, value: Value| {
            let mut key = sound.clone();
            key[member] = value;
            key
        };
        let of_bob: Value = parse(&key::public_to_json(self.bob.public()));
        public(
            "fingerprint",
            with("fingerprint", of_bob["fingerprint"].clone()),
        );
        public("h-no-unit", with("h", number(&q)));
        public("h-one", with("h", number(&one)));
        public("h-s-foreign", with("h_s", number(&(&one + &n))));
        public("steps-unexpected", with("h_steps", json!([])));
        let mut rng = ChaCha20Rng::seed_from_u64(17);
        let carol = SecretKey::generate_subgroup_insecure(512, &mut rng).expect("an even size");
        let subgroup: Value = parse(&key::public_to_json(carol.public()));
        let with_steps = |change: fn(&mut Vec<Value>)| {
            let mut key = subgroup.clone();
            change(key["h_steps"].as_array_mut().expect("a list"));
            key
        };
        public("steps-swapped", with_steps(|steps| steps.swap(2, 3)));
        public("steps-too-few", with_steps(|steps| steps.truncate(6)));
        let large = with_steps(|steps| steps[1] = number(&mersenne(1100)));
        public("steps-too-large", large);
        public("scheme", with("scheme", "DJN99".into()));
        public(
            "padded",
            with(
                "n",
                format!("{}=", sound["n"].as_str().expect("text")).into(),
            ),
        );
    }

    fn secret_keys(&self) {
        let json = key::secret_to_json(&self.alice);
        self.write("alice.key.json", json.as_bytes());
        self.write("bob.key.json", key::secret_to_json(&self.bob).as_bytes());
        self.write("truncated.key.json", &json.as_bytes()[..json.len() / 2]);
        let sound: Value = parse(&json);
        let [p, q] = self
            .alice
            .primes()
            .map(|prime| BigUint::from_bytes_be(&prime));
        let secret = |name: &str, p: &BigUint, q: &BigUint, n: &BigUint| {
            let mut key = sound.clone();
            key["p"] = number(p);
            key["q"] = number(q);
            key["pub"] =
                json!({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": number(n)});
            self.write(&format!("{name}.key.json"), key.to_string());
        };
        let composite = &p * &mersenne(89);
        secret(
            "composite",
            &composite,
            &mersenne(521),
            &(&composite * mersenne(521)),
        );
        secret("equal", &p, &p, &(&p * &p));
        secret("foreign", &p, &q, self.bob.public().n());
        for name in ["alice", "bob", "truncated", "composite", "equal", "foreign"] {
            owner_only(&self.folder.join(format!("{name}.key.json")));
        }
    }

    fn messages(&mut self) {
        let pixels: Vec<i64> = tiny::images(1, 7)[0].iter().map(|&p| p.into()).collect();
        let keys = ClientKeys::Owner(self.alice.clone());
        let client = Client::new(self.network.profile().clone(), keys);
        let query = client
            .query(&[pixels], LayoutChoice::Latency, &mut self.rng)
            .expect("an image");
        let server = Server::new(self.network.clone());
        let reply = server.answer(&query, &mut self.rng).expect("a query").reply;
        let (query, reply) = (query.to_bytes(), reply.to_bytes());
        self.write("query.pdnn", &query);
        self.write("reply.pdnn", &reply);

        self.write("nothing.pdnn", b"");
        self.write("truncated.pdnn", &query[..query.len() - 1]);
        self.write("padded.pdnn", [&query[..], b"\0"].concat());
        let with_byte = |at: usize, change: fn(u8) -> u8| {
            let mut bytes = query.clone();
            bytes[at] = change(bytes[at]);
            bytes
        };
        self.write("flipped.pdnn", with_byte(query.len() - 9, |b| b ^ 1));
        self.write("header-too-long.pdnn", with_byte(7, |_| 0xff));
        self.write("header-too-short.pdnn", with_byte(0, |b| b.wrapping_sub(8)));

        let metadata = |name: &str, value: &str| {
            let mut container = Container::from_bytes(&query, Kind::QUERY).expect("sound");
            container.set(name, value);
            container.to_bytes().expect("sound")
        };
        self.write("version.pdnn", metadata("format_version", "9"));
        self.write("protocol.pdnn", metadata("protocol", "3p-dnn"));
        self.write("stage.pdnn", metadata("stage", "9"));
        self.write("stage-2.pdnn", metadata("stage", "2"));
        self.write("no-images.pdnn", metadata("images", "0"));
        self.write("slots.pdnn", metadata("slot_bits", "7"));
        self.write("kind.pdnn", metadata("kind", "letter"));

        let public = self.alice.public().clone();
        let width = Ciphertexts::width(&public);
        let row = |kind: Kind, bytes: &[u8], row: &[u8]| {
            let mut container = Container::from_bytes(bytes, kind).expect("sound");
            container.tensors[0].data[width..2 * width].copy_from_slice(row);
            container.to_bytes().expect("sound")
        };
        let n_squared = public.n() * public.n();
        self.write("zero.pdnn", row(Kind::QUERY, &query, &vec![0; width]));
        self.write(
            "too-large.pdnn",
            row(Kind::QUERY, &query, &fixed(&n_squared, width)),
        );
        self.write(
            "no-unit.pdnn",
            row(Kind::QUERY, &query, &fixed(public.n(), width)),
        );
        self.write("reply-zero.pdnn", row(Kind::REPLY, &reply, &vec![0; width]));

        // Well-formed replies that no honest server sends.
        for (name, value) in [
            ("out-of-range", BigInt::from(-65_536)),
            ("high-bits", BigInt::from(1) << 508),
        ] {
            let forged = encryption(&public, &value, &mut self.rng);
            self.write(&format!("{name}.pdnn"), row(Kind::REPLY, &reply, &forged));
        }
    }
}

impl Bad<'_> {
    /// A Bayesian network and messages of BAYHENN.
    fn drawn_messages(&mut self) {
        let network = bayesian(&self.network);
        let folder = self.folder.join("bayes");
        fs::create_dir(&folder).expect("writable");
        save_bayesian(&folder, &network, Overwrite::Never).expect("writable");
        let pixels: Vec<i64> = tiny::images(1, 7)[0].iter().map(|&p| p.into()).collect();
        let server = bayhenn::Server::new(network.clone());
        let mut draws = ChaCha20Rng::seed_from_u64(1);
        for (name, samples) in [("drawn", 3), ("drawn-again", 3)] {
            let keys = ClientKeys::Owner(self.alice.clone());
            let client = bayhenn::client(network.profile().clone(), keys, samples);
            let query = client
                .expect("few samples")
                .query(
                    std::slice::from_ref(&pixels),
                    LayoutChoice::Latency,
                    &mut self.rng,
                )
                .expect("an image");
            let answer = server.answer(&query, &mut draws, &mut self.rng);
            let reply = answer.expect("a query").reply;
            self.write(&format!("{name}.pdnn"), query.to_bytes());
            self.write(&format!("{name}-reply.pdnn"), reply.to_bytes());
            let with_samples = |bytes: Vec<u8>, kind: Kind, samples: &str| {
                let mut changed = Container::from_bytes(&bytes, kind).expect("sound");
                changed.set("samples", samples);
                changed.to_bytes().expect("sound")
            };
            for samples in ["0", "65"] {
                let changed = with_samples(query.to_bytes(), Kind::QUERY, samples);
                self.write(&format!("{name}-{samples}-samples.pdnn"), changed);
            }
            let changed = with_samples(reply.to_bytes(), Kind::REPLY, "2");
            self.write(&format!("{name}-reply-2-samples.pdnn"), changed);
        }
    }
}

fn encryption(key: &PublicKey, value: &BigInt, rng: &mut ChaCha20Rng) -> Vec<u8> {
    PublicEncryptor::new(key, 1)
        .encrypt(&[Plaintext::from_signed(value)], rng)
        .to_bytes()
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// A number as key files hold it.
fn number(value: &BigUint) -> Value {
    URL_SAFE_NO_PAD.encode(value.to_bytes_be()).into()
}

/// 2^exponent − 1, a prime for the exponents used here.
fn mersenne(exponent: u32) -> BigUint {
    (BigUint::from(1u8) << exponent) - 1u8
}

/// Big-endian, `width` bytes.
fn fixed(value: &BigUint, width: usize) -> Vec<u8> {
    let bytes = value.to_bytes_be();
    [vec![0; width - bytes.len()], bytes].concat()
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// So that no call warns about the key's mode.
fn owner_only(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
    }
    #[cfg(not(unix))]
    let _ = path;
}
