//! Every metric: name, kind, unit, labels, meaning, and when somebody should be woken.
//! `docs/metrics.md` has the same table; a test compares them.

/// What a value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rises until the server ends.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size: series `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name in `/metrics`.
    pub name: &'static str,
    /// What its value does.
    pub kind: Kind,
    /// What one is.
    pub unit: &'static str,
    /// Names of its labels; their values are the server's own words, never a peer's.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub meaning: &'static str,
    /// Wake somebody when this is so; empty = never.
    pub wake: &'static str,
}

macro_rules! metrics {
    ($($ident:ident: $kind:ident $name:literal [$($label:literal),*] $unit:literal,
       $meaning:literal, $wake:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning, ".")]
            pub const $ident: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                meaning: $meaning,
                wake: $wake,
            };
        )*

        /// Every metric, in the order of the documents.
        pub const METRICS: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    BUILD_INFO: Gauge "addrd_build_info" ["version", "protocol", "format"] "1",
        "the running version, and those of its protocol and its stored formats", "";
    UPTIME: Gauge "addrd_uptime_seconds" [] "seconds",
        "time since the start", "it falls more often than you restart";
    RECOVERED: Gauge "addrd_recovered_ratio" [] "0 to 1",
        "how much of the data is read at the start", "below 1 for longer than a start takes";
    READY: Gauge "addrd_ready" [] "0 or 1",
        "whether every request is served", "0 for a minute";
    LOOP_AGE: Gauge "addrd_loop_age_seconds" ["loop"] "seconds",
        "time since a thread's loop turned last", "above 10";

    OPERATIONS: Counter "addrd_operations_total" ["operation"] "operations",
        "answers by operation, refusals included", "";
    ANSWERS: Counter "addrd_answers_total" ["status"] "operations",
        "answers by status", "OUTCOME_UNKNOWN, STORAGE_FULL or MEMORY_FULL rises; BUSY rises for minutes";
    STAGE: Histogram "addrd_stage_seconds" ["stage"] "seconds",
        "time that operations spent in a stage: decode, ring, apply, commit_wait, commit (each commit once), socket (sampled)", "the 99th percentile of commit is above 0.1 for minutes";
    SLOW_REQUESTS: Counter "addrd_slow_requests_total" [] "operations",
        "requests slower than slow_request", "";

    DRAIN_SIZE: Histogram "addrd_drain_operations" [] "operations",
        "operations that a deciding thread took from its ring at once", "";
    COMMIT_SIZE: Histogram "addrd_commit_operations" [] "operations",
        "operations made durable by one fsynced round of the journal", "its count stands still while operations come";
    COMMIT_BYTES: Histogram "addrd_commit_bytes" [] "bytes",
        "bytes of records in a round", "";
    COMMITTED_RECORDS: Counter "addrd_committed_records_total" [] "records",
        "records in all rounds", "";
    RING_OPERATIONS: Gauge "addrd_ring_operations" ["ring"] "operations",
        "what waits in a ring: operations, in the committer's records", "above half of its limit for minutes";
    RING_BYTES: Gauge "addrd_ring_bytes" ["ring"] "bytes",
        "memory of what waits in a ring", "above half of its limit for minutes";
    AWAY_MAX: Gauge "addrd_worker_away_seconds_max" ["worker"] "seconds",
        "longest time that a worker was away from its ring since the start", "above 0.1";

    CONNECTIONS: Gauge "addrd_connections" [] "connections",
        "open connections", "above 90 % of addrd_limit{name=\"connections_max\"}";
    CONNECTIONS_UNGREETED: Gauge "addrd_connections_ungreeted" [] "connections",
        "of these, before HELLO", "above half of its limit for minutes";
    CONNECTIONS_ACTIVE: Gauge "addrd_connections_active" [] "connections",
        "connections that pushed something in the last second", "";
    CONNECTIONS_ACCEPTED: Counter "addrd_connections_accepted_total" [] "connections",
        "accepted connections", "";
    CONNECTIONS_GREETED: Counter "addrd_connections_greeted_total" [] "connections",
        "connections that finished HELLO", "";
    CONNECTIONS_REFUSED: Counter "addrd_connections_refused_total" ["reason"] "connections",
        "refused at accept: connections, ungreeted, ungreeted_peer, handshakes", "it rises";
    CONNECTIONS_ENDED: Counter "addrd_connections_ended_total" ["reason"] "connections",
        "ended connections by reason", "panic rises; slow_reader or protocol rises for minutes";
    ACCEPT_FAILURES: Counter "addrd_accept_failures_total" [] "accepts",
        "accepts that failed for want of descriptors or memory", "it rises";
    TLS_HANDSHAKES: Gauge "addrd_tls_handshakes" [] "handshakes",
        "TLS handshakes under way", "above half of its limit for minutes";
    TLS_HANDSHAKES_DONE: Counter "addrd_tls_handshakes_total" [] "handshakes",
        "TLS handshakes that were done", "";
    TLS_HANDSHAKES_FAILED: Counter "addrd_tls_handshakes_failed_total" ["reason"] "handshakes",
        "TLS handshakes that failed, by reason", "it rises for minutes: the log says why";
    TLS_RELOADS: Counter "addrd_tls_reloads_total" ["result"] "reloads",
        "times that certificates were read again: done, or refused and the ones before kept", "refused rises: the log says which file";
    TLS_CERTIFICATE_ENDS: Gauge "addrd_tls_certificate_end_seconds" [] "seconds",
        "when the certificate ends that new connections get, since the Unix epoch; 0 = no TLS", "less than a week away";
    HTTP_CONNECTIONS: Gauge "addrd_http_connections" [] "connections",
        "open connections to the HTTP address", "at its limit: somebody holds them";
    SESSIONS: Gauge "addrd_sessions" [] "sessions",
        "remembered sessions", "above 90 % of its limit";
    PROTOCOL_ERRORS: Counter "addrd_protocol_errors_total" [] "errors",
        "broken frames, ids used twice, HELLO out of turn", "it rises for minutes";
    READS: Counter "addrd_reads_total" [] "reads",
        "reads that brought something", "";
    READ_BYTES: Counter "addrd_read_bytes_total" [] "bytes",
        "bytes read", "";
    WRITES: Counter "addrd_writes_total" [] "writes",
        "writes", "";
    WRITTEN_BYTES: Counter "addrd_written_bytes_total" [] "bytes",
        "bytes written", "";
    PAUSES: Counter "addrd_read_pauses_total" [] "pauses",
        "times that a connection was not read: credit used up, or its part where much waits, or replies that wait", "";
    TURN_PAUSES: Counter "addrd_turn_pauses_total" [] "pauses",
        "of these, those for others: much waits, and its principal has its share of what is on the way", "it rises for minutes: somebody asks for more than there is";
    RATE_HOLDS: Counter "addrd_rate_holds_total" [] "holds",
        "times that a connection was not read because a rate was used up and it went on sending", "";
    LIMITED: Counter "addrd_limited_operations_total" ["bound"] "operations",
        "operations refused so that others get theirs: rate_principal, rate_total (RATE_LIMITED), principal_share, ring_share, connections_share, watchers_share, history_questions_share (BUSY)", "it rises for minutes";
    PRINCIPALS_ACTIVE: Gauge "addrd_principals_active" [] "principals",
        "principals that pushed something in the last second; who is none is counted by address, or by user of the Unix socket", "";
    ACCOUNTS: Gauge "addrd_accounts" [] "accounts",
        "principals, addresses and users that have connections, or have had and whose rate is not full again", "above 90 % of its limit";
    STRANGERS: Gauge "addrd_strangers" [] "addresses",
        "addresses, and users of the Unix socket, from which somebody was refused at HELLO in the last minute", "it rises: the log says who and why";
    STRANGERS_DELAYED: Counter "addrd_strangers_delayed_total" [] "answers",
        "refusals at HELLO that were answered late, since there were many from the same address", "it rises for minutes";
    BYTES_IN_FLIGHT: Gauge "addrd_bytes_in_flight" [] "bytes",
        "grown buffers, requests without reply and replies that wait, over all connections", "above 90 % of its limit";

    JOURNAL_RECORDS: Gauge "addrd_journal_records" [] "records",
        "records in the journal that are not folded", "above 95 % of its limit";
    JOURNAL_BYTES: Gauge "addrd_journal_bytes" [] "bytes",
        "bytes of the journal's file that its rows take", "above 95 % of its limit";
    POSITION: Gauge "addrd_position" [] "hand-overs",
        "durable position", "";
    FOLDED: Gauge "addrd_folded_position" [] "hand-overs",
        "position up to which the journal is folded", "";
    CHECKPOINT_AGE: Gauge "addrd_checkpoint_age_seconds" [] "seconds",
        "time since the last fold", "above 3600 while records wait";
    DISK_FREE: Gauge "addrd_disk_free_bytes" [] "bytes",
        "free space on the disk of the data", "below four times its limit, from which on only reads, releases and deletions are served";
    MEMORY_RECORDS: Gauge "addrd_memory_records" [] "records",
        "allocations, resting addresses and objects in memory", "above 90 % of its limit";
    MEMORY_BYTES: Gauge "addrd_state_bytes" [] "bytes",
        "memory of the workers' states", "";
    NETWORKS: Gauge "addrd_networks" [] "networks",
        "networks", "";
    SUBNETS: Gauge "addrd_subnets" [] "subnets",
        "subnets", "";
    ALLOCATIONS: Gauge "addrd_allocations" [] "allocations",
        "live allocations", "";
    CLOCK_DOUBT: Gauge "addrd_clock_doubt_seconds" [] "seconds",
        "how far the wall clock is ahead while it is not believed, so that no lease ends; 0 = it is believed", "above 0: see addrd server accept-clock";
    ADOPTION: Gauge "addrd_adoption_seconds" [] "seconds",
        "how long adoption mode has been on, in which nothing is chosen and no lease ends; 0 = it is off", "above 0 and nobody is restoring: see addrd server adopt";
    BACKUP_RUNNING: Gauge "addrd_backup_running" [] "0 or 1",
        "a backup is being fetched", "1 for hours";
    BACKUPS_FETCHED: Counter "addrd_backups_fetched_total" [] "backups",
        "backups of which the last block was fetched", "it stands still for longer than backups should be apart";
    BACKUPS_OVER: Counter "addrd_backups_over_total" [] "backups",
        "backups that ended before they were whole: abandoned, or the journal filled up meanwhile", "it rises with every backup";
    AUDIT_LINES: Counter "addrd_audit_lines_total" [] "lines",
        "lines written to the audit log", "";
    AUDIT_BYTES: Gauge "addrd_audit_bytes" [] "bytes",
        "files of the audit log", "";
    AUDIT_MISSED: Counter "addrd_audit_attempts_missed_total" [] "attempts",
        "denied or vain attempts that have no line because there were too many at once", "it rises: somebody tries many things";
    AUDIT_GAP: Counter "addrd_audit_gap_total" [] "hand-overs",
        "changes that have no lines because they could not be written in time, or the log was off when they were made", "it rises: the disk of the audit log is full or too slow";
    AUDIT_PAUSED: Gauge "addrd_audit_paused" [] "0 or 1",
        "nothing is written to the audit log for now", "1 for minutes: see the log";
    HISTORY_REACH: Gauge "addrd_history_reach_seconds" [] "seconds",
        "for how long back every change can be told; 0 = no history is kept", "it falls below what you promise";
    HISTORY_BYTES: Gauge "addrd_history_bytes" [] "bytes",
        "files of history, also those that are to go and can't be removed", "";
    HISTORY_VOLUMES: Gauge "addrd_history_volumes" [] "files",
        "parts of history that go at once", "";
    HISTORY_DROPPED: Counter "addrd_history_dropped_total" [] "hand-overs",
        "changes that are missing in history because they could not be written in time", "it rises: the disk is full or too slow";
    HISTORY_DAMAGED: Gauge "addrd_history_damaged" [] "files",
        "parts of history of which something can't be read", "above 0: see the log and addrd check";
    HISTORY_PAUSED: Gauge "addrd_history_paused" [] "0 or 1",
        "nothing is written to history for now", "1 for minutes: see the log";
    LEASES: Gauge "addrd_leases" [] "allocations",
        "allocations that have a lease", "";
    LEASES_ENDED: Counter "addrd_leases_ended_total" [] "allocations",
        "leases that ended without being renewed", "it rises faster than workloads end";
    HOSTS: Gauge "addrd_hosts" [] "hosts",
        "hosts of managers that have allocations, counted once a worker", "";
    HOST_LEASES: Gauge "addrd_host_leases" [] "hosts",
        "hosts that have a lease", "near 100,000, the most there may be";
    HOST_LEASES_OVERDUE: Gauge "addrd_host_leases_overdue" [] "hosts",
        "hosts whose lease is over and was set to be reported", "above 0: `addrd host-lease list` says which";
    SUSPECTS_RELEASED: Counter "addrd_suspects_released_total" [] "allocations",
        "allocations that were released because two reconciliations of their host missed them", "it rises faster than workloads end: look at what managers list";
    WATCHERS: Gauge "addrd_watchers" [] "watches",
        "watches of the change feed", "above 90 % of its limit";
    WATCH_EVENTS: Counter "addrd_watch_events_total" [] "events",
        "events that were told to watches", "";
    WATCHES_DROPPED: Counter "addrd_watches_dropped_total" [] "watches",
        "watches that ended because their clients read too slowly", "it rises for minutes";
    WATCHES_RELISTED: Counter "addrd_watches_relisted_total" [] "watches",
        "watches that ended or did not begin because what follows is not kept any more", "it rises for minutes";
    FEED_BYTES: Gauge "addrd_feed_bytes" [] "bytes",
        "memory of the events that are kept for those who watch; 0 while nobody does", "";
    FEED_BEHIND: Gauge "addrd_feed_behind" [] "hand-overs",
        "how far the change feed is behind the journal", "it rises for minutes";
    RESTING: Gauge "addrd_resting" [] "blocks",
        "addresses and blocks that were released and rest", "it grows while allocations do not";
    HOLDS: Gauge "addrd_holds" [] "allocations",
        "what is held under a token and not confirmed yet", "it grows while requests do not";
    JOBS_RUNNING: Gauge "addrd_jobs_running" [] "jobs",
        "forced deletions that are not finished", "above 0 for hours";
    SUBNETS_BY_FILL: Gauge "addrd_subnets_by_fill" ["percent"] "subnets",
        "all subnets with pools by how much of them is used: 0, 1-49, 50-79, 80-94, 95-99, 100", "100 rises";
    SUBNET_FILL: Gauge "addrd_subnet_fill" ["network", "subnet"] "0 to 1",
        "use of the fullest 200 subnets; only with metrics_subnets = true", "";
    EXHAUSTION: Gauge "addrd_exhaustion_soonest_seconds" ["growth"] "seconds",
        "when the first subnet that isn't full yet is full if it grows as over the last hour (1h) or day (24h); +Inf = none grows, or growth is not known yet", "below 86400";
    EXHAUSTED: Gauge "addrd_subnets_exhausted_within" ["growth", "within"] "subnets",
        "subnets, without those that are full already, that are full within a day (24h) or a week (7d) if they grow as over the last hour or day", "above 0 within 24h";
    LEVEL_REACHED: Gauge "addrd_usage_level_reached" ["of", "level"] "subnets or pools",
        "subnets, or subnet pools, that were told to be at this level of use (usage_levels) or above it", "100 rises";
    LEVEL_CROSSINGS: Counter "addrd_usage_level_crossings_total" ["of", "level", "direction"] "crossings",
        "times that subnets, or subnet pools, have passed a level of use, up or down", "";

    LIMIT: Gauge "addrd_limit" ["name"] "as the gauge beside it",
        "each bound beside its gauge, under the name that BUSY gives it", "";
    LOG_LINES_LEFT_OUT: Counter "addrd_log_lines_left_out_total" [] "lines",
        "log lines beyond 10 a second of one class", "";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DOCUMENT: &str = include_str!("../../docs/metrics.md");

    fn row(metric: &Metric) -> String {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, unit, meaning, wake) = (metric.name, metric.unit, metric.meaning, metric.wake);
        let labels = labels.join(", ");
        format!("| `{name}` | {kind} | {unit} | {labels} | {meaning} | {wake} |").replace("  ", " ")
    }

    #[test]
    fn the_document_has_this_table() {
        let wanted: Vec<String> = METRICS.iter().map(row).collect();
        let rows: Vec<&str> =
            DOCUMENT.lines().filter(|line| line.starts_with("| `addrd_")).collect();
        assert_eq!(rows, wanted, "docs/metrics.md should have:\n{}\n", wanted.join("\n"));
    }

    #[test]
    fn names_end_with_their_unit_and_are_said_once() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let ends_total = metric.name.ends_with("_total");
            assert_eq!(metric.kind == Kind::Counter, ends_total, "{metric:?}");
            for unit in ["seconds", "bytes"].iter().filter(|unit| metric.unit == **unit) {
                assert!(metric.name.contains(unit), "{metric:?}");
            }
        }
    }
}
