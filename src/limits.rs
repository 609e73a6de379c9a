//! Every bound of the server, with its unit and its arithmetic. Decides nothing.
//!
//! Relations between bounds are checked when this file is compiled. Bounds of the wire itself
//! (frames, counts in messages) live in `addrd-protocol`; this file ties them to the others.

use addrd_protocol::message::batch::BATCH_ITEMS_MAX;

/// Operations that one connection may have in rings or without reply; told as credit in HELLO.
pub const CONNECTION_OPERATIONS_MAX: u32 = addrd_protocol::codec::CREDIT;

/// Connections at once, greeted or not. Default of a setting.
pub const CONNECTIONS_MAX: u32 = 10_000;
/// Hard maximum of that setting: 16 KiB each are 1.6 GB. Over TLS each has [`TLS_IDLE_BYTES`] besides.
pub const CONNECTIONS_MAX_MOST: u32 = 100_000;
/// Connections that have not finished HELLO. Default of a setting.
pub const CONNECTIONS_UNGREETED_MAX: u32 = 1_024;
/// Hard maximum of that setting.
pub const CONNECTIONS_UNGREETED_MAX_MOST: u32 = 16_384;
/// Of these, from one peer address (IPv6: one /64; all of the Unix socket). Default of a setting.
pub const CONNECTIONS_UNGREETED_PEER_MAX: u32 = 256;
/// Bytes of a connection's read buffer before HELLO and while it is idle.
pub const READ_BUFFER_BYTES_MIN: usize = 4 << 10;
/// Bytes of the read buffer of a busy connection; only a longer frame makes it larger.
pub const READ_BUFFER_BYTES_BUSY: usize = 64 << 10;
/// Bytes of replies that wait for a peer to read, and of those that its requests can still cause.
pub const REPLY_BYTES_WAITING_MAX: usize = 1 << 20;
/// Bytes of waiting replies from which nothing more is read.
pub const REPLY_BYTES_WAITING_PAUSE: usize = REPLY_BYTES_WAITING_MAX / 2;
/// Bytes of a reply about one thing at its longest, which is a failure with all its details.
pub const REPLY_BYTES_PLAIN: usize = addrd_protocol::codec::FAILURE_BYTES_MAX;
/// Bytes in flight over all connections: grown read buffers, requests without reply, the replies
/// that they can cause at their longest, and replies that wait. Default of a setting: 65,536 plain
/// requests, or 256 lists, at once.
pub const BYTES_IN_FLIGHT_MAX: u64 = 256 << 20;
/// Hard maximum of that setting.
pub const BYTES_IN_FLIGHT_MAX_MOST: u64 = 64 << 30;
/// Step in which a connection takes from them.
pub const BYTES_IN_FLIGHT_STEP: u64 = 4 << 10;
/// The same while less than half of them is used.
pub const BYTES_IN_FLIGHT_LONG_STEP: u64 = 64 << 10;
/// Times that a connection reads and writes before others get their turn.
pub const CONNECTION_ROUNDS_MAX: u32 = 8;
/// Time to the first byte of a connection, ms.
pub const FIRST_BYTE_MS: u64 = 5_000;
/// Time from the first byte to a whole HELLO, ms.
pub const HELLO_MS: u64 = 5_000;
/// Time from a frame's first byte to its last, ms.
pub const FRAME_MS: u64 = 10_000;
/// Time without a whole frame after which a connection is closed, ms; told in HELLO.
pub const IDLE_MS: u64 = 300_000;
/// Time that replies wait for a peer that reads nothing, ms.
pub const STALL_MS: u64 = 10_000;
/// Time after which a quiet connection gives its grown buffers back, ms.
pub const SHRINK_MS: u64 = 2_000;
/// Time that a closed connection waits for the peer to have read the last frame, ms.
pub const LINGER_MS: u64 = 2_000;
/// Bytes that are read and thrown away meanwhile.
pub const LINGER_BYTES_MAX: usize = 1 << 20;
/// Protocol errors after HELLO within [`PROTOCOL_ERRORS_MS`]; one more closes the connection.
pub const PROTOCOL_ERRORS_MAX: u32 = 10;
/// Window in which they are counted, ms.
pub const PROTOCOL_ERRORS_MS: u64 = 60_000;
/// Sessions remembered: 436 new ones a second for as long as each is kept.
pub const SESSIONS_MAX: usize = 256 << 10;
/// Time that a session is remembered after its connection, ms.
pub const SESSION_KEEP_MS: u64 = 600_000;
/// Time that HELLO waits for what an older connection of the session has pushed, ms.
pub const SESSION_WAIT_MS: u64 = 5_000;
/// Most that a rate can be set to, operations a second: ten times what a machine of today does.
pub const RATE_MOST: u32 = 100_000_000;
/// Time whose operations may come at once, ms. Default of a setting.
pub const RATE_BURST_MS: u64 = 1_000;
/// Least of that setting, ms.
pub const RATE_BURST_MS_LEAST: u64 = 10;
/// Hard maximum of that setting, ms.
pub const RATE_BURST_MS_MOST: u64 = 60_000;
/// Requests of a connection that are refused for a rate before it isn't read instead.
pub const RATE_REFUSALS_MAX: u32 = 32;
/// Time for which it isn't read then, ms, at least; twice as long each time that it was in vain.
pub const RATE_HOLD_MS_LEAST: u64 = 10;
/// The same, at most: 1,000 connections of one who has used up his rate wake 1,000 times a second.
pub const RATE_HOLD_MS_MOST: u64 = 1_000;
/// Objects of a list that cost as much as one operation.
pub const COST_LIST_OBJECTS: u32 = 64;
/// Units that a request costs of which each worker does a part.
pub const COST_ALL_WORKERS: u64 = 4;
/// Units that a request costs for which all workers stand still, or a whole block is read.
pub const COST_RENDEZVOUS: u64 = 16;
/// Bytes of a frame that can't be read that cost as much as one operation.
pub const COST_UNREADABLE_BYTES: usize = 256;
/// Accounts of principals and peers, with those that are gone and whose rate isn't full again: 0.2 KiB each.
pub const ACCOUNTS_MAX: usize = 2 * CONNECTIONS_MAX_MOST as usize;
/// Addresses that are remembered because somebody from there was refused at HELLO.
pub const STRANGERS_MAX: usize = 4_096;
/// Refusals of an address that are answered at once.
pub const STRANGER_REFUSALS_FREE: u32 = 3;
/// Time after the last of them after which they are forgotten, ms.
pub const STRANGER_WINDOW_MS: u64 = 60_000;
/// Delay of the answer to the first one beyond, ms; each further one takes twice as long.
pub const STRANGER_DELAY_MS: u64 = 1_000;
/// Longest delay, ms: shorter than a client waits (5 s), so that it is told what is wrong.
pub const STRANGER_DELAY_MS_MAX: u64 = 4_000;
/// Refusals of one address that wait within that time: at most half of its places before HELLO at once.
pub const STRANGER_DELAYS_MAX: u32 = 64;
/// Addresses to listen on.
pub const LISTEN_ADDRESSES_MAX: usize = 16;
/// Connections that the kernel keeps until they are accepted.
pub const LISTEN_BACKLOG: i32 = 1_024;
/// Pause after an accept that failed for want of descriptors or memory, ms.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// TLS handshakes at once: more than one peer may have before HELLO, so that one can't take all.
pub const TLS_HANDSHAKES_MAX: u32 = 512;
const _: () = assert!(TLS_HANDSHAKES_MAX > CONNECTIONS_UNGREETED_PEER_MAX);
const _: () = assert!(TLS_HANDSHAKES_MAX <= CONNECTIONS_UNGREETED_MAX);
/// Time of a TLS handshake, from the accept on, ms: as long as a silent plain connection has.
pub const TLS_HANDSHAKE_MS: u64 = FIRST_BYTE_MS;
/// Bytes that TLS has encrypted and the socket has not taken: one record, so that a peer who reads
/// slowly is seen to read.
pub const TLS_BUFFER_BYTES: usize = 16 << 10;
/// Longest PEM file of certificates or of a key, bytes: hundreds of CAs.
pub const TLS_FILE_BYTES_MAX: u64 = 1 << 20;
/// Names of clients that a server may be told.
pub const TLS_CLIENT_NAMES_MAX: usize = 1_024;
/// Longest name of a client's certificate, bytes: as long as a text of the protocol.
pub const TLS_NAME_BYTES_MAX: usize = 255;
/// Names of CAs that are told in a handshake, bytes. The whole message holds less than 64 KiB, and a
/// client shows the certificate that it has without them, too.
pub const TLS_HINT_BYTES_MAX: usize = 16 << 10;
/// Certificates that a client shows, bytes: several RSA certificates of 4,096 bits. They are kept, once by us and once by
/// TLS, to be judged again.
pub const TLS_CHAIN_BYTES_MAX: usize = 16 << 10;
/// Longest record that TLS takes in before it opens it, bytes (`MAX_WIRE_SIZE` of rustls).
pub const TLS_RECORD_BYTES: usize = 5 + (16 << 10) + (2 << 10);
/// What TLS has opened and nobody has read, bytes (`DEFAULT_RECEIVED_PLAINTEXT_LIMIT` of rustls).
pub const TLS_OPENED_BYTES: usize = 16 << 10;
/// Longest message of a handshake, bytes: a peer's certificates come in one (`MAX_HANDSHAKE_SIZE` of rustls).
pub const TLS_HANDSHAKE_BYTES: usize = 0xffff;
/// Certificates that a server shows, as one message of a handshake, bytes: rustls reads that much with the records around it.
pub const TLS_OWN_CHAIN_BYTES_MAX: usize = 60 << 10;
const _: () = assert!(TLS_OWN_CHAIN_BYTES_MAX + TLS_IDLE_BYTES <= TLS_HANDSHAKE_BYTES + 1);
/// Buffers of TLS of a quiet connection, bytes: room for the next read (`READ_SIZE` of rustls). Certificates come on top, as
/// many as clients have that are let in.
pub const TLS_IDLE_BYTES: usize = 4 << 10;
/// The same of a busy one at the worst: a record goes out, one comes in, one is opened, and the client has as many
/// certificates as it may.
pub const TLS_BUSY_BYTES: usize =
    TLS_BUFFER_BYTES + TLS_RECORD_BYTES + TLS_OPENED_BYTES + 2 * TLS_CHAIN_BYTES_MAX;
const _: () = assert!(TLS_BUSY_BYTES * CONNECTIONS_MAX as usize <= 1 << 30, "beside 16 KiB each");
/// Handshakes of strangers at the worst, bytes: each collects the longest message and has it once more in parts.
pub const TLS_STRANGERS_BYTES: usize =
    TLS_HANDSHAKES_MAX as usize * (2 * TLS_HANDSHAKE_BYTES + TLS_BUFFER_BYTES);
const _: () = assert!(TLS_STRANGERS_BYTES <= 80 << 20);
/// Connections whose certificates are judged again at once: about 0.2 s, in which no other is told.
pub const TLS_JUDGED_AT_ONCE_MAX: usize = 1_024;
/// Pause between two looks at whether the files of TLS have changed, s.
pub const TLS_WATCH_SECONDS: u64 = 10;
/// Longest wait at the end for threads that look at files, which a dead mount may hold for ever, ms.
pub const RUNTIME_END_MS: u64 = 5_000;
/// Connections at once to the HTTP address.
pub const HTTP_CONNECTIONS_MAX: u32 = 64;
/// Of these, from one IPv4 address or one IPv6 /64.
pub const HTTP_CONNECTIONS_PEER_MAX: u32 = HTTP_CONNECTIONS_MAX / 2;
/// Time to a whole HTTP header, ms.
pub const HTTP_HEADER_MS: u64 = 5_000;
/// Time of one HTTP connection, ms.
pub const HTTP_CONNECTION_MS: u64 = 30_000;
/// Bytes of an HTTP request, headers and all.
pub const HTTP_BUFFER_BYTES: usize = 8 << 10;
/// Age of a loop's last turn from which the process is not alive, ms.
pub const LOOP_AGE_MS: u64 = 10_000;
/// Time between two looks at what a service manager is told, ms; less if its watchdog wants more.
pub const SUPERVISOR_MS: u64 = 1_000;
/// Longest wait for a service manager to take what it is told, ms.
pub const SUPERVISOR_TELL_MS: u64 = 1_000;
/// How often its watchdog is fed within its time: one that is late doesn't end the process.
pub const WATCHDOG_FEEDS: u32 = 3;
/// Subnets that `/metrics` shows by id.
pub const SUBNETS_SHOWN_MAX: usize = 200;
/// Time between two looks at how full all subnets are, ms.
pub const SURVEY_MS: u64 = 1_000;
/// The same, 1 ms longer for so many subnets: 100,000 of them every 11 s.
pub const SURVEY_SUBNETS_A_MS: u64 = 10;
/// Subnets that a worker looks at after a drain, at about 0.2 us each.
pub const SURVEY_DRAIN_SUBNETS: u32 = 64;
/// Subnets that it looks at at once while it has nothing else to do: well below 1 ms.
pub const SURVEY_IDLE_SUBNETS: u32 = 1_024;
/// Time between two samples of the use of a subnet, ms.
pub const GROWTH_SAMPLE_MS: u64 = 300_000;
/// Every so many of them is kept for a day: one in two hours.
pub const GROWTH_LONG_EVERY: u64 = 24;
/// Samples of each of the two series: with 13 there is always one as old as is asked for.
pub const GROWTH_SAMPLES: usize = 13;
/// The two times over which growth is told, ms.
pub const GROWTH_HOUR_MS: u64 = 3_600_000;
/// The longer one.
pub const GROWTH_DAY_MS: u64 = 24 * 3_600_000;
/// How far the age of a sample may be from these, percent; else growth is unknown.
pub const GROWTH_SLACK_PERCENT: u64 = 10;
/// Times to exhaustion by which subnets are counted, ms: a day and a week.
pub const EXHAUSTION_MS: [u64; 2] = [24 * 3_600_000, 7 * 24 * 3_600_000];
/// Levels of use that can be set.
pub const USAGE_LEVELS_MAX: usize = 8;
/// Levels of use, percent, unless they are set otherwise.
pub const USAGE_LEVELS: [u8; 3] = [80, 95, 100];
/// Points of a percentage that use has to fall below a level before it is told again.
pub const USAGE_LEVEL_FALL_POINTS: u8 = 5;
/// Addresses that it has to fall below it at least, so that one that comes and goes tells nothing.
pub const USAGE_LEVEL_FALL_ADDRESSES: u128 = 2;
/// Crossings that a worker tells after a drain.
pub const LEVEL_SLICE_OBJECTS: usize = 256;
/// Bytes of the record of a crossing.
pub const LEVEL_RECORD_BYTES: usize = 56;
/// Bytes of the records of such a slice.
pub const LEVEL_SLICE_RECORD_BYTES_MAX: usize = LEVEL_SLICE_OBJECTS * LEVEL_RECORD_BYTES;
/// Time that a connection which is told to end has to read its last answers, ms.
pub const SHUTDOWN_MS: u64 = 10_000;
/// Time that it waits for them to be decided and durable, ms: a disk that takes longer hangs. With
/// the time to read them it stays below the 90 s after which systemd kills.
pub const CLOSING_DECIDED_MS: u64 = 60_000;
/// Requests slower than this are logged, ms.
pub const SLOW_REQUEST_MS: u64 = 1_000;
/// Least of the bytes in flight that can be set: one busy connection with the longest frame.
pub const BYTES_IN_FLIGHT_MAX_LEAST: u64 = 4 << 20;
/// Threads that decide.
pub const WORKERS_MAX: u16 = 256;
/// Threads that read and write sockets.
pub const REACTORS_MAX: u16 = 256;
/// Hard maximum of the setting of [`JOURNAL_RECORDS_MAX`].
pub const JOURNAL_RECORDS_MAX_MOST: u64 = 64 << 20;
/// Memory for pages of the state's file, bytes.
pub const CACHE_BYTES: u64 = 128 << 20;
/// Least of it.
pub const CACHE_BYTES_LEAST: u64 = 8 << 20;
/// Least memory that can be set, bytes.
pub const MEMORY_BYTES_LEAST: u64 = 64 << 20;
/// Memory of one record with its share of every index, bytes: 96 for a plain one, and the rest for
/// texts and for tables while they grow.
pub const RECORD_MEMORY_BYTES: u64 = 160;

/// Bytes of the audit log, at most.
pub const AUDIT_BYTES_MAX: u64 = 1 << 30;
/// Least of it that can be set.
pub const AUDIT_BYTES_LEAST: u64 = 64 << 20;
/// Most of it that can be set.
pub const AUDIT_BYTES_MOST: u64 = 1 << 40;
/// Bytes after which a file of the audit log is full: a part of all, but no more and no less than these.
pub const AUDIT_FILE_BYTES_MAX: u64 = 64 << 20;
/// Least of it.
pub const AUDIT_FILE_BYTES_LEAST: u64 = 8 << 20;
/// Files that the bytes of the audit log are divided into, at least.
pub const AUDIT_FILES_LEAST: u64 = 8;
/// Bytes of the journal that the auditor reads at once.
pub const AUDIT_READ_BYTES_MAX: usize = 128 << 10;
/// Bytes at the end of a file of the audit log that a crash may have left in pieces: damage in front of them is kept.
pub const AUDIT_LOOSE_BYTES_MAX: u64 = 16 << 20;
/// Free space of a disk below which the oldest of the audit log goes for the rest, bytes.
pub const AUDIT_FREE_BYTES_MIN: u64 = 2 * DISK_FREE_BYTES_MIN;
/// What is appended to the audit log is made durable at the latest after this time, ms.
pub const AUDIT_SYNC_MS: u64 = 1_000;
/// Changes that have no lines are told as passed so often, ms, or as soon as the journal is so full, percent: the fold
/// waits for that.
pub const AUDIT_MARK_MS: u64 = 20_000;
/// See [`AUDIT_MARK_MS`].
pub const AUDIT_MARK_PERCENT: u64 = 10;
/// The auditor looks for changes so often, ms.
pub const AUDIT_PAUSE_MS: u64 = 50;
/// Pause of the auditor after its disk refused, ms: it tries more than once before anybody goes on without it.
pub const AUDIT_RETRY_MS: u64 = 2_000;
/// Attempts that wait for their lines; more are counted.
pub const AUDIT_ATTEMPTS_MAX: usize = 1_024;
/// Administrative attempts of a second that get lines; more are counted.
pub const AUDIT_ATTEMPTS_PER_SECOND: u32 = 100;
/// The same of what was denied: so few that it takes days to push out of the log what is in it.
pub const AUDIT_DENIALS_PER_SECOND: u32 = 10;
/// The fold goes on without the audit log if that hasn't come further for so long, ms, and the journal is nearly full.
pub const AUDIT_STALL_MS: u64 = 5_000;

/// Operations that one ring of a worker holds.
pub const RING_OPERATIONS_MAX: u32 = 64 * 1024;
/// Of these, only for renew, confirm, release and cancel: one quarter.
pub const RING_OPERATIONS_RESERVED: u32 = RING_OPERATIONS_MAX / 4;
/// Operations that wait for one worker from which on those who are not alone have only their share of so many on the
/// way: two drains, which keep the worker and the disk busy.
pub const FAIR_OPERATIONS: u32 = 2 * DRAIN_OPERATIONS_MAX;
/// The same of the sequencer: two rendezvous.
pub const FAIR_SEQUENCED: u32 = 2 * RENDEZVOUS_OPERATIONS_MAX;
/// Bytes that wait for one worker from which on it is so too, for requests that are large.
pub const FAIR_BYTES: u32 = FAIR_OPERATIONS * FAIR_OPERATION_BYTES;
/// What counts there as one operation, bytes of its frame and of what is kept for it.
pub const FAIR_OPERATION_BYTES: u32 = 1024;
/// Bytes of frames without reply that weigh as much as one plain request.
pub const PLAIN_FRAME_BYTES: usize = 128;
/// The least that a principal's share is, in plain requests without reply of all its connections.
pub const FAIR_LEAST: u32 = 64;
/// Bytes of decoded operations that one ring of a worker holds.
pub const RING_BYTES_MAX: u32 = 64 << 20;
/// Items (groups of operations) that one ring of a worker holds.
pub const RING_SLOTS: u32 = 16 * 1024;

/// Operations that a worker takes at once.
pub const DRAIN_OPERATIONS_MAX: u32 = 1_024;
/// Bytes of records after which a drain is handed over.
pub const DRAIN_RECORD_BYTES_MAX: usize = 192 * 1024;

/// Bytes of a journal row: a batch and its header.
pub const JOURNAL_ROW_BYTES_MAX: usize = 256 * 1024 - 256;
/// Bytes of a batch header inside a row (journal/batch.rs).
pub const BATCH_HEADER_BYTES: usize = 96;
/// Bytes of a record of who asked.
pub const ASKED_RECORD_BYTES: usize = 36;
/// Bytes that records of who asked have in a hand-over behind its last operation: in front of what the server does by
/// itself, and at the end.
pub const ASKED_END_BYTES: usize = 2 * ASKED_RECORD_BYTES;
/// Bytes of records that one hand-over may have: what fits one row.
pub const HAND_OVER_RECORD_BYTES_MAX: usize =
    JOURNAL_ROW_BYTES_MAX - BATCH_HEADER_BYTES - ASKED_END_BYTES;
/// Bytes of a plain allocation's record: one IPv6 address, owner, no rare fields.
pub const PLAIN_RECORD_BYTES_MAX: usize = 48;
/// Bytes that it has besides on a network of another project.
pub const RECORD_PROJECT_BYTES: usize = 16;

/// Bytes of one record with every rare field at its longest.
pub const RECORD_BYTES_MAX: usize = 1_200;
/// Bytes of the records of one batch item: two families, every rare field at its longest.
pub const BATCH_ITEM_RECORD_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;
/// Records of one hand-over: as many of the smallest (24 bytes) as its bytes hold.
pub const HAND_OVER_RECORDS_MAX: u32 = (HAND_OVER_RECORD_BYTES_MAX / 24) as u32;
/// Bytes to reserve for the records of a drain; it grows beyond.
pub const DRAIN_RECORD_CAPACITY: usize = 64 * 1024;
/// Bytes of one reply frame.
pub const REPLY_FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of replies after which a drain is handed over.
pub const DRAIN_REPLY_BYTES_MAX: usize = 2 << 20;
/// Bytes of one hand-over: records, replies of a drain, and the reply that filled it.
pub const HAND_OVER_BYTES_MAX: u32 =
    (HAND_OVER_RECORD_BYTES_MAX + DRAIN_REPLY_BYTES_MAX + REPLY_FRAME_BYTES_MAX) as u32;
/// Drains of a worker whose refusals by a quota wait until other workers have left theirs; with
/// more, it decides nothing. They keep at most that many times the replies of a drain.
pub const LATE_DRAINS_MAX: usize = 4;
/// Bytes to reserve for each plain reply of a parcel.
pub const PLAIN_REPLY_BYTES: usize = 96;

/// Records that the committer's ring holds.
pub const COMMIT_RING_RECORDS_MAX: u32 = 48 * 1024;
/// Bytes that the committer's ring holds, records and replies.
pub const COMMIT_RING_BYTES_MAX: u32 = 64 << 20;
/// Hand-overs that the committer's ring holds.
pub const COMMIT_RING_SLOTS: u32 = 1_024;
/// Bytes of hand-overs, records and replies, in one commit.
pub const COMMIT_BYTES_MAX: u32 = 8 << 20;

/// Operations that wait for the sequencer.
pub const SEQUENCER_OPERATIONS_MAX: u32 = 4 * 1024;
/// Operations that the sequencer decides in one rendezvous.
pub const RENDEZVOUS_OPERATIONS_MAX: u32 = 256;
/// Bytes of the requests that it decides there, but for the first: the items of transactions are its
/// work, and meanwhile every worker stands still.
pub const RENDEZVOUS_REQUEST_BYTES_MAX: u32 = 256 * 1024;

/// Longest pause of the committer between two rounds while the journal is nearly full, ms.
pub const CROWDED_PAUSE_MS: u64 = 2;
/// Operations that a worker takes at once while the journal is nearly full.
pub const DRAIN_OPERATIONS_CROWDED: u32 = DRAIN_OPERATIONS_MAX / 8;
/// Journal fill, percent, from which a fold begins even if nothing has waited long.
pub const FOLD_BEGIN_PERCENT: u64 = 25;
/// A fold begins when records have waited this long, ms.
pub const FOLD_AGE_MS_MAX: u64 = 30_000;
/// Free disk space below which the state may not grow, bytes.
pub const DISK_FREE_BYTES_MIN: u64 = 256 << 20;

/// Objects that a slice of a job touches between two drains.
pub const JOB_SLICE_OBJECTS: usize = 256;
/// Drains between two slices while the journal is nearly full: what is left of it is for those who
/// wait for answers.
pub const JOB_DRAINS_CROWDED: u32 = 16;
/// Jobs of a shard that are not finished.
pub const JOBS_RUNNING_MAX: usize = 1_024;
/// Finished jobs that a shard remembers, the last ones.
pub const JOBS_FINISHED_MAX: usize = 64;

/// Networks of a server: at 1 KiB each, 1 GiB.
pub const NETWORKS_MAX: u32 = 1 << 20;
/// Projects of a server: at 0.5 KiB each, 32 MiB.
pub const PROJECTS_MAX: u32 = 1 << 16;
/// Principals of a server: at most 8 KiB each, 32 MiB.
pub const PRINCIPALS_MAX: u32 = 1 << 12;
/// How often it is looked whether somebody is nobody any more, ms: a token that is revoked ends its connections within
/// a second.
pub const ACCESS_LOOK_MS: u64 = 200;
/// Address scopes of a server.
pub const ADDRESS_SCOPES_MAX: u32 = 1 << 16;
/// Subnet pools of a server: at most 4 KiB each without what is taken from them, 256 MiB.
pub const SUBNET_POOLS_MAX: u32 = 1 << 16;
/// Subnets of a network.
pub const SUBNETS_PER_NETWORK_MAX: u32 = 128 * 1024;
/// Subnets, pins, mappings and segments that go with an empty network at once; more go in a job.
pub const NETWORK_DELETE_OBJECTS_MAX: u64 = JOB_SLICE_OBJECTS as u64;
/// Segments of a network.
pub const SEGMENTS_PER_NETWORK_MAX: usize = 4_096;
/// Segments of a network that a host reaches.
pub const HOST_SEGMENTS_MAX: usize = 16;
/// Hosts mapped in a network.
pub const HOSTS_PER_NETWORK_MAX: usize = 64 * 1024;
/// Subnets on a segment.
pub const SEGMENT_SUBNETS_MAX: usize = 64;
/// Subnets of a network on no segment that are not for everybody: with service types, or
/// auto-address. Each port that is made looks at all of them.
pub const SPECIAL_SUBNETS_MAX: usize = 64;
/// Addresses that follow from the MAC of one port.
pub const PORT_AUTOMATIC_MAX: usize = 32;
/// Subnets for everybody among which a DHCP port looks for one with `enable_dhcp`.
pub const DHCP_SUBNETS_MAX: usize = 256;
/// Allocations among which a refused deletion of a subnet looks for one to show that stands in the way.
pub const DELETION_LOOKS_MAX: usize = 256;
/// Allocations that an unforced deletion of a subnet releases at once; more go in a job.
pub const DELETION_AT_ONCE_MAX: usize = 64;
/// Subnets that go into a pool at once.
pub const ONBOARD_SUBNETS_MAX: usize = 256;
/// Bytes of the record of a prefix that a subnet has of a pool: two ids, a text with two, a project.
pub const SUBNET_PREFIX_RECORD_BYTES_MAX: usize = 256;
/// Bytes of the record of a pool with all its prefixes.
pub const POOL_RECORD_BYTES_MAX: usize = 4_096;
/// Bytes of the records of subnets that go into a pool at once: what they leave of a hand-over is
/// for the pool's record and those of their prefixes.
pub const ONBOARD_ROW_BYTES_MAX: usize = HAND_OVER_RECORD_BYTES_MAX
    - POOL_RECORD_BYTES_MAX
    - ONBOARD_SUBNETS_MAX * SUBNET_PREFIX_RECORD_BYTES_MAX;
/// Pins of a subnet: each is a piece that an automatic choice passes.
pub const PINS_PER_SUBNET_MAX: usize = 256;
/// Tries for a MAC that no port has. The chance that one fails is 2^-18 with 4 million ports.
pub const MAC_TRIES: usize = 16;
/// Bytes of the records of one operation on a port: its own, and all addresses released, whatever rested
/// there before, and made; and of the leases that had ended on those that it names.
pub const PORT_RECORD_BYTES_MAX: usize = RECORD_BYTES_MAX
    + addrd_protocol::message::port::PORT_ADDRESSES_MAX
        * (2 * PORT_ADDRESS_RECORD_BYTES_MAX + REST_RECORD_BYTES_MAX)
    + addrd_protocol::message::port::FIXED_IPS_MAX
        * (PORT_ADDRESS_RECORD_BYTES_MAX + REST_RECORD_BYTES_MAX);
/// Bytes of the record of an address of a port, a guest's with a slot and far into its subnet.
const PORT_ADDRESS_RECORD_BYTES_MAX: usize = PLAIN_RECORD_BYTES_MAX + RECORD_PROJECT_BYTES + 16;

/// Of the records that memory has room for, the percentage at which creation ends.
pub const RECORDS_FULL_PERCENT: u64 = 95;

/// Allocations of a shard from which on it pays to read ahead what a drain will need: at about
/// 80 bytes each they no longer fit the second-level caches of common processors.
pub const PREFETCH_RECORDS_MIN: u32 = 16 * 1024;
/// Subnets in which an automatic choice searches for a block before it gives up. A single address
/// is found in the first one.
pub const CHOICE_SUBNETS_MAX: usize = 256;
/// Objects that a request for a page looks at, at about 0.2 us each: well below 1 ms.
pub const LIST_OBJECTS_MAX: usize = 2_048;
/// Deleted subnets that a shard remembers for whoever polls counts, at about 100 bytes each: 6.5 MiB.
pub const DEPARTED_SUBNETS_MAX: usize = 64 * 1024;
/// Pieces of pools that a request for counts looks at.
pub const USAGE_PIECES_MAX: usize = 8_192;
/// Bytes of the records of one slice: each object one release, or one address of a port and its
/// new attributes, which rarely have long texts; the last port may have all its addresses to
/// release; and the job's own record.
pub const JOB_SLICE_RECORD_BYTES_MAX: usize = (JOB_SLICE_OBJECTS + 4) * 192;

/// Hosts without allocations whose calls are remembered.
pub const HOSTS_WITHOUT_ALLOCATIONS_MAX: usize = 4_096;
/// Calls about networks in which their host has nothing that are remembered of a host.
pub const CALLS_WITHOUT_GROUP_MAX: usize = 16;
/// What a host listed it has for so long, ms: a day. A host that is gone says nothing any more.
pub const CLAIM_MS_MAX: u64 = 86_400_000;
/// Allocations that a part of reconcile looks at: its owners may have more than it lists. At about 0.2 us
/// each.
pub const RECONCILE_LOOKS_MAX: usize = 16_384;
/// Suspects that a slice releases, or networks of their hosts that it looks at, between two drains.
pub const RECONCILE_SLICE_OBJECTS: usize = 256;
/// Bytes of the records of such a slice: a rest each.
pub const RECONCILE_SLICE_RECORD_BYTES_MAX: usize = RECONCILE_SLICE_OBJECTS * REST_RECORD_BYTES_MAX;

/// Hosts that have a lease, in all projects; each worker has all of them, at about 900 bytes each: 90 MB.
pub const HOST_LEASES_MAX: u64 = 100_000;
/// Hosts without a lease whose last life a worker remembers, at about 600 bytes each with the longest names: 2.5 MB.
pub const FORMER_LIVES_MAX: usize = 4_096;
/// Leases that a slice looks at between two drains.
pub const EXPIRY_SLICE_OBJECTS: usize = 256;
/// Bytes of the records of such a slice: a rest each, of holds fewer, with the texts that they had.
pub const EXPIRY_SLICE_RECORD_BYTES_MAX: usize = EXPIRY_SLICE_OBJECTS * REST_RECORD_BYTES_MAX;
/// Rests that a slice, or a request that comes across them, takes away or looks at.
pub const REST_SLICE_OBJECTS: usize = 256;
/// Bytes of the records of such a slice: a later end each.
pub const REST_SLICE_RECORD_BYTES_MAX: usize = REST_SLICE_OBJECTS * REST_RECORD_BYTES_MAX;
/// Bytes of the records of what an operation takes away: an end each, of a block far into an IPv6 prefix.
pub const ENDED_RECORD_BYTES_MAX: usize = REST_SLICE_OBJECTS * 40;
/// Rests that a request looks at which would take one, at about 0.2 us each.
pub const RESTING_LOOKS_MAX: usize = 1_024;
/// Bytes of the record of a rest with every field that it may have: offset, owner, slot, instance, end,
/// project, length of a block, revision of the allocation.
pub const REST_RECORD_BYTES_MAX: usize = 128;

/// How long at least the address of a hold that ran out rests, ms: so long it can be confirmed late.
pub const HOLD_REST_MS: u64 = 600_000;
/// Open holds that a project has on the networks of one worker: at about 0.4 KiB each, 26 MiB.
pub const OPEN_HOLDS_MAX: u64 = 1 << 16;

/// What has a lease at a start doesn't end earlier than so long after it, ms, unless it is set otherwise.
pub const RESTART_GRACE_MS: u64 = 60_000;
/// Longest setting of it, ms: leases that nobody renews keep their addresses so long.
pub const RESTART_GRACE_MS_MAX: u64 = 24 * 3_600_000;
/// Longest time between two readings of the clock that isn't taken for a standstill, ms: each loop
/// turns once a second.
pub const CLOCK_GAP_MS_MAX: u64 = 5_000;
/// No lease ends so long after a renewal was refused for want of room, ms.
pub const BUSY_GRACE_MS: u64 = 10_000;
/// In all, ms, at most.
pub const BUSY_GRACE_MS_MAX: u64 = 600_000;
/// Time without such a refusal after which that counts anew, ms.
pub const BUSY_QUIET_MS: u64 = 600_000;

/// How far the wall clock may be ahead of the last journalled tick at a start to be believed, ms.
pub const CLOCK_JUMP_MS_MAX: u64 = 3_600_000;
/// Longest setting of it, ms: a year.
pub const CLOCK_JUMP_MS_MOST: u64 = 365 * 24 * 3_600_000;
/// How old the last journalled tick of a worker with leases may get, ms: a start a little later is
/// believed.
pub const TICK_AGE_MS_MAX: u64 = CLOCK_JUMP_MS_MAX / 8;

/// Watches of a server: each has a place in the one tail of the feed, and at most
/// [`FEED_WAITING_BYTES_MAX`] of a connection's output.
pub const WATCHERS_MAX: usize = 1_024;
/// Watches of a connection.
pub const WATCHES_PER_CONNECTION_MAX: usize = addrd_protocol::message::watch::WATCHES_MAX;
/// Bytes of the events that are kept for those who watch: two seconds of a busy server.
pub const FEED_TAIL_BYTES_MAX: usize = 128 << 20;
/// Batches whose events are kept for them.
pub const FEED_TAIL_PAGES_MAX: usize = 64 * 1024;
/// Of either, the percentage that a watch whose peer doesn't read may be behind: it is told so while
/// what it stands at is kept.
pub const FEED_LAG_PERCENT: usize = 50;
/// Bytes of records that the feeder reads at once.
pub const FEED_READ_BYTES_MAX: usize = 1 << 20;
/// Pause of the feeder between two pieces, ms: those who watch are woken no more often.
pub const FEED_PAUSE_MS: u64 = 5;
/// Pause after records and names that did not fit, ms.
pub const FEED_RETRY_MS: u64 = 100;
/// The feed goes on for so long after the last watch has ended, ms: it can be taken up again, and a
/// list that takes long can be followed.
pub const FEED_KEEP_MS: u64 = 60_000;
/// A watch is told at least so often where it stands, ms.
pub const FEED_HEARTBEAT_MS: u64 = 5_000;
/// Bytes of one frame of events; the last event may pass it.
pub const FEED_FRAME_BYTES_MAX: usize = 64 << 10;
/// Bytes of a connection's output beyond which a watch waits for its peer to read.
pub const FEED_WAITING_BYTES_MAX: usize = 4 * FEED_FRAME_BYTES_MAX;

/// Bytes of all files of history. Default of a setting.
pub const HISTORY_BYTES_MAX: u64 = 10 << 30;
/// The same with `--dev`.
pub const HISTORY_BYTES_MAX_DEV: u64 = 256 << 20;
/// Least of that setting, if it isn't 0.
pub const HISTORY_BYTES_LEAST: u64 = 16 << 20;
/// Days for which history is kept. Default of a setting.
pub const HISTORY_DAYS: u64 = 30;
/// Days for which history is kept, at most: ten years.
pub const HISTORY_DAYS_MOST: u64 = 3_650;
/// ms of a day.
pub const DAY_MS: u64 = 24 * 3_600_000;
/// Into so many parts history is cut, by size and by age: what goes at once is one of them.
pub const HISTORY_SPANS: u64 = 32;
/// Bytes of batches in a volume, at least.
pub const HISTORY_VOLUME_BYTES_LEAST: u64 = 512 << 10;
/// The same, at most; of many networks and subnets, whose names stand in each volume, eight times their
/// bytes.
pub const HISTORY_VOLUME_BYTES_MAX: u64 = 64 << 20;
/// Bytes of batches in a block of a volume's index, at least: what a question reads at once, and what one
/// sieve of 16 KiB is for.
pub const HISTORY_BLOCK_BYTES: u64 = 256 << 10;
/// Blocks of an index, about: in larger volumes they are larger, and a sieve lets more pass. While a volume
/// is written it takes 16 KiB of memory for each.
pub const HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Names that the records of a volume give before the next one begins, at least; else a quarter of the names
/// that it began with. A question may have to hold them, 0.1 KiB each.
pub const HISTORY_NAMES_GIVEN_LEAST: usize = 64 << 10;
/// What it costs to find a name, in bytes that a question could have read instead.
pub const HISTORY_NAME_COST_BYTES: u64 = 1 << 10;
/// Names that a question remembers when it had to find them.
pub const HISTORY_NAMES_FOUND_MAX: usize = 16 << 10;
/// Places of an address for which a question asks the sieves and which it compares one by one; of more it
/// takes whatever has the number that the address has in any of them, and looks up the name.
pub const HISTORY_PLACES_MAX: usize = 64;
/// Bytes that a question reads before it says where to go on: about 100 ms.
pub const HISTORY_LOOK_BYTES_MAX: u64 = 128 << 20;
/// Files of history that are to go and can't be removed, with which it begins no volume and gives none up.
pub const HISTORY_LEFT_FILES_MAX: usize = 16;
/// Bytes of indexes, the newest ones, that are read whole after a start: of 1 GiB of history. Of others what is
/// wrong is found by a question.
pub const HISTORY_INDEX_CHECK_BYTES_MAX: u64 = 64 << 20;
/// Free bytes of the disk below which history grows no more: far from where the server refuses something.
pub const HISTORY_FREE_BYTES_MIN: u64 = 4 * DISK_FREE_BYTES_MIN;
/// Bytes of batches that the historian takes from the journal before it looks at anything else.
pub const HISTORY_READ_BYTES_MAX: usize = 2 << 20;
/// Bytes that are appended to history before they are synced.
pub const HISTORY_LOOSE_BYTES_MAX: u64 = 32 << 20;
/// Time after which they are, ms, however few they are.
pub const HISTORY_SYNC_MS: u64 = 1_000;
/// Pause of the historian between two pieces, ms.
pub const HISTORY_PAUSE_MS: u64 = 50;
/// The same while it finds nothing, ms.
pub const HISTORY_IDLE_MS: u64 = 100;
/// Pause before it is looked again whether names fit what history may take, ms: all of them are read for that.
pub const HISTORY_TOO_SMALL_RETRY_MS: u64 = 600_000;
/// Pause after a disk refused what is history's, ms.
pub const HISTORY_RETRY_MS: u64 = 10_000;
/// Journal fill, percent, at which it waits for history no more: below the fill at which the fold runs at
/// full speed.
pub const HISTORY_GIVE_UP_PERCENT: u64 = 75;
/// Journal fill, percent, at which the fold waits for history no more, whatever history's thread does.
pub const HISTORY_LEFT_BEHIND_PERCENT: u64 = 85;
/// Questions about history that wait; one is looked up at a time.
pub const HISTORY_QUESTIONS_MAX: usize = 64;
/// Advice to those who find no place among them, ms.
pub const HISTORY_QUESTIONS_RETRY_MS: u32 = 100;
/// Time that a question waits for history to have what was durable when it came, ms.
pub const HISTORY_CATCH_UP_MS: u64 = 1_000;
/// How far ticks of batches that follow each other may step back, ms: a drain reads the clock once.
pub const HISTORY_TICK_SLACK_MS: u64 = 60_000;

/// Records that the journal holds before the fold must have made room.
pub const JOURNAL_RECORDS_MAX: u64 = 4 << 20;
/// The same with `--dev`.
pub const JOURNAL_RECORDS_MAX_DEV: u64 = 256 << 10;
/// Journal fill, percent, from which the fold runs at full speed.
pub const JOURNAL_FULL_SPEED_PERCENT: u64 = 80;
/// Journal fill, percent, from which drains are smaller.
pub const JOURNAL_SMALL_DRAINS_PERCENT: u64 = 95;

/// Bytes of file that the journal has for each of its records: a plain record, the header's share,
/// and what batches leave empty in their last block (4 KiB) if they have 64 records or more.
pub const JOURNAL_BYTES_PER_RECORD: u64 = 80;
/// Time for which the committer waits for room in a full journal, ms: below the 90 s after which
/// systemd kills.
pub const JOURNAL_BLOCKED_MS_MAX: u64 = 60_000;
/// Bytes of batches that one reading of the journal gives.
pub const JOURNAL_READ_BYTES: usize = 4 << 20;

/// Bytes of pages that one slice of the fold makes dirty: more at once delays the journal's fsync
/// (1.3 ms measured at 4 MiB, 70 ms at 256 MiB).
pub const FOLD_SLICE_BYTES: usize = 4 << 20;
/// Bytes of zeros that are written ahead of a growing state, so that slices write over blocks that
/// are there (1.3 ms instead of 27 ms for the journal's fsync beside them), and so that a full disk
/// shows before a transaction needs it: eight slices.
pub const FOLD_AHEAD_BYTES: u64 = 8 * FOLD_SLICE_BYTES as u64;
/// Records of a chunk of the fold; their bytes and 24 each are in memory meanwhile.
pub const FOLD_CHUNK_RECORDS_MAX: u64 = 4 << 20;
/// Bytes of the records of a chunk, if they are large ones; fits the 32-bit places of its index.
pub const FOLD_CHUNK_BYTES_MAX: usize = 512 << 20;

/// Bytes of a state row.
pub const STATE_ROW_BYTES_MAX: usize = 4_000;
/// Bytes of a block of a backup, with its head.
pub const BACKUP_BLOCK_BYTES_MAX: usize = addrd_protocol::message::backup::BACKUP_BLOCK_BYTES_MAX;
/// Bytes of what it holds.
pub const BACKUP_PAYLOAD_BYTES_MAX: usize = BACKUP_BLOCK_BYTES_MAX - 20;
/// Blocks that are taken before they are asked for: 2 MiB, so that a fold that works for 20 ms at a time
/// gives 100 MiB a second.
pub const BACKUP_BLOCKS_AHEAD_MAX: usize = 8;
/// Bytes of the state that are read for a backup in a second, unless it is said.
pub const BACKUP_ROW_BYTES_A_SECOND: u64 = 64 << 20;
/// Time without a request after which a backup is over, ms.
pub const BACKUP_IDLE_MS: u64 = 10_000;
/// Advice to who asks for a block that isn't there yet, ms: a few slices of the fold.
pub const BACKUP_WAIT_MS: u32 = 20;
/// Journal fill, percent, at which it is kept no longer for a backup: below the fill at which the fold
/// runs at full speed.
pub const BACKUP_JOURNAL_PERCENT: u64 = 75;
/// Records of a chunk of the fold of a restore; their bytes and 24 each are in memory meanwhile.
pub const RESTORE_CHUNK_RECORDS_MAX: u64 = 1 << 20;

/// Findings that a check of a data directory reports.
pub const CHECK_FINDINGS_MAX: usize = 1_000;
/// Bytes of the file that is given up to start on a full disk.
pub const RESERVE_BYTES: u64 = 64 << 20;
/// Bytes of it that are written and synced at once while the server serves: a sync of so little
/// holds no commit up for long.
pub const RESERVE_PIECE_BYTES: usize = 1 << 20;
/// Pause between two pieces, ms: all of it takes a quarter of a minute.
pub const RESERVE_PIECE_PAUSE_MS: u64 = 250;
/// Pause before a disk that had no room for it is looked at again, ms.
pub const RESERVE_RETRY_MS: u64 = 10_000;

const _: () = assert!(
    BATCH_ITEMS_MAX * 2 * (PLAIN_RECORD_BYTES_MAX + RECORD_PROJECT_BYTES) <= DRAIN_RECORD_BYTES_MAX,
    "a batch of plain items, two families each, fits one drain"
);
const _: () = assert!(
    CONNECTION_OPERATIONS_MAX as usize * REPLY_BYTES_PLAIN <= REPLY_BYTES_WAITING_MAX,
    "a credit of plain replies fits what may wait"
);
const _: () = assert!(addrd_protocol::codec::HELLO_BYTES_MAX as usize <= READ_BUFFER_BYTES_MIN);
const _: () = assert!(
    CONNECTIONS_UNGREETED_MAX as usize * (READ_BUFFER_BYTES_MIN + REPLY_BYTES_PLAIN) <= 16 << 20,
    "what has not finished HELLO has at most 16 MiB in flight"
);
const _: () = assert!(DRAIN_RECORD_BYTES_MAX < HAND_OVER_RECORD_BYTES_MAX);
const _: () = assert!(RING_OPERATIONS_RESERVED < RING_OPERATIONS_MAX);
const _: () =
    assert!(DRAIN_RECORD_BYTES_MAX + BATCH_ITEM_RECORD_BYTES_MAX < HAND_OVER_RECORD_BYTES_MAX);
const _: () = assert!(
    DRAIN_RECORD_BYTES_MAX
        + PORT_RECORD_BYTES_MAX
        + ENDED_RECORD_BYTES_MAX
        + 6 * ASKED_RECORD_BYTES
        < HAND_OVER_RECORD_BYTES_MAX,
    "an operation on a port, and the rests that it takes away, fit behind a drain"
);
const _: () = assert!(
    addrd_protocol::message::port::FIXED_IPS_MAX + PORT_AUTOMATIC_MAX
        <= addrd_protocol::message::port::PORT_ADDRESSES_MAX,
    "what is asked for and what follows from the MAC fit a port"
);
const _: () = assert!(
    JOURNAL_ROW_BYTES_MAX <= BACKUP_PAYLOAD_BYTES_MAX,
    "every batch fits a block of a backup"
);
const _: () = assert!(
    BACKUP_BLOCK_BYTES_MAX + REPLY_BYTES_PLAIN <= REPLY_BYTES_WAITING_PAUSE,
    "a block of a backup can wait for its peer"
);
const _: () = assert!(BACKUP_JOURNAL_PERCENT < JOURNAL_FULL_SPEED_PERCENT);
const _: () = assert!(2 * AUDIT_RETRY_MS < AUDIT_STALL_MS);
const _: () = assert!(HISTORY_GIVE_UP_PERCENT < JOURNAL_FULL_SPEED_PERCENT);
const _: () = assert!(HISTORY_GIVE_UP_PERCENT < HISTORY_LEFT_BEHIND_PERCENT);
const _: () = assert!(HISTORY_LEFT_BEHIND_PERCENT < 100);
const _: () = assert!(addrd_protocol::message::port::PORT_ADDRESSES_MAX < 128, "a bit for each");
const _: () = assert!(
    FEED_WAITING_BYTES_MAX + FEED_FRAME_BYTES_MAX + addrd_protocol::codec::SUBNET_REPLY_BYTES_MAX
        <= REPLY_BYTES_WAITING_PAUSE,
    "events leave half of the output to replies"
);
const _: () = assert!(HAND_OVER_BYTES_MAX * 4 < COMMIT_RING_BYTES_MAX);
const _: () = assert!(HAND_OVER_RECORDS_MAX * 4 < COMMIT_RING_RECORDS_MAX);
const _: () = assert!(
    2 * (COMMIT_RING_RECORDS_MAX as u64) <= JOURNAL_RECORDS_MAX_DEV / 2,
    "what is on its way takes at most half of the smallest journal"
);
const _: () = assert!(
    (GROWTH_SAMPLES as u64 - 1) * GROWTH_SAMPLE_MS >= GROWTH_HOUR_MS
        && (GROWTH_SAMPLES as u64 - 1) * GROWTH_SAMPLE_MS * GROWTH_LONG_EVERY >= GROWTH_DAY_MS,
    "samples reach as far back as growth is told"
);
