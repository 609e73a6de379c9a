//! Bugs planted on purpose, one at a time, in the tests of this library only: each must make the
//! test fail that is meant for it. In a program none exists.

/// A bug, at the place in the code that asks [`is_planted`] for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Answers leave before the round is written.
    ReplyBeforeCommit,
    /// What shows a change that is not durable is told at once.
    ReadBeforeCommit,
    /// A failed write is taken for a success.
    FailedWriteBelieved,
    /// The record of a release isn't journalled.
    ReleaseRecordDropped,
    /// The last address of each pool is never handed out.
    PoolEndOffByOne,
    /// A release isn't compared with the revision that it names.
    FenceNotCompared,
    /// Every epoch of a session is good.
    SessionEpochIgnored,
    /// Replies to a peer that reads nothing have no bound.
    RepliesWithoutBound,
    /// Ordinary requests use the slots that are kept for releases.
    ReserveForAll,
    /// A connection may have more than its share of a ring.
    ShareIgnored,
    /// Who is not alone may have all that it wants on the way.
    TurnsIgnored,
    /// A full journal takes changes.
    FullJournalTakesMore,
    /// GOAWAY names one request less than was read.
    GoAwayOneShort,
    /// A lease can be renewed after it has ended.
    RenewedTooLate,
    /// Any token answers for what is held.
    TokenNotCompared,
    /// A hold that ran out is released like a lease.
    HoldRunsOutFree,
    /// Cancelling frees what was confirmed.
    ConfirmedCancelled,
    /// What is confirmed late has a new revision.
    LateConfirmRenumbers,
    /// A held release can be confirmed after its time.
    LateReleaseConfirmed,
    /// A wall clock that is a year ahead is believed.
    ClockJumpBelieved,
    /// Leases end although the server stood still.
    GapIgnored,
    /// Opening a directory writes before all of it was taken.
    OpeningWritesAtOnce,
    /// A record doesn't say that an allocation is of another project than its network or pool.
    GuestNotEncoded,
    /// A network ceases to be shared whoever has something there.
    UnsharedUnderGuests,
    /// The records of a batch on a pool that was refused stay.
    RefusedBatchJournalled,
    /// A subnet that goes into a pool takes its prefix from nobody.
    OnboardedPrefixNotTaken,
    /// A port that is refused keeps the addresses it got before.
    PortMadeInPart,
    /// Those who watch are told what is not durable.
    EventBeforeDurable,
    /// Who takes up a watch again misses an event.
    EventLostAtResume,
    /// The record of a port that changed isn't journalled.
    PortChangeNotJournalled,
    /// In adoption mode addresses are chosen as ever.
    ChosenWhileAdopting,
    /// A transaction that is refused is taken back where its last item came to, and nowhere else.
    TransactionKeptInPart,
    /// The quota of a transaction is judged in one shard alone.
    TransactionPaidInPart,
    /// A backup has the batches up to its begin, and rows that are newer.
    BackupEndsAtItsBegin,
    /// A restore leaves revisions as they were.
    RevisionsNotRaised,
    /// The record of a release doesn't say that the address rests.
    RestNotEncoded,
    /// Somebody else gets an address that rests.
    RestIgnored,
    /// An address whose rest has ended doesn't count as free.
    EndedRestNotFree,
    /// The second call about a host may come at once.
    GraceOfHostsIgnored,
    /// The lease of a host can be renewed after what followed it has ended.
    HostRenewedTooLate,
    /// What follows a former life of a host goes on with the next one.
    FormerLifeGoesOn,
    /// The end of a lease ends former lives of the host as well, within a grace that they have.
    FormerLifeEndsWithLease,
    /// A life begins with a number that something of a former life still follows.
    UsedLifeBegins,
    /// Asking again for what is held doesn't keep it.
    RepeatKeepsNothing,
    /// A call is complete without its last part.
    PartNotAwaited,
    /// What another host lists is released all the same.
    ClaimsIgnored,
    /// What a host lists no more is as if it had never done so.
    EndedClaimKeepsNothing,
    /// A list of suspects that lost its place begins its host again.
    SeenSuspectsForgotten,
    /// A list of suspects goes on behind a worker that has more.
    SuspectsOfWorkerLeftOut,
    /// A list of suspects goes on where another run of the server left it.
    SuspectsOfFormerRun,
    /// What is transferred keeps its revision.
    TransferKeepsRevision,
    /// What is transferred is still found under its former key, and not under the new one.
    TransferKeepsOldKey,
    /// Who gets something from another project takes no units for it.
    TransferPaysNothing,
    /// Who gives something to another project still counts it.
    TransferFreesNothing,
    /// What is to be done already is compared with no fence, whoever holds it.
    RepeatedTransferUnfenced,
    /// A level is over as soon as use is below it.
    LevelWithoutHysteresis,
    /// Which level was told is not kept.
    ToldLevelForgotten,
    /// Growth over an hour or a day is told from a sample of any age.
    GrowthOfAnyAge,
    /// A pool that is made smaller looks like growth.
    ShiftIsGrowth,
    /// Who asked last asks for what another thread changed behind it.
    AskerStays,
    /// A start believes that all of a batch has its lines in the audit log if some of it has.
    AuditSkipsBatch,
    /// The journal may forget what the audit log hasn't made durable.
    AuditKeptTooSoon,
    /// History that misses a part says that it has all.
    HistoryGapNotTold,
    /// What can't be removed of history is out of account.
    HistoryLeftNotCounted,
    /// A volume of history ends where the next one begins, whatever those behind that one say.
    HistoryUpToTheNextOnly,
    /// What was written stays where TLS keeps it.
    WriteNotFlushed,
    /// Any client that a CA has signed is let in, whatever its name.
    ClientNameIgnored,
    /// A certificate that was let in once is good for ever.
    StruckStays,
}

/// Whether this bug is planted.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}

/// Whether this bug is planted in this process.
#[cfg(test)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var(tests::VARIABLE).ok());
    planted.as_deref().is_some_and(|name| name == format!("{bug:?}"))
}

#[cfg(test)]
mod tests {
    use super::Bug;
    use std::process::Command;

    /// Names the bug that is planted in a process of tests.
    pub(super) const VARIABLE: &str = "ADDRD_PLANTED";

    /// T12: must find all of these, whatever other test is meant for them.
    const SCHEDULES: &str =
        "engine::tests::schedule::random_schedules_lose_nothing_and_give_nothing_twice";

    /// What lives is never freed by a reconciliation.
    const LIVE: &str = "allocator::tests::live_machine::\
        what_lives_is_never_freed_and_what_died_is_in_the_end";

    /// What follows a host lives as long as its lease.
    const HOSTS: &str =
        "allocator::tests::host_machine::what_follows_lives_exactly_as_long_as_its_host";

    /// T14: the same server behind its connections.
    const SIMULATION: &str =
        "server::simulation::a_server_in_one_thread_keeps_its_promises_and_repeats_itself";

    /// Each bug, and the test that is meant for it.
    const CAUGHT_BY: &[(Bug, &str)] = &[
        (Bug::ReplyBeforeCommit, SCHEDULES),
        (Bug::FailedWriteBelieved, SIMULATION),
        (Bug::ReleaseRecordDropped, SIMULATION),
        (Bug::SessionEpochIgnored, SIMULATION),
        (Bug::HoldRunsOutFree, SIMULATION),
        (Bug::LateConfirmRenumbers, SIMULATION),
        (Bug::ReadBeforeCommit, SCHEDULES),
        (Bug::FailedWriteBelieved, SCHEDULES),
        (Bug::ReleaseRecordDropped, SCHEDULES),
        (Bug::GuestNotEncoded, SCHEDULES),
        (Bug::UnsharedUnderGuests, SCHEDULES),
        (Bug::RefusedBatchJournalled, SCHEDULES),
        (Bug::OnboardedPrefixNotTaken, SCHEDULES),
        (Bug::PortMadeInPart, SCHEDULES),
        (Bug::PortChangeNotJournalled, SCHEDULES),
        (Bug::TransactionKeptInPart, SCHEDULES),
        (
            Bug::TransactionKeptInPart,
            "allocator::tests::transactions::\
             all_of_them_is_as_one_by_one_and_none_is_nothing",
        ),
        (
            Bug::TransactionPaidInPart,
            "allocator::tests::transactions::a_project_stays_within_its_quota",
        ),
        (Bug::TokenNotCompared, "allocator::tests::machine::the_shard_agrees_with_a_naive_server"),
        (Bug::HoldRunsOutFree, "allocator::tests::machine::the_shard_agrees_with_a_naive_server"),
        (
            Bug::ConfirmedCancelled,
            "allocator::tests::machine::the_shard_agrees_with_a_naive_server",
        ),
        (
            Bug::ConfirmedCancelled,
            "allocator::tests::holds::who_undoes_frees_nothing_that_was_there_before",
        ),
        (
            Bug::LateReleaseConfirmed,
            "allocator::tests::machine::the_shard_agrees_with_a_naive_server",
        ),
        (
            Bug::LateConfirmRenumbers,
            "allocator::tests::holds::what_ran_out_rests_for_its_token_and_is_taken_back",
        ),
        (
            Bug::AskerStays,
            "journal::buffer::tests::\
             each_record_is_of_who_asked_for_it_also_after_some_were_taken_back",
        ),
        (
            Bug::AuditSkipsBatch,
            "engine::tests::schedule::auditing::the_audit_log_has_every_change_once_whatever_fails",
        ),
        (
            Bug::AuditKeptTooSoon,
            "engine::tests::schedule::auditing::the_audit_log_has_every_change_once_whatever_fails",
        ),
        (
            Bug::HistoryGapNotTold,
            "store::history::tests::what_the_journal_had_forgotten_is_a_gap_that_is_told",
        ),
        (
            Bug::HistoryLeftNotCounted,
            "store::history::tests::refusing::every_byte_counts_whatever_is_refused",
        ),
        (
            Bug::HistoryUpToTheNextOnly,
            "store::history::tests::overlap::every_later_volume_says_where_all_before_it_end",
        ),
        (
            Bug::HistoryUpToTheNextOnly,
            "store::history::tests::overlap::\
             what_could_not_be_read_at_a_start_is_not_told_twice_later",
        ),
        (Bug::RestNotEncoded, SCHEDULES),
        (Bug::RenewedTooLate, SCHEDULES),
        (Bug::HoldRunsOutFree, SCHEDULES),
        (Bug::LateConfirmRenumbers, SCHEDULES),
        (Bug::EventLostAtResume, SCHEDULES),
        (
            Bug::RestIgnored,
            "allocator::tests::rests::who_comes_back_gets_its_own_and_nobody_else_does",
        ),
        (Bug::EndedRestNotFree, "allocator::tests::machine::the_shard_agrees_with_a_naive_server"),
        (
            Bug::RestNotEncoded,
            "engine::tests::rests::what_rests_rests_on_after_a_restart_and_is_free_at_its_end",
        ),
        (
            Bug::GuestNotEncoded,
            "allocator::tests::pool_machine::pools_prefixes_and_scopes_agree_with_a_naive_model",
        ),
        (
            Bug::ReplyBeforeCommit,
            "engine::tests::gate::no_answer_leaves_before_what_it_reveals_is_durable",
        ),
        (
            Bug::ReadBeforeCommit,
            "engine::tests::gate::no_answer_leaves_before_what_it_reveals_is_durable",
        ),
        (
            Bug::FailedWriteBelieved,
            "engine::tests::gate::a_failed_write_answers_nobody_and_stops_the_process_once",
        ),
        (
            Bug::ReleaseRecordDropped,
            "engine::tests::what_was_answered_is_there_after_a_restart_with_any_number_of_workers",
        ),
        (Bug::PoolEndOffByOne, "allocator::tests::machine::the_shard_agrees_with_a_naive_server"),
        (Bug::FenceNotCompared, "allocator::tests::machine::the_shard_agrees_with_a_naive_server"),
        (
            Bug::FenceNotCompared,
            "allocator::tests::fencing::in_every_order_the_second_life_keeps_its_address",
        ),
        (
            Bug::RenewedTooLate,
            "allocator::tests::leases::a_lease_ends_at_its_deadline_and_not_before",
        ),
        (
            Bug::HostRenewedTooLate,
            "allocator::tests::host_leases::what_follows_ends_with_the_lease_of_its_host",
        ),
        (
            Bug::FormerLifeGoesOn,
            "allocator::tests::host_leases::what_followed_a_former_life_never_reaches_the_next_one",
        ),
        (Bug::HostRenewedTooLate, HOSTS),
        (Bug::HostRenewedTooLate, SCHEDULES),
        (Bug::FormerLifeGoesOn, HOSTS),
        (Bug::FormerLifeEndsWithLease, HOSTS),
        (Bug::UsedLifeBegins, HOSTS),
        (Bug::GraceOfHostsIgnored, LIVE),
        (Bug::GraceOfHostsIgnored, SCHEDULES),
        (
            Bug::EndedClaimKeepsNothing,
            "allocator::tests::reconcile::what_a_host_lists_no_more_has_to_be_missed_twice_again",
        ),
        (Bug::RepeatKeepsNothing, LIVE),
        (
            Bug::PartNotAwaited,
            "allocator::tests::reconcile::\
             a_call_is_complete_once_all_its_parts_came_in_any_order",
        ),
        (
            Bug::ClaimsIgnored,
            "allocator::tests::reconcile::what_another_host_lists_is_not_released",
        ),
        (
            Bug::SeenSuspectsForgotten,
            "allocator::tests::suspects::\
             what_stays_suspect_is_listed_once_whatever_comes_and_goes",
        ),
        (Bug::SuspectsOfWorkerLeftOut, "allocator::tests::suspects::pages_without_suspects_go_on"),
        (Bug::SuspectsOfFormerRun, "allocator::tests::suspects::a_cursor_of_a_former_run_is_stale"),
        (
            Bug::ChosenWhileAdopting,
            "allocator::tests::adoption::nothing_is_chosen_whatever_way_it_is_asked_for",
        ),
        (
            Bug::BackupEndsAtItsBegin,
            "store::backup::tests::a_backup_under_load_is_the_state_at_one_position",
        ),
        (
            Bug::RevisionsNotRaised,
            "store::backup::tests::a_backup_under_load_is_the_state_at_one_position",
        ),
        (
            Bug::TransferKeepsRevision,
            "allocator::tests::machine::the_shard_agrees_with_a_naive_server",
        ),
        (
            Bug::TransferKeepsRevision,
            "allocator::tests::transfers::in_every_order_the_new_owner_keeps_its_address",
        ),
        (
            Bug::TransferKeepsOldKey,
            "allocator::tests::machine::the_shard_agrees_with_a_naive_server",
        ),
        (Bug::TransferPaysNothing, "allocator::tests::quota_machine::quotas_are_exact"),
        (Bug::TransferKeepsOldKey, SCHEDULES),
        (Bug::TransferFreesNothing, "allocator::tests::quota_machine::quotas_are_exact"),
        (
            Bug::RepeatedTransferUnfenced,
            "allocator::tests::transfers::\
             a_late_transfer_is_not_told_done_about_whoever_took_the_address_since",
        ),
        (
            Bug::LevelWithoutHysteresis,
            "allocator::tests::levels::\
             a_level_is_told_once_and_again_only_after_use_has_fallen_clearly_below",
        ),
        (
            Bug::LevelWithoutHysteresis,
            "allocator::tests::levels::random_work_tells_what_a_plain_reading_says",
        ),
        (
            Bug::ToldLevelForgotten,
            "allocator::tests::levels::\
             after_a_restart_nothing_is_told_again_and_what_was_not_told_is",
        ),
        (
            Bug::GrowthOfAnyAge,
            "allocator::growth::tests::growth_is_unknown_until_a_sample_is_old_enough",
        ),
        (
            Bug::GrowthOfAnyAge,
            "allocator::growth::tests::a_gap_of_the_clock_makes_growth_unknown_not_wrong",
        ),
        (Bug::ShiftIsGrowth, "allocator::growth::tests::exclusions_are_no_growth"),
        (Bug::ClockJumpBelieved, "engine::clock::tests::a_wall_clock_a_year_ahead_is_not_believed"),
        (
            Bug::GapIgnored,
            "allocator::tests::leases::a_standstill_of_more_than_five_seconds_ends_no_lease",
        ),
        (
            Bug::SessionEpochIgnored,
            "server::connection::tests::endings::\
             a_newer_connection_waits_until_the_older_ones_work_is_decided",
        ),
        // Nothing of it may grow without bound here either: the tests assert theirs as they go.
        (
            Bug::RepliesWithoutBound,
            "server::connection::tests::bounds::\
             a_peer_that_does_not_read_stops_being_read_and_is_closed",
        ),
        (
            Bug::EventBeforeDurable,
            "engine::tests::feed::nothing_is_told_before_it_is_known_to_be_durable",
        ),
        (Bug::EventLostAtResume, "engine::tests::feed::who_takes_up_a_watch_again_misses_nothing"),
        (Bug::ReserveForAll, "engine::tests::full::a_quarter_of_a_full_ring_is_kept_for_releases"),
        (
            Bug::ShareIgnored,
            "engine::tests::full::past_half_of_a_ring_every_active_connection_has_its_share",
        ),
        (
            Bug::ShareIgnored,
            "engine::tests::full::past_half_of_a_ring_every_active_principal_has_its_share",
        ),
        (
            Bug::TurnsIgnored,
            "server::connection::tests::turns::who_is_not_alone_has_its_part_of_what_is_on_the_way",
        ),
        (
            Bug::FullJournalTakesMore,
            "engine::tests::pressure::at_100_percent_every_change_is_busy_and_reads_go_on",
        ),
        (
            Bug::GoAwayOneShort,
            "server::connection::tests::endings::\
             shutdown_tells_the_last_request_and_answers_what_was_read",
        ),
        (
            Bug::OpeningWritesAtOnce,
            "store::held_file::tests::\
             nothing_reaches_the_file_before_the_release_and_all_of_it_after",
        ),
        (
            Bug::WriteNotFlushed,
            "server::connection::tests::flushing::what_is_written_is_flushed_also_the_last_words",
        ),
        (
            Bug::ClientNameIgnored,
            "server::tls::tests::only_who_is_named_is_let_in_if_there_is_a_list",
        ),
        (
            Bug::StruckStays,
            "server::tls::standing::tests::who_was_let_in_is_judged_by_the_files_that_there_are_now",
        ),
    ];

    /// Runs one test of this library in a process of its own; what it said.
    fn run(test: &str, bug: Option<Bug>) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact"]).env_remove(VARIABLE).env("RUST_BACKTRACE", "0");
        // Far fewer seeds than `.ci/run` tries must do.
        command.env_remove("ADDRD_SCHEDULES").env_remove("ADDRD_SIMULATIONS");
        // With a quarter of them one run in forty doesn't meet with a hold that runs out.
        command.env("ADDRD_PROPTEST_CASES", "400").env("ADDRD_PROPTEST_SHRINKS", "0");
        if let Some(bug) = bug {
            // The first seed that finds it ends the test.
            command.env(VARIABLE, format!("{bug:?}")).env("ADDRD_SCHEDULES", "400");
        }
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// T16. A test that can't fail proves nothing.
    #[test]
    fn every_planted_bug_is_caught_by_the_test_meant_for_it() {
        for (bug, test) in CAUGHT_BY {
            let said = run(test, Some(*bug));
            assert!(said.contains("0 passed; 1 failed"), "{bug:?} escaped {test}: {said}");
        }
        // The tests can pass as well.
        let mut tests: Vec<_> = CAUGHT_BY.iter().map(|(_, test)| *test).collect();
        tests.dedup();
        for test in tests {
            let said = run(test, None);
            assert!(said.contains("1 passed; 0 failed"), "without a bug {test}: {said}");
        }
    }
}
