//! The masked protocol: prepared masks, and that none is ever used twice,
//! whatever ends a process and however many use one store.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::{Child, Output},
    thread::sleep,
    time::Duration,
};

use pdnn::{
    network::argmax,
    protocol::masked::{BatchId, Query, Reply},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

use crate::place::{NET, Place, stderr};

const ALICE: [&str; 2] = ["--key", "alice.key.json"];
const CLIENT: [&str; 2] = ["--store", "of-client"];
const SERVER: [&str; 2] = ["--store", "of-server"];

/// A place with masks for `count` predictions in two stores.
fn prepared(count: usize) -> Place {
    let place = Place::with_key();
    prepare(&place, count);
    place
}

fn prepare(place: &Place, count: usize) {
    let count = count.to_string();
    let ask = ["prepare", "--count", &count, "-o", "ask.pdnn"];
    place.ok(&[&ask[..], &ALICE, &NET, &CLIENT].concat());
    place.ok(&[
        &["prepare", "ask.pdnn", "-o", "answer.pdnn"][..],
        &NET,
        &SERVER,
    ]
    .concat());
    place.ok(&[&["prepare", "answer.pdnn"][..], &ALICE, &NET, &CLIENT].concat());
}

fn encrypt<'a>(images: &[&'a str], out: &'a str) -> Vec<&'a str> {
    let masked = ["--protocol", "masked", "--invert", "never", "-o", out];
    [&["encrypt"][..], images, &masked, &ALICE, &NET, &CLIENT].concat()
}

fn infer<'a>(query: &'a str, out: &'a str) -> Vec<&'a str> {
    [&["infer", query, "-o", out][..], &NET, &SERVER].concat()
}

fn decrypt<'a>(reply: &'a str, out: &'a str) -> Vec<&'a str> {
    [&["decrypt", reply, "-o", out][..], &ALICE, &NET, &CLIENT].concat()
}

/// Every place of the stores that a message was seen for, and by which file.
#[derive(Default)]
struct Seen(HashMap<(BatchId, usize, usize), String>);

impl Seen {
    fn note(&mut self, header: &pdnn::protocol::masked::Header, file: &str) {
        for segment in &header.segments {
            for index in segment.indices.clone() {
                let place = (segment.batch, header.stage, index);
                if let Some(before) = self.0.insert(place, file.to_string()) {
                    panic!("{before} and {file} both use {place:?}");
                }
            }
        }
    }

    /// Notes the query in a file if there is one.
    fn query(&mut self, place: &Place, file: &str) -> bool {
        let Ok(bytes) = fs::read(place.path(file)) else {
            return false;
        };
        self.note(Query::from_bytes(&bytes).expect("whole").header(), file);
        true
    }

    fn reply(&mut self, place: &Place, file: &str) -> bool {
        let Ok(bytes) = fs::read(place.path(file)) else {
            return false;
        };
        self.note(Reply::from_bytes(&bytes).expect("whole").header(), file);
        true
    }
}

#[test]
fn two_parties_exchange_masked_files_until_the_label() {
    let place = prepared(5);
    place.ok(&encrypt(&["0.png", "1.png", "2.png"], "query.pdnn"));
    for stage in 1.. {
        place.ok(&infer("query.pdnn", "reply.pdnn"));
        let said = place.ok(&decrypt("reply.pdnn", "query.pdnn"));
        if stage == place.network.profile().stages.len() {
            let expected: Vec<String> = (0..3)
                .map(|i| format!("image {}\t{}", i + 1, argmax(&place.logits(i))))
                .collect();
            assert_eq!(said.trim(), expected.join("\n"));
            break;
        }
        assert_eq!(said, "", "stage {stage}");
    }
    let short = place.fails(&encrypt(&["0.png", "1.png", "2.png"], "query.pdnn"));
    assert!(
        short.contains("masks for 2 more predictions")
            && short.contains("3 are needed")
            && short.contains("pdnn prepare --count 1"),
        "{short}"
    );
    // What is left can still be used.
    place.ok(&encrypt(&["0.png", "1.png"], "query.pdnn"));
}

#[test]
fn run_and_evaluate_show_preparation_and_online_phase_apart() {
    let place = Place::with_key();
    let run = ["run", "0.png", "--protocol", "masked", "--invert", "never"];
    let value = place.json(&[&run[..], &ALICE, &NET, &["--json"]].concat());
    assert_eq!(
        value["images"][0]["logits"],
        serde_json::json!(place.logits(0))
    );
    assert_eq!(value["stages"][0]["stage"], "preparation");
    let phases = &value["phases"];
    let ms = |name: &str| phases[name].as_f64().expect("a number");
    assert!(ms("preparation_ms") > 0.0 && ms("online_ms") > 0.0);
    assert!(ms("both_per_hour") < ms("online_per_hour"));
    let text = place.ok(&[&run[..], &ALICE, &NET].concat());
    for line in ["preparation", "online", "both"] {
        assert!(text.lines().any(|l| l.starts_with(line)), "{text}");
    }
}

#[test]
fn preparing_into_folders_goes_on_where_it_was_interrupted() {
    let place = Place::with_key();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    // Three requests of about a thousand.
    let ask = ["prepare", "--count", "2100", "-o", "ask"];
    let ask = [&ask[..], &ALICE, &NET, &CLIENT].concat();
    let answer = [&["prepare", "ask", "-o", "answer"][..], &NET, &SERVER].concat();
    let finish = [&["prepare", "answer"][..], &ALICE, &NET, &CLIENT].concat();
    for args in [&ask, &answer, &finish] {
        for _ in 0..4 {
            let mut child = place.command(args).spawn().expect("the program starts");
            sleep(Duration::from_millis(rng.random_range(5..400)));
            kill(&mut child);
        }
        place.ok(args);
    }
    let left = place.json(&[&finish[..], &["--json"]].concat());
    assert_eq!(left["left"], 2100, "{left}");
    place.ok(&encrypt(&["0.png"], "query.pdnn"));
    place.ok(&infer("query.pdnn", "reply.pdnn"));
}

/// SIGKILL.
fn kill(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    child.wait().expect("it was started here");
}

#[test]
fn no_mask_is_used_twice_when_processes_are_killed_at_random_moments() {
    let place = prepared(300);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut queries, mut replies) = (Seen::default(), Seen::default());
    let run_and_kill = |args: &[&str], most: u64, rng: &mut ChaCha20Rng| {
        let mut child = place.command(args).spawn().expect("the program starts");
        sleep(Duration::from_micros(rng.random_range(0..most)));
        kill(&mut child);
    };
    let mut whole = 0;
    for round in 0..40 {
        let name = |what: &str| format!("{what}-{round}.pdnn");
        let (first, reply, next) = (name("first"), name("reply"), name("next"));
        run_and_kill(&encrypt(&["0.png", "1.png"], &first), 60_000, &mut rng);
        if !queries.query(&place, &first) {
            continue;
        }
        // The same query again and again: one reply at most.
        let mut answered = false;
        for attempt in 0..3 {
            let out = format!("{attempt}-{reply}");
            run_and_kill(&infer(&first, &out), 60_000, &mut rng);
            if replies.reply(&place, &out) {
                fs::rename(place.path(&out), place.path(&reply)).expect("it exists");
                answered = true;
            }
        }
        if !answered {
            continue;
        }
        for attempt in 0..3 {
            let out = format!("{attempt}-{next}");
            run_and_kill(&decrypt(&reply, &out), 60_000, &mut rng);
            whole += usize::from(queries.query(&place, &out));
        }
    }
    // Some rounds get through and some do not, or the test tests nothing.
    eprintln!("{whole} rounds of 40 got through");
    // Both stores still open, and what is left in them is still in step.
    place.ok(&encrypt(&["2.png"], "last.pdnn"));
    assert!(queries.query(&place, "last.pdnn"));
    place.ok(&infer("last.pdnn", "last-reply.pdnn"));
    assert!(replies.reply(&place, "last-reply.pdnn"));
    place.ok(&decrypt("last-reply.pdnn", "last-next.pdnn"));
    assert!(queries.query(&place, "last-next.pdnn"));
}

fn all(place: &Place, calls: &[Vec<&str>]) -> Vec<Output> {
    let children: Vec<Child> = calls
        .iter()
        .map(|args| {
            let mut command = place.command(args);
            command.stderr(std::process::Stdio::piped());
            command.spawn().expect("the program starts")
        })
        .collect();
    children
        .into_iter()
        .map(|child| child.wait_with_output().expect("it was started here"))
        .collect()
}

#[test]
fn processes_that_race_for_one_store_get_different_masks() {
    let place = prepared(40);
    let mut seen = Seen::default();
    let names: Vec<String> = (0..12).map(|i| format!("q{i}.pdnn")).collect();
    let images = ["0.png", "1.png", "2.png"];
    let calls: Vec<Vec<&str>> = names.iter().map(|name| encrypt(&images, name)).collect();
    for output in all(&place, &calls) {
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for name in &names {
        assert!(seen.query(&place, name));
    }
    // Four are left: two of three calls with two images win.
    let names: Vec<String> = (0..3).map(|i| format!("r{i}.pdnn")).collect();
    let calls: Vec<Vec<&str>> = names.iter().map(|n| encrypt(&images[..2], n)).collect();
    let won = all(&place, &calls)
        .iter()
        .filter(|o| o.status.success())
        .count();
    assert_eq!(won, 2);
    assert_eq!(
        names.iter().filter(|name| seen.query(&place, name)).count(),
        2
    );
}

#[test]
fn a_place_is_answered_once_by_racing_servers_and_after_a_restart() {
    let place = prepared(4);
    place.ok(&encrypt(&["0.png"], "query.pdnn"));
    let names: Vec<String> = (0..6).map(|i| format!("reply{i}.pdnn")).collect();
    let calls: Vec<Vec<&str>> = names.iter().map(|n| infer("query.pdnn", n)).collect();
    let outputs = all(&place, &calls);
    assert_eq!(outputs.iter().filter(|o| o.status.success()).count(), 1);
    for output in outputs.iter().filter(|o| !o.status.success()) {
        let said = stderr(output);
        assert!(said.contains("of layer 1 is used already"), "{said}");
    }
    let again = place.fails(&infer("query.pdnn", "again.pdnn"));
    assert!(again.contains("is used already"), "{again}");
    // Nor does the client mask a layer's input twice under one mask.
    let reply = names
        .iter()
        .find(|n| place.path(n).exists())
        .expect("one won");
    place.ok(&decrypt(reply, "next.pdnn"));
    let again = place.fails(&decrypt(reply, "next2.pdnn"));
    assert!(again.contains("of layer 2 is used already"), "{again}");
}

#[test]
fn material_of_another_key_is_refused() {
    let place = prepared(2);
    place.ok(&["keygen", "--out", "bob", "--bits", "512", "--insecure"]);
    let mut args = encrypt(&["0.png"], "query.pdnn");
    for arg in &mut args {
        if *arg == "alice.key.json" {
            *arg = "bob.pub.json";
        }
    }
    let said = place.fails(&args);
    assert!(
        said.contains("masks for 2 predictions, all under another key"),
        "{said}"
    );
}

#[test]
fn an_answer_without_a_request_is_refused() {
    let place = prepared(1);
    let args = ["prepare", "answer.pdnn", "--store", "elsewhere"];
    let said = place.fails(&[&args[..], &ALICE, &NET].concat());
    assert!(said.contains("has no batch"), "{said}");
}

#[test]
fn a_store_with_a_damaged_ledger_is_refused() {
    let place = prepared(2);
    let ledger = files(&place.path("of-client"), "used").remove(0);
    let mut bytes = fs::read(&ledger).expect("readable");
    bytes.truncate(20);
    fs::write(&ledger, bytes).expect("writable");
    let said = place.fails(&encrypt(&["0.png"], "query.pdnn"));
    assert!(said.contains("is no ledger of its batch"), "{said}");
}

#[test]
fn a_store_without_a_batch_s_ledger_uses_none_of_it() {
    let place = prepared(2);
    let ledger = files(&place.path("of-client"), "used").remove(0);
    fs::remove_file(ledger).expect("it exists");
    let said = place.fails(&encrypt(&["0.png"], "query.pdnn"));
    assert!(said.contains("masks for 0 more"), "{said}");
}

#[test]
fn damaged_material_is_refused() {
    let place = prepared(2);
    let material = files(&place.path("of-client"), "material").remove(0);
    let mut bytes = fs::read(&material).expect("readable");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&material, bytes).expect("writable");
    let said = place.fails(&encrypt(&["0.png"], "query.pdnn"));
    assert!(said.contains("digest"), "{said}");
}

#[cfg(unix)]
#[test]
fn everything_in_a_store_is_for_its_owner_only() {
    use crate::place::mode;
    let place = prepared(1);
    for store in ["of-client", "of-server"] {
        assert_eq!(mode(&place.path(store)), 0o700);
        for file in files(&place.path(store), "") {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

/// The files of a folder whose names end in `end`.
fn files(folder: &Path, end: &str) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}
