//! T3: kill -9 of the real binary under 64 clients, again and again over the same data. After
//! each start everything that was acknowledged is there, nothing that was not sent is, and a
//! request without reply is in once or not at all; over the whole history no address was held
//! twice. This proves nothing about fsync: the page cache survives a kill.

use crate::support::crowd::{Crowd, is_cut};
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::workload::make_networks;
use crate::support::{eventually, run, scale};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 64;

#[test]
fn kill_9_under_load_loses_nothing_and_doubles_nothing() {
    let rounds = scale("ADDRD_ROUNDS", 20);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("crash");
        // Downtime counts: else nothing would end between two kills. The rest is as of --dev.
        let config = "restart_grace = \"0s\"\njournal_records_max = 262144\nhistory_days = 30\n\
            history_bytes = \"256MiB\"\n";
        let site = Site::new().with_config(config);
        let mut server = site.start().await;
        make_networks(&site.client().await).await;
        let mut crowd = Crowd::new(CLIENTS, &mut choices);
        for _ in 0..rounds {
            let work = crowd.set_out(&site);
            let target = crowd.run.answers() + choices.below(100..4_000);
            eventually("enough answers", async || (crowd.run.answers() >= target).then_some(()))
                .await;
            linger(&mut choices, 3_000);
            server.kill();
            for end in crowd.come_home(work).await {
                assert!(is_cut(&end), "a client stopped before the kill: {end:?}");
            }
            server = restart(&site, &mut choices).await;
            crowd.compare_with_lists(&site).await;
        }
        crowd.see_ends(&site).await;
        crowd.compare_with_lists(&site).await;
        server.stop().await;
        crowd.check_history();
        let figures = crowd.figures();
        let seen = [figures.renewed, figures.ended, figures.confirmed, figures.cancelled];
        let seen = seen.into_iter().chain([figures.released, figures.hosts]);
        assert!(rounds < 20 || seen.min() > Some(rounds), "too little was seen: {figures:?}");
        assert!(rounds < 20 || figures.late > 0, "nothing was confirmed late: {figures:?}");
        site.check_is_clean();
    });
}

/// Starts again; sometimes the start is killed as well, up to three times.
async fn restart<'a>(site: &'a Site, choices: &mut Choices) -> Server<'a> {
    for _ in 0..3 {
        if choices.one_in(2) {
            break;
        }
        let server = site.spawn();
        linger(choices, 60_000);
        server.kill();
    }
    site.start().await
}

/// A random time: where the kill falls is what varies.
fn linger(choices: &mut Choices, most_us: u64) {
    let until = Instant::now() + Duration::from_micros(choices.below(0..most_us));
    while Instant::now() < until {
        std::thread::yield_now();
    }
}
