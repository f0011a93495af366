//! Randomisers made ahead: that each hides one ciphertext, whatever ends a
//! process and however many use one store, and what the program says of them.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::One;
use pdnn::{
    file::{
        Container, Kind,
        key::{self, Key},
    },
    paillier::{Ciphertexts, SecretKey},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

use crate::place::{NET, Place, stderr};

const ALICE: [&str; 2] = ["--key", "alice.key.json"];
const AHEAD: [&str; 2] = ["--randomisers", "ahead"];

/// A place with a store of `count` randomisers.
fn prepared(count: usize) -> Place {
    let place = Place::with_key();
    precompute(&place, count);
    place
}

fn precompute(place: &Place, count: usize) {
    let count = count.to_string();
    place.ok(&[
        &["precompute", "--count", &count, "-o", "ahead"][..],
        &ALICE,
    ]
    .concat());
}

fn encrypt<'a>(image: &'a str, out: &'a str) -> Vec<&'a str> {
    let images = ["encrypt", image, "--invert", "never", "-o", out];
    [&images[..], &ALICE, &NET, &AHEAD].concat()
}

fn left(place: &Place) -> u64 {
    let facts = place.json(&["inspect", "ahead", "--json"]);
    assert_eq!(facts["kind"], "randomisers");
    facts["left"].as_u64().expect("a number")
}

/// Files of the store whose names end in `end`.
fn files(place: &Place, end: &str) -> Vec<PathBuf> {
    fs::read_dir(place.path("ahead"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}

/// The randomisers in the store's files: all but those that are erased.
fn stored(place: &Place) -> Vec<BigUint> {
    let (header, width, tag) = (128, 128, 16);
    let mut found = Vec::new();
    for path in files(place, ".randomisers") {
        let bytes = fs::read(path).expect("readable");
        let rows = bytes[header..].chunks(width + tag).map(|row| &row[..width]);
        found.extend(rows.map(BigUint::from_bytes_be));
    }
    found.retain(|rho| *rho != BigUint::default());
    found
}

fn secret(place: &Place) -> SecretKey {
    let text = fs::read_to_string(place.path("alice.key.json")).expect("text");
    match key::from_json(&text).expect("a key") {
        Key::Secret(key) => key,
        Key::Public(_) => panic!("the secret key"),
    }
}

/// The ciphertexts of the query in `file`, if it is there.
fn ciphertexts(place: &Place, key: &SecretKey, file: &str) -> Option<Ciphertexts> {
    let bytes = fs::read(place.path(file)).ok()?;
    let query = Container::from_bytes(&bytes, Kind::QUERY).expect("whole");
    let width = Ciphertexts::width(key.public());
    let rows = query
        .tensors
        .iter()
        .find(|tensor| tensor.shape.last() == Some(&width));
    let rows = rows
        .and_then(|tensor| tensor.as_bytes().ok())
        .expect("ciphertexts");
    Some(Ciphertexts::from_bytes(key.public(), rows).expect("valid"))
}

/// Every randomiser that a query was seen to use, and in which file.
struct Seen {
    key: SecretKey,
    by: HashMap<BigUint, String>,
}

impl Seen {
    fn new(place: &Place) -> Seen {
        Seen {
            key: secret(place),
            by: HashMap::new(),
        }
    }

    /// Notes the randomisers of the query in `file`, if it is there:
    /// ρ = c·(1 − x·n) modulo n².
    fn query(&mut self, place: &Place, file: &str) -> Option<Vec<BigUint>> {
        let ciphertexts = ciphertexts(place, &self.key, file)?;
        let n = BigInt::from(self.key.public().n().clone());
        let square = &n * &n;
        let mut found = Vec::new();
        let plaintexts = self.key.decrypt(&ciphertexts);
        for (c, x) in ciphertexts.to_integers().into_iter().zip(&plaintexts) {
            let inverse = (BigInt::one() - x.to_signed() * &n).mod_floor(&square);
            let rho = (BigInt::from(c) * inverse)
                .mod_floor(&square)
                .magnitude()
                .clone();
            if let Some(before) = self.by.insert(rho.clone(), file.to_string()) {
                panic!("{before} and {file} use the same randomiser");
            }
            found.push(rho);
        }
        Some(found)
    }
}

#[test]
fn a_query_takes_its_randomisers_from_the_store_and_counts_them_off() {
    let place = prepared(100);
    let before = stored(&place);
    assert_eq!(before.len(), 100);
    let said = place.json(&[&encrypt("0.png", "query.pdnn")[..], &["--json"]].concat());
    let used = said["randomisers"]["taken"].as_u64().expect("a number");
    assert_eq!(said["randomisers"]["ran_out"], false);
    assert_eq!(said["ciphertexts"], used);
    assert_eq!(left(&place), 100 - used);
    // They were in the store, and are not any more.
    let found = Seen::new(&place)
        .query(&place, "query.pdnn")
        .expect("written");
    let after = stored(&place);
    for rho in &found {
        assert!(before.contains(rho) && !after.contains(rho));
    }
    assert_eq!((found.len() as u64, after.len() as u64), (used, 100 - used));
}

/// As python-paillier has it: c = (1 + x·n)·ρ with ρ an n-th power, decrypted by
/// Paillier's own formula.
#[test]
fn ciphertexts_from_a_store_follow_paillier_s_definition() {
    let place = prepared(30);
    place.ok(&encrypt("0.png", "query.pdnn"));
    let key = secret(&place);
    let n = key.public().n();
    let square = n * n;
    let [p, q] = key.primes().map(|prime| BigUint::from_bytes_be(&prime));
    let lambda = (&p - 1u32) * (&q - 1u32);
    for rho in Seen::new(&place)
        .query(&place, "query.pdnn")
        .expect("written")
    {
        // An n-th power is of an order that divides φ(n).
        assert!(rho.modpow(&lambda, &square).is_one());
    }
    // L(c^φ mod n²)·φ⁻¹ mod n, for every ciphertext.
    let ciphertexts = ciphertexts(&place, &key, "query.pdnn").expect("written");
    let inverse = lambda.modinv(n).expect("coprime");
    for (c, x) in ciphertexts
        .to_integers()
        .iter()
        .zip(key.decrypt(&ciphertexts))
    {
        let l = (c.modpow(&lambda, &square) - 1u32) / n;
        let modulus = BigInt::from(n.clone());
        assert_eq!(
            BigInt::from(l * &inverse % n),
            x.to_signed().mod_floor(&modulus)
        );
    }
}

#[test]
fn a_session_and_a_run_with_a_store_give_the_right_label() {
    let place = prepared(600);
    let start = ["encrypt", "0.png", "--invert", "never", "--session", "s"];
    place.ok(&[&start[..], &ALICE, &NET, &AHEAD].concat());
    let answer = [&["infer", "--session", "s", "--scan-tables"][..], &NET].concat();
    let advance = [
        &["decrypt", "--session", "s", "--scan-tables"][..],
        &ALICE,
        &AHEAD,
    ]
    .concat();
    let mut said = String::new();
    for _ in 0..place.network.profile().stages.len() {
        place.ok(&answer);
        said = place.ok(&advance);
    }
    assert!(said.trim().ends_with(&place.label(0)), "{said}");
    let after = left(&place);
    assert!(after < 600);
    let run = [
        "run",
        "1.png",
        "--invert",
        "never",
        "--json",
        "--scan-tables",
    ];
    let value = place.json(&[&run[..], &ALICE, &NET, &AHEAD].concat());
    assert_eq!(
        value["images"][0]["logits"],
        serde_json::json!(place.logits(1))
    );
    assert_eq!(value["randomisers"]["left"], left(&place));
    let taken = value["randomisers"]["taken"].as_u64().expect("a number");
    assert_eq!(
        (left(&place) + taken, taken),
        (
            after,
            value["total"]["ciphertexts_up"].as_u64().expect("a number")
        )
    );
}

#[test]
fn a_store_that_runs_out_is_topped_up_with_fresh_ones_and_says_so() {
    let place = prepared(3);
    let output = place.run(&encrypt("0.png", "query.pdnn"));
    assert!(output.status.success());
    let said = stderr(&output);
    let expected = "note: ahead: 3 randomisers taken, 0 left; it ran out, the rest was made fresh";
    assert!(said.contains(expected), "{said}");
    Seen::new(&place)
        .query(&place, "query.pdnn")
        .expect("written");
    // A file manager has looked in: it is a store all the same.
    fs::write(place.path("ahead/.DS_Store"), "").expect("writable");
    // What is used up is gone from the disk.
    assert!(files(&place, "randomisers").is_empty() && files(&place, "used").is_empty());
    let output = place.run(&[&encrypt("0.png", "query.pdnn")[..], &["-q"]].concat());
    assert!(output.status.success() && stderr(&output).lines().all(|l| l.starts_with("warning")));
    let run = ["run", "0.png", "--invert", "never", "--json"];
    let value = place.json(&[&run[..], &ALICE, &NET, &AHEAD].concat());
    assert_eq!(
        value["images"][0]["logits"],
        serde_json::json!(place.logits(0))
    );
    assert_eq!(
        value["randomisers"],
        serde_json::json!({"taken": 0, "ran_out": true, "left": 0})
    );
}

#[test]
fn precompute_adds_and_fills_up() {
    let place = prepared(5);
    precompute(&place, 7);
    assert_eq!(left(&place), 12);
    let fill = [
        "precompute",
        "--up-to",
        "20",
        "-o",
        "ahead",
        "--json",
        "--key",
        "alice.pub.json",
    ];
    for made in [8, 0] {
        let said = place.json(&fill);
        assert_eq!((&said["made"], &said["left"]), (&made.into(), &20.into()));
    }
}

#[cfg(unix)]
#[test]
fn everything_in_a_store_is_for_its_owner_only() {
    use crate::place::mode;
    let place = prepared(3);
    assert_eq!(mode(&place.path("ahead")), 0o700);
    assert_eq!(files(&place, "").len(), 3);
    for file in files(&place, "") {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// SIGKILL.
fn kill(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    child.wait().expect("it was started here");
}

#[test]
fn no_randomiser_is_used_twice_when_processes_are_killed_at_random_moments() {
    let place = prepared(3000);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut seen = Seen::new(&place);
    let mut whole = 0;
    for round in 0..60 {
        let name = format!("query-{round}.pdnn");
        let args = encrypt("0.png", &name);
        let mut child = place
            .command(&args)
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        sleep(Duration::from_micros(rng.random_range(0..60_000)));
        kill(&mut child);
        whole += usize::from(seen.query(&place, &name).is_some());
        if round % 10 == 9 {
            // Makers are killed as well.
            let args = [&["precompute", "--count", "500", "-o", "ahead"][..], &ALICE].concat();
            let mut child = place.command(&args).spawn().expect("it starts");
            sleep(Duration::from_micros(rng.random_range(0..200_000)));
            kill(&mut child);
        }
    }
    // Some rounds get through and some do not, or the test tests nothing.
    eprintln!("{whole} rounds of 60 got through");
    // The store still opens, and what is left in it is whole.
    let rest = left(&place);
    place.ok(&encrypt("1.png", "last.pdnn"));
    seen.query(&place, "last.pdnn").expect("written");
    assert!(left(&place) < rest);
    precompute(&place, 10);
}

#[test]
fn processes_that_race_for_one_store_get_different_randomisers() {
    let place = prepared(200);
    let mut seen = Seen::new(&place);
    let names: Vec<String> = (0..12).map(|i| format!("q{i}.pdnn")).collect();
    let children: Vec<Child> = names
        .iter()
        .map(|name| {
            let mut command = place.command(&encrypt("0.png", name));
            command.stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("it was started here");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let mut used = 0;
    for name in &names {
        used += seen.query(&place, name).expect("written").len();
    }
    assert_eq!(left(&place), 200usize.saturating_sub(used) as u64);
}

#[test]
fn a_store_of_another_key_or_none_is_refused() {
    let place = prepared(5);
    let batch = files(&place, "randomisers")[0].display().to_string();
    let said = place.fails(&["inspect", &batch]);
    assert!(said.contains("is part of a store of randomisers"), "{said}");
    let said = place.fails(&["inspect", "ahead", "--bits", "2048"]);
    assert!(said.contains("--bits is for a network"), "{said}");
    let nowhere = ["precompute", "--count", "3", "-o", "no/ahead"];
    let said = place.fails(&[&nowhere[..], &ALICE].concat());
    assert!(said.contains("create it first"), "{said}");
    place.ok(&["keygen", "--out", "bob", "--bits", "512", "--insecure"]);
    let bob: Vec<&str> = encrypt("0.png", "query.pdnn")
        .into_iter()
        .map(|arg| {
            if arg == "alice.key.json" {
                "bob.pub.json"
            } else {
                arg
            }
        })
        .collect();
    let said = place.fails(&bob);
    assert!(said.contains("its randomisers are for key"), "{said}");
    let more = [
        "precompute",
        "--count",
        "5",
        "-o",
        "ahead",
        "--key",
        "bob.key.json",
    ];
    let said = place.fails(&more);
    assert!(said.contains("its randomisers are for key"), "{said}");
    for (folder, expected) in [
        ("nowhere", "there is no such store"),
        ("net", "is no store of"),
    ] {
        let mut args = encrypt("0.png", "query.pdnn");
        *args.last_mut().expect("the store") = folder;
        let said = place.fails(&args);
        assert!(said.contains(expected), "{said}");
    }
    let said = place.fails(&[
        "precompute",
        "--count",
        "5",
        "-o",
        "net",
        "--key",
        "bob.key.json",
    ]);
    assert!(said.contains("is no store of randomisers"), "{said}");
    assert!(!place.path("query.pdnn").exists());
    assert_eq!(left(&place), 5);
}

#[test]
fn a_damaged_store_is_refused_and_costs_nothing() {
    let place = prepared(50);
    let path = files(&place, ".randomisers").remove(0);
    let whole = fs::read(&path).expect("readable");
    let mut flipped = whole.clone();
    flipped[130] ^= 1;
    let changes: [(&[u8], &str); 3] = [
        (&flipped, "a record's digest does not match"),
        (&whole[..whole.len() - 1], "not as long as its header says"),
        (b"", "shorter than its header"),
    ];
    for (bytes, expected) in changes {
        fs::write(&path, bytes).expect("writable");
        let said = place.fails(&encrypt("0.png", "query.pdnn"));
        assert!(
            said.contains(expected) && said.contains("Delete this file"),
            "{said}"
        );
    }
    fs::write(&path, whole).expect("writable");
    assert_eq!(left(&place), 50);
}

#[test]
fn no_output_shows_a_randomiser() {
    let place = prepared(40);
    let secrets: Vec<String> = stored(&place)
        .iter()
        .map(|rho| rho.to_str_radix(16))
        .collect();
    let encrypt = [&encrypt("0.png", "query.pdnn")[..], &["--debug", "--json"]].concat();
    let more = ["precompute", "--count", "3", "-o", "ahead", "--debug"];
    for args in [
        &encrypt[..],
        &["inspect", "ahead", "--debug"],
        &[&more[..], &ALICE].concat(),
    ] {
        let output = place.run(args);
        assert!(output.status.success(), "{}", stderr(&output));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        for secret in &secrets {
            assert!(!said.contains(&secret[..16]), "{said}");
        }
    }
}

/// `ulimit -f` fails writes as a full disk does, once the signal that it sends
/// is ignored.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let place = Place::with_key();
    let limited = |args: &str| {
        let program = env!("CARGO_BIN_EXE_pdnn");
        let script = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' {args}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path(""));
        command.output().expect("a shell")
    };
    let output = limited("precompute --count 500 -o ahead --key alice.key.json");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("ahead/") && said.contains("cannot write"),
        "{said}"
    );
    let names: Vec<PathBuf> = files(&place, "");
    assert!(names.iter().all(|name| name.ends_with("lock")), "{names:?}");
    // And it goes on once there is room.
    precompute(&place, 500);
    assert_eq!(left(&place), 500);
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_whole_batches_and_nothing_else() {
    let place = prepared(5);
    let args = [
        &["precompute", "--count", "10000000", "-o", "ahead"][..],
        &ALICE,
    ]
    .concat();
    let mut child = place
        .command(&args)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    sleep(Duration::from_millis(1500));
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.expect("kill starts").success());
    let status = child.wait().expect("it is ours");
    assert_eq!(status.code(), Some(130));
    assert!(
        !files(&place, "")
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".part"))
    );
    assert_eq!((left(&place) - 5) % 4096, 0);
}
