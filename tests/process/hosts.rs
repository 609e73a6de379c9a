//! Host leases over kill -9: what follows a host that stops renewing ends, all of it and once, and a host that
//! renews loses nothing, whatever the server goes through.

use crate::support::network::{network, text};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{eventually, run, say, scale};
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, HostLeaseList, OnEnd, RenewHost, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Slot};
use addrd_client::{Client, plain_allocate};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Usable addresses of the network.
const SIZE: u128 = 61;
/// Hosts that stop renewing, and what each of them has.
const HOSTS: u64 = 4;
const OF_HOST: u64 = 10;
/// What the host has that goes on.
const KEPT: u64 = 9;
/// Lease of hosts that stop, ms, and of the one that goes on: longer than a start takes on a slow machine.
const SHORT_MS: u64 = 1_500;
const LONG_MS: u64 = 60_000;

fn renewal(host: &str, lease_ms: u64, begin: u64) -> RenewHost {
    let (manager, host) = (text("cni"), text(host));
    RenewHost { manager, host, lease_ms, on_end: OnEnd::Release, begin, life: 0 }
}

fn follower(owner: OwnerId, host: &str) -> Allocate {
    let extras = AllocateExtras {
        manager: Some(text("cni")),
        host: Some(text(host)),
        follow_host: true,
        ..AllocateExtras::default()
    };
    Allocate { extras: Some(Box::new(extras)), ..plain_allocate(owner) }
}

fn owner(host: u64, number: u64) -> OwnerId {
    OwnerId::from_u128(u128::from(1 + host * 1_000 + number))
}

/// Takes an address for each of so many owners of a host; what they have.
async fn take(client: &Client, network: NetworkId, host: u64, count: u64) -> Vec<IpAddr> {
    let mut taken = Vec::new();
    for number in 0..count {
        let request = follower(owner(host, number), &format!("n{host}"));
        let allocated = client.allocate(network, request).await.expect("there is room");
        taken.push(allocated.first.address);
    }
    taken
}

#[test]
fn what_follows_a_host_ends_with_it_and_with_nothing_else_through_kill_9() {
    let rounds = scale("ADDRD_ROUNDS", 4);
    run(Duration::from_secs(120 + 60 * rounds), async {
        let mut choices = Choices::of_test("hosts");
        // Downtime counts: else nothing would end between two kills.
        let site = Site::new().with_config("restart_grace = \"0s\"\n");
        let mut server = site.start().await;
        let client = site.client().await;
        let network = network(&client, 1, &["10.0.0.0/26"]).await;
        client.renew_host(renewal("n0", LONG_MS, 1)).await.expect("it begins");
        let kept = take(&client, network, 0, KEPT).await;
        let mut ended = 0;
        for round in 1..=rounds {
            for host in 1..=HOSTS {
                let begun = client.renew_host(renewal(&format!("n{host}"), LONG_MS, 2 * round));
                assert_eq!(begun.await.expect("it begins").following, 0, "round {round}");
            }
            let mut held: BTreeSet<IpAddr> = kept.iter().copied().collect();
            for host in 1..=HOSTS {
                for address in take(&client, network, host, OF_HOST).await {
                    assert!(held.insert(address), "round {round}: {address} is held twice");
                }
            }
            // The last time that they say something.
            for host in 1..=HOSTS {
                let last = client.renew_host(renewal(&format!("n{host}"), SHORT_MS, 0));
                assert_eq!(last.await.expect("it goes on").following, OF_HOST);
            }
            tokio::time::sleep(Duration::from_millis(choices.below(0..2 * SHORT_MS))).await;
            server.kill();
            server = site.start().await;
            let all = async || {
                // The connection may have been lost with the server.
                let renewed = client.renew_host(renewal("n0", LONG_MS, 0)).await.ok()?;
                assert_eq!(renewed.following, KEPT, "round {round}");
                let usage = client.usage(network, None).await.ok()?;
                (usage.subnets[0].free == SIZE - u128::from(KEPT)).then_some(())
            };
            eventually("what followed to be released", all).await;
            ended += HOSTS * OF_HOST;
            for host in 1..=HOSTS {
                let late = client.renew_host(renewal(&format!("n{host}"), SHORT_MS, 0)).await;
                assert!(late.is_err(), "round {round}: its lease is over");
            }
        }
        for (number, address) in (0..).zip(&kept) {
            let target = Target::Key { owner: owner(0, number), slot: Slot(0) };
            let held = client.allocation_get(network, target).await.expect("it is held");
            assert_eq!(held.address, *address, "who renews loses nothing");
        }
        let list = HostLeaseList { manager: text("cni"), limit: 0, after: None };
        let leases = client.host_leases(list).await.expect("they are listed");
        let names: Vec<_> = leases.iter().map(|lease| lease.host.as_str()).collect();
        assert_eq!(names, ["n0"]);
        say(&format!("{ended} allocations ended with their hosts in {rounds} rounds"));
        server.stop().await;
        site.check_is_clean();
    });
}
