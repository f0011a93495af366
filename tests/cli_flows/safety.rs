//! Keys, secrets and files that must not be lost.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

#[cfg(unix)]
use crate::place::mode;
use crate::place::{NET, Place, stderr};

#[test]
fn keygen_never_overwrites() {
    let place = Place::new();
    let keygen = ["keygen", "--out", "alice", "--bits", "512", "--insecure"];
    for taken in ["alice.key.json", "alice.pub.json"] {
        fs::write(place.path(taken), "mine").expect("writable");
        let error = place.fails(&keygen);
        assert!(error.contains(taken) && error.contains("exists"), "{error}");
        assert_eq!(fs::read(place.path(taken)).expect("readable"), b"mine");
        fs::remove_file(place.path(taken)).expect("writable");
    }
    assert!(!place.files().iter().any(|name| name.starts_with("alice")));
}

#[cfg(unix)]
#[test]
fn a_secret_key_is_its_owners_alone() {
    let place = Place::with_key();
    assert_eq!(mode(&place.path("alice.key.json")), 0o600);
}

#[cfg(unix)]
#[test]
fn a_secret_key_that_others_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_key();
    let args = [
        &["run", "--key", "alice.key.json", "0.png", "--quiet"][..],
        &NET,
    ]
    .concat();
    assert!(!stderr(&place.run(&args)).contains("others may read"));
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(place.path("alice.key.json"), open).expect("ours");
    let output = place.run(&args);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(
        said.contains("warning: alice.key.json: others may read"),
        "{said}"
    );
}

#[test]
fn a_query_under_a_short_key_is_warned_about() {
    let place = Place::with_key();
    let encrypt = ["encrypt", "--key", "alice.pub.json", "0.png"];
    place.ok(&[&encrypt[..], &NET, &["-o", "q"]].concat());
    place.ok(&[&encrypt[..], &NET, &["--session", "s"]].concat());
    for (infer, query) in [
        (&["infer", "q", "-o", "r"][..], "q"),
        (&["infer", "--session", "s"], "s/1-query.pdnn"),
    ] {
        let output = place.run(&[infer, &NET].concat());
        assert!(output.status.success());
        let warning = format!("warning: {query}: a key of 512 bits protects nothing");
        assert!(stderr(&output).contains(&warning), "{}", stderr(&output));
    }
}

#[test]
fn a_profile_of_another_does_not_steer_the_terminal() {
    let place = Place::new();
    let text = fs::read_to_string(place.path("net/profile.json")).expect("text");
    let mut profile: Value = serde_json::from_str(&text).expect("JSON");
    profile["labels"][0] = format!("\u{202e}\u{1b}[2J{}", "x".repeat(10_000)).into();
    profile["stages"][0]["name"] = "\u{2066}\u{2028}odd".into();
    fs::write(place.path("odd.json"), profile.to_string()).expect("writable");
    let output = place.run(&["inspect", "odd.json"]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    for c in ['\u{202e}', '\u{1b}', '\u{2066}', '\u{2028}'] {
        assert!(!said.contains(c), "{said}");
    }
    assert!(
        said.lines().all(|line| line.chars().count() < 700),
        "{said}"
    );
}

#[test]
fn no_output_holds_a_secret() {
    let place = Place::with_key();
    let secret: Value =
        serde_json::from_slice(&fs::read(place.path("alice.key.json")).unwrap()).expect("JSON");
    let secrets = [&secret["p"], &secret["q"]].map(|s| s.as_str().expect("text").to_string());
    let calls: Vec<Vec<&str>> = vec![
        vec!["inspect", "alice.key.json", "--debug"],
        vec!["inspect", "alice.key.json", "--json"],
        vec![
            "encrypt",
            "--key",
            "alice.key.json",
            "0.png",
            "--network",
            "net",
            "-o",
            "q",
            "--debug",
        ],
        vec!["infer", "q", "-o", "r", "--network", "net", "--debug"],
        vec![
            "decrypt",
            "--key",
            "alice.key.json",
            "r",
            "-o",
            "q",
            "--network",
            "net",
            "--debug",
        ],
        vec![
            "run",
            "--key",
            "alice.key.json",
            "0.png",
            "--network",
            "net",
            "--debug",
        ],
        vec![
            "run",
            "--key",
            "damaged.key.json",
            "0.png",
            "--network",
            "net",
            "--debug",
        ],
        vec!["inspect", "damaged.key.json", "--debug"],
        vec!["inspect", "swapped.key.json", "--debug"],
        vec![
            "infer",
            "alice.key.json",
            "-o",
            "r2",
            "--network",
            "net",
            "--debug",
        ],
        vec![
            "encrypt",
            "--key",
            "alice.pub.json",
            "alice.key.json",
            "--network",
            "net",
            "-o",
            "q2",
        ],
        vec![
            "evaluate",
            "--data",
            "alice.key.json",
            "--network",
            "net",
            "--debug",
        ],
        vec!["run", "0.png", "--network", "alice.key.json", "--debug"],
    ];
    let text = fs::read_to_string(place.path("alice.key.json")).expect("text");
    fs::write(place.path("damaged.key.json"), &text[..text.len() - 3]).expect("writable");
    let mut swapped = secret.clone();
    swapped["p"] = Value::String(format!("{}A", secrets[0]));
    fs::write(place.path("swapped.key.json"), swapped.to_string()).expect("writable");
    for args in calls {
        let output = place.run(&args);
        for bytes in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(bytes);
            for secret in &secrets {
                // Not even a part of it.
                for part in secret.as_bytes().chunks_exact(12) {
                    let part = std::str::from_utf8(part).expect("base64");
                    assert!(!said.contains(part), "{args:?}");
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_partial_file() {
    let place = Place::with_key();
    let mut server = place
        .command(&[&["infer", "--session", "s", "--follow"][..], &NET].concat())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let before = place.files();
    // Time to install its handler and to begin waiting.
    std::thread::sleep(Duration::from_millis(300));
    let id = server.id().to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill starts").success());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = server.try_wait().expect("it is ours") {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it ends");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
    assert_eq!(place.files(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let place = Place::with_key();
    // /dev/full fails every write as a full disk does.
    let args = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "0.png",
        "-o",
        "/dev/full",
    ];
    let error = place.fails(&[&args[..], &NET].concat());
    assert!(error.contains("/dev/full"), "{error}");
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("it is there");
    let output = place
        .command(&["man"])
        .stdout(full)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to standard output"));
}

#[test]
fn output_of_another_kind_is_never_overwritten() {
    let place = Place::with_key();
    let secret = fs::read(place.path("alice.key.json")).expect("readable");
    for name in ["alice.key.json", "0.png", "net/profile.json"] {
        let args = ["encrypt", "--key", "alice.pub.json", "1.png", "-o", name];
        let error = place.fails(&[&args[..], &NET].concat());
        assert!(error.contains("exists and is not a query"), "{error}");
    }
    assert_eq!(
        fs::read(place.path("alice.key.json")).expect("readable"),
        secret
    );
    // An earlier query may be.
    for _ in 0..2 {
        let args = ["encrypt", "--key", "alice.pub.json", "1.png", "-o", "q"];
        place.ok(&[&args[..], &NET].concat());
    }
    let number = ["number", "encrypt", "--key", "alice.pub.json", "7", "-o"];
    let error = place.fails(&[&number[..], &["alice.key.json"]].concat());
    assert!(error.contains("exists and is not"), "{error}");
    for _ in 0..2 {
        place.ok(&[&number[..], &["n.json"]].concat());
    }
    let said = place.json(&[&number[..], &["n.json", "--json"]].concat());
    assert_eq!(said["file"], "n.json");
    let bytes = fs::metadata(place.path("n.json")).expect("there").len();
    assert_eq!(said["bytes"], bytes);
    let error = place.fails(&[&["infer", "q", "-o", "q"][..], &NET].concat());
    assert!(error.contains("exists and is not a reply"), "{error}");
}
