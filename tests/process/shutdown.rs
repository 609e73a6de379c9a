//! SIGTERM under load: what was read is answered, what was not is told by GOAWAY's last request
//! id and was not applied, the exit code is 0, and the next start has everything and nothing to
//! replay.

use crate::support::line::{Line, hello_of};
use crate::support::network::{held, network};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{eventually, run, say, soon};
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{GoAwayReason, Reply, Request};
use addrd_client::protocol::{NetworkId, OwnerId, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(300);
/// Connections under load.
const LINES: u64 = 32;
/// Requests that each keeps in flight.
const IN_FLIGHT: usize = 64;
/// Times that the server is stopped.
const ROUNDS: u64 = 5;

/// What became of one connection's requests.
#[derive(Debug, Default)]
struct Fate {
    /// Owner by request id, everything that was sent.
    sent: BTreeMap<u64, OwnerId>,
    /// Request ids that were answered with an address.
    done: BTreeSet<u64>,
    /// Request ids that were answered in another way.
    refused: BTreeSet<u64>,
    /// What GOAWAY said.
    last_request_id: Option<u64>,
}

#[test]
fn sigterm_answers_what_was_read_and_applies_nothing_else() {
    run(LIMIT, async {
        let mut choices = Choices::of_test("shutdown");
        let site = Site::new();
        let mut server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/10"]).await;
        let mut expected = BTreeSet::new();
        for round in 0..ROUNDS {
            let answers = Arc::new(Mutex::new(0_u64));
            let mut lines = JoinSet::new();
            for number in 0..LINES {
                let session = SessionId::from_u128(choices.id());
                let hello = hello_of(session, 1);
                let line = Line::open(site.listen(), &hello).await.expect("a line");
                let owners = u128::from(round * LINES + number + 1) << 64;
                lines.spawn(press(line, network, owners, Arc::clone(&answers)));
            }
            let wanted = choices.below(500..5_000);
            eventually("answers", async || {
                (*answers.lock().unwrap_or_else(PoisonError::into_inner) > wanted).then_some(())
            })
            .await;
            server.terminate();
            let mut fates = Vec::new();
            while let Some(fate) = soon("a connection to end", lines.join_next()).await {
                fates.push(fate.expect("a connection ends in order"));
            }
            let status = server.ended().await;
            assert_eq!(status.code(), Some(0), "{status}");
            for fate in fates {
                expected.extend(judge(&fate));
            }
            site.check_is_clean();
            server = site.start().await;
            must_start_folded(&site).await;
            let client = site.client().await;
            let found: BTreeSet<OwnerId> =
                held(&client, network).await.keys().map(|key| key.owner).collect();
            let lost: Vec<_> = expected.difference(&found).take(5).collect();
            let extra: Vec<_> = found.difference(&expected).take(5).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            assert!(extra.is_empty(), "not answered and applied: {extra:?}");
        }
        say(&format!("{} addresses over {ROUNDS} stops", expected.len()));
        server.stop().await;
    });
}

/// Allocates for ever new owners, many in flight, until the server goes away.
async fn press(mut line: Line, network: NetworkId, owners: u128, answers: Arc<Mutex<u64>>) -> Fate {
    let mut fate = Fate::default();
    let mut in_flight = 0;
    loop {
        while in_flight < IN_FLIGHT && line.goaway.is_none() {
            let owner = OwnerId::from_u128(owners + fate.sent.len() as u128 + 1);
            let id = line.queue(network, &Request::Allocate(plain_allocate(owner)));
            fate.sent.insert(id, owner);
            in_flight += 1;
        }
        // A server that went away may not take it any more; its replies and GOAWAY are still there.
        let _ = line.flush().await;
        let next = line.next().await;
        let Ok((header, answer)) = next else {
            fate.last_request_id = line.goaway.map(|goaway| {
                assert_eq!(goaway.reason, GoAwayReason::Shutdown);
                goaway.last_request_id
            });
            return fate;
        };
        in_flight -= 1;
        *answers.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        match answer {
            Ok(Reply::Allocated(_)) => fate.done.insert(header.request_id),
            Ok(other) => panic!("{other:?}"),
            Err(_) => fate.refused.insert(header.request_id),
        };
    }
}

/// Checks one connection and returns the owners that must hold something.
fn judge(fate: &Fate) -> Vec<OwnerId> {
    let last = fate.last_request_id.expect("a stopping server says GOAWAY");
    for id in fate.sent.keys() {
        let answered = fate.done.contains(id) || fate.refused.contains(id);
        assert_eq!(answered, *id <= last, "request {id}, GOAWAY says {last}");
    }
    fate.done.iter().map(|id| fate.sent[id]).collect()
}

/// Nothing is left to replay behind the folded state.
async fn must_start_folded(site: &Site) {
    let status = site.client().await.server_status().await.expect("a status");
    assert_eq!(status.folded, status.position, "{status:?}");
    assert_eq!(status.state.as_str(), "ready");
}

#[test]
fn sigterm_of_an_idle_server_ends_it_and_its_port_can_be_used_again() {
    run(LIMIT, async {
        let site = Site::new();
        for _ in 0..3 {
            let server = site.start().await;
            let client = site.client().await;
            server.stop().await;
            drop(client);
        }
        site.check_is_clean();
    });
}

#[test]
fn sigterm_before_it_is_ready_ends_it_without_harm() {
    run(LIMIT, async {
        let mut choices = Choices::of_test("early");
        let site = Site::new();
        for _ in 0..10 {
            let mut server = site.spawn();
            tokio::time::sleep(Duration::from_micros(choices.below(0..80_000))).await;
            server.terminate();
            let status = server.ended().await;
            // Before its handler is in place the signal ends it as it ends every process.
            let by_signal = std::os::unix::process::ExitStatusExt::signal(&status) == Some(15);
            assert!(status.success() || by_signal, "{status}");
        }
        site.start().await.stop().await;
        site.check_is_clean();
    });
}
