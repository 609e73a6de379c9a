//! Every kind of record as an event, what each project sees of it, and what filters let through.

use super::*;
use crate::model::*;
use addrd_protocol::codec::{ReplyOrFailure, decode_reply_slice, encode_events};
use addrd_protocol::message::{
    AllocationState, Event, EventKind, EventObject, Events, Exclusion, ExclusionMode, FeedPosition,
    Gone, IpAllocation, JobKind, Quotas, Reply, Strategy, SubnetKind, Watch,
};
use bytes::BytesMut;
use uuid::Uuid;

const OWN: ProjectId = ProjectId::from_u128(0xa);
const GUEST: ProjectId = ProjectId::from_u128(0xb);
const STRANGER: ProjectId = ProjectId::from_u128(0xc);
const NETWORK: NetworkHandle = NetworkHandle(1);
const SUBNET: SubnetHandle = SubnetHandle(1);
const POOL: NetworkHandle = NetworkHandle(2);
const SCOPE: NetworkHandle = NetworkHandle(3);
const PROJECT: NetworkHandle = NetworkHandle(4);
const NETWORK_ID: NetworkId = NetworkId::from_u128(0x11);
const SUBNET_ID: SubnetId = SubnetId::from_u128(0x22);
const OWNER: OwnerId = OwnerId::from_u128(0x33);

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn network(shared: bool) -> NetworkRow {
    NetworkRow {
        network: NETWORK,
        revision: Revision(1),
        project: OWN,
        id: NETWORK_ID,
        deleting: false,
        shared,
        name: Some(text("blue")),
        description: None,
        scope_v4: None,
        scope_v6: None,
    }
}

fn subnet(deleting: bool) -> SubnetRow {
    SubnetRow {
        network: NETWORK,
        subnet: SUBNET,
        revision: Revision(2),
        id: SUBNET_ID,
        prefix: "10.0.0.0/24".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Next,
        enable_dhcp: false,
        deleting,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        pool: None,
        service: Default::default(),
        level: 0,
        quarantine_ms: 0,
    }
}

fn pool(shared: bool) -> PoolRow {
    PoolRow {
        handle: POOL,
        revision: Revision(3),
        project: OWN,
        id: PoolId::from_u128(0x44),
        family: Family::V4,
        prefixes: vec!["10.0.0.0/8".parse().unwrap()],
        min_length: 8,
        max_length: 32,
        default_length: 24,
        quota: None,
        scope: None,
        parent: None,
        is_default: false,
        shared,
        name: None,
        description: None,
        level: 0,
    }
}

fn scope(shared: bool) -> ScopeRow {
    ScopeRow {
        handle: SCOPE,
        revision: Revision(4),
        project: OWN,
        id: AddressScopeId::from_u128(0x55),
        family: Family::V4,
        shared,
        name: None,
        description: None,
    }
}

fn place(offset: u128) -> AllocationPlace {
    AllocationPlace { network: NETWORK, subnet: SUBNET, offset, block_bits: 0 }
}

fn allocation(project: Option<ProjectId>, label: Option<&str>) -> AllocationRow {
    let extras = AllocationExtras {
        project,
        label: label.map(text),
        deadline: Some(61_000),
        ..AllocationExtras::default()
    };
    AllocationRow {
        place: place(5),
        revision: Revision(10),
        changed: Revision(10),
        owner: OWNER,
        slot: Slot(2),
        instance: Instance(0),
        state: AllocationState::Allocated,
        moves_cursor: false,
        extras: Some(Box::new(extras)),
    }
}

fn released(project: Option<ProjectId>) -> Effect {
    let held_by = Some(HeldBy { owner: OWNER, slot: Slot(2), project });
    Effect::AllocationGone { place: place(5), revision: Revision(11), held_by }
}

fn converter(shared: bool) -> Converter {
    let mut names = Names::default();
    names.note(&Effect::NetworkPut(Box::new(network(shared))));
    names.note(&Effect::SubnetPut(Box::new(subnet(false))));
    names.note(&Effect::PoolPut(Box::new(pool(shared))));
    names.note(&Effect::ScopePut(Box::new(scope(shared))));
    names.note(&Effect::ProjectPut(Box::new(project())));
    Converter::new(names)
}

fn project() -> ProjectRow {
    ProjectRow {
        handle: PROJECT,
        revision: Revision(5),
        id: GUEST,
        name: None,
        description: None,
        quotas: Quotas::default(),
    }
}

fn page(converter: &mut Converter, effects: &[Effect]) -> Page {
    let mut page = PageBuilder::new(Seq(6), Seq(7));
    for effect in effects {
        let at = Moment { position: Seq(7), tick: Tick(1_000) };
        converter.convert(effect, at, &mut page).unwrap();
    }
    page.finish()
}

/// What a watch gets of a page, through the bytes of a frame.
fn told(page: &Page, filter: &Filter) -> Vec<Event> {
    let (mut items, mut frame) = (BytesMut::new(), BytesMut::new());
    let piece = page.take(filter, 0, (1_000, usize::MAX), &mut items);
    assert_eq!(piece.next, None);
    let resume = FeedPosition { incarnation: Incarnation(1), position: Seq(7) };
    encode_events((9, resume, true), (piece.count, std::iter::once(&items[..])), &mut frame)
        .unwrap();
    match decode_reply_slice(&frame).unwrap().1.unwrap() {
        ReplyOrFailure::Reply(Reply::Events(events)) => {
            let Events { watch: 9, items, .. } = *events else { panic!("another watch") };
            assert!(items.iter().all(|event| event.position == Seq(7) && event.time_ms == 1_000));
            items
        }
        other => panic!("{other:?}"),
    }
}

fn all(project: ProjectId) -> Filter {
    Filter::of(project, None, &Watch::default())
}

fn looking(project: ProjectId) -> Filter {
    let place = Watched { project: OWN, id: NETWORK_ID, is_pool: false };
    Filter::of(project, Some(place), &Watch::default())
}

fn one(page: &Page, filter: &Filter) -> Event {
    let mut events = told(page, filter);
    assert_eq!(events.len(), 1, "{events:?}");
    events.pop().unwrap()
}

fn gone_of(event: Event) -> Gone {
    match event.object {
        EventObject::Gone(gone) => *gone,
        other => panic!("{other:?}"),
    }
}

fn of(converter: &mut Converter, effect: Effect) -> Event {
    one(&page(converter, &[effect]), &all(OWN))
}

#[test]
fn every_kind_of_record_that_puts_something_shows_the_object() {
    let mut at = converter(false);
    let kind = |event: &Event| event.object.kind();
    let event = of(&mut at, Effect::NetworkPut(Box::new(network(false))));
    let EventObject::Network(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.network_id, shown.name.as_deref()), (NETWORK_ID, Some("blue")));
    let event = of(&mut at, Effect::SubnetPut(Box::new(subnet(false))));
    let EventObject::Subnet(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.subnet_id, shown.network_id), (SUBNET_ID, NETWORK_ID));
    let event = of(&mut at, Effect::PoolPut(Box::new(pool(false))));
    assert_eq!(kind(&event), EventKind::Pool);
    let event = of(&mut at, Effect::ScopePut(Box::new(scope(false))));
    assert_eq!(kind(&event), EventKind::Scope);
    let event = of(&mut at, Effect::ProjectPut(Box::new(project())));
    assert_eq!((kind(&event), event.revision), (EventKind::Project, Revision(5)));
    let segment = SegmentRow {
        network: NETWORK,
        revision: Revision(12),
        created: Revision(12),
        id: SegmentId::from_u128(0x66),
        description: None,
    };
    let event = of(&mut at, Effect::SegmentPut(Box::new(segment)));
    assert_eq!((kind(&event), event.revision), (EventKind::Segment, Revision(12)));
    let event = of(&mut at, Effect::HostPut(Box::new(host())));
    let EventObject::Host(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((&*shown.mapping.host, shown.network_id), ("node-7", NETWORK_ID));
    let event = of(&mut at, Effect::PortPut(Box::new(port(None))));
    let EventObject::Port(shown) = &event.object else { panic!("{event:?}") };
    assert!(shown.more && shown.fixed_ips.is_empty(), "its addresses are events of their own");
    let event = of(&mut at, Effect::PinPut(Box::new(pin())));
    let EventObject::Pin(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!(shown.pin.address.to_string(), "10.0.0.9");
    let event = of(&mut at, Effect::JobPut(job()));
    let EventObject::Job(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.done, shown.total), (3, 4));
    let crossed = |at: &mut Converter, effect| one(&page(at, &[effect]), &levels_of(OWN, false));
    let event = crossed(&mut at, Effect::LevelPut(level(Some(SUBNET))));
    let EventObject::Level(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.network_id, shown.subnet_id), (NETWORK_ID, subnet(false).id));
    assert_eq!((shown.subnet_pool_id, shown.project_id), (PoolId::NIL, OWN));
    assert_eq!((shown.level, shown.before, shown.used, shown.size), (80, 0, 8, 10));
    let event = crossed(&mut at, Effect::LevelPut(level(None)));
    let EventObject::Level(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.network_id, shown.subnet_id), (NetworkId::NIL, SubnetId::NIL));
    assert_eq!(shown.subnet_pool_id, pool(false).id);
    let event = of(&mut at, Effect::AllocationPut(allocation(None, Some("app=web"))));
    let EventObject::Allocation(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.address.to_string(), shown.length), ("10.0.0.5".to_owned(), 32));
    assert_eq!((shown.owner, shown.slot, shown.subnet_length), (OWNER, Slot(2), 24));
    assert_eq!((shown.time_left_ms, shown.label.as_deref()), (60_000, Some("app=web")));
}

/// What asks for levels, of everything or of the network.
fn levels_of(project: ProjectId, looks: bool) -> Filter {
    let place = Watched { project: OWN, id: NETWORK_ID, is_pool: false };
    let watch = Watch { kinds: vec![EventKind::Level], ..Watch::default() };
    Filter::of(project, looks.then_some(place), &watch)
}

/// Of the subnet, or of the pool.
fn level(subnet: Option<SubnetHandle>) -> LevelRow {
    let network = if subnet.is_some() { NETWORK } else { POOL };
    LevelRow { network, revision: Revision(30), subnet, level: 80, before: 0, used: 8, size: 10 }
}

fn host() -> HostRow {
    HostRow {
        network: NETWORK,
        created: Revision(13),
        segment: SegmentId::from_u128(0x66),
        host: text("node-7"),
    }
}

fn port(project: Option<ProjectId>) -> PortRow {
    PortRow {
        network: NETWORK,
        revision: Revision(15),
        created: Revision(14),
        id: PortId::from_u128(0x77),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        ip_allocation: IpAllocation::Immediate,
        slots: 1,
        project,
        host: None,
        device_owner: None,
        description: None,
    }
}

fn pin() -> PinRow {
    PinRow {
        network: NETWORK,
        created: Revision(16),
        subnet: SUBNET,
        offset: 9,
        owner: OWNER,
        slot: Slot(0),
        owner_name: None,
    }
}

fn job() -> JobRow {
    JobRow {
        network: NETWORK,
        revision: Revision(17),
        job: JobId(9),
        project: OWN,
        network_id: NETWORK_ID,
        kind: JobKind::SubnetDelete,
        subnet_id: SUBNET_ID,
        finished: false,
        done: 3,
        total: 4,
        cursor: Revision(0),
        until: Revision(0),
    }
}

#[test]
fn every_kind_of_record_that_ends_something_names_what_is_gone() {
    let mut at = converter(false);
    at.pass(&Effect::HostPut(Box::new(host())));
    let ended = |was, created| Effect::ThingGone {
        network: NETWORK,
        revision: Revision(20),
        created: Revision(created),
        was,
    };
    let mut gone = |effect| gone_of(of(&mut at, effect));
    let segment = gone(ended(ThingWas::Segment(SegmentId::from_u128(0x66)), 12));
    assert_eq!((segment.kind, segment.id), (EventKind::Segment, Uuid::from_u128(0x66)));
    let host = gone(ended(ThingWas::Host, 13));
    assert_eq!((host.kind, host.host.as_deref()), (EventKind::Host, Some("node-7")));
    let port = gone(ended(ThingWas::Port { id: PortId::from_u128(0x77), project: None }, 14));
    assert_eq!((port.kind, port.id), (EventKind::Port, Uuid::from_u128(0x77)));
    let pin = ThingWas::Pin { subnet: SUBNET, offset: 9, owner: OWNER, slot: Slot(0) };
    let pin = gone(ended(pin, 16));
    assert_eq!(pin.address.map(|address| address.to_string()), Some("10.0.0.9".to_owned()));
    let free = gone(released(None));
    assert_eq!((free.kind, free.owner, free.slot), (EventKind::Allocation, OWNER, Slot(2)));
    assert_eq!((free.subnet_id, free.length), (SUBNET_ID, 32));
    let revision = Revision(30);
    let subnet = gone(Effect::SubnetGone { network: NETWORK, subnet: SUBNET, revision });
    assert_eq!((subnet.kind, subnet.id), (EventKind::Subnet, SUBNET_ID.0));
    let network = gone(Effect::NetworkGone { network: NETWORK, revision });
    assert_eq!((network.kind, network.id), (EventKind::Network, NETWORK_ID.0));
    for (object, kind) in
        [(POOL, EventKind::Pool), (SCOPE, EventKind::Scope), (PROJECT, EventKind::Project)]
    {
        assert_eq!(gone(Effect::ObjectGone { object, revision }).kind, kind);
    }
    let unnamed = at.convert(
        &Effect::NetworkGone { network: NETWORK, revision },
        Moment { position: Seq(9), tick: Tick(1) },
        &mut PageBuilder::new(Seq(9), Seq(9)),
    );
    assert_eq!(unnamed, Err(Unnamed(NETWORK)), "what is gone is forgotten");
}

#[test]
fn an_exclusion_is_told_as_its_subnet() {
    let mut at = converter(false);
    let range = Range::new("10.0.0.7".parse().unwrap(), "10.0.0.9".parse().unwrap()).unwrap();
    let exclusion = Exclusion { range, mode: ExclusionMode::Everyone, reason: None };
    let row = ExclusionRow { network: NETWORK, subnet: SUBNET, revision: Revision(9), exclusion };
    let shown = |event: Event| match event.object {
        EventObject::Subnet(subnet) => (event.revision, subnet.exclusions.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(of(&mut at, Effect::ExclusionPut(Box::new(row)))), (Revision(9), 1));
    let (network, subnet, revision) = (NETWORK, SUBNET, Revision(10));
    let over = Effect::ExclusionGone { network, subnet, revision, first: 7 };
    assert_eq!(shown(of(&mut at, over)), (Revision(10), 0));
}

#[test]
fn prefixes_of_a_pool_are_told_as_its_allocations() {
    let mut at = converter(false);
    let mut row = allocation(None, None);
    row.place = AllocationPlace {
        network: POOL,
        subnet: SubnetHandle(0),
        offset: 0x0a00_0100,
        block_bits: 8,
    };
    let event = of(&mut at, Effect::AllocationPut(row));
    let EventObject::Allocation(shown) = event.object else { panic!("{:?}", event.object) };
    assert_eq!((shown.address.to_string(), shown.length), ("10.0.1.0".to_owned(), 24));
    assert_eq!(shown.network_id, NetworkId::from_u128(0x44));
}

/// Promise P8 on networks that projects share.
#[test]
fn on_a_shared_network_nobody_sees_whose_things_the_others_are() {
    let mut at = converter(true);
    let guests = page(
        &mut at,
        &[
            Effect::AllocationPut(allocation(Some(GUEST), Some("app=secret"))),
            Effect::PortPut(Box::new(port(Some(GUEST)))),
            released(Some(GUEST)),
        ],
    );
    for filter in [all(STRANGER), looking(STRANGER)] {
        assert_eq!(told(&guests, &filter), [], "a stranger learns nothing");
    }
    let seen = told(&guests, &looking(OWN));
    assert_eq!(seen.len(), 2, "the network's project sees where they are: {seen:?}");
    let EventObject::Allocation(bare) = &seen[0].object else { panic!("{seen:?}") };
    assert_eq!((bare.owner, bare.slot, &bare.label), (OwnerId::NIL, Slot(0), &None));
    assert_eq!((bare.project_id, bare.time_left_ms), (GUEST, 0));
    let gone = gone_of(seen[1].clone());
    assert_eq!((gone.owner, gone.slot, gone.project_id), (OwnerId::NIL, Slot(0), GUEST));
    let owner = Watch { owner: Some(OWNER), ..Watch::default() };
    assert_eq!(told(&guests, &Filter::of(OWN, None, &owner)), [], "nor by asking for the owner");
    let label = Watch { label: Some(text("app=secret")), ..Watch::default() };
    let by_label = told(&guests, &Filter::of(OWN, None, &label));
    assert!(by_label.iter().all(|event| matches!(event.object, EventObject::Gone(_))));
    assert_eq!(told(&guests, &all(GUEST)).len(), 2, "without the port, whose network is not told");
    assert_eq!(told(&guests, &looking(GUEST)).len(), 3);
    let own = page(
        &mut at,
        &[
            Effect::AllocationPut(allocation(None, None)),
            Effect::SubnetPut(Box::new(subnet(false))),
            Effect::PinPut(Box::new(pin())),
            Effect::NetworkPut(Box::new(network(true))),
        ],
    );
    let kinds = |filter: &Filter| -> Vec<EventKind> {
        told(&own, filter).iter().map(|event| event.object.kind()).collect()
    };
    assert_eq!(kinds(&all(GUEST)), [EventKind::Network]);
    assert_eq!(kinds(&looking(GUEST)), [EventKind::Subnet, EventKind::Network]);
    assert_eq!(kinds(&all(OWN)).len(), 4);
    // Who sees a subnet sees how full it is, and of a shared pool likewise.
    let levels = [Some(SUBNET), None].map(|subnet| Effect::LevelPut(level(subnet)));
    let levels = page(&mut at, &levels);
    let filters = [(OWN, false), (OWN, true), (GUEST, false), (GUEST, true)];
    let filters = filters.map(|(project, looks)| levels_of(project, looks));
    assert_eq!(filters.each_ref().map(|filter| told(&levels, filter).len()), [2, 1, 1, 1]);
    let private = page(&mut converter(false), &[Effect::LevelPut(level(Some(SUBNET)))]);
    assert!(filters[2..].iter().all(|filter| told(&private, filter).is_empty()));
    // Clients of the first version know no levels, and ask for no kinds.
    assert_eq!(told(&levels, &all(OWN)), []);
}

#[test]
fn what_ceases_to_be_shared_is_gone_for_the_others() {
    let mut at = converter(true);
    let unshared = page(
        &mut at,
        &[
            Effect::NetworkPut(Box::new(network(false))),
            Effect::PoolPut(Box::new(pool(false))),
            Effect::ScopePut(Box::new(scope(false))),
        ],
    );
    let kinds = [EventKind::Network, EventKind::Pool, EventKind::Scope];
    let gone: Vec<Gone> = told(&unshared, &all(GUEST)).into_iter().map(gone_of).collect();
    assert_eq!(gone.iter().map(|gone| gone.kind).collect::<Vec<_>>(), kinds);
    let own = told(&unshared, &all(OWN));
    assert!(own.len() == 3 && own.iter().all(|e| !matches!(e.object, EventObject::Gone(_))));
    let hidden = page(&mut at, &[Effect::NetworkPut(Box::new(network(false)))]);
    assert_eq!(told(&hidden, &all(GUEST)), []);
}

#[test]
fn filters_let_through_what_was_asked_for() {
    let mut at = converter(false);
    let other = AllocationRow { owner: OwnerId::from_u128(0x99), ..allocation(None, None) };
    let all_of_it = page(
        &mut at,
        &[
            Effect::AllocationPut(allocation(None, Some("tier=a, app=web"))),
            Effect::AllocationPut(other),
            Effect::PortPut(Box::new(port(None))),
            Effect::SubnetPut(Box::new(subnet(false))),
            Effect::PoolPut(Box::new(pool(false))),
            released(None),
        ],
    );
    let count = |watch: Watch| told(&all_of_it, &Filter::of(OWN, None, &watch)).len();
    let any = Watch::default();
    assert_eq!(count(any.clone()), 6);
    assert_eq!(count(Watch { kinds: vec![EventKind::Port, EventKind::Pool], ..any.clone() }), 2);
    assert_eq!(count(Watch { owner: Some(OWNER), ..any.clone() }), 2);
    assert_eq!(count(Watch { owner: Some(OwnerId::from_u128(0x77)), ..any.clone() }), 1);
    assert_eq!(count(Watch { subnet: Some(SUBNET_ID), ..any.clone() }), 4);
    assert_eq!(count(Watch { subnet: Some(SubnetId::from_u128(1)), ..any.clone() }), 0);
    assert_eq!(count(Watch { label: Some(text("app=web")), ..any.clone() }), 2);
    let elsewhere = Watched { project: OWN, id: NetworkId::from_u128(1), is_pool: false };
    assert_eq!(told(&all_of_it, &Filter::of(OWN, Some(elsewhere), &any)), []);
    let pools = Watched { project: OWN, id: NetworkId::NIL, is_pool: true };
    assert_eq!(told(&all_of_it, &Filter::of(OWN, Some(pools), &any)).len(), 1);
}

/// Else whoever asked for a label would keep it for ever.
#[test]
fn who_loses_the_label_is_gone_for_those_who_asked_for_it() {
    let mut at = converter(false);
    let filter = |label: &str| {
        let watch = Watch { label: Some(text(label)), ..Watch::default() };
        Filter::of(OWN, None, &watch)
    };
    let mut changed = allocation(None, Some("app=db"));
    changed.changed = Revision(12);
    let page = page(&mut at, &[Effect::AllocationPut(changed)]);
    assert_eq!(gone_of(one(&page, &filter("app=web"))).owner, OWNER);
    assert!(matches!(one(&page, &filter("app=db")).object, EventObject::Allocation(_)));
}

/// Decision 0025: whoever follows learns at the release that the owner has it no more, and nothing later.
/// An allocation that another owner has from now on, of the former project or another one.
fn transferred(from: Option<ProjectId>, to: Option<ProjectId>) -> Effect {
    let mut row = allocation(to, Some("app=web"));
    (row.owner, row.slot) = (OwnerId::from_u128(0x99), Slot(0));
    (row.revision, row.changed) = (Revision(20), Revision(20));
    let former = HeldBy { owner: OWNER, slot: Slot(2), project: from };
    row.extras.get_or_insert_default().former = Some(Box::new(former));
    Effect::AllocationPut(row)
}

#[test]
fn what_is_transferred_is_gone_for_those_who_follow_its_former_owner() {
    let mut at = converter(true);
    let by = |owner| {
        let watch = Watch { owner: Some(owner), ..Watch::default() };
        Filter::of(OWN, None, &watch)
    };
    let page = page(&mut at, &[transferred(None, None)]);
    let event = one(&page, &all(OWN));
    let EventObject::Allocation(shown) = &event.object else { panic!("{event:?}") };
    assert_eq!((shown.owner, shown.revision), (OwnerId::from_u128(0x99), Revision(20)));
    let gone = gone_of(one(&page, &by(OWNER)));
    assert_eq!((gone.owner, gone.slot), (OWNER, Slot(2)));
    assert_eq!(gone.address.map(|at| at.to_string()).as_deref(), Some("10.0.0.5"));
    let event = one(&page, &by(OwnerId::from_u128(0x99)));
    assert_eq!(event.object.kind(), EventKind::Allocation);
    assert_eq!(told(&page, &by(OwnerId::from_u128(0x77))), []);
}

#[test]
fn what_goes_to_another_project_is_gone_for_the_former_one() {
    let is_put = |event: &Event| matches!(event.object, EventObject::Allocation(_));
    let owner_of = |event: &Event| match &event.object {
        EventObject::Allocation(shown) => shown.owner,
        EventObject::Gone(gone) => gone.owner,
        other => panic!("{other:?}"),
    };
    let new = OwnerId::from_u128(0x99);
    let mut at = converter(true);
    // From one guest to another: the network's own project sees where it is, and nobody's name.
    let page_of = page(&mut at, &[transferred(Some(GUEST), Some(STRANGER))]);
    let [own, guest, stranger] =
        [OWN, GUEST, STRANGER].map(|project| one(&page_of, &looking(project)));
    assert_eq!((is_put(&own), owner_of(&own)), (true, OwnerId::NIL));
    assert_eq!((is_put(&guest), owner_of(&guest)), (false, OWNER));
    assert_eq!((is_put(&stranger), owner_of(&stranger)), (true, new));
    // From the network's own project to a guest.
    let page_of = page(&mut at, &[transferred(None, Some(GUEST))]);
    let [own, guest] = [OWN, GUEST].map(|project| one(&page_of, &looking(project)));
    assert_eq!((is_put(&own), owner_of(&own)), (true, OwnerId::NIL));
    assert_eq!((is_put(&guest), owner_of(&guest)), (true, new));
    assert_eq!(told(&page_of, &looking(STRANGER)), []);
    for watch in [
        Watch { owner: Some(OWNER), ..Watch::default() },
        Watch { label: Some(text("app=web")), ..Watch::default() },
    ] {
        let gone = gone_of(one(&page_of, &Filter::of(OWN, None, &watch)));
        assert_eq!((gone.owner, gone.project_id), (OWNER, OWN));
    }
    // And back.
    let page_of = page(&mut at, &[transferred(Some(GUEST), None)]);
    let [own, guest] = [OWN, GUEST].map(|project| one(&page_of, &looking(project)));
    assert_eq!((is_put(&own), owner_of(&own)), (true, new));
    assert_eq!((is_put(&guest), owner_of(&guest)), (false, OWNER));
}

#[test]
fn a_rest_is_told_when_it_begins_and_not_when_it_ends() {
    let held = allocation(None, Some("app=web"));
    let rest = AllocationRow {
        changed: Revision(12),
        state: AllocationState::Quarantined,
        extras: Some(Box::new(AllocationExtras {
            quarantine_end: Some(31_000),
            ..AllocationExtras::default()
        })),
        ..held.clone()
    };
    let ended = Effect::AllocationGone { place: place(5), revision: Revision(13), held_by: None };
    let rests = page(
        &mut converter(false),
        &[Effect::AllocationPut(held), Effect::AllocationPut(rest), ended],
    );
    let seen = told(&rests, &all(OWN));
    assert_eq!(seen.len(), 2, "{seen:?}");
    let EventObject::Allocation(resting) = &seen[1].object else { panic!("{seen:?}") };
    assert_eq!((resting.state, seen[1].revision), (AllocationState::Quarantined, Revision(12)));
    assert_eq!((&resting.label, resting.time_left_ms > 0), (&None, true));
    let labelled = Watch { label: Some(text("app=web")), ..Watch::default() };
    let by_label = told(&rests, &Filter::of(OWN, None, &labelled));
    assert_eq!(by_label.len(), 2, "what rests has no label: {by_label:?}");
    assert_eq!(gone_of(by_label[1].clone()).owner, OWNER);
}

#[test]
fn a_forced_deletion_is_one_event_unless_singles_are_asked_for() {
    let mut at = converter(false);
    at.pass(&Effect::SubnetPut(Box::new(subnet(true))));
    let (network, subnet, revision) = (NETWORK, SUBNET, Revision(30));
    let deleted =
        page(&mut at, &[released(None), Effect::SubnetGone { network, subnet, revision }]);
    assert_eq!(gone_of(one(&deleted, &all(OWN))).kind, EventKind::Subnet);
    let singles = Watch { singles: true, ..Watch::default() };
    assert_eq!(told(&deleted, &Filter::of(OWN, None, &singles)).len(), 2);
    let mine = Watch { owner: Some(OWNER), label: Some(text("x")), ..Watch::default() };
    let ends = told(&deleted, &Filter::of(OWN, None, &mine));
    assert_eq!(ends.len(), 1, "whoever asks for an owner learns that the subnet took it along");
}

#[test]
fn a_page_is_taken_in_pieces_of_any_size() {
    let mut at = converter(false);
    let many: Vec<Effect> = (1..200)
        .map(|offset| {
            Effect::AllocationPut(AllocationRow { place: place(offset), ..allocation(None, None) })
        })
        .collect();
    let page = page(&mut at, &many);
    for (count_max, bytes_max) in [(1, usize::MAX), (1_000, 1), (7, 900), (1_000, 5_000)] {
        let (mut from, mut count) = (Some(0), 0);
        while let Some(at) = from {
            let mut out = BytesMut::new();
            let piece = page.take(&all(OWN), at, (count_max, bytes_max), &mut out);
            assert!(piece.count <= count_max && (piece.count == 1 || out.len() <= bytes_max));
            count += piece.count;
            from = piece.next;
        }
        assert_eq!(count, 199);
    }
}

/// Principals come and go without a word, and without losing the place of those who watch.
#[test]
fn nobody_is_told_of_principals() {
    let row = PrincipalRow {
        handle: NetworkHandle(77),
        revision: Revision(1),
        id: PrincipalId::from_u128(1),
        disabled: false,
        name: None,
        description: None,
        grants: Vec::new(),
        certificate_names: Vec::new(),
        unix_users: Vec::new(),
        tokens: Vec::new(),
    };
    let put = Effect::PrincipalPut(Box::new(row));
    let gone = Effect::ObjectGone { object: NetworkHandle(77), revision: Revision(2) };
    assert_eq!(page(&mut converter(false), &[put.clone(), put, gone]).count(), 0);
}
