//! Whose turn it is, waiting, and the client's own files.

use super::*;
use crate::protocol::Protocol;

fn session(names: &[&str]) -> (tempfile::TempDir, Session) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in names {
        fs::write(folder.path().join(name), b"").expect("the folder is writable");
    }
    let session = Session::at(folder.path());
    (folder, session)
}

#[test]
fn highest_number_tells_whose_turn_it_is() {
    for (names, at_server, at_client) in [
        (&[][..], Err(1), Err(1)),
        (&["1-query.pdnn"], Ok(1), Err(1)),
        (&["1-query.pdnn", "1-reply.pdnn"], Err(2), Ok(1)),
        (
            &["1-query.pdnn", "1-reply.pdnn", "2-query.pdnn"],
            Ok(2),
            Err(2),
        ),
        // A reply that runs ahead of the queries was not asked for.
        (&["1-query.pdnn", "5-reply.pdnn"], Err(6), Err(1)),
        (
            &["18446744073709551615-reply.pdnn"],
            Err(usize::MAX),
            Err(1),
        ),
        // Earlier files may have been cleared away.
        (&["10-query.pdnn", "9-reply.pdnn"], Ok(10), Err(10)),
    ] {
        let (_folder, session) = session(names);
        assert_eq!(session.ready(Side::Server).unwrap(), at_server, "{names:?}");
        assert_eq!(session.ready(Side::Client).unwrap(), at_client, "{names:?}");
    }
}

#[test]
fn other_files_do_not_count() {
    let (_folder, session) = session(&[
        "01-query.pdnn",
        "+2-query.pdnn",
        "0-query.pdnn",
        "query.pdnn",
        "-query.pdnn",
        "3-query.pdnn.tmp",
        "99999999999999999999999-query.pdnn",
        "notes.txt",
    ]);
    assert_eq!(session.highest().unwrap(), (0, 0));
}

#[test]
fn looking_once_says_what_is_missing() {
    let (_folder, session) = session(&["1-query.pdnn"]);
    let error = session.next(Side::Client, Wait::No).unwrap_err();
    assert!(error.to_string().contains("1-reply.pdnn"), "{error}");
    assert!(error.to_string().contains("--follow"), "{error}");
}

#[test]
fn waiting_ends_in_time() {
    let (_folder, session) = session(&[]);
    let wait = Wait::AtMost(Duration::from_millis(120));
    let error = session.next(Side::Server, wait).unwrap_err();
    assert!(matches!(error, SessionError::TimedOut { .. }), "{error}");
}

#[test]
fn waiting_sees_a_file_that_comes() {
    let (folder, session) = session(&[]);
    let path = folder.path().join("1-query.pdnn");
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        fs::write(path, b"").expect("the folder is writable");
    });
    let wait = Wait::AtMost(Duration::from_secs(60));
    assert_eq!(session.next(Side::Server, wait).unwrap(), 1);
    writer.join().expect("the writer ends");
}

#[test]
fn a_message_that_still_grows_is_waited_for() {
    let (folder, session) = session(&[]);
    let path = folder.path().join("1-query.pdnn");
    fs::write(&path, b"ha").expect("the folder is writable");
    let growing = path.clone();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        fs::write(growing, b"half").expect("the folder is writable");
    });
    let whole = |path: &Path| match fs::read(path).expect("it is there").as_slice() {
        b"half" => Ok(()),
        other => Err(other.len()),
    };
    assert_eq!(session.read(&path, Wait::No, whole), Err(2));
    let wait = Wait::AtMost(Duration::from_secs(60));
    assert_eq!(session.read(&path, wait, whole), Ok(()));
    writer.join().expect("the writer ends");
    fs::write(&path, b"hal").expect("the folder is writable");
    assert_eq!(session.read(&path, wait, whole), Err(3));
}

#[test]
fn record_of_another_version_is_refused() {
    let (folder, session) = session(&[]);
    let record = r#"{"format_version": 2, "query_id": "00", "images": []}"#;
    fs::write(folder.path().join(RECORD), record).expect("the folder is writable");
    let error = session.record().unwrap_err().to_string();
    assert!(error.contains("format version 2, expected 1"), "{error}");
}

#[test]
fn truncated_record_is_refused() {
    let (folder, session) = session(&[]);
    fs::write(folder.path().join(RECORD), "{\"format_ver").expect("the folder is writable");
    assert!(matches!(
        session.record().unwrap_err(),
        SessionError::Record { .. }
    ));
}

#[test]
fn folder_without_a_session_is_named() {
    let (folder, session) = session(&[]);
    let error = session.record().unwrap_err().to_string();
    assert!(
        error.contains(&folder.path().display().to_string()),
        "{error}"
    );
}

fn record(network: &Profile) -> Record {
    Record {
        format_version: FORMAT_VERSION,
        query_id: "07".repeat(16),
        network: hex(&network.fingerprint()),
        protocol: Protocol::Bayhenn,
        samples: 4,
        packing: Packing::Latency,
        images: vec!["7-a.png".into()],
    }
}

fn profile(label: &str) -> Profile {
    use crate::network::{InputSpec, Linear, Network, Range, Shape, Stage, Weights};

    let stage = Stage {
        name: "only".into(),
        linear: Linear::Dense {
            inputs: 1,
            outputs: 1,
        },
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = InputSpec {
        shape: Shape::vector(1),
        min: 0,
        max: 1,
    };
    let weights = Weights {
        weights: vec![1],
        bias: vec![0],
    };
    let profile = Profile::new("tiny", input, vec![stage], vec![label.into()], 1.0);
    let network = Network::new(profile, vec![weights]).expect("a sound network");
    network.profile().clone()
}

#[test]
fn a_profile_that_was_exchanged_is_refused() {
    let (folder, session) = session(&[]);
    let record = record(&profile("yes"));
    let path = folder.path().join(PROFILE);
    fs::write(&path, profile("yes").to_json()).expect("the folder is writable");
    assert_eq!(session.profile(&record).unwrap(), profile("yes"));
    fs::write(&path, profile("no").to_json()).expect("the folder is writable");
    let refused = session.profile(&record).unwrap_err();
    assert!(matches!(refused, SessionError::OtherProfile { .. }));
    fs::write(&path, "{}").expect("the folder is writable");
    let refused = session.profile(&record).unwrap_err();
    assert!(matches!(refused, SessionError::Record { .. }));
}

#[test]
fn a_reply_that_does_not_answer_the_query_is_refused() {
    let (_folder, session) = session(&[]);
    let record = record(&profile("yes"));
    let good = Header {
        protocol: Protocol::Bayhenn,
        samples: 4,
        key: crate::paillier::Fingerprint::from_bytes([1; 32]),
        network: profile("yes").fingerprint(),
        stage: 1,
        query_id: crate::protocol::exchange::QueryId([7; 16]),
        packing: Packing::Latency,
        images: 1,
        slot_bits: 20,
    };
    session.expect(&record, 2, &good).expect("the answer");
    let other = |change: fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        session.expect(&record, 2, &header).unwrap_err()
    };
    let stage = other(|header| header.stage = 4);
    assert!(matches!(stage, SessionError::OtherQuery { .. }));
    let id = other(|header| header.query_id.0[0] = 8);
    assert!(matches!(id, SessionError::OtherQuery { .. }));
    let images = other(|header| header.images = 2);
    assert!(matches!(images, SessionError::OtherImages { .. }));
    let samples = other(|header| header.samples = 5);
    assert!(matches!(samples, SessionError::OtherImages { .. }));
    let protocol = other(|header| header.protocol = Protocol::TwoPartyDnn);
    assert!(matches!(protocol, SessionError::OtherImages { .. }));
    let packing = other(|header| header.packing = Packing::Throughput);
    assert!(matches!(packing, SessionError::OtherImages { .. }));
}
