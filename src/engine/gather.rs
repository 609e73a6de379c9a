//! Operations that ask every worker: parts come in as they become durable, the last one merges
//! them and answers. Holds no state of its own beyond the parts.

use super::answer;
use super::operation::{Operation, Outlet, Stages};
use crate::access::Authorized;
use crate::allocator::{self, Answer, At};
use crate::model::Asked;
use bytes::BytesMut;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One gathered operation.
pub struct Gather {
    outlet: Arc<dyn Outlet>,
    operation: Authorized<Operation>,
    parts: Mutex<Parts>,
}

struct Parts {
    waiting: usize,
    answers: Vec<Answer>,
    /// Of the part that was decided at the lowest position.
    at: Option<At>,
    is_cancelled: bool,
}

impl Gather {
    /// Waits for `workers` parts.
    #[must_use]
    pub fn new(
        outlet: Arc<dyn Outlet>,
        operation: Authorized<Operation>,
        workers: usize,
    ) -> Arc<Self> {
        let parts = Mutex::new(Parts {
            waiting: workers,
            answers: Vec::new(),
            at: None,
            is_cancelled: false,
        });
        Arc::new(Self { outlet, operation, parts })
    }

    /// What is asked.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Who asks, and for what.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.operation.by(), self.operation.opcode)
    }

    /// Parts that are still decided are dropped: a ring had no room, and the caller was told.
    pub fn cancel(&self) {
        self.parts().is_cancelled = true;
    }

    /// Takes a durable part, decided at `at`; the last one answers, and its stages are told.
    pub fn complete(&self, at: At, answer: Answer, stages: Stages) {
        let (at, answers) = {
            let mut parts = self.parts();
            parts.answers.push(answer);
            let at = parts.at.filter(|so_far| so_far.position <= at.position).unwrap_or(at);
            parts.at = Some(at);
            parts.waiting = parts.waiting.saturating_sub(1);
            if parts.waiting > 0 || parts.is_cancelled {
                return;
            }
            (at, std::mem::take(&mut parts.answers))
        };
        let Operation { request, scope, .. } = &*self.operation;
        let merged = allocator::merge(&at, request, scope, answers);
        let mut frames = BytesMut::new();
        answer::encode(&self.operation, &merged, &mut frames);
        self.outlet.deliver(frames.freeze(), 1, stages);
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        // A panic while the lock is held stops the process; the parts are whole in any case.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("operation", &self.operation).finish_non_exhaustive()
    }
}
