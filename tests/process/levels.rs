//! Levels of use over kill -9: each crossing is one event, one step of a counter and one log line, and
//! none of them again while use goes up and down near a level.

use crate::support::network::subnet;
use crate::support::server::Site;
use crate::support::{eventually, run};
use addrd_client::protocol::message::{
    EventKind, EventObject, Fences, LevelEvent, NetworkCreate, Release, Strategy, Target, Watch,
};
use addrd_client::protocol::{NetworkId, OwnerId, Slot};
use addrd_client::{Change, Changes, Client, plain_allocate};
use std::time::Duration;

const NETWORK: NetworkId = NetworkId::from_u128(0x81);
/// What the log says of a subnet that has reached a level.
const REACHED: &str = "a subnet has reached a level of use";

async fn take(client: &Client, numbers: std::ops::RangeInclusive<u128>) {
    for number in numbers {
        let owner = OwnerId::from_u128(number);
        client.allocate(NETWORK, plain_allocate(owner)).await.expect("an address is free");
    }
}

async fn give_back(client: &Client, numbers: std::ops::RangeInclusive<u128>) {
    for number in numbers {
        let target = Target::Key { owner: OwnerId::from_u128(number), slot: Slot(0) };
        let release = Release { target, fences: Fences::default(), any: false };
        client.release(NETWORK, release).await.expect("it was held");
    }
}

/// Goes up and down by one address, several times.
async fn flap(client: &Client, number: u128) {
    for _ in 0..5 {
        give_back(client, number..=number).await;
        take(client, number..=number).await;
    }
}

async fn next(changes: &mut Changes) -> LevelEvent {
    loop {
        match changes.next().await.expect("the watch goes on") {
            Change::Event(event) => match event.object {
                EventObject::Level(level) => return *level,
                other => panic!("not asked for: {other:?}"),
            },
            Change::UpToDate => {}
        }
    }
}

/// Level, the one before, addresses in use.
fn short(event: LevelEvent) -> (u8, u8, u128) {
    assert_eq!((event.network_id, event.size), (NETWORK, 13));
    (event.level, event.before, event.used)
}

async fn figure(site: &Site, line: &str) {
    let is_there = async || {
        let answer = site.get("/metrics").await.ok()?;
        answer.body.lines().any(|other| other == line).then_some(())
    };
    eventually(line, is_there).await;
}

/// A /28 has 13 addresses to hand out: 7 of them reach 50 %, 11 reach 80 %. 50 % is over at 5, 80 % at 9.
#[test]
fn each_crossing_is_told_once_also_over_kill_9() {
    run(Duration::from_secs(120), async {
        let site = Site::new().with_config("usage_levels = [50, 80]\n");
        let mut server = site.start().await;
        let client = site.client().await;
        client.network_create(NETWORK, NetworkCreate::default()).await.expect("a network");
        let create = subnet(NETWORK, "10.0.0.0/28", Strategy::Lowest);
        client.subnet_create(NETWORK, create).await.expect("a subnet");
        let watch = Watch { kinds: vec![EventKind::Level], ..Watch::default() };
        let mut changes = client.watch(NETWORK, watch).await.expect("a watch begins");
        take(&client, 1..=7).await;
        assert_eq!(short(next(&mut changes).await), (50, 0, 7));
        flap(&client, 7).await;
        server.kill();
        server = site.start().await;
        flap(&client, 7).await;
        take(&client, 8..=11).await;
        assert_eq!(short(next(&mut changes).await), (80, 50, 11), "nothing in between");
        flap(&client, 11).await;
        give_back(&client, 10..=11).await;
        assert_eq!(short(next(&mut changes).await), (50, 80, 9));
        give_back(&client, 6..=9).await;
        assert_eq!(short(next(&mut changes).await), (0, 50, 5));
        take(&client, 6..=7).await;
        assert_eq!(short(next(&mut changes).await), (50, 0, 7));
        assert_eq!(site.log().matches(REACHED).count(), 3, "{}", site.log());
        let reached =
            |level| format!("addrd_usage_level_reached{{of=\"subnet\",level=\"{level}\"}}");
        figure(&site, &format!("{} 1", reached(50))).await;
        figure(&site, &format!("{} 0", reached(80))).await;
        let crossings = |level, direction| {
            let labels = format!("of=\"subnet\",level=\"{level}\",direction=\"{direction}\"");
            format!("addrd_usage_level_crossings_total{{{labels}}} 1")
        };
        // Since the start: once up to 50 and once down, and the same of 80.
        for level in [50, 80] {
            for direction in ["up", "down"] {
                figure(&site, &crossings(level, direction)).await;
            }
        }
        server.stop().await;
        site.check_is_clean();
    });
}
