//! One request on its way through a lane. Decides nothing.

use crate::error::Error;
use addrd_protocol::message::{Failure, Reply};
use addrd_protocol::{Incarnation, Opcode};
use bytes::BytesMut;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Result<Reply, Box<Failure>>,
    /// An earlier send of the same request may have been applied.
    pub(crate) in_doubt: bool,
    /// Which life of the data the server has that said it.
    pub(crate) incarnation: Incarnation,
}

/// A request, where its answer goes, and its share of the bounds.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) opcode: Opcode,
    /// The encoded request; id and time-out are written when it is sent.
    pub(crate) frame: BytesMut,
    pub(crate) deadline: Instant,
    /// How often it was sent.
    pub(crate) sends: u32,
    /// An earlier send may have been applied.
    pub(crate) in_doubt: bool,
    /// `None`: nobody waits any more; the entry only keeps the place of the coming reply.
    pub(crate) answer: Option<oneshot::Sender<Result<Answer, Error>>>,
    /// Places in the lane's bounds, given back when this is dropped.
    pub(crate) _permits: Vec<OwnedSemaphorePermit>,
}

impl Ticket {
    /// Whether somebody still waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }

    /// Answers, if somebody still waits. The entry itself may stay.
    pub(crate) fn answer(&mut self, result: Result<Answer, Error>) {
        if let Some(answer) = self.answer.take() {
            // A caller that went away wants no answer.
            let _ = answer.send(result);
        }
    }

    /// Fails: the error as it is if nothing can have happened, else "outcome unknown".
    pub(crate) fn fail(&mut self, error: &Error) {
        let error = match error {
            Error::OutcomeUnknown { .. } => error.clone(),
            error if self.in_doubt && changes_something(self.opcode) => {
                Error::OutcomeUnknown { cause: error.to_string() }
            }
            error => error.clone(),
        };
        self.answer(Err(error));
    }
}

/// Whether an operation can change anything: only then is a lost answer an unknown outcome.
pub(crate) fn changes_something(opcode: Opcode) -> bool {
    !matches!(
        opcode,
        Opcode::PING
            | Opcode::SERVER_STATUS
            | Opcode::WATCH
            | Opcode::UNWATCH
            | Opcode::HISTORY
            | Opcode::BACKUP_READ
            | Opcode::JOB_GET
            | Opcode::JOB_LIST
            | Opcode::NETWORK_GET
            | Opcode::NETWORK_LIST
            | Opcode::NETWORK_FIND
            | Opcode::SUBNET_GET
            | Opcode::SUBNET_LIST
            | Opcode::USAGE
            | Opcode::FREE_RANGES
            | Opcode::ALLOCATION_GET
            | Opcode::ALLOCATION_LIST
            | Opcode::LOOKUP
            | Opcode::SUSPECT_LIST
            | Opcode::MANAGER_LIST
            | Opcode::HOST_LEASE_LIST
            | Opcode::PROJECT_GET
            | Opcode::PROJECT_LIST
            | Opcode::PRINCIPAL_GET
            | Opcode::PRINCIPAL_LIST
            | Opcode::SCOPE_GET
            | Opcode::SCOPE_LIST
            | Opcode::POOL_GET
            | Opcode::POOL_LIST
            | Opcode::POOL_PREVIEW
            | Opcode::SEGMENT_GET
            | Opcode::SEGMENT_LIST
            | Opcode::HOST_LIST
            | Opcode::PORT_GET
            | Opcode::PORT_LIST
            | Opcode::PIN_LIST
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may have happened although no answer came. All others read, open or close something of the connection, or
    /// look into what is told to this client alone.
    const CHANGES: &[Opcode] = &[
        Opcode::CLOCK_ACCEPT,
        Opcode::SERVER_ADOPT,
        Opcode::NETWORK_CREATE,
        Opcode::NETWORK_UPDATE,
        Opcode::NETWORK_DELETE,
        Opcode::SUBNET_CREATE,
        Opcode::SUBNET_UPDATE,
        Opcode::SUBNET_DELETE,
        Opcode::SUBNET_EXCLUDE,
        Opcode::SUBNET_INCLUDE,
        Opcode::SUBNET_ONBOARD,
        Opcode::ALLOCATE,
        Opcode::RELEASE,
        Opcode::ALLOCATION_UPDATE,
        Opcode::BATCH,
        Opcode::RENEW,
        Opcode::RENEW_OWNER,
        Opcode::TRANSACTION,
        Opcode::HOLD_CONFIRM,
        Opcode::HOLD_CANCEL,
        Opcode::HOLD_RELEASE,
        Opcode::TRANSFER,
        Opcode::RECONCILE,
        Opcode::RENEW_HOST,
        Opcode::END_HOST,
        Opcode::PROJECT_CREATE,
        Opcode::PROJECT_UPDATE,
        Opcode::PROJECT_DELETE,
        Opcode::PRINCIPAL_CREATE,
        Opcode::PRINCIPAL_UPDATE,
        Opcode::PRINCIPAL_DELETE,
        Opcode::TOKEN_CREATE,
        Opcode::TOKEN_REVOKE,
        Opcode::SCOPE_CREATE,
        Opcode::SCOPE_UPDATE,
        Opcode::SCOPE_DELETE,
        Opcode::POOL_CREATE,
        Opcode::POOL_UPDATE,
        Opcode::POOL_DELETE,
        Opcode::SEGMENT_CREATE,
        Opcode::SEGMENT_UPDATE,
        Opcode::SEGMENT_DELETE,
        Opcode::SEGMENT_HOSTS,
        Opcode::PORT_CREATE,
        Opcode::PORT_UPDATE,
        Opcode::PORT_DELETE,
        Opcode::PIN_CREATE,
        Opcode::PIN_DELETE,
    ];
    /// Frames that no ticket carries: the lane's own, and the server's.
    const OF_LANES: &[Opcode] =
        &[Opcode::HELLO, Opcode::GOAWAY, Opcode::ERROR, Opcode::EVENTS, Opcode::WATCH_END];

    /// A read whose answer was lost is no change of unknown outcome, whatever it reads; a change is one, also one that this
    /// version doesn't know.
    #[test]
    fn every_operation_changes_something_or_reads() {
        for &opcode in Opcode::ALL.iter().filter(|opcode| !OF_LANES.contains(opcode)) {
            assert_eq!(changes_something(opcode), CHANGES.contains(&opcode), "{}", opcode.name());
        }
        assert!(CHANGES.iter().all(|opcode| opcode.is_known()));
        assert!(changes_something(Opcode(0x7fff)));
    }

    /// By their names: whoever adds one has to say which it is.
    #[test]
    fn what_gets_or_lists_is_no_change() {
        let reads = ["_get", "_list", "_find", "_read", "_preview"];
        for opcode in Opcode::ALL {
            if reads.iter().any(|end| opcode.name().ends_with(end)) {
                assert!(!changes_something(*opcode), "{}", opcode.name());
            }
        }
    }
}
