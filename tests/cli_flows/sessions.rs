//! Sessions: folders of numbered files.

use std::{
    fs,
    process::{Child, Stdio},
};

#[cfg(unix)]
use crate::place::mode;
use crate::place::{NET, Place, stderr};

#[test]
fn a_session_advances_by_one_step_a_call() {
    let place = Place::with_key();
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "--invert",
        "never",
        "--session",
        "s",
    ];
    place.ok(&[&encrypt[..], &NET, &["0.png", "1.png"]].concat());
    let infer = [&["infer", "--session", "s"][..], &NET].concat();
    let decrypt = [
        "decrypt",
        "--session",
        "s",
        "--key",
        "alice.key.json",
        "--json",
    ];
    for _ in 1..place.network.profile().stages.len() {
        place.ok(&infer);
        let early = place.fails(&infer);
        assert!(early.contains("is not there yet"), "{early}");
        assert_eq!(place.json(&decrypt)["status"], "query");
        let early = place.fails(&decrypt);
        assert!(early.contains("is not there yet"), "{early}");
    }
    place.ok(&infer);
    // Nothing is left for the server to do, or to wait for.
    for follow in [&[][..], &["--follow"]] {
        let output = place.run(&[&infer[..], follow].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let note = format!(
            "note: all {} replies are written",
            place.network.profile().stages.len()
        );
        assert!(stderr(&output).contains(&note), "{}", stderr(&output));
    }
    for _ in 0..2 {
        // The label can be read again.
        let done = place.json(&decrypt);
        assert_eq!(done["status"], "done");
        for number in 0..2 {
            let image = &done["images"][number];
            assert_eq!(image["image"], format!("{number}.png"));
            assert_eq!(image["label"], place.label(number));
            let logits: Vec<i64> =
                serde_json::from_value(image["logits"].clone()).expect("integers");
            assert_eq!(logits, place.logits(number));
            let probabilities: Vec<f64> =
                serde_json::from_value(image["probabilities"].clone()).expect("numbers");
            assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn image_names_stay_with_the_client() {
    let place = Place::with_key();
    fs::rename(place.path("0.png"), place.path("diagnosis-of-bob.png")).expect("writable");
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "diagnosis-of-bob.png",
        "--session",
        "s",
    ];
    place.ok(&[&encrypt[..], &NET].concat());
    let holds = |name: &str| {
        let bytes = fs::read(place.path(name)).expect("readable");
        bytes.windows(9).any(|window| window == b"diagnosis")
    };
    assert!(holds("s/session.json"));
    assert!(!holds("s/1-query.pdnn"));
    #[cfg(unix)]
    assert_eq!(mode(&place.path("s/session.json")), 0o600);
}

#[test]
fn both_sides_follow_a_session_at_once() {
    let place = Place::with_key();
    // The server is there first, and waits even for the folder.
    let start = |args: &[&str]| -> Child {
        place
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    };
    let follow = ["--session", "s", "--follow", "--timeout", "120"];
    let server = start(&[&["infer"][..], &NET, &follow].concat());
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "--invert",
        "never",
        "--session",
        "s",
    ];
    place.ok(&[&encrypt[..], &NET, &["2.png"]].concat());
    let client = start(&[&["decrypt", "--key", "alice.key.json"][..], &follow].concat());
    let client = client.wait_with_output().expect("it ends");
    let server = server.wait_with_output().expect("it ends");
    assert!(client.status.success(), "{}", stderr(&client));
    assert!(server.status.success(), "{}", stderr(&server));
    assert_eq!(
        String::from_utf8_lossy(&client.stdout).trim(),
        place.label(2)
    );
    let stages = place.network.profile().stages.len();
    assert!(place.path(&format!("s/{stages}-reply.pdnn")).exists());
    assert!(!place.path(&format!("s/{}-query.pdnn", stages + 1)).exists());
}

#[test]
fn following_gives_up_in_time() {
    let place = Place::with_key();
    let error = place.fails(
        &[
            &["infer", "--session", "s"][..],
            &NET,
            &["--follow", "--timeout", "1"],
        ]
        .concat(),
    );
    assert!(
        error.contains("1-query.pdnn did not come within 1 s"),
        "{error}"
    );
}

#[test]
fn a_reply_of_another_session_is_refused() {
    let place = Place::with_key();
    for session in ["a", "b"] {
        let encrypt = [
            "encrypt",
            "--key",
            "alice.pub.json",
            "0.png",
            "--session",
            session,
        ];
        place.ok(&[&encrypt[..], &NET].concat());
        place.ok(&[&["infer", "--session", session][..], &NET].concat());
    }
    fs::copy(place.path("b/1-reply.pdnn"), place.path("a/1-reply.pdnn")).expect("writable");
    let error = place.fails(&["decrypt", "--key", "alice.key.json", "--session", "a"]);
    assert!(error.contains("belongs to another session"), "{error}");
    assert!(!place.path("a/2-query.pdnn").exists());
}

#[test]
fn a_session_is_never_started_twice() {
    let place = Place::with_key();
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "0.png",
        "--session",
        "s",
    ];
    let encrypt = [&encrypt[..], &NET].concat();
    place.ok(&encrypt);
    let before = fs::read(place.path("s/1-query.pdnn")).expect("readable");
    let error = place.fails(&encrypt);
    assert!(error.contains("already holds a session"), "{error}");
    assert_eq!(
        fs::read(place.path("s/1-query.pdnn")).expect("readable"),
        before
    );
}
