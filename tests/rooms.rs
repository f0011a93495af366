//! The rooms of the house and who may use whom, as data.
//!
//! Reads every `crate::room` path under `src/` and fails on an edge that the
//! table does not have.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Room, and the rooms it may use. `cli` may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("audit", &["protocol", "network", "paillier"]),
    (
        "protocol",
        &["encrypted", "mpc", "network", "paillier", "file"],
    ),
    ("encrypted", &["paillier", "network"]),
    ("mpc", &["bignum", "network"]),
    ("train", &["network", "dataset", "file"]),
    ("file", &["paillier", "network"]),
    ("dataset", &[]),
    ("report", &[]),
    ("paillier", &["bignum"]),
    ("network", &[]),
    ("bignum", &[]),
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("entry is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The identifier at the start of `text`.
fn identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    &text[..end]
}

/// Rooms named behind `crate::` in `source`, comments left out; a group
/// `crate::{a::…, b::…}` names each of its members.
fn rooms_used(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(identifier(rest).to_string());
            continue;
        };
        let mut depth = 1;
        let mut member = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                rooms.push(identifier(member.trim()).to_string());
                member.clear();
                if depth == 0 {
                    break;
                }
            } else {
                member.push(c);
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn every_edge_between_rooms_is_in_the_table() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(
        !files.is_empty(),
        "no source files under {}",
        root.display()
    );

    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("found under src");
        let first = inside.components().next().expect("a file has a name");
        let room = first.as_os_str().to_string_lossy().replace(".rs", "");
        if matches!(room.as_str(), "main" | "lib" | "cli") {
            continue;
        }
        let Some(allowed) = table.get(room.as_str()) else {
            wrong.push(format!(
                "{}: room {room} is not in the table",
                inside.display()
            ));
            continue;
        };
        let source = fs::read_to_string(&file).expect("source is UTF-8");
        for used in rooms_used(&source) {
            if used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} may not use {used}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_are_found_in_every_form() {
    let source = "use crate::network::Shape;\nuse crate::{paillier::{Key, A}, bignum};\n\
                  // use crate::cli;\nlet x = crate::file::read();";
    assert_eq!(
        rooms_used(source),
        ["network", "paillier", "bignum", "file"]
    );
}

#[test]
fn unsafe_is_only_in_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    for file in files {
        if file.starts_with(root.join("bignum/kernel")) {
            continue;
        }
        let source = fs::read_to_string(&file).expect("source is UTF-8");
        for (number, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            assert!(
                !code
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|w| w == "unsafe"),
                "{}:{}: unsafe outside bignum/kernel",
                file.display(),
                number + 1
            );
        }
    }
}
