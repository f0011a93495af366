//! What a person does with the program, one process a step.

#[path = "common/tiny.rs"]
mod tiny;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use pdnn::{
    dataset::{Images, write_idx_images, write_idx_labels, write_png},
    file::{Overwrite, folder::save_network},
    network::{Network, argmax},
};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a tiny network, some images, and the program run in it.
struct Place {
    folder: TempDir,
    network: Network,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let network = tiny::tiny_network("tiny", 1);
        fs::create_dir(folder.path().join("net")).expect("writable");
        save_network(&folder.path().join("net"), &network, Overwrite::Never).expect("writable");
        for (number, pixels) in tiny::images(3, 7).iter().enumerate() {
            let png = write_png(pixels, 8, 8).expect("8x8 pixels");
            fs::write(folder.path().join(format!("{number}.png")), png).expect("writable");
        }
        Place { folder, network }
    }

    /// A place where alice has a key already.
    fn with_key() -> Place {
        let place = Place::new();
        place.ok(&["keygen", "--out", "alice", "--bits", "512", "--insecure"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pdnn"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Standard output of a call that must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The error line of a call that must fail with exit code 1.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = stderr(&output);
        let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}");
        errors[0].to_string()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).expect("JSON")
    }

    /// The clear network's logits for the image that `Place::new` numbered.
    fn logits(&self, number: usize) -> Vec<i64> {
        let pixels = &tiny::images(3, 7)[number];
        let values: Vec<i64> = pixels.iter().map(|&p| p.into()).collect();
        self.network.forward(&values)
    }

    fn label(&self, number: usize) -> String {
        argmax(&self.logits(number)).to_string()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .expect("readable")
            .map(|e| {
                e.expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const NET: [&str; 2] = ["--network", "net"];

#[test]
fn two_parties_exchange_files_until_the_label() {
    let place = Place::with_key();
    let encrypt = [
        "encrypt",
        "--key",
        "alice.pub.json",
        "0.png",
        "--invert",
        "never",
    ];
    place.ok(&[&encrypt[..], &NET, &["-o", "query.pdnn"]].concat());
    let stages = place.network.profile().stages.len();
    for stage in 1..=stages {
        place.ok(&[&["infer", "query.pdnn", "-o", "reply.pdnn"][..], &NET].concat());
        let decrypt = [
            "decrypt",
            "--key",
            "alice.key.json",
            "reply.pdnn",
            "-o",
            "query.pdnn",
        ];
        let said = place.ok(&[&decrypt[..], &NET].concat());
        if stage < stages {
            assert_eq!(said, "", "stage {stage}");
        } else {
            assert_eq!(said.trim(), place.label(0));
        }
    }
}

#[test]
fn messages_go_through_pipes() {
    let place = Place::with_key();
    let png = fs::File::open(place.path("1.png")).expect("readable");
    let encrypt = [
        "encrypt",
        "--key",
        "alice.key.json",
        "-",
        "-o",
        "-",
        "--invert",
        "never",
    ];
    let query = place
        .command(&[&encrypt[..], &NET].concat())
        .stdin(png)
        .output()
        .expect("the program starts");
    assert!(query.status.success(), "{}", stderr(&query));
    fs::write(place.path("query"), &query.stdout).expect("writable");
    let reply = place
        .command(&["infer", "--json", "--network", "net", "-", "-o", "-"])
        .stdin(fs::File::open(place.path("query")).expect("readable"))
        .output()
        .expect("the program starts");
    assert!(reply.status.success(), "{}", stderr(&reply));
    fs::write(place.path("reply"), &reply.stdout).expect("writable");
    // With --json nothing but the message goes to standard output.
    let facts = place.json(&["inspect", "reply", "--json"]);
    assert_eq!(facts["kind"], "reply");
    assert_eq!(facts["stage"], 1);
}

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
        assert_eq!(place.json(&decrypt)["status"], "query");
        let early = place.fails(&decrypt);
        assert!(early.contains("is not there yet"), "{early}");
    }
    place.ok(&infer);
    let early = place.fails(&infer);
    assert!(early.contains("is not there yet"), "{early}");
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

#[test]
fn run_plays_all_roles() {
    let place = Place::new();
    let args = [
        "run",
        "--bits",
        "512",
        "--insecure",
        "--invert",
        "never",
        "--json",
        "0.png",
        "1.png",
    ];
    let said = place.json(&[&args[..], &NET].concat());
    for number in 0..2 {
        assert_eq!(said["images"][number]["label"], place.label(number));
    }
    let stages = said["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 3);
    for stage in stages {
        for figure in [
            "ciphertexts_up",
            "ciphertexts_down",
            "bytes_up",
            "bytes_down",
            "products",
        ] {
            assert!(stage[figure].as_u64() > Some(0), "{figure} of {stage}");
        }
    }
    assert!(said["key_generation_ms"].as_f64() > Some(0.0));
    let text = place.ok(&[&args[..6], &NET, &["0.png"]].concat());
    assert!(text.contains("margin"), "{text}");
    assert!(
        text.lines().next().is_some_and(|l| l.contains("server")),
        "{text}"
    );
}

#[test]
fn every_layout_gives_the_clear_logits() {
    let place = Place::with_key();
    for layout in ["auto", "latency", "throughput"] {
        let args = [
            "run",
            "--key",
            "alice.key.json",
            "--invert",
            "never",
            "--json",
            "--layout",
        ];
        let said = place.json(&[&args[..], &[layout], &NET, &["0.png", "1.png", "2.png"]].concat());
        for number in 0..3 {
            let logits: Vec<i64> =
                serde_json::from_value(said["images"][number]["logits"].clone()).expect("integers");
            assert_eq!(logits, place.logits(number), "{layout}");
        }
    }
}

/// Writes an IDX set whose labels are the network's own answers, but for the
/// first.
fn idx_set(place: &Place, count: usize) {
    let images = tiny::images(count, 21);
    let labels: Vec<u8> = images
        .iter()
        .enumerate()
        .map(|(number, pixels)| {
            let values: Vec<i64> = pixels.iter().map(|&p| p.into()).collect();
            let class = argmax(&place.network.forward(&values)) as u8;
            if number == 0 { (class + 1) % 10 } else { class }
        })
        .collect();
    let images = Images::new(8, 8, images.concat()).expect("whole images");
    let images = write_idx_images(&images).expect("small");
    fs::write(place.path("t10k-images-idx3-ubyte"), images).expect("writable");
    let labels = write_idx_labels(&labels).expect("small");
    fs::write(place.path("t10k-labels-idx1-ubyte"), labels).expect("writable");
}

#[test]
fn evaluate_in_the_clear_and_encrypted() {
    let place = Place::with_key();
    idx_set(&place, 25);
    let clear = place.json(&[&["evaluate", "--data", ".", "--json"][..], &NET].concat());
    assert_eq!(clear["images"], 25);
    assert_eq!(clear["right"], 24);
    assert!(clear["encrypted"].is_null());
    // In chunks that do not divide the number of images.
    let args = [
        "evaluate",
        "--data",
        "t10k-images-idx3-ubyte",
        "--labels",
        "t10k-labels-idx1-ubyte",
        "--encrypted",
        "--key",
        "alice.key.json",
        "--chunk",
        "7",
        "--limit",
        "20",
        "--json",
        "--csv",
        "rows.csv",
    ];
    let encrypted = place.json(&[&args[..], &NET].concat());
    assert_eq!(encrypted["images"], 20);
    assert_eq!(encrypted["right"], 19);
    assert_eq!(encrypted["encrypted"]["differing"], 0);
    let confusion: Vec<Vec<usize>> =
        serde_json::from_value(encrypted["confusion"].clone()).expect("counts");
    assert_eq!(confusion.concat().iter().sum::<usize>(), 20);
    let rows = fs::read_to_string(place.path("rows.csv")).expect("text");
    assert_eq!(rows.lines().count(), 21);
    assert_eq!(
        rows.lines().next(),
        Some("image,truth,label,differs,logits")
    );
    // The file stays as it is the second time.
    let error = place.fails(&[&args[..], &NET].concat());
    assert!(error.contains("rows.csv"), "{error}");
}

#[test]
fn evaluate_reads_labels_from_file_names() {
    let place = Place::new();
    fs::create_dir(place.path("digits")).expect("writable");
    for number in 0..3 {
        let from = place.path(&format!("{number}.png"));
        let to = place.path(&format!("digits/{}-{number}.png", place.label(number)));
        fs::copy(from, to).expect("writable");
    }
    let said = place.json(
        &[
            &[
                "evaluate", "--data", "digits", "--invert", "never", "--json",
            ][..],
            &NET,
        ]
        .concat(),
    );
    assert_eq!((&said["images"], &said["right"]), (&3.into(), &3.into()));
}

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
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
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
fn man_pages_of_everything_go_into_a_folder() {
    let place = Place::new();
    let said = place.ok(&["man", "--out", "man"]);
    for page in ["pdnn", "pdnn-encrypt", "pdnn-number-add"] {
        assert!(said.contains(&format!("man/{page}.1")), "{said}");
        let text = fs::read_to_string(place.path(&format!("man/{page}.1"))).expect("text");
        assert!(text.contains(".SH NAME"), "{text}");
    }
    let one = place.ok(&["man", "number", "add"]);
    assert!(one.contains("PDNN-NUMBER-ADD"), "{one}");
}

#[test]
fn completions_know_every_subcommand() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.ok(&["completions", shell]);
        for subcommand in ["keygen", "encrypt", "infer", "decrypt", "run", "evaluate"] {
            assert!(script.contains(subcommand), "{shell} {subcommand}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["man"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
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
    let error = place.fails(&[&["infer", "q", "-o", "q"][..], &NET].concat());
    assert!(error.contains("exists and is not a reply"), "{error}");
}
