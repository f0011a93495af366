use super::*;

/// A container with every element type that has a constructor.
fn sample() -> Container {
    let mut container = Container::new(Kind::QUERY);
    container.set("stage", 3);
    container.set("layout", "tap \"quoted\" – λ");
    container.push(Tensor::from_bytes("rows", &[2, 3], vec![1, 2, 3, 4, 5, 6]));
    container.push(Tensor::from_i64s("bias", &[2], &[i64::MIN, i64::MAX]));
    container.push(Tensor::from_i8s("w", &[3], &[-128, 0, 127]));
    container.push(Tensor::from_i32s("a", &[1, 2], &[-1, 1 << 30]));
    container.push(Tensor::from_f64s("scale", &[], &[0.125]));
    container.push(Tensor::from_bytes("none", &[0, 7], vec![]));
    container
}

fn bytes() -> Vec<u8> {
    sample().to_bytes().expect("the sample is well formed")
}

fn read(bytes: &[u8]) -> Result<Container, ContainerError> {
    Container::from_bytes(bytes, Kind::QUERY)
}

/// The file with its header replaced by what `edit` makes of it.
fn with_header(edit: impl Fn(&str) -> String) -> Vec<u8> {
    let bytes = bytes();
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON is text");
    let edited = edit(header);
    assert_ne!(edited, header, "the edit must change something");
    let mut out = (edited.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(edited.as_bytes());
    out.extend_from_slice(&bytes[8 + length..]);
    out
}

fn refused(bytes: &[u8]) -> ContainerError {
    let error = read(bytes).expect_err("must be refused");
    assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
    error
}

#[test]
fn what_is_written_is_read() {
    let container = read(&bytes()).expect("own file");
    assert_eq!(container.kind(), "query");
    assert_eq!(container.parse::<u32>("stage", "a number").unwrap(), 3);
    assert_eq!(container.get("layout").unwrap(), "tap \"quoted\" – λ");
    for tensor in &sample().tensors {
        assert_eq!(container.tensor(&tensor.name).unwrap(), tensor);
    }
    let bias = container.tensor("bias").unwrap();
    assert_eq!(bias.to_i64s().unwrap(), [i64::MIN, i64::MAX]);
    let scale = container.tensor("scale").unwrap();
    assert_eq!(scale.to_f64s().unwrap(), [0.125]);
    assert_eq!(
        container.tensor("a").unwrap().to_i32s().unwrap(),
        [-1, 1 << 30]
    );
    assert_eq!(
        container.tensor("w").unwrap().to_i8s().unwrap(),
        [-128, 0, 127]
    );
    assert_eq!(
        container.tensor("rows").unwrap().as_bytes().unwrap().len(),
        6
    );
    assert_eq!(container.to_bytes().unwrap(), bytes());
}

#[test]
fn an_empty_container_is_a_file_too() {
    let bytes = Container::new(Kind::REPLY).to_bytes().unwrap();
    let back = Container::from_bytes(&bytes, Kind::REPLY).unwrap();
    assert!(back.tensors.is_empty());
}

#[test]
fn the_order_of_adding_does_not_show() {
    let mut other = sample();
    other.tensors.reverse();
    assert_eq!(other.to_bytes().unwrap(), bytes());
}

#[test]
fn any_safetensors_reader_opens_it() {
    let bytes = bytes();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("valid safetensors");
    assert_eq!(theirs.len(), sample().tensors.len());
    for tensor in sample().tensors {
        let view = theirs.tensor(&tensor.name).expect("same names");
        assert_eq!(view.dtype(), tensor.dtype);
        assert_eq!(view.shape(), tensor.shape);
        assert_eq!(view.data(), tensor.data);
        let address = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert_eq!(address % (tensor.dtype.bitsize() / 8), 0, "aligned");
    }
}

#[test]
fn the_digest_can_be_checked_without_this_program() {
    let mut bytes = bytes();
    let digest = read(&bytes).unwrap().get(DIGEST).unwrap().to_string();
    let at = bytes
        .windows(64)
        .position(|window| window == digest.as_bytes())
        .expect("the digest stands in the header");
    bytes[at..at + 64].fill(b'0');
    assert_eq!(hex(&Sha256::digest(&bytes)), digest);
}

#[test]
fn a_file_cut_anywhere() {
    let bytes = bytes();
    for length in 0..bytes.len() {
        let error = refused(&bytes[..length]);
        assert!(
            matches!(error, ContainerError::Truncated { found, .. } if found == length as u64),
            "cut at {length}: {error}"
        );
    }
}

#[test]
fn a_padded_file() {
    let mut bytes = bytes();
    let expected = bytes.len() as u64;
    bytes.push(0);
    let error = refused(&bytes);
    assert!(matches!(error, ContainerError::Padded { expected: e } if e == expected));
}

#[test]
fn any_bit_flipped() {
    let bytes = bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            refused(&flipped);
        }
    }
}

#[test]
fn a_bit_flipped_in_the_data() {
    let mut bytes = bytes();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&bytes), ContainerError::Digest));
}

#[test]
fn metadata_changed() {
    let bytes = with_header(|header| header.replace("\"stage\":\"3\"", "\"stage\":\"4\""));
    assert!(matches!(refused(&bytes), ContainerError::Digest));
}

#[test]
fn a_header_length_that_lies() {
    let original = bytes();
    let length = u64::from_le_bytes(original[..8].try_into().unwrap());
    let with_length = |length: u64| {
        let mut bytes = original.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    for absurd in [0, 1, MAX_HEADER + 1, 1 << 62, u64::MAX] {
        let error = refused(&with_length(absurd));
        assert!(
            matches!(error, ContainerError::HeaderLength { found } if found == absurd),
            "{absurd}: {error}"
        );
    }
    let error = refused(&with_length(length - 8));
    // The last eight bytes may all be padding; then tensors begin too early.
    assert!(
        matches!(
            error,
            ContainerError::Header { .. } | ContainerError::Padded { .. }
        ),
        "{error}"
    );
    assert!(matches!(
        refused(&with_length(length + 8)),
        ContainerError::Header { .. }
    ));
    assert!(matches!(
        refused(&with_length(MAX_HEADER)),
        ContainerError::Truncated { .. }
    ));
}

#[test]
fn other_files_handed_over() {
    for (start, name) in [
        (&b"\x89PNG\r\n\x1a\n...."[..], "PNG"),
        (b"{\"kty\": \"DAJ\"}", "JSON"),
        (b"{\n  \"kty\": \"DAJ\"}", "JSON"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0", "gzip"),
        (b"\0\0\x08\x03\0\0\0\x01", "IDX image"),
    ] {
        let error = refused(start);
        assert!(matches!(error, ContainerError::OtherFormat { .. }));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_header_that_is_no_json_or_no_text() {
    let broken = with_header(|header| header.replacen('{', "[", 1));
    assert!(matches!(refused(&broken), ContainerError::Header { .. }));
    let mut no_text = bytes();
    no_text[20] = 0xff;
    assert!(matches!(refused(&no_text), ContainerError::Header { .. }));
}

#[test]
fn a_header_written_another_way() {
    for edit in [
        |h: &str| h.replacen(':', ": ", 1),
        |h: &str| format!("{h}        "),
        |h: &str| h.replacen("\"stage\":\"3\"", "\"stage\":\"9\",\"stage\":\"3\"", 1),
        |h: &str| h.replacen("\"dtype\":", "\"more\":1,\"dtype\":", 1),
    ] {
        let error = refused(&with_header(edit));
        assert!(matches!(error, ContainerError::NotCanonical), "{error}");
    }
}

#[test]
fn metadata_missing() {
    for key in [KIND, FORMAT_VERSION, DIGEST] {
        let bytes = with_header(|h| h.replacen(&format!("\"{key}\""), "\"another\"", 1));
        let error = refused(&bytes);
        assert!(
            matches!(&error, ContainerError::MissingMetadata { key: k } if k == key),
            "{error}"
        );
    }
    let all = with_header(|h| h.replacen("__metadata__", "__metadat4__", 1));
    assert!(matches!(refused(&all), ContainerError::Header { .. }));
}

#[test]
fn the_wrong_kind() {
    let error = Container::from_bytes(&bytes(), Kind::MODEL).expect_err("a query is no model");
    assert_eq!(
        error.to_string(),
        "this is a query file, expected a model file"
    );
}

#[test]
fn the_wrong_version() {
    let newer = Kind::new("query", 3);
    let error = Container::from_bytes(&bytes(), newer).expect_err("version 2 is not 3");
    assert!(matches!(
        error,
        ContainerError::WrongVersion { expected: 3, .. }
    ));
    assert!(Container::read_any(&bytes()[..], DEFAULT_LIMIT).is_ok());
}

#[test]
fn overlapping_tensors() {
    let bytes = with_header(|h| h.replacen("[16,24]", "[8,24]", 1));
    assert!(matches!(refused(&bytes), ContainerError::Overlap { .. }));
}

#[test]
fn bytes_that_no_tensor_covers() {
    let bytes = with_header(|h| h.replacen("[24,32]", "[25,32]", 1));
    assert!(matches!(refused(&bytes), ContainerError::Gap { name } if name == "a"));
}

#[test]
fn a_tensor_that_ends_before_it_begins() {
    let bytes = with_header(|h| h.replacen("[24,32]", "[24,20]", 1));
    assert!(matches!(refused(&bytes), ContainerError::Backwards { name } if name == "a"));
}

#[test]
fn a_shape_that_its_bytes_do_not_fill() {
    let bytes = with_header(|h| h.replacen("\"shape\":[1,2]", "\"shape\":[1,3]", 1));
    let error = refused(&bytes);
    assert!(matches!(
        error,
        ContainerError::TensorSize {
            needed: 12,
            declared: 8,
            ..
        }
    ));
}

#[test]
fn a_shape_of_absurd_size() {
    let huge = "\"shape\":[9223372036854775807,9]";
    let bytes = with_header(|h| h.replacen("\"shape\":[1,2]", huge, 1));
    assert!(matches!(
        refused(&bytes),
        ContainerError::TensorOverflow { .. }
    ));
}

#[test]
fn an_element_type_below_a_byte() {
    let bytes = with_header(|h| h.replacen("\"I8\"", "\"F4\"", 1));
    assert!(matches!(refused(&bytes), ContainerError::TensorBits { .. }));
}

#[test]
fn a_size_beyond_the_limit_is_refused_before_the_data_are_read() {
    // The header claims 2^40 bytes that are consistent with each other; the
    // source would fail the test if it were asked for the first of them.
    struct Panics;
    impl std::io::Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("read beyond the header");
        }
    }
    let text = format!(
        "{{\"__metadata__\":{{\"digest\":\"{BLANK_DIGEST}\",\"format_version\":\"2\",\
         \"kind\":\"query\"}},\"x\":{{\"dtype\":\"U8\",\"shape\":[1099511627776],\
         \"data_offsets\":[0,1099511627776]}}}}"
    );
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend_from_slice(text.as_bytes());
    let source = std::io::Read::chain(&head[..], Panics);
    let error = Container::read(source, Kind::QUERY, DEFAULT_LIMIT).expect_err("too large");
    assert!(matches!(error, ContainerError::TooLarge { .. }), "{error}");
    // Without a limit it is a truncated file, and no memory is taken for it.
    assert!(matches!(refused(&head), ContainerError::Truncated { .. }));
}

#[test]
fn a_source_that_fails() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable pulled"))
        }
    }
    let error = Container::read(Fails, Kind::QUERY, DEFAULT_LIMIT).expect_err("no bytes");
    assert!(error.to_string().contains("cable pulled"));
}

#[test]
fn contents_that_cannot_be_written() {
    let mut short = sample();
    short.tensors[0].data.pop();
    assert!(matches!(
        short.to_bytes(),
        Err(ContainerError::TensorSize { .. })
    ));
    let mut twice = sample();
    twice.push(Tensor::from_bytes("a", &[0], vec![]));
    assert!(matches!(
        twice.to_bytes(),
        Err(ContainerError::TensorName { .. })
    ));
    let mut reserved = sample();
    reserved.push(Tensor::from_bytes("__metadata__", &[0], vec![]));
    assert!(matches!(
        reserved.to_bytes(),
        Err(ContainerError::TensorName { .. })
    ));
    let mut long = sample();
    long.set("note", "x".repeat(MAX_HEADER as usize));
    assert!(matches!(
        long.to_bytes(),
        Err(ContainerError::HeaderLength { .. })
    ));
}

#[test]
fn what_is_asked_for_and_not_there() {
    let container = read(&bytes()).unwrap();
    assert!(matches!(
        container.get("x"),
        Err(ContainerError::MissingMetadata { .. })
    ));
    assert!(matches!(
        container.tensor("x"),
        Err(ContainerError::MissingTensor { .. })
    ));
    let error = container
        .parse::<u32>("layout", "a whole number")
        .unwrap_err();
    assert!(matches!(error, ContainerError::BadMetadata { .. }));
    let rows = container.tensor("rows").unwrap();
    let error = rows.to_i32s().unwrap_err().to_string();
    assert_eq!(error, "tensor \"rows\" is U8 [2, 3], expected I32 [2, 3]");
    assert!(rows.expect_shape(&[2, 3]).is_ok());
    assert!(matches!(
        rows.expect_shape(&[3, 2]),
        Err(ContainerError::TensorForm { .. })
    ));
}

#[test]
fn debug_shows_no_data() {
    let shown = format!("{:?}", Tensor::from_bytes("w", &[2], vec![201, 202]));
    assert!(!shown.contains("201"), "{shown}");
}
