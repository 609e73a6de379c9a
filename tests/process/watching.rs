//! The change feed over real sockets: list, then watch, ends with the exact state, also through kill -9
//! and starts; a client that doesn't read is told where to go on, and misses nothing; projects on a
//! shared network learn nothing of each other.

use crate::support::network::{subnet, text};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{eventually, run, scale};
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, Allocation, AllocationFilter, AllocationUpdate, Batch, BatchItem,
    BatchMode, EventObject, FeedPosition, Fences, NetworkCreate, ProjectCreate, Release, Reply,
    Request, RequestHeader, Strategy, Target, Watch, WatchEndReason,
};
use addrd_client::protocol::{
    NetworkId, Opcode, OwnerId, ProjectId, Retry, Revision, Setting, Slot, Status, Text,
};
use addrd_client::{Change, Changes, Client, Connection, Endpoint, plain_allocate, plain_hello};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0x71);
const CLIENTS: u64 = 4;
/// Owners of each client: fewer than there are addresses, so that all of them come and go.
const OWNERS: u64 = 40;

/// What a watcher knows of an address: the holder, the fence, the label, the revision of the event.
type Known = BTreeMap<IpAddr, (OwnerId, Revision, Option<Text>)>;

fn owner(number: u64) -> OwnerId {
    OwnerId::from_u128(0x1000 + u128::from(number))
}

async fn make_network(client: &Client, shared: bool, cidr: &str) {
    let create = NetworkCreate { shared, ..NetworkCreate::default() };
    client.network_create(NETWORK, create).await.expect("a network is made");
    let subnet = subnet(NETWORK, cidr, Strategy::Random);
    client.subnet_create(NETWORK, subnet).await.expect("a subnet is made");
}

/// The whole list, and from where to watch.
async fn list(client: &Client) -> (Known, FeedPosition) {
    let mut listed = client.allocations(NETWORK, AllocationFilter::default()).page_objects(16);
    let all = listed.collect().await.expect("a list");
    let known = all.into_iter().map(|held| (held.address, told(held))).collect();
    (known, listed.position().expect("a list has a position"))
}

fn told(held: Allocation) -> (OwnerId, Revision, Option<Text>) {
    (held.owner, held.revision, held.label)
}

fn apply(known: &mut Known, object: EventObject) {
    match object {
        EventObject::Allocation(held) => {
            known.insert(held.address, told(*held));
        }
        EventObject::Gone(gone) => {
            known.remove(&gone.address.expect("only allocations are asked for"));
        }
        other => panic!("not asked for: {other:?}"),
    }
}

/// Takes, labels and lets go at random, whatever the server answers, until it is told to end.
async fn churn(client: Client, number: u64, mut choices: Choices, count: Arc<Mutex<Option<u64>>>) {
    while count.lock().unwrap().is_some() {
        let key = owner(number * OWNERS + choices.below(0..OWNERS));
        let target = Target::Key { owner: key, slot: Slot(0) };
        let done = match choices.below(0..5) {
            0 | 1 => client.allocate(NETWORK, plain_allocate(key)).await.is_ok(),
            2 => {
                let label = Setting::Value(text(&format!("turn={}", choices.below(0..9))));
                let update = AllocationUpdate {
                    target,
                    fences: Fences::default(),
                    label,
                    host: Setting::Unset,
                    manager_name: Setting::Unset,
                    owner_name: Setting::Unset,
                    lease_ms: Setting::Unset,
                    follow_host: None,
                };
                client.allocation_update(NETWORK, update).await.is_ok()
            }
            _ => {
                let release = Release { target, fences: Fences::default(), any: false };
                client.release(NETWORK, release).await.is_ok()
            }
        };
        if let Some(count) = &mut *count.lock().unwrap() {
            *count += u64::from(done);
        }
    }
}

/// A list and a watch from its position.
async fn begin(client: &Client) -> (Known, Changes) {
    loop {
        let (known, from) = list(client).await;
        let watch = Watch {
            from: Some(from),
            kinds: vec![addrd_client::protocol::message::EventKind::Allocation],
            ..Watch::default()
        };
        match client.watch(NETWORK, watch).await {
            Ok(changes) => return (known, changes),
            // A fold was faster than the list; from now on the feed keeps what comes.
            Err(error) if error.is(Status::RELIST) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn list_then_watch_ends_with_the_exact_state_through_kill_9() {
    let rounds = scale("ADDRD_ROUNDS", 20) / 4;
    run(Duration::from_secs(120 + 30 * rounds), async {
        let mut choices = Choices::of_test("watching");
        let site = Site::new().with_config("workers = 2\njournal_records_max = 262144\n");
        let mut server = site.start().await;
        make_network(&site.client().await, false, "10.0.0.0/24").await;
        let count = Arc::new(Mutex::new(Some(0)));
        let mut work = JoinSet::new();
        for number in 0..CLIENTS {
            let client = site.client().await;
            work.spawn(churn(client, number, choices.fork(), Arc::clone(&count)));
        }
        let enough = async |more: u64| {
            let done = || count.lock().unwrap().unwrap_or_default();
            let target = done() + more;
            let is_there = async || (done() >= target).then_some(());
            eventually("enough changes", is_there).await;
        };
        enough(200).await;
        let client = site.client().await;
        let (mut known, mut changes) = begin(&client).await;
        let (mut events, mut relists) = (0, 0);
        for _ in 0..rounds {
            // Some are read before the kill, some behind it.
            for _ in 0..choices.below(1..200) {
                match changes.next().await {
                    Ok(Change::Event(event)) => {
                        events += 1;
                        apply(&mut known, event.object);
                    }
                    Ok(Change::UpToDate) => {}
                    Err(error) if error.is(Status::RELIST) => {
                        relists += 1;
                        (known, changes) = begin(&client).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            enough(choices.below(20..400)).await;
            server.kill();
            server = site.start().await;
        }
        *count.lock().unwrap() = None;
        while let Some(done) = work.join_next().await {
            done.expect("a client doesn't panic");
        }
        // Nothing changes any more: behind this position there is nothing.
        let (truth, end) = list(&client).await;
        while changes.position().is_none_or(|at| at.position < end.position) {
            match changes.next().await {
                Ok(Change::Event(event)) => {
                    events += 1;
                    apply(&mut known, event.object);
                }
                Ok(Change::UpToDate) => {}
                Err(error) if error.is(Status::RELIST) => {
                    relists += 1;
                    (known, changes) = begin(&client).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(known, truth, "after {events} events and {relists} lists");
        assert!(events > 100, "{events} events");
        server.stop().await;
        site.check_is_clean();
    });
}

fn header(opcode: Opcode, request_id: u64) -> RequestHeader {
    RequestHeader {
        opcode,
        request_id,
        timeout_ms: 0,
        project: ProjectId::DEFAULT,
        network: NETWORK,
        pool: false,
        network_project: None,
        restoring: false,
    }
}

/// Allocates for these owners, a frame of 1,024 at a time.
async fn allocate_many(client: &Client, owners: std::ops::Range<u64>) {
    let owners: Vec<u64> = owners.collect();
    for part in owners.chunks(1_024) {
        let item = |number: &u64| {
            let extras =
                AllocateExtras { label: Some(text(&"x".repeat(200))), ..Default::default() };
            let plain = plain_allocate(owner(*number));
            BatchItem::Allocate(Allocate { extras: Some(Box::new(extras)), ..plain })
        };
        let items: Vec<BatchItem> = part.iter().map(item).collect();
        // Where the fold is slow the journal is full at times.
        loop {
            let batch = Batch { mode: BatchMode::Independent, items: items.clone() };
            match client.batch(NETWORK, batch).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error.retry(), Retry::Later, "{error}"),
            }
        }
    }
}

#[test]
fn who_reads_too_slowly_is_told_where_to_go_on_and_misses_nothing() {
    const MOST: u64 = 400_000;
    run(Duration::from_secs(300), async {
        let site = Site::new().with_config("journal_records_max = 1048576\n");
        let server = site.start().await;
        let client = site.client().await;
        make_network(&client, false, "10.0.0.0/12").await;
        let place: Endpoint = site.listen().to_string().parse().expect("an address");
        let stream = place.open().await.expect("the server listens");
        let mut slow = Connection::hello(stream, &plain_hello()).await.expect("a greeting");
        let watch = |from| Request::Watch(Box::new(Watch { from, ..Watch::default() }));
        slow.queue(&header(Opcode::WATCH, 7), &watch(None)).expect("it fits");
        slow.flush().await.expect("it is sent");
        let dropped = async || {
            let figures = site.figures().await;
            figures.get("addrd_watches_dropped_total").is_some_and(|count| count > 0.0)
        };
        let mut made = 0;
        while !dropped().await {
            assert!(made < MOST, "{made} events, and it is still waited for");
            allocate_many(&client, made..made + 16_384).await;
            made += 16_384;
        }
        // Now it reads: what was sent, the end, and from there on the rest.
        let (mut seen, mut watched, mut resumes) = (0, 7, 0);
        while seen < made {
            let (_, body) = slow.receive().await.expect("a frame");
            match body.expect("a frame that can be read") {
                ReplyOrFailure::Reply(Reply::Events(events)) => {
                    for event in events.items {
                        let EventObject::Allocation(held) = event.object else { panic!() };
                        assert_eq!(held.owner, owner(seen), "one is missing, doubled or early");
                        seen += 1;
                    }
                }
                ReplyOrFailure::Reply(Reply::WatchEnd(end)) => {
                    assert_eq!((end.watch, end.reason), (watched, WatchEndReason::Slow));
                    watched += 1;
                    resumes += 1;
                    let again = watch(Some(end.resume));
                    slow.queue(&header(Opcode::WATCH, watched), &again).expect("it fits");
                    slow.flush().await.expect("it is sent");
                    // What stands behind a frame that ends inside a batch is told again.
                    seen -= seen % 1_024;
                }
                ReplyOrFailure::Reply(Reply::Watching(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(resumes > 0);
        server.stop().await;
        site.check_is_clean();
    });
}

#[test]
fn projects_on_a_shared_network_learn_nothing_of_each_other() {
    const OWN: ProjectId = ProjectId::from_u128(0x0a);
    const GUEST: ProjectId = ProjectId::from_u128(0x0b);
    const STRANGER: ProjectId = ProjectId::from_u128(0x0c);
    run(Duration::from_secs(120), async {
        let site = Site::new();
        let server = site.start().await;
        let client = site.client().await;
        for project in [OWN, GUEST, STRANGER] {
            let create = ProjectCreate::default();
            client.in_project(project).project_create(create).await.expect("a project");
        }
        make_network(&client.in_project(OWN), true, "10.0.0.0/24").await;
        let of = |project| client.in_project(project).on_networks_of(OWN);
        let mut watches = Vec::new();
        for project in [OWN, GUEST, STRANGER] {
            let everything = of(project).watch(NetworkId::NIL, Watch::default()).await;
            let network = of(project).watch(NETWORK, Watch::default()).await;
            watches.extend([everything.expect("a watch"), network.expect("a watch")]);
        }
        let allocated = of(GUEST).allocate(NETWORK, plain_allocate(owner(1))).await;
        let address = allocated.expect("an address").first.address;
        let target = Target::Key { owner: owner(1), slot: Slot(0) };
        let release = Release { target, fences: Fences::default(), any: false };
        of(GUEST).release(NETWORK, release).await.expect("it is released");
        // Something behind it, so that every watch has passed it.
        of(OWN).allocate(NETWORK, plain_allocate(owner(2))).await.expect("an address");
        let (_, end) = list(&of(OWN)).await;
        for (at, changes) in watches.iter_mut().enumerate() {
            let mut seen = Vec::new();
            while changes.position().is_none_or(|reached| reached.position < end.position) {
                if let Change::Event(event) = changes.next().await.expect("it goes on") {
                    seen.push(event.object);
                }
            }
            let about: Vec<&EventObject> = seen
                .iter()
                .filter(|object| match object {
                    EventObject::Allocation(held) => held.address == address,
                    EventObject::Gone(gone) => gone.address == Some(address),
                    _ => false,
                })
                .collect();
            for object in &about {
                let shown = match object {
                    EventObject::Allocation(held) => held.owner,
                    EventObject::Gone(gone) => gone.owner,
                    _ => OwnerId::NIL,
                };
                let wanted = if at / 2 == 1 { owner(1) } else { OwnerId::NIL };
                assert_eq!(shown, wanted, "watch {at}: {object:?}");
            }
            assert_eq!(about.is_empty(), at / 2 == 2, "watch {at}: {seen:?}");
        }
        server.stop().await;
        site.check_is_clean();
    });
}
