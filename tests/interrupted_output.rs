//! A program that is interrupted while it writes leaves no partial file.
//!
//! The test starts its own executable again as the program to interrupt.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use pdnn::file::atomic::{Mode, Overwrite, Together, remove_partial, write_atomic_with};

const FOLDER: &str = "PDNN_TEST_FOLDER";

/// Not a test of its own: with the variable set, writes without an end.
#[test]
fn a_program_that_never_finishes_writing() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    ctrlc::set_handler(|| {
        let _held = remove_partial();
        std::process::exit(130);
    })
    .expect("no other handler");
    let target = Path::new(&folder).join("target");
    let result = write_atomic_with(&target, Overwrite::Yes, Mode::Shared, |out| {
        out.write_all(&[1; 100_000])?;
        println!("writing");
        std::io::stdout().flush()?;
        loop {
            out.write_all(&[1; 1000])?;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    panic!("writing ended: {result:?}");
}

/// Not a test of its own: with the variable set, writes the first file of two.
#[test]
fn a_program_that_never_completes_a_set() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    ctrlc::set_handler(|| {
        let _held = remove_partial();
        std::process::exit(130);
    })
    .expect("no other handler");
    let mut set = Together::new();
    let first = Path::new(&folder).join("first");
    set.write(&first, b"half", Mode::Private).expect("writable");
    println!("writing");
    std::io::stdout().flush().expect("piped");
    loop {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn interrupted_by(signal: &str, program: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("target"), b"old").expect("writable");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", program, "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test can be started again");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // The harness may print the test's name in front, on the same line.
    lines
        .map(|line| line.expect("text"))
        .find(|line| line.ends_with("writing"))
        .expect("the program says that it is writing");
    assert_eq!(
        fs::read_dir(&folder).expect("readable").count(),
        2,
        "old file and new one"
    );

    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(sent.success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let left: Vec<_> = fs::read_dir(&folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(left, ["target"]);
    assert_eq!(
        fs::read(folder.path().join("target")).expect("readable"),
        b"old"
    );
}

#[test]
fn an_interrupt_in_mid_write_leaves_the_old_file() {
    interrupted_by("INT", "a_program_that_never_finishes_writing");
}

#[test]
fn a_termination_in_mid_write_leaves_the_old_file() {
    interrupted_by("TERM", "a_program_that_never_finishes_writing");
}

#[test]
fn an_interrupt_between_files_that_belong_together_leaves_none() {
    interrupted_by("INT", "a_program_that_never_completes_a_set");
}
