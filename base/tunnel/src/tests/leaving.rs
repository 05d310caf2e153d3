//! How an agent leaves: drained, cut, lost; and how it comes back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::NoAgent;

/// Answers after a moment.
async fn slow(_: Delegated, _: Request<Incoming>) -> Response<Full<Bytes>> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    Response::new(Full::new(Bytes::from_static(b"done")))
}

/// Never answers.
async fn never(_: Delegated, _: Request<Incoming>) -> Response<Full<Bytes>> {
    std::future::pending().await
}

/// Asks as the gateway does: another agent only when nothing was sent.
async fn asked(agents: &Agents) -> Result<String, Failed> {
    let mut tried = Vec::new();
    loop {
        let lease = match agents.choose(&llama(), &[], &tried) {
            Ok(lease) => lease,
            Err(none) => return Err(Failed::NotSent(format!("{none:?}"))),
        };
        tried.push(lease.connection());
        match ask(&lease, "/x").await {
            Err(failed) if !failed.may_have_run() => {}
            other => return other,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_restarted_under_load_beside_a_second_loses_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let homes = [dir.path().join("a"), dir.path().join("b")];
    let mut restarted = gateway.agent("one", &homes[0], slow).await;
    let _beside = gateway.agent("other", &homes[1], slow).await;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (agents, over, done) = (Arc::clone(&gateway.agents), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(asked(&agents).await.unwrap(), "done");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = done.load(Ordering::SeqCst);
        until(|| done.load(Ordering::SeqCst) > before + 50).await;
        restarted.drained().await;
        let enrolled = Enrolled::kept(&homes[0]).unwrap().unwrap();
        restarted = Agent::begin(enrolled, vec![gateway.dials()], &homes[0], gateway.dyn_clock(), slow);
        gateway.connected("one").await;
    }
    over.store(true, Ordering::SeqCst);
    for caller in callers {
        soon(caller).await.unwrap();
    }
}

#[tokio::test]
async fn a_revoked_agent_is_cut_in_the_middle_and_stays_out() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let agent = gateway.agent("beside", dir.path(), never).await;
    let lease = gateway.lease();
    let asking = tokio::spawn(async move { ask(&lease, "/x").await });
    until(|| gateway.agents.states()[0].streams == 1).await;
    // Another gateway of the same store does it: this one hears of it.
    let other = Gateway::open(dir.path()).await;
    other.agents.roster().revoke(&agent.name, None, "ana").await.unwrap().unwrap();
    let failed = soon(asking).await.unwrap().unwrap_err();
    assert!(failed.may_have_run(), "{failed:?}");
    until(|| gateway.connections("beside") == 0).await;
    let enrolled = Enrolled::kept(dir.path()).unwrap().unwrap();
    let refused = enrolled.again(&gateway.dials(), &gateway.dyn_clock()).await.unwrap_err().to_string();
    assert!(refused.contains("was revoked"), "{refused}");
    agent.drained().await;
}

#[tokio::test]
async fn an_agent_that_dies_fails_what_it_had_and_nothing_is_asked_twice() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let began = Arc::new(AtomicUsize::new(0));
    let handler = {
        let began = Arc::clone(&began);
        move |delegated: Delegated, request: Request<Incoming>| {
            began.fetch_add(1, Ordering::SeqCst);
            never(delegated, request)
        }
    };
    let agent = gateway.agent("beside", dir.path(), handler).await;
    let agents = Arc::clone(&gateway.agents);
    let asking = tokio::spawn(async move { asked(&agents).await });
    until(|| began.load(Ordering::SeqCst) == 1).await;
    agent.serving.abort();
    let failed = soon(asking).await.unwrap().unwrap_err();
    assert!(matches!(failed, Failed::Lost(_)), "{failed:?}");
    assert_eq!(began.load(Ordering::SeqCst), 1);
    until(|| gateway.agents.choose(&llama(), &[], &[]).is_err()).await;
    assert_eq!(gateway.agents.choose(&llama(), &[], &[]).unwrap_err(), NoAgent::NoneConnected);
}

#[tokio::test]
async fn an_agent_comes_back_to_a_gateway_that_came_back() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let agent = gateway.agent("beside", dir.path(), echo).await;
    let address = gateway.address;
    gateway.close().await;
    let gateway = Gateway::at(dir.path(), address).await;
    gateway.connected("beside").await;
    assert_eq!(gateway.ask("/again").await.unwrap(), "/again asked");
    agent.drained().await;
}
