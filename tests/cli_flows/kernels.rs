//! The program with each kernel that this machine has: the same numbers on
//! disk, the same logits, the same bytes and products.

use std::{fs, path::Path};

use pdnn::file::{Container, Kind};
use serde_json::Value;

use crate::place::{NET, Place, stderr};

/// Names of the kernels; says on stderr which cannot be tried.
pub(crate) fn kernels() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma") {
        return vec!["portable", "ifma"];
    }
    eprintln!("skipped the ifma kernel: this processor has no AVX-512 IFMA");
    vec!["portable"]
}

/// What the program prints with a kernel; it must succeed.
fn with_kernel(place: &Place, kernel: &str, args: &[&str]) -> Vec<u8> {
    let mut command = place.command(args);
    let output = command.env("PDNN_KERNEL", kernel).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{kernel}: {}", stderr(&output));
    output.stdout
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let file = entry.expect("readable").path();
        fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
    }
}

/// The same randomisers and the same image give the same ciphertexts, whichever
/// kernel multiplies. (Two copies of a store are what nobody must have: here
/// they are the only way to have the same randomness twice.)
#[test]
fn every_kernel_writes_the_same_ciphertexts() {
    let place = Place::with_key();
    let store = ["precompute", "--count", "30", "-o", "store"];
    place.ok(&[&store[..], &["--key", "alice.key.json"]].concat());
    let written = kernels().into_iter().map(|kernel| {
        copy(&place.path("store"), &place.path(kernel));
        let file = format!("{kernel}.pdnn");
        let args = ["encrypt", "0.png", "--invert", "never", "-o", &file];
        let key = ["--key", "alice.key.json", "--randomisers", kernel];
        with_kernel(&place, kernel, &[&args[..], &key, &NET].concat());
        let bytes = fs::read(place.path(&file)).expect("written");
        let query = Container::from_bytes(&bytes, Kind::QUERY).expect("whole");
        let rows = query.tensors.iter().map(|tensor| tensor.as_bytes());
        rows.collect::<Result<Vec<_>, _>>().expect("bytes").concat()
    });
    let written: Vec<Vec<u8>> = written.collect();
    assert!(written[0].len() > 1000);
    assert!(written.iter().all(|rows| rows == &written[0]));
}

#[test]
fn a_number_of_threads_that_is_none_is_refused() {
    let place = Place::new();
    for threads in ["many", "-1", "257"] {
        let mut command = place.command(&["number", "--help"]);
        let shown = command.env("RAYON_NUM_THREADS", threads).output();
        assert!(shown.expect("the program starts").status.success());
        let mut command = place.command(&["inspect", "net"]);
        let refused = command.env("RAYON_NUM_THREADS", threads).output();
        let refused = refused.expect("the program starts");
        assert_eq!(refused.status.code(), Some(1));
        let said = stderr(&refused);
        assert!(said.contains("must be a number up to 256"), "{said}");
    }
}

/// One image with keys that people use: the same logits, and as many bytes and
/// products as the README says.
#[test]
fn every_kernel_classifies_one_image_in_as_many_bytes_and_products() {
    let place = Place::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/lenet5-fast");
    place.ok(&["keygen", "--bits", "2048", "--out", "bob"]);
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/7-a.png");
    let mut first = None;
    for kernel in kernels() {
        let args = ["run", image, "--key", "bob.key.json", "--network", folder];
        let said = with_kernel(&place, kernel, &[&args[..], &["--json"]].concat());
        let said: Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!(said["images"][0]["label"], "7", "{kernel}");
        let logits = said["images"][0]["logits"].clone();
        assert_eq!(*first.get_or_insert(logits.clone()), logits, "{kernel}");

        let total = &said["total"];
        let of = |name: &str| total[name].as_u64().expect("a count");
        assert_eq!(of("ciphertexts_up"), 736);
        assert_eq!(of("ciphertexts_down"), 16);
        assert_eq!((of("products"), of("squarings")), (15_664, 1_932));
        // Ciphertexts of 512 bytes, and a header of every message.
        let methods = said["stages"].as_array().expect("stages").iter();
        let methods: Vec<&Value> = methods.map(|stage| &stage["methods"][0]).collect();
        assert_eq!(methods, ["common pairs, binary"; 4]);
        let stages = methods.len() as u64;
        let up = of("bytes_up") - 512 * 736;
        let down = of("bytes_down") - 512 * 16;
        assert!((stages * 1024..stages * 3072).contains(&up), "{up}");
        assert!((stages * 256..stages * 1024).contains(&down), "{down}");
        assert!(of("bytes_up") + of("bytes_down") <= 430_000);
    }
}
