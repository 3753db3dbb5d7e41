//! Killed without warning: everything acknowledged is there, nothing deleted or revoked came back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;

use crate::served::{Served, document};

const ROUNDS: u64 = 4;
const WRITERS: u64 = 8;

/// What the server acknowledged: the last value put per key, or its deletion, and the increments that answered.
#[derive(Default)]
struct Acknowledged {
    keys: BTreeMap<String, Option<u64>>,
    increments: u64,
    revoked: Vec<String>,
    live: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn f012_f303_a_killed_server_keeps_every_acknowledged_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let served = Arc::new(Served::start(directory.path()).await);
        check(&served, &acknowledged).await;
        acknowledged = write_until_killed(served, acknowledged, round).await;
    }
    let served = Served::start(directory.path()).await;
    check(&served, &acknowledged).await;
    assert!(acknowledged.increments > 0 && acknowledged.keys.len() > 20, "the rounds wrote something");
    assert_eq!(served.stop(), 0);
}

/// Writes from several tasks, kills the server in the middle and answers what it had acknowledged.
async fn write_until_killed(served: Arc<Served>, acknowledged: Acknowledged, round: u64) -> Acknowledged {
    let acknowledged = Arc::new(Mutex::new(acknowledged));
    let stopped = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (served, acknowledged) = (Arc::clone(&served), Arc::clone(&acknowledged));
            let (stopped, done) = (Arc::clone(&stopped), Arc::clone(&done));
            tokio::spawn(async move {
                let mut step = 0;
                while !stopped.load(Ordering::SeqCst)
                    && write(&served, &acknowledged, round, writer, step).await
                {
                    step += 1;
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while done.load(Ordering::SeqCst) < 150 * (round + 1)
        && writers.iter().any(|writer| !writer.is_finished())
    {
        tokio::task::yield_now().await;
    }
    served.signal("KILL");
    stopped.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    drop(served);
    Arc::into_inner(acknowledged).expect("the writers have ended").into_inner()
}

/// One step of one writer; false when the server is gone. A change whose answer did not come is unknown: its key is
/// left out from then on.
async fn write(served: &Served, book: &Mutex<Acknowledged>, round: u64, writer: u64, step: u64) -> bool {
    let key = format!("r{round}-w{writer}-k{}", step % 7);
    let path = format!("/v1/cache/keys/{key}");
    match step % 5 {
        0..=2 => {
            let value = round * 1_000_000 + step;
            book.lock().await.keys.remove(&key);
            let body = json!({"value": value, "ttl": "1d"});
            let put = served.request(Method::PUT, &path).json(&body).send().await;
            let Ok(reply) = put else { return false };
            assert!(reply.status().is_success(), "{}", reply.status());
            book.lock().await.keys.insert(key, Some(value));
        }
        3 => {
            let known = book.lock().await.keys.remove(&key).is_some();
            let Ok(reply) = served.request(Method::DELETE, &path).send().await else { return false };
            assert!(reply.status().is_success(), "{}", reply.status());
            if known {
                book.lock().await.keys.insert(key, None);
            }
        }
        _ => return count_and_revoke(served, book, writer).await,
    }
    true
}

async fn count_and_revoke(served: &Served, book: &Mutex<Acknowledged>, writer: u64) -> bool {
    let incr =
        served.request(Method::POST, "/v1/cache/keys/sum/incr").json(&json!({"ttl": "1d"})).send().await;
    let Ok(reply) = incr else { return false };
    assert_eq!(reply.status(), 200);
    book.lock().await.increments += 1;

    let owner = format!("crash-{writer}");
    let create = json!({"kind": "service", "owner": owner});
    let Ok(reply) = served.request(Method::POST, "/v1/sessions").json(&create).send().await else {
        return false;
    };
    let Ok(made) = reply.json::<serde_json::Value>().await else { return false };
    let token = made["token"].as_str().expect("a token").to_owned();
    if book.lock().await.live.len() < 40 {
        book.lock().await.live.push(token);
        return true;
    }
    let revoke =
        served.request(Method::DELETE, "/v1/sessions/current").header("X-Session-Id", &token).send().await;
    let Ok(reply) = revoke else { return false };
    assert_eq!(reply.status(), 204);
    book.lock().await.revoked.push(token);
    true
}

async fn check(served: &Served, acknowledged: &Acknowledged) {
    for (key, expected) in &acknowledged.keys {
        let reply = served.get(&format!("/v1/cache/keys/{key}")).await;
        match expected {
            Some(value) => assert_eq!(document(reply, 200).await["value"], *value, "{key}"),
            None => assert_eq!(reply.status(), 404, "{key} was deleted and is back"),
        }
    }
    if acknowledged.increments > 0 {
        let sum = document(served.get("/v1/cache/keys/sum").await, 200).await["value"].clone();
        let sum = sum.as_u64().or_else(|| sum.as_str()?.parse().ok()).expect("a counter");
        assert!(sum >= acknowledged.increments, "{sum} of {} increments", acknowledged.increments);
    }
    for (tokens, status) in [(&acknowledged.live, 200), (&acknowledged.revoked, 401)] {
        for token in tokens {
            let whoami = served.request(Method::GET, "/v1/sessions/current").header("X-Session-Id", token);
            assert_eq!(whoami.send().await.expect("an answer").status(), status);
        }
    }
}
