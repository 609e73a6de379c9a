//! Clients whose certificates are good no more while their connections live: each is told that its access has ended, and
//! those of others go on.

use crate::support::certificates::{Authority, put};
use crate::support::{run, soon};
use crate::tls::{House, WEB, kept, ping};
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::GoAwayReason;
use addrd_client::{Connection, TlsFailure, Transport};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(300);

/// Waits for the end of a connection that is told that its access ended.
async fn ends(connection: &mut Connection<Transport>) {
    let (_, body) = soon("GOAWAY", connection.receive()).await.expect("a last frame");
    match body {
        Ok(ReplyOrFailure::GoAway(goaway)) => {
            assert_eq!(goaway.reason, GoAwayReason::AccessEnded);
        }
        other => panic!("it should have been GOAWAY: {other:?}"),
    }
    soon("the end", connection.receive()).await.expect_err("nothing more");
}

/// Time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "terms of certificates are of the wall clock")]
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is right")
}

fn both(one: &Authority, other: &Authority) -> String {
    format!("{}{}", one.pem(), other.pem())
}

#[test]
fn who_was_let_in_by_a_ca_that_is_struck_is_told_and_others_go_on() {
    run(LIMIT, async {
        let house = House::mutual();
        let other = Authority::new();
        put(&house.files.client_ca, &both(&house.authority, &other));
        let mut server = house.site.start().await;
        let of_other = other.client(WEB);
        let mut struck = kept(&house, &house.authority.tls(Some(&of_other))).await;
        let mut stays = kept(&house, &house.good()).await;

        // Both CAs are read again: nobody's certificate changed.
        server.hang_up();
        house.reaches("addrd_tls_reloads_total{result=\"done\"}", 1.0).await;
        ping(&mut struck, 2).await;

        put(&house.files.client_ca, &house.authority.pem());
        server.hang_up();
        ends(&mut struck).await;
        ping(&mut stays, 2).await;
        house.shows("addrd_connections_ended_total{reason=\"access_ended\"}", 1.0).await;
        let failure = house.failure(Some(house.authority.tls(Some(&of_other)))).await;
        assert!(matches!(failure, TlsFailure::Refused(_)), "{failure}");
        ping(&mut stays, 3).await;
        server.stop().await;
    });
}

#[test]
fn who_was_let_in_by_a_certificate_that_runs_out_is_told_when_it_does() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        // Time enough for a handshake on a machine that is busy.
        let end = wall_clock() + Duration::from_secs(8);
        let short = house.authority.client_until(WEB, end);
        let mut ending = kept(&house, &house.authority.tls(Some(&short))).await;
        let mut stays = kept(&house, &house.good()).await;
        ends(&mut ending).await;
        assert!(wall_clock().as_secs() > end.as_secs(), "a term holds to its last second's end");
        ping(&mut stays, 2).await;
        house.shows("addrd_connections_ended_total{reason=\"access_ended\"}", 1.0).await;
        server.stop().await;
    });
}
