//! `pdnn number`, as a person calls it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/phe");
    folder.join(name).display().to_string()
}

fn pdnn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pdnn"))
        .arg("number")
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// What it prints if all goes well.
fn printed(arguments: &[&str]) -> String {
    let done = pdnn(arguments);
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(done.stdout).expect("text")
}

/// Its one line of error.
fn refused(arguments: &[&str], code: i32) -> String {
    let done = pdnn(arguments);
    assert_eq!(done.status.code(), Some(code), "{arguments:?}");
    assert!(done.stdout.is_empty());
    let text = String::from_utf8(done.stderr).expect("text");
    let error = text.lines().find(|line| line.starts_with("error: "));
    error.expect("an error").to_string()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> String {
        PathBuf::from(self.0.path())
            .join(name)
            .display()
            .to_string()
    }

    fn with(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("writable");
        path
    }
}

#[test]
fn numbers_are_encrypted_added_and_decrypted() {
    let folder = Folder::new();
    let (public, secret) = (fixture("1024.pub.json"), fixture("1024.key.json"));
    let [a, b, sum] = ["a", "b", "sum"].map(|name| folder.path(name));
    printed(&["encrypt", "--key", &public, "-42", "-o", &a]);
    let text = printed(&["encrypt", "--key", &secret, "40"]);
    fs::write(&b, text).expect("writable");
    printed(&["add", "--key", &public, &a, &b, "-o", &sum]);
    for (number, value) in [(&a, "-42\n"), (&b, "40\n"), (&sum, "-2\n")] {
        assert_eq!(printed(&["decrypt", "--key", &secret, number]), value);
    }
}

#[test]
fn a_public_key_cannot_decrypt() {
    let folder = Folder::new();
    let public = fixture("1024.pub.json");
    let number = folder.path("a");
    printed(&["encrypt", "--key", &public, "1", "-o", &number]);
    let error = refused(&["decrypt", "--key", &public, &number], 1);
    assert!(
        error.contains("public key, which cannot decrypt"),
        "{error}"
    );
}

#[test]
fn a_number_of_another_key_is_refused() {
    let folder = Folder::new();
    let number = folder.path("a");
    printed(&[
        "encrypt",
        "--key",
        &fixture("2048.pub.json"),
        "1",
        "-o",
        &number,
    ]);
    let error = refused(&["decrypt", "--key", &fixture("1024.key.json"), &number], 1);
    assert!(error.contains("another key"), "{error}");
}

#[test]
fn a_file_that_is_no_number_is_refused_by_name() {
    let folder = Folder::new();
    let key = fixture("1024.key.json");
    for (text, says) in [
        ("", "no encrypted number"),
        ("{\"v\": \"0\", \"e\": 0}", "is 0"),
        ("{\"v\": \"x\", \"e\": 0}", "not a decimal"),
        ("{\"v\": \"1\", \"e\": 99999}", "\"e\" is 99999"),
    ] {
        let number = folder.with("n.json", text);
        let error = refused(&["decrypt", "--key", &key, &number], 1);
        assert!(error.contains("n.json") && error.contains(says), "{error}");
    }
    let error = refused(&["decrypt", "--key", &key, &folder.path("none")], 1);
    assert!(error.contains("no such file"), "{error}");
}

#[test]
fn an_integer_too_large_for_the_key_is_refused() {
    let key = fixture("1024.pub.json");
    let error = refused(&["encrypt", "--key", &key, &"9".repeat(400)], 1);
    assert!(error.contains("overflows"), "{error}");
}

#[test]
fn a_value_that_is_no_integer_is_refused() {
    let key = fixture("1024.pub.json");
    let error = refused(&["encrypt", "--key", &key, "1.5"], 2);
    assert!(error.contains("expected an integer"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_secret_key_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let text = fs::read_to_string(fixture("1024.key.json")).expect("a fixture");
    let key = folder.with("key.json", &text);
    let number = folder.path("a");
    printed(&[
        "encrypt",
        "--key",
        &fixture("1024.pub.json"),
        "1",
        "-o",
        &number,
    ]);
    for (mode, warns) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("own file");
        let done = pdnn(&["decrypt", "--key", &key, &number]);
        assert!(done.status.success());
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(text.contains("others may read"), warns, "{text}");
    }
}
