//! Folds what threads counted into the exporter, once a second. Counts nothing itself.

use super::decider::{Decider, Figures, Readiness};
use super::shared::Shared;
use super::tls::{HandshakeFailure, Tls};
use crate::engine::{AuditFigures, FILL_LEVELS, FeedFigures, HistoryFigures, LevelCounts};
use crate::limits;
use crate::model::Status;
use crate::telemetry::metrics as m;
use crate::telemetry::reactors::{Count, ReactorSnapshot};
use crate::telemetry::{Exporter, metrics::Metric};
use addrd_protocol::opcode::Opcode;
use addrd_sync::Level;

/// Sets every metric.
pub(super) fn fold<D: Decider>(shared: &Shared<D>) {
    let (exporter, figures) = (&shared.exporter, shared.decider.figures());
    let reactors = shared.reactors.snapshot();
    answers(exporter, &figures, &reactors);
    stages(exporter, &figures, &reactors);
    deciding(exporter, shared, &figures);
    storage(exporter, shared, &figures);
    connections(exporter, shared, &reactors);
    general(exporter, shared);
    limit_gauges(exporter, shared, &figures);
    subnets(exporter, shared, &figures);
}

fn answers(exporter: &Exporter, figures: &Figures, reactors: &ReactorSnapshot) {
    let opcodes = Opcode::ALL.iter().map(|opcode| opcode.name()).chain(["unknown"]);
    let counted = figures.operations.iter().zip(&reactors.operations);
    for (name, (decided, early)) in opcodes.zip(counted) {
        exporter.counter(&m::OPERATIONS, &[name], decided + early);
    }
    let statuses = Status::ALL.iter().map(|status| status.name()).chain(["UNKNOWN_STATUS"]);
    let counted = figures.statuses.iter().zip(&reactors.statuses);
    for (name, (decided, early)) in statuses.zip(counted) {
        exporter.counter(&m::ANSWERS, &[name], decided + early);
    }
    exporter.counter(&m::SLOW_REQUESTS, &[], reactors.count(Count::SlowRequests));
}

fn stages(exporter: &Exporter, figures: &Figures, reactors: &ReactorSnapshot) {
    for (stage, snapshot) in [
        ("decode", &reactors.decode),
        ("ring", &figures.ring),
        ("apply", &figures.apply),
        ("commit_wait", &figures.wait),
        ("commit", &figures.commit),
        ("socket", &reactors.socket),
    ] {
        exporter.stage(&m::STAGE, stage, snapshot);
    }
}

fn deciding<D: Decider>(exporter: &Exporter, shared: &Shared<D>, figures: &Figures) {
    exporter.sizes(&m::DRAIN_SIZE, &figures.drains);
    exporter.sizes(&m::COMMIT_SIZE, &figures.commits);
    exporter.sizes(&m::COMMIT_BYTES, &figures.commit_bytes);
    exporter.counter(&m::COMMITTED_RECORDS, &[], figures.committed_records);
    for (name, depth) in &figures.rings {
        exporter.gauge(&m::RING_OPERATIONS, &[name], depth.operations.into());
        exporter.gauge(&m::RING_BYTES, &[name], depth.bytes.into());
    }
    exporter.gauge(&m::BACKUP_RUNNING, &[], f64::from(u8::from(figures.backup_running)));
    exporter.counter(&m::BACKUPS_FETCHED, &[], figures.backups_fetched);
    exporter.counter(&m::BACKUPS_OVER, &[], figures.backups_over);
    let clock = shared.decider.clock();
    let adoption = shared.decider.adoption();
    // At least something while it is on, also within its first millisecond.
    let adopting_ms = adoption.map_or(0, |since| clock.tick().since(since).max(1));
    exporter.gauge(&m::ADOPTION, &[], seconds(adopting_ms.saturating_mul(1_000_000)));
    let doubt_ms = clock.doubt_ms();
    exporter.gauge(&m::CLOCK_DOUBT, &[], seconds(doubt_ms.saturating_mul(1_000_000)));
    exporter.gauge(&m::LEASES, &[], wide(figures.leases));
    exporter.counter(&m::LEASES_ENDED, &[], figures.leases_ended);
    keeping(exporter, shared, figures.history);
    auditing(exporter, shared.decider.audit().figures());
    watching(exporter, &shared.decider.feed().figures());
    exporter.gauge(&m::HOSTS, &[], wide(figures.hosts));
    exporter.gauge(&m::HOST_LEASES, &[], wide(figures.host_leases));
    exporter.gauge(&m::HOST_LEASES_OVERDUE, &[], wide(figures.host_leases_overdue));
    exporter.counter(&m::SUSPECTS_RELEASED, &[], figures.suspects_released);
    exporter.gauge(&m::RESTING, &[], wide(figures.resting));
    exporter.gauge(&m::HOLDS, &[], wide(figures.holds));
    exporter.gauge(&m::JOBS_RUNNING, &[], wide(figures.jobs_running));
    for (worker, ns) in figures.away_ns_max.iter().enumerate() {
        exporter.gauge(&m::AWAY_MAX, &[&worker.to_string()], seconds(*ns));
    }
}

fn keeping<D: Decider>(exporter: &Exporter, shared: &Shared<D>, history: Option<HistoryFigures>) {
    let now = shared.decider.clock().tick();
    let reach_ms = history.map_or(0, |figures| now.since(figures.reach));
    let figures = history.unwrap_or_default();
    exporter.gauge(&m::HISTORY_REACH, &[], seconds(reach_ms.saturating_mul(1_000_000)));
    exporter.gauge(&m::HISTORY_BYTES, &[], wide(figures.bytes));
    exporter.gauge(&m::HISTORY_VOLUMES, &[], wide(figures.volumes));
    exporter.counter(&m::HISTORY_DROPPED, &[], figures.dropped);
    exporter.gauge(&m::HISTORY_DAMAGED, &[], wide(figures.damaged));
    exporter.gauge(&m::HISTORY_PAUSED, &[], f64::from(u8::from(figures.is_paused)));
}

fn auditing(exporter: &Exporter, figures: Option<AuditFigures>) {
    let figures = figures.unwrap_or_default();
    exporter.counter(&m::AUDIT_LINES, &[], figures.lines);
    exporter.gauge(&m::AUDIT_BYTES, &[], wide(figures.bytes));
    exporter.counter(&m::AUDIT_MISSED, &[], figures.missed);
    exporter.counter(&m::AUDIT_GAP, &[], figures.gap);
    exporter.gauge(&m::AUDIT_PAUSED, &[], f64::from(u8::from(figures.is_paused)));
}

fn watching(exporter: &Exporter, figures: &FeedFigures) {
    exporter.gauge(&m::WATCHERS, &[], wide(figures.watchers));
    exporter.counter(&m::WATCH_EVENTS, &[], figures.told);
    exporter.counter(&m::WATCHES_DROPPED, &[], figures.dropped);
    exporter.counter(&m::WATCHES_RELISTED, &[], figures.relisted);
    exporter.gauge(&m::FEED_BYTES, &[], wide(figures.tail_bytes));
    exporter.gauge(&m::FEED_BEHIND, &[], wide(figures.behind));
}

fn storage<D: Decider>(exporter: &Exporter, shared: &Shared<D>, figures: &Figures) {
    let status = shared.decider.status();
    exporter.gauge(&m::JOURNAL_RECORDS, &[], wide(status.journal_records));
    exporter.gauge(&m::JOURNAL_BYTES, &[], wide(status.journal_bytes));
    exporter.gauge(&m::POSITION, &[], wide(shared.decider.position().0));
    exporter.gauge(&m::FOLDED, &[], wide(status.folded));
    let folded = Folded { position: status.folded, is_all: status.journal_records == 0 };
    let now_ns = shared.decider.clock().monotonic_ns();
    exporter.gauge(&m::CHECKPOINT_AGE, &[], seconds(shared.checkpoint.age_ns(folded, now_ns)));
    // A directory that can't be looked at is told by the engine, which writes to it.
    if let Ok(disk) = rustix::fs::statvfs(&shared.data_directory) {
        exporter.gauge(&m::DISK_FREE, &[], wide(disk.f_bavail.saturating_mul(disk.f_frsize)));
    }
    exporter.gauge(&m::MEMORY_RECORDS, &[], wide(figures.memory_records));
    exporter.gauge(&m::MEMORY_BYTES, &[], wide(figures.memory_bytes));
    exporter.gauge(&m::NETWORKS, &[], wide(status.networks));
    exporter.gauge(&m::SUBNETS, &[], wide(figures.subnets));
    exporter.gauge(&m::ALLOCATIONS, &[], wide(status.allocations));
}

fn connections<D: Decider>(exporter: &Exporter, shared: &Shared<D>, reactors: &ReactorSnapshot) {
    let gauge = |metric: &Metric, value: u64| exporter.gauge(metric, &[], wide(value));
    gauge(&m::CONNECTIONS, shared.admission.connections());
    gauge(&m::CONNECTIONS_UNGREETED, shared.admission.ungreeted());
    gauge(&m::CONNECTIONS_ACTIVE, shared.decider.active().get());
    gauge(&m::PRINCIPALS_ACTIVE, shared.decider.active_principals().get());
    gauge(&m::ACCOUNTS, shared.accounts.count() as u64);
    gauge(&m::STRANGERS, shared.strangers.count() as u64);
    gauge(&m::HTTP_CONNECTIONS, shared.http_connections.get());
    gauge(&m::SESSIONS, shared.sessions.count() as u64);
    handshakes(exporter, shared.tls.as_deref());
    gauge(&m::BYTES_IN_FLIGHT, shared.bytes_in_flight.used());
    for count in Count::ALL {
        let (metric, labels) = place_of(*count);
        exporter.counter(metric, labels, reactors.count(*count));
    }
}

/// Without TLS everything is 0.
fn handshakes(exporter: &Exporter, tls: Option<&Tls>) {
    let figure = |of: fn(&Tls) -> u64| tls.map_or(0, of);
    exporter.gauge(&m::TLS_HANDSHAKES, &[], wide(figure(Tls::handshakes)));
    exporter.counter(&m::TLS_HANDSHAKES_DONE, &[], figure(|tls| tls.figures().done.get()));
    for failure in HandshakeFailure::ALL {
        let count = tls.and_then(|tls| tls.figures().failed.get(failure as usize));
        let count = count.map_or(0, Level::get);
        exporter.counter(&m::TLS_HANDSHAKES_FAILED, &[failure.label()], count);
    }
    let reloads = figure(|tls| tls.figures().reloads.get());
    exporter.counter(&m::TLS_RELOADS, &["done"], reloads);
    let refused = figure(|tls| tls.figures().reloads_failed.get());
    exporter.counter(&m::TLS_RELOADS, &["refused"], refused);
    exporter.gauge(&m::TLS_CERTIFICATE_ENDS, &[], wide(figure(Tls::certificate_ends)));
}

/// Metric and labels of a reactor's figure.
fn place_of(count: Count) -> (&'static Metric, &'static [&'static str]) {
    match count {
        Count::Accepted => (&m::CONNECTIONS_ACCEPTED, &[]),
        Count::Greeted => (&m::CONNECTIONS_GREETED, &[]),
        Count::RefusedConnections => (&m::CONNECTIONS_REFUSED, &["connections"]),
        Count::RefusedUngreeted => (&m::CONNECTIONS_REFUSED, &["ungreeted"]),
        Count::RefusedUngreetedPeer => (&m::CONNECTIONS_REFUSED, &["ungreeted_peer"]),
        Count::RefusedHandshakes => (&m::CONNECTIONS_REFUSED, &["handshakes"]),
        Count::AcceptFailures => (&m::ACCEPT_FAILURES, &[]),
        Count::Reads => (&m::READS, &[]),
        Count::BytesRead => (&m::READ_BYTES, &[]),
        Count::Writes => (&m::WRITES, &[]),
        Count::BytesWritten => (&m::WRITTEN_BYTES, &[]),
        Count::Pauses => (&m::PAUSES, &[]),
        Count::TurnPauses => (&m::TURN_PAUSES, &[]),
        Count::RateHolds => (&m::RATE_HOLDS, &[]),
        Count::RefusedRatePrincipal => (&m::LIMITED, &["rate_principal"]),
        Count::RefusedRateTotal => (&m::LIMITED, &["rate_total"]),
        Count::RefusedPrincipalShare => (&m::LIMITED, &["principal_share"]),
        Count::RefusedConnectionShare => (&m::LIMITED, &["ring_share"]),
        Count::RefusedConnectionsShare => (&m::LIMITED, &["connections_share"]),
        Count::RefusedWatchersShare => (&m::LIMITED, &["watchers_share"]),
        Count::RefusedQuestionsShare => (&m::LIMITED, &["history_questions_share"]),
        Count::StrangersDelayed => (&m::STRANGERS_DELAYED, &[]),
        Count::ProtocolErrors => (&m::PROTOCOL_ERRORS, &[]),
        Count::SlowRequests => (&m::SLOW_REQUESTS, &[]),
        Count::EndedByPeer => (&m::CONNECTIONS_ENDED, &["peer"]),
        Count::EndedByTransport => (&m::CONNECTIONS_ENDED, &["transport"]),
        Count::EndedByTimeOut => (&m::CONNECTIONS_ENDED, &["time_out"]),
        Count::EndedIdle => (&m::CONNECTIONS_ENDED, &["idle"]),
        Count::EndedSlowReader => (&m::CONNECTIONS_ENDED, &["slow_reader"]),
        Count::EndedAccess => (&m::CONNECTIONS_ENDED, &["access_ended"]),
        Count::EndedByProtocol => (&m::CONNECTIONS_ENDED, &["protocol"]),
        Count::EndedUngreeted => (&m::CONNECTIONS_ENDED, &["ungreeted"]),
        Count::EndedReplaced => (&m::CONNECTIONS_ENDED, &["replaced"]),
        Count::EndedByShutdown => (&m::CONNECTIONS_ENDED, &["shutdown"]),
        Count::EndedByPanic => (&m::CONNECTIONS_ENDED, &["panic"]),
    }
}

fn general<D: Decider>(exporter: &Exporter, shared: &Shared<D>) {
    build(exporter);
    exporter.gauge(&m::RECOVERED, &[], 1.0);
    exporter.gauge(&m::UPTIME, &[], shared.started.elapsed().as_secs_f64());
    let is_ready = shared.decider.readiness() == Readiness::Ready;
    exporter.gauge(&m::READY, &[], f64::from(u8::from(is_ready)));
    let now_ns = shared.decider.clock().monotonic_ns();
    for (name, turned_ns) in shared.decider.loops() {
        let since_ns = turned_ns.max(shared.started_ns);
        exporter.gauge(&m::LOOP_AGE, &[&name], seconds(now_ns.saturating_sub(since_ns)));
    }
    let left_out = shared.log.as_ref().map_or(0, crate::telemetry::log::Log::left_out);
    exporter.counter(&m::LOG_LINES_LEFT_OUT, &[], left_out);
}

/// What is known before anything else is.
pub(super) fn build(exporter: &Exporter) {
    let protocol = addrd_protocol::header::VERSION.to_string();
    let format = crate::engine::FORMAT_VERSION.to_string();
    exporter.gauge(&m::BUILD_INFO, &[env!("CARGO_PKG_VERSION"), &protocol, &format], 1.0);
}

fn limit_gauges<D: Decider>(exporter: &Exporter, shared: &Shared<D>, figures: &Figures) {
    let bounds = &shared.bounds;
    let status = shared.decider.status();
    let limits = [
        ("connections_max", bounds.connections_max.into()),
        ("connections_ungreeted_max", bounds.connections_ungreeted_max.into()),
        ("connections_ungreeted_peer_max", bounds.connections_ungreeted_peer_max.into()),
        ("tls_handshakes_max", bounds.tls_handshakes_max.into()),
        ("connection_operations_max", limits::CONNECTION_OPERATIONS_MAX.into()),
        ("bytes_in_flight_max", bounds.bytes_in_flight_max),
        ("rate_principal", bounds.rate_principal.unwrap_or(0).into()),
        ("rate_total", bounds.rate_total.unwrap_or(0).into()),
        ("accounts_max", limits::ACCOUNTS_MAX as u64),
        ("strangers_max", limits::STRANGERS_MAX as u64),
        ("reply_bytes_waiting_max", limits::REPLY_BYTES_WAITING_MAX as u64),
        ("sessions_max", limits::SESSIONS_MAX as u64),
        ("protocol_errors_max", limits::PROTOCOL_ERRORS_MAX.into()),
        ("ring_operations_max", limits::RING_OPERATIONS_MAX.into()),
        ("ring_bytes_max", limits::RING_BYTES_MAX.into()),
        ("sequencer_operations_max", limits::SEQUENCER_OPERATIONS_MAX.into()),
        ("commit_ring_records_max", limits::COMMIT_RING_RECORDS_MAX.into()),
        ("commit_ring_bytes_max", limits::COMMIT_RING_BYTES_MAX.into()),
        ("drain_operations_max", limits::DRAIN_OPERATIONS_MAX.into()),
        ("commit_bytes_max", limits::COMMIT_BYTES_MAX.into()),
        ("journal_records_max", status.journal_records_max),
        ("journal_bytes_max", status.journal_bytes_max),
        ("memory_records_max", figures.memory_records_max),
        ("networks_max", limits::NETWORKS_MAX.into()),
        ("jobs_running_max", u64::from(status.workers) * limits::JOBS_RUNNING_MAX as u64),
        ("disk_free_bytes_min", limits::DISK_FREE_BYTES_MIN),
        ("loop_age_seconds_max", limits::LOOP_AGE_MS / 1_000),
        ("watchers_max", limits::WATCHERS_MAX as u64),
        ("http_connections_max", limits::HTTP_CONNECTIONS_MAX.into()),
    ];
    for (name, value) in limits {
        exporter.gauge(&m::LIMIT, &[name], wide(value));
    }
}

fn subnets<D: Decider>(exporter: &Exporter, shared: &Shared<D>, figures: &Figures) {
    for (percent, count) in FILL_LEVELS.iter().zip(figures.fill.levels) {
        exporter.gauge(&m::SUBNETS_BY_FILL, &[percent], wide(count));
    }
    for (place, growth) in ["1h", "24h"].into_iter().enumerate() {
        let soonest = figures.fill.soonest_ms[place].map_or(f64::INFINITY, |ms| wide(ms) / 1e3);
        exporter.gauge(&m::EXHAUSTION, &[growth], soonest);
        for (within, count) in ["24h", "7d"].into_iter().zip(figures.fill.exhausted[place]) {
            exporter.gauge(&m::EXHAUSTED, &[growth, within], wide(count));
        }
    }
    levels(exporter, "subnet", &figures.subnet_levels);
    levels(exporter, "pool", &figures.pool_levels);
    if shared.shows_subnets {
        // The fullest ones change: their lines are made anew each time and kept nowhere else, so
        // that names of subnets that are gone do not pile up.
        let (name, meaning) = (m::SUBNET_FILL.name, m::SUBNET_FILL.meaning);
        let mut text = format!("# HELP {name} {meaning}\n# TYPE {name} gauge\n");
        for subnet in &figures.fill.fullest {
            let fill = f64::from(subnet.permille) / 1e3;
            let (network, id) = (subnet.network, subnet.subnet);
            text += &format!("{name}{{network=\"{network}\",subnet=\"{id}\"}} {fill}\n");
        }
        *shared.subnet_lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
    }
}

fn levels(exporter: &Exporter, of: &str, counts: &LevelCounts) {
    for (place, level) in counts.levels.all().iter().enumerate() {
        let level = level.to_string();
        exporter.gauge(&m::LEVEL_REACHED, &[of, &level], wide(counts.at[place]));
        let crossings = [("up", counts.risen[place]), ("down", counts.fallen[place])];
        for (direction, count) in crossings {
            exporter.counter(&m::LEVEL_CROSSINGS, &[of, &level, direction], count);
        }
    }
}

/// How far the fold is.
#[derive(Clone, Copy, Debug)]
struct Folded {
    position: u64,
    /// Nothing waits to be folded.
    is_all: bool,
}

/// Remembers when the fold was last seen to have moved.
#[derive(Debug, Default)]
pub(super) struct CheckpointAge {
    position: Level,
    moved_ns: Level,
}

impl CheckpointAge {
    /// Time since the fold moved, or since there was nothing to fold.
    fn age_ns(&self, folded: Folded, now_ns: u64) -> u64 {
        if folded.is_all || folded.position != self.position.get() || self.moved_ns.get() == 0 {
            self.position.set(folded.position);
            self.moved_ns.set(now_ns);
        }
        now_ns.saturating_sub(self.moved_ns.get())
    }
}

/// Gauges are floats; counts up to 2^53 are exact.
fn wide(value: u64) -> f64 {
    value as f64
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeDecider, Stage, release};
    use super::*;

    #[test]
    fn the_age_of_the_checkpoint_counts_only_while_something_waits() {
        let age = CheckpointAge::default();
        let at = |position, is_all, now_ns| age.age_ns(Folded { position, is_all }, now_ns);
        assert_eq!(at(5, false, 100), 0);
        assert_eq!(at(5, false, 150), 50);
        assert_eq!(at(6, false, 170), 0);
        assert_eq!(at(6, true, 200), 0);
        assert_eq!(at(6, false, 230), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happened_is_in_the_text_and_every_limit_has_a_value() {
        let stage = Stage::new(FakeDecider::answering());
        let mut peer = stage.greeted().await;
        peer.send(&release(2, 0)).await;
        peer.status().await;
        fold(&stage.shared);
        let text = stage.shared.metrics_text();
        for line in [
            "addrd_connections 1",
            "addrd_connections_ungreeted 0",
            "addrd_connections_greeted_total 1",
            "addrd_operations_total{operation=\"hello\"} 1",
            "addrd_answers_total{status=\"OK\"} 1",
            "addrd_stage_seconds_count{stage=\"decode\"} 1",
            "addrd_limit{name=\"connections_max\"} 10000",
            "addrd_limit{name=\"bytes_in_flight_max\"} 268435456",
            "addrd_networks 5",
            "addrd_ready 1",
            "addrd_connections_ended_total{reason=\"panic\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        // Every metric of the table is there, but the one whose labels are shown on request only.
        for metric in m::METRICS.iter().filter(|metric| **metric != m::SUBNET_FILL) {
            let begins =
                [" ", "{", "_count ", "_count{"].map(|end| format!("\n{}{end}", metric.name));
            let is_there = begins.iter().any(|begin| text.contains(begin));
            assert!(is_there, "{} is not in\n{text}", metric.name);
        }
    }
}
