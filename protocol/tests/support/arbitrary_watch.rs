//! Watches, events and their end, made from bytes.

use super::{Made, Source};
use addrd_protocol::message::watch::EVENTS_MAX;
use addrd_protocol::message::*;
use addrd_protocol::*;

fn kinds(s: &mut Source) -> Vec<EventKind> {
    let mask = s.make::<u16>();
    EventKind::ALL.into_iter().filter(|kind| mask & kind.bit() != 0).collect()
}

/// What only some kinds have is made for all: the layout doesn't ask.
fn gone(s: &mut Source, kind: EventKind) -> Gone {
    let address: Option<std::net::IpAddr> = s.make();
    let most = |address: &std::net::IpAddr| u64::from(Family::of(address).bits());
    Gone {
        kind,
        id: s.make(),
        network_id: s.make(),
        project_id: s.make(),
        subnet_id: s.make(),
        owner: s.make(),
        slot: s.make(),
        length: address.as_ref().map_or(0, |address| s.up_to(most(address)) as u8),
        address,
        host: s.make(),
        network_project: s.make(),
    }
}

made_by! {
    EventKind = |s| s.pick(&EventKind::ALL);
    WatchEndReason = |s| s.pick(&[Self::Slow, Self::Relist]);
    FeedPosition = |s| Self { incarnation: Incarnation(s.make()), position: Seq(s.make()) };
    Watch = |s| Self {
        from: s.make(), singles: s.make(), kinds: kinds(s), subnet: s.make(), owner: s.make(),
        label: s.make(),
    };
    Watching = |s| Self { begins: s.make(), heartbeat_ms: s.make() };
    Unwatch = |s| Self { watch: s.make() };
    HostEvent = |s| Self { network_id: s.make(), mapping: s.make() };
    LevelEvent = |s| Self {
        network_id: s.make(), subnet_id: s.make(), subnet_pool_id: s.make(), project_id: s.make(),
        level: s.up_to(100) as u8, before: s.up_to(100) as u8, used: s.make(), size: s.make(),
    };
    PinEvent = |s| Self { network_id: s.make(), pin: s.make() };
    Event = |s| Self {
        position: Seq(s.make()), revision: s.make(), time_ms: s.make(), object: s.make(),
    };
    EventObject = |s| match s.make() {
        _ if s.byte() % 4 == 3 => { let kind = s.make(); Self::Gone(Box::new(gone(s, kind))) }
        EventKind::Project => Self::Project(s.make()),
        EventKind::Scope => Self::Scope(s.make()),
        EventKind::Pool => Self::Pool(s.make()),
        EventKind::Network => Self::Network(s.make()),
        EventKind::Segment => Self::Segment(s.make()),
        EventKind::Host => Self::Host(s.make()),
        EventKind::Subnet => Self::Subnet(s.make()),
        EventKind::Port => Self::Port(s.make()),
        EventKind::Pin => Self::Pin(s.make()),
        EventKind::Allocation => Self::Allocation(s.make()),
        EventKind::Job => Self::Job(s.make()),
        EventKind::Level => Self::Level(s.make()),
    };
    Events = |s| Self {
        watch: s.make(), resume: s.make(), up_to_date: s.make(),
        items: s.list(EVENTS_MAX.min(8)),
    };
    WatchEnd = |s| Self {
        watch: s.make(), resume: s.make(), reason: s.make(), oldest: Seq(s.make()),
    };
}
