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
            | Opcode::PROJECT_GET
            | Opcode::PROJECT_LIST
            | Opcode::SCOPE_GET
            | Opcode::SCOPE_LIST
            | Opcode::POOL_GET
            | Opcode::POOL_LIST
            | Opcode::POOL_PREVIEW
    )
}
