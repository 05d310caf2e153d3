//! A keeper with real files and programs, over time.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{Credential, CredentialScheme, Rotation, SecretCommand, SecretRef, SecretSource};
use jiff::Timestamp;
use model::{FixedClock, ResourceName};

use crate::*;

mod sources;

const S: Duration = Duration::from_secs(1);

/// A folder with programs and secrets, and a clock that stands.
struct Stand {
    dir: tempfile::TempDir,
    clock: Arc<FixedClock>,
}

impl Stand {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn file(&self, name: &str) -> Credential {
        Credential::bearer(SecretRef::File(self.path(name)))
    }

    /// A shell script as the program.
    fn script(&self, name: &str, text: &str) -> SecretCommand {
        let dir = self.dir.path().display();
        self.write(name, &format!("#!/bin/sh\ncd {dir}\n{text}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        // A program that was just written may be held open by another test's fork for a moment: run by the
        // shell it need not be executable.
        let run = vec!["/bin/sh".to_owned(), self.path(name).display().to_string()];
        SecretCommand { run, timeout: 10 * S, environment: Vec::new() }
    }

    fn command(&self, text: &str) -> Credential {
        let scheme = Credential::bearer(SecretRef::Env(String::new())).scheme;
        Credential::of(SecretSource::Command(self.script("get", text)), scheme)
    }

    fn keeper(&self, credential: &Credential) -> Arc<Keeper> {
        let name = ResourceName::new("llama").unwrap();
        Keeper::build(&name, credential, Arc::clone(&self.clock) as Arc<dyn model::Clock>).unwrap()
    }
}

/// What stands in the header.
fn header(shown: &Shown) -> String {
    match shown.way() {
        Way::Header(_, value) => value.to_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn now(keeper: &Keeper) -> String {
    header(&keeper.current().await.unwrap())
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_the_same_secret_keeps_its_mark() {
    let stand = Stand::new();
    stand.write("key", "first-secret\n");
    let keeper = stand.keeper(&stand.file("key"));
    let first = keeper.current().await.unwrap();
    assert_eq!(header(&first), "Bearer first-secret");
    assert_eq!(keeper.current().await.unwrap().mark(), first.mark());
    stand.write("key", "second-secret");
    assert_eq!(now(&keeper).await, "Bearer second-secret");
    let spelt: Vec<String> =
        keeper.needles().iter().map(|needle| String::from_utf8(needle.to_vec()).unwrap()).collect();
    assert_eq!(spelt, ["first-secret", "second-secret"], "both are looked for");
}

#[tokio::test]
async fn while_the_source_is_down_the_last_value_is_shown_so_long_and_no_longer() {
    let stand = Stand::new();
    let keeper = stand.keeper(&stand.file("key"));
    assert!(keeper.current().await.is_err(), "none was ever read");
    stand.write("key", "the-secret");
    assert_eq!(now(&keeper).await, "Bearer the-secret");
    std::fs::remove_file(stand.path("key")).unwrap();
    stand.clock.advance(300 * S);
    assert_eq!(now(&keeper).await, "Bearer the-secret");
    stand.clock.advance(Duration::from_millis(1));
    let error = keeper.current().await.unwrap_err().to_string();
    assert!(error.contains("key") && !error.contains("the-secret"), "{error}");
    stand.write("key", "the-next");
    assert_eq!(now(&keeper).await, "Bearer the-next");
    let strict = Credential { stale: Duration::ZERO, ..stand.file("key") };
    let keeper = stand.keeper(&strict);
    assert_eq!(now(&keeper).await, "Bearer the-next");
    std::fs::remove_file(stand.path("key")).unwrap();
    assert!(keeper.current().await.is_err(), "not even for a moment");
}

#[tokio::test]
async fn a_program_is_asked_once_for_all_and_again_when_the_cache_is_over() {
    let stand = Stand::new();
    stand.write("key", "first-secret");
    let keeper = stand.keeper(&stand.command("echo asked >> count; cat key"));
    let all: Vec<_> = (0..40)
        .map(|_| {
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move { now(&keeper).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), "Bearer first-secret");
    }
    assert_eq!(stand.read("count"), "asked\n");
    stand.write("key", "second-secret");
    stand.clock.advance(10 * S - Duration::from_millis(1));
    assert_eq!(now(&keeper).await, "Bearer first-secret");
    stand.clock.advance(Duration::from_millis(1));
    assert_eq!(now(&keeper).await, "Bearer second-secret");
    assert_eq!(stand.read("count"), "asked\nasked\n");
}

#[tokio::test]
async fn a_program_that_fails_is_not_asked_by_everybody() {
    let stand = Stand::new();
    let keeper = stand.keeper(&stand.command("echo asked >> count; exit 3"));
    for _ in 0..5 {
        let error = keeper.current().await.unwrap_err().to_string();
        assert!(error.contains("ended with 3"), "{error}");
    }
    assert_eq!(stand.read("count"), "asked\n");
    stand.clock.advance(S);
    assert!(keeper.current().await.is_err());
    assert_eq!(stand.read("count"), "asked\nasked\n");
}

#[tokio::test]
async fn a_refused_credential_is_read_anew_once_for_all() {
    let stand = Stand::new();
    stand.write("key", "first-secret");
    let keeper = stand.keeper(&stand.command("echo asked >> count; cat key"));
    let refused = keeper.current().await.unwrap();
    assert!(keeper.anew(&refused).await.is_none(), "there is no other");
    stand.write("key", "second-secret");
    assert!(keeper.anew(&refused).await.is_none(), "it was asked a moment ago");
    stand.clock.advance(S);
    for _ in 0..10 {
        assert_eq!(header(&keeper.anew(&refused).await.unwrap()), "Bearer second-secret");
    }
    assert_eq!(stand.read("count"), "asked\n".repeat(3));
    assert_eq!(now(&keeper).await, "Bearer second-secret");
}

#[tokio::test]
async fn what_was_read_before_the_refused_one_is_no_other() {
    let stand = Stand::new();
    stand.write("key", "first-secret");
    let keeper = stand.keeper(&stand.file("key"));
    let first = keeper.current().await.unwrap();
    assert!(keeper.anew(&first).await.is_none());
    stand.write("key", "second-secret");
    let second = keeper.current().await.unwrap();
    assert!(keeper.anew(&second).await.is_none(), "the first was refused, too");
}

fn rotating(stand: &Stand, credential: Credential, script: &str) -> Credential {
    let rotate = Rotation { command: stand.script("rotate", script), probe: None };
    Credential { rotate: Some(rotate), ..credential }
}

#[tokio::test]
async fn a_replacement_is_used_when_it_has_proved_itself() {
    let stand = Stand::new();
    stand.write("key", "old-secret");
    let script = "echo $PORTCULLIS_RESOURCE > told; echo new-secret > key";
    let keeper = stand.keeper(&rotating(&stand, stand.file("key"), script));
    assert_eq!(now(&keeper).await, "Bearer old-secret");
    let turning = keeper.rotate().await.unwrap();
    assert_eq!(header(turning.shown()), "Bearer new-secret");
    assert_eq!(stand.read("told"), "llama\n");
    assert_eq!(now(&keeper).await, "Bearer old-secret", "until then");
    assert!(matches!(keeper.rotate().await, Err(NotRotated::Busy)));
    turning.settle();
    assert_eq!(now(&keeper).await, "Bearer new-secret");
    let again = keeper.rotate().await;
    assert!(matches!(again, Err(NotRotated::Same)), "{again:?}");
    drop(again);
    assert_eq!(now(&keeper).await, "Bearer new-secret");
}

#[tokio::test]
async fn what_did_not_prove_itself_is_not_used_until_it_is_another_or_taken() {
    let stand = Stand::new();
    stand.write("key", "old-secret");
    let keeper = stand.keeper(&rotating(&stand, stand.file("key"), "echo bad-secret > key"));
    drop(keeper.rotate().await.unwrap());
    for _ in 0..3 {
        assert_eq!(now(&keeper).await, "Bearer old-secret");
    }
    stand.write("key", "third-secret");
    assert_eq!(now(&keeper).await, "Bearer third-secret");
    // A second time, and the old one is refused then: the bad one is tried, and was good after all.
    drop(keeper.rotate().await.unwrap());
    let old = keeper.current().await.unwrap();
    assert_eq!(header(&old), "Bearer third-secret");
    let other = keeper.anew(&old).await.unwrap();
    assert_eq!(header(&other), "Bearer bad-secret");
    assert_eq!(now(&keeper).await, "Bearer third-secret", "not before it was taken");
    keeper.taken(&other);
    assert_eq!(now(&keeper).await, "Bearer bad-secret");
}

#[tokio::test]
async fn whoever_is_refused_during_a_replacement_gets_the_new_one() {
    let stand = Stand::new();
    stand.write("key", "old-secret");
    let keeper = stand.keeper(&rotating(&stand, stand.file("key"), "echo new-secret > key"));
    let old = keeper.current().await.unwrap();
    let turning = keeper.rotate().await.unwrap();
    for _ in 0..3 {
        assert_eq!(header(&keeper.anew(&old).await.unwrap()), "Bearer new-secret");
    }
    assert_eq!(now(&keeper).await, "Bearer old-secret");
    turning.settle();
    assert_eq!(now(&keeper).await, "Bearer new-secret");
}

#[tokio::test]
async fn a_command_that_fails_replaces_nothing() {
    let stand = Stand::new();
    stand.write("key", "old-secret");
    let keeper = stand.keeper(&rotating(&stand, stand.file("key"), "exit 7"));
    let failed = keeper.rotate().await.unwrap_err();
    assert!(
        matches!(&failed, NotRotated::Command(_)) && failed.to_string().contains("ended with 7"),
        "{failed}"
    );
    assert_eq!(now(&keeper).await, "Bearer old-secret");
    let none = stand.keeper(&stand.file("key"));
    assert!(matches!(none.rotate().await, Err(NotRotated::NoCommand)));
    // The hold on the old one is over, too.
    stand.write("key", "other-secret");
    assert_eq!(now(&keeper).await, "Bearer other-secret");
}

#[tokio::test]
async fn every_scheme_shows_the_secret_and_knows_how_it_could_come_back() {
    let stand = Stand::new();
    stand.write("key", "p@ss w/ord+1");
    let spelt = |keeper: &Keeper| -> Vec<String> {
        keeper.needles().iter().map(|needle| String::from_utf8(needle.to_vec()).unwrap()).collect()
    };
    let with = |scheme| Credential { scheme, ..stand.file("key") };

    let basic = stand.keeper(&with(CredentialScheme::Basic { user: "ada".to_owned() }));
    // `ada:p@ss w/ord+1` (RFC 7617)
    assert_eq!(now(&basic).await, "Basic YWRhOnBAc3Mgdy9vcmQrMQ==");
    let known = spelt(&basic);
    for spelling in ["YWRhOnBAc3Mgdy9vcmQrMQ==", "YWRhOnBAc3Mgdy9vcmQrMQ%3D%3D", "p@ss w/ord+1"] {
        assert!(known.iter().any(|known| known == spelling), "{spelling} in {known:?}");
    }

    let query = stand.keeper(&with(CredentialScheme::Query { name: "key".to_owned() }));
    let shown = query.current().await.unwrap();
    let Way::Query { pair, .. } = shown.way() else { panic!("{shown:?}") };
    assert_eq!(**pair, "key=p%40ss%20w%2Ford%2B1");
    assert!(spelt(&query).iter().any(|known| known == "p%40ss%20w%2Ford%2B1"));

    let word = CredentialScheme::Header { name: "x-key".parse().unwrap(), word: Some("Key".to_owned()) };
    assert_eq!(now(&stand.keeper(&with(word))).await, "Key p@ss w/ord+1");
}

#[tokio::test]
async fn a_certificate_is_read_with_its_key_and_nothing_else_will_do() {
    let stand = Stand::new();
    let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    stand.write("client.pem", &format!("{}\n{}", made.signing_key.serialize_pem(), made.cert.pem()));
    let keeper =
        stand.keeper(&Credential { scheme: CredentialScheme::Certificate, ..stand.file("client.pem") });
    let shown = keeper.current().await.unwrap();
    assert!(matches!(shown.way(), Way::Certificate(_)));
    assert!(keeper.needles().is_empty(), "a key is never sent");
    stand.write("client.pem", &made.cert.pem());
    let strict = Credential {
        stale: Duration::ZERO,
        scheme: CredentialScheme::Certificate,
        ..stand.file("client.pem")
    };
    let error = stand.keeper(&strict).current().await.unwrap_err().to_string();
    assert!(error.contains("with its private key, in PEM"), "{error}");
}

#[tokio::test]
async fn nothing_of_a_secret_is_printed() {
    let stand = Stand::new();
    stand.write("key", "hidden-secret");
    let keeper = stand.keeper(&rotating(&stand, stand.file("key"), "echo other-hidden > key"));
    let shown = keeper.current().await.unwrap();
    let turning = keeper.rotate().await.unwrap();
    let printed = format!("{keeper:?} {shown:?} {:?} {turning:?} {:?}", shown.way(), keeper.needles());
    assert!(!printed.contains("hidden"), "{printed}");
    stand.write("key", "hidden\nsecret");
    drop(turning);
    stand.clock.advance(301 * S);
    let error = keeper.current().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}
