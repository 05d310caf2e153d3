//! Whom recordings are sealed to.

use age::x25519::Identity;

use super::Folder;

fn with(recipients: &str) -> String {
    format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\nissuers:\n  main:\n    issuer: https://login.example.test\n    \
         audiences: [portcullis]\nresources:\n  llama:\n    kind: model\n    server: vllm\n    upstreams: \
         [http://127.0.0.1:8000]\nledger:\n  dir: here/ledger\n  seal_to: {recipients}\n"
    )
}

#[test]
fn recipients_are_read_one_or_many_or_none() {
    let folder = Folder::new();
    let (ada, bob) = (Identity::generate().to_public(), Identity::generate().to_public());
    let read = |text: &str| folder.parse(&with(text)).unwrap().ledger.seal_to;
    assert_eq!(read("[]"), []);
    assert_eq!(read(&ada.to_string()), std::slice::from_ref(&ada));
    assert_eq!(read(&format!("[{ada}, {bob}]")), [ada, bob]);
}

#[test]
fn what_is_no_recipient_is_told_with_its_place() {
    let folder = Folder::new();
    let good = Identity::generate().to_public().to_string();
    let cut = good.get(..good.len() - 1).unwrap();
    // The point 0, which comes to 0 with every key, in age's letters.
    let void = format!("age1{}", "q".repeat(52) + "f7v9kv");
    for (recipients, told) in [
        (format!("[{good}, {cut}]"), "letters are missing or wrong"),
        (format!("[{good}, {good}]"), "twice"),
        (format!("[{good}, bob@example.test]"), "no age recipient"),
        (format!("[{good}, ssh-ed25519 AAAA]"), "an SSH key"),
        (format!("[{good}, age1yubikey1qqqq]"), "another type"),
        (format!("[{good}, {void}]"), "no age recipient"),
    ] {
        let faults = folder.parse(&with(&recipients)).expect_err(&recipients).to_string();
        assert!(faults.contains(told) && faults.contains("seal_to"), "{recipients}: {faults}");
    }
    let faults = folder.parse(&with(&format!("[{good}, x]"))).unwrap_err().to_string();
    assert!(faults.contains("ledger.seal_to[1]"), "{faults}");
}

#[test]
fn a_point_of_small_order_is_refused() {
    let folder = Folder::new();
    for first in [0u8, 1] {
        let mut point = [0u8; 32];
        point[0] = first;
        let text = encoded(&point);
        let faults = folder.parse(&with(&text)).unwrap_err().to_string();
        assert!(faults.contains("anybody can open"), "{faults}");
    }
}

/// A recipient of these bytes.
fn encoded(bytes: &[u8; 32]) -> String {
    let mut prefix = None;
    let good = Identity::generate().to_public().to_string();
    let read = |hrp| {
        prefix = Some(hrp);
        Ok::<(), ()>(())
    };
    age_core::primitives::bech32_decode(&good, |_| (), read, |_, _| Ok(())).unwrap();
    age_core::primitives::bech32_encode(prefix.unwrap(), bytes)
}

#[test]
fn a_secret_key_is_refused_and_not_shown() {
    use age::secrecy::ExposeSecret;
    let key = Identity::generate().to_string();
    for written in [key.expose_secret().to_owned(), key.expose_secret().to_lowercase()] {
        let faults = Folder::new().parse(&with(&written)).unwrap_err().to_string();
        assert!(faults.contains("secret key") && !faults.contains(&written), "{faults}");
        let tail = written.get(20..40).unwrap();
        assert!(!faults.contains(tail), "{faults}");
    }
}
