//! Memberships for a while: from the next request on, while an exchange lives, and never a moment longer,
//! whatever the clock says.

use std::sync::Arc;

use model::{Clock, Code};
use proptest::prelude::*;
use store::{SqliteStore, Store};

use super::sampled::{KeyPair, Site};
use super::*;
use crate::Standing;
use crate::standing::{Grant, MOST_GRANTS};

struct Ground {
    world: World,
    standing: Arc<Standing>,
    key: KeyPair,
    folder: tempfile::TempDir,
}

async fn standing(folder: &std::path::Path, clock: &Arc<FixedClock>) -> Arc<Standing> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder, Arc::clone(&clock)).await.unwrap());
    Standing::open(store, clock).await.unwrap()
}

impl Ground {
    async fn start() -> Self {
        let key = KeyPair::ed();
        let site = Site::start().await;
        site.publish(&[("k", &key)]);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(now()));
        let standing = standing(folder.path(), &clock).await;
        let mut settings = config::Issuer::new("site", &site.url, "gateway");
        settings.allow_http = true;
        let world = World::judged(site, &[settings], clock, Arc::clone(&standing));
        Self { world, standing, key, folder }
    }

    fn token(&self, subject: &str) -> String {
        self.world.draft().claim("sub", subject).sign("k", &self.key)
    }

    fn grant(&self, id: &str, subject: &str, group: &str, lasts: u64) -> Grant {
        let began = self.world.clock.now();
        Grant {
            id: id.to_owned(),
            issuer: self.world.site.url.clone(),
            subject: subject.to_owned(),
            name: None,
            group: group.to_owned(),
            reason: "the disk is full".to_owned(),
            began,
            ends: began.checked_add(secs(lasts)).unwrap(),
            consents: vec!["https://login.example.test#bob".to_owned()],
            over: None,
        }
    }

    async fn groups(&self, subject: &str) -> Vec<String> {
        self.world.identity(&self.token(subject)).await.groups.into_iter().collect()
    }
}

#[tokio::test]
async fn a_grant_adds_its_group_to_this_caller_until_its_end() {
    let ground = Ground::start().await;
    let own = ground.groups("alice").await;
    assert!(!own.contains(&"on-call".to_owned()));
    ground.standing.grant(&ground.grant("g1", "alice", "on-call", 120)).await.unwrap();
    assert!(ground.groups("alice").await.contains(&"on-call".to_owned()));
    assert_eq!(ground.groups("bob").await, own, "nobody else");
    // Another process sees it, and a restart does not end it.
    ground.world.clock.advance(secs(119));
    let elsewhere = standing(ground.folder.path(), &ground.world.clock).await;
    assert_eq!(elsewhere.grants_past().len(), 0);
    assert!(ground.groups("alice").await.contains(&"on-call".to_owned()));
    ground.world.clock.advance(secs(1));
    assert_eq!(ground.groups("alice").await, own);
    let past = ground.standing.grants_past();
    assert_eq!(past.len(), 1);
    let noted = ground.standing.end_grant("g1", None, None).await.unwrap().unwrap();
    assert_eq!(noted.over.unwrap().by, None);
    assert!(ground.standing.grants_past().is_empty());
    assert_eq!(ground.standing.end_grant("g1", None, None).await.unwrap(), None, "it ends once");
}

#[tokio::test]
async fn what_began_with_a_grant_ends_with_it_and_nothing_else_does() {
    let ground = Ground::start().await;
    ground.standing.grant(&ground.grant("g1", "alice", "on-call", 60)).await.unwrap();
    let with = ground.world.caller(&ground.token("alice")).await.unwrap();
    let without = ground.world.caller(&ground.token("bob")).await.unwrap();
    let (mut with, mut without) = (ground.standing.live(&with), ground.standing.live(&without));
    assert!(with.ended().is_none() && without.ended().is_none());
    // A grant more takes nothing away from what runs.
    ground.standing.grant(&ground.grant("g2", "alice", "other", 60)).await.unwrap();
    assert!(with.ended().is_none());
    let waits = async { with.until_ended().await };
    let revoke = ground.standing.end_grant("g1", Some("ops"), Some("enough"));
    let (ended, revoked) = tokio::join!(waits, revoke);
    assert_eq!(ended.refusal().code, Code::GrantOver);
    assert!(!ended.refusal().reason.contains("enough"));
    assert_eq!(revoked.unwrap().unwrap().over.unwrap().reason.as_deref(), Some("enough"));
    assert!(without.ended().is_none());
    assert!(!ground.groups("alice").await.contains(&"on-call".to_owned()));
    assert!(ground.groups("alice").await.contains(&"other".to_owned()));
}

#[tokio::test]
async fn its_time_ends_what_waits_also_when_no_rule_changes() {
    let ground = Ground::start().await;
    ground.standing.grant(&ground.grant("g1", "alice", "on-call", 60)).await.unwrap();
    let caller = ground.world.caller(&ground.token("alice")).await.unwrap();
    let mut live = ground.standing.live(&caller);
    let clock = Arc::clone(&ground.world.clock);
    let (ended, ()) = tokio::join!(live.until_ended(), async {
        tokio::task::yield_now().await;
        clock.advance(secs(60));
    });
    assert_eq!(ended.refusal().code, Code::GrantOver);
}

#[tokio::test]
async fn a_clock_that_is_set_back_extends_nothing() {
    let ground = Ground::start().await;
    ground.standing.grant(&ground.grant("g1", "alice", "on-call", 60)).await.unwrap();
    ground.world.clock.advance(secs(59));
    ground.world.clock.set(now());
    assert!(ground.groups("alice").await.contains(&"on-call".to_owned()));
    // Also when the rules are read anew meanwhile.
    ground.standing.grant(&ground.grant("g2", "carol", "on-call", 600)).await.unwrap();
    ground.world.clock.advance(secs(1));
    assert!(!ground.groups("alice").await.contains(&"on-call".to_owned()));
    assert_eq!(ground.standing.grants_past().len(), 1);
}

#[tokio::test]
async fn what_is_over_before_it_begins_and_what_is_too_much_is_refused() {
    let ground = Ground::start().await;
    let late = ground.grant("g1", "alice", "on-call", 1);
    ground.world.clock.advance(secs(1));
    assert!(ground.standing.grant(&late).await.unwrap_err().to_string().contains("would have ended"));
    for n in 0..MOST_GRANTS {
        ground
            .standing
            .grant(&ground.grant(&format!("g{n}"), "alice", &format!("on-{n}"), 60))
            .await
            .unwrap();
    }
    let more = ground.standing.grant(&ground.grant("more", "alice", "on-call", 60)).await.unwrap_err();
    assert!(more.to_string().contains("at once"), "{more}");
    ground.standing.grant(&ground.grant("b", "bob", "on-call", 60)).await.unwrap();
    // Whoever grants the same again changes nothing: not even its end.
    let mut longer = ground.grant("b", "bob", "on-call", 60);
    longer.ends = longer.ends.checked_add(secs(3600)).unwrap();
    let known = ground.standing.grant(&longer).await.unwrap();
    assert!(known.ends < longer.ends);
    assert_eq!(ground.standing.grants(None).await.unwrap().len(), MOST_GRANTS + 1);
    let of_bob = crate::standing::CallerId::parse(&format!("{}#bob", ground.world.site.url)).unwrap();
    assert_eq!(ground.standing.grants(Some(&of_bob)).await.unwrap().len(), 1);
}

#[derive(Clone, Debug)]
enum Deed {
    Grant { subject: u8, lasts: u64 },
    Revoke { nth: usize },
    Pass(u64),
    SetBack(u64),
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0u8..3, 1u64..200).prop_map(|(subject, lasts)| Deed::Grant { subject, lasts }),
        (0usize..8).prop_map(|nth| Deed::Revoke { nth }),
        (1u64..120).prop_map(Deed::Pass),
        (1u64..120).prop_map(Deed::SetBack),
        Just(Deed::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// The snapshot agrees with a list of (subject, real end): nobody is in a group after so much time as was
    /// granted has really passed.
    #[test]
    fn no_history_extends_a_grant(deeds in proptest::collection::vec(deed(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut ground = Ground::start().await;
            let (mut passed, mut granted): (u64, Vec<(u8, u64, bool)>) = (0, Vec::new());
            for deed in deeds {
                match deed {
                    Deed::Grant { subject, lasts } => {
                        let id = granted.len().to_string();
                        let group = format!("g{id}");
                        let grant = ground.grant(&id, &format!("s{subject}"), &group, lasts);
                        ground.standing.grant(&grant).await.unwrap();
                        granted.push((subject, passed + lasts, true));
                    }
                    Deed::Revoke { nth } => {
                        if let Some(one) = granted.get_mut(nth) {
                            ground.standing.end_grant(&nth.to_string(), Some("ops"), None).await.unwrap();
                            one.2 = false;
                        }
                    }
                    Deed::Pass(by) => {
                        ground.world.clock.advance(secs(by));
                        passed += by;
                    }
                    Deed::SetBack(by) => {
                        let back = ground.world.clock.now().checked_sub(secs(by)).unwrap();
                        ground.world.clock.set(back);
                    }
                    // A process that begins knows wall time alone: what it is told then it believes.
                    Deed::Restart => {
                        for past in ground.standing.grants_past() {
                            ground.standing.end_grant(&past.id, None, None).await.unwrap();
                        }
                        let elsewhere = standing(ground.folder.path(), &ground.world.clock).await;
                        prop_assert_eq!(elsewhere.grants_past().len(), 0);
                    }
                }
                for subject in 0..3u8 {
                    let groups = ground.groups(&format!("s{subject}")).await;
                    for (id, (of, ends, stands)) in granted.iter().enumerate() {
                        if groups.contains(&format!("g{id}")) {
                            prop_assert!(*of == subject && *stands && passed < *ends, "g{} lives on", id);
                        }
                    }
                }
            }
            ground.world.clock.advance(secs(400));
            prop_assert!(ground.groups("s0").await.iter().all(|group| !group.starts_with('g')));
            let _ = &mut ground;
            Ok(())
        })?;
    }
}
