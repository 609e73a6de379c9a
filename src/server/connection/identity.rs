//! As whom a connection acts: found at HELLO, looked at again when principals change. What it may not do is answered
//! here, before anything is looked up.

use super::super::answers::{failure, text};
use super::super::decider::Decider;
use super::Connection;
use crate::access::{Actor, Authorized, Denied};
use crate::engine::{Attempt, Operation};
use crate::model::{Asker, ProjectId, Status};
use crate::server::access::Identity;
use addrd_protocol::Opcode;
use addrd_protocol::message::{Detail, Failure, GoAwayReason, Hello, RequestHeader};
use std::fmt::Write as _;
use tokio::time::Instant;

impl<D: Decider> Connection<D> {
    /// Finds out who says HELLO.
    pub(super) fn identify(&mut self, hello: &Hello) -> Result<(), Failure> {
        let shared = &self.shared;
        let desk = shared.decider.access();
        // In front of the table: a change in between is seen as one.
        let changes = desk.changes();
        let now = shared.decider.clock().tick();
        let found =
            shared.doorkeeper.identify(&desk.table(), now, &self.origin, hello.token.as_ref());
        match found {
            Ok(identity) => {
                tracing::debug!(number = self.number, origin = %self.origin, actor = %identity.actor, "identified");
                (self.identity, self.access_changes) = (Some(identity), changes);
                Ok(())
            }
            Err(stranger) => {
                tracing::warn!(origin = %self.origin, why = %stranger, "a stranger was refused");
                let (opcode, result) = (Opcode::HELLO, Status::UNAUTHENTICATED);
                self.tell_attempt(Asker::Nobody, None, opcode, result, stranger.to_string());
                // Why is for the operator alone.
                Err(failure(Status::UNAUTHENTICATED, "this server doesn't know who you are"))
            }
        }
    }

    /// From now on the connection ends when it is nobody's any more.
    pub(super) fn join_as(&mut self, now: Instant) {
        let Some(identity) = self.identity.clone() else { return };
        self.shared.crowd.identify(self.number, identity);
        // What changed, or ended, while it was not known whose it is: HELLO may have waited.
        self.judge_again(now);
    }

    /// Ends a connection of somebody who isn't any more who it was. Called before requests are taken.
    #[inline]
    pub(super) fn check_access(&mut self, now: Instant) {
        if self.shared.decider.access().changes() != self.access_changes {
            self.judge_again(now);
        }
    }

    #[cold]
    fn judge_again(&mut self, now: Instant) {
        let desk = self.shared.decider.access();
        self.access_changes = desk.changes();
        let (table, tick) = (desk.table(), self.shared.decider.clock().tick());
        let keeper = &self.shared.doorkeeper;
        let is_other = |identity: &Identity| !keeper.is_still(identity, &table, tick);
        if self.identity.as_ref().is_some_and(is_other) {
            self.go_away(GoAwayReason::AccessEnded, now);
        }
    }

    /// Lets an operation through, or says that no grant has it.
    pub(super) fn authorize(&self, operation: Operation) -> Result<Authorized<Operation>, Failure> {
        let Some(Identity { actor, .. }) = &self.identity else {
            return Err(failure(Status::UNAUTHENTICATED, "this server doesn't know who you are"));
        };
        actor
            .authorize(operation, self.shared.doorkeeper.reach(&self.origin))
            .map_err(|(denied, operation)| self.deny(actor, &denied, &operation))
    }

    #[cold]
    fn deny(&self, actor: &Actor, denied: &Denied, operation: &Operation) -> Failure {
        let opcode = operation.opcode.name();
        let verb = denied.verb.name();
        tracing::warn!(%actor, origin = %self.origin, opcode, verb, project = %operation.scope.project, "denied");
        let (project, code) = (Some(operation.scope.project), operation.opcode);
        let why = match denied.elsewhere {
            true => "administration is for the Unix socket alone".to_owned(),
            false => format!("no grant has the verb {verb}"),
        };
        self.tell_attempt(actor.asker(), project, code, Status::NOT_ALLOWED, why);
        if denied.elsewhere {
            let message = "this server is administered over its Unix socket alone";
            let details = vec![Detail::Bound { name: text("local_administration") }];
            return Failure { details, ..failure(Status::NOT_ALLOWED, message) };
        }
        let mut message = format!("no grant of yours has the verb {verb}");
        match denied.project {
            // Writing to a string can't fail.
            Some(project) => _ = write!(message, " in project {project}"),
            None => message.push_str(" for all projects"),
        }
        if let Some(manager) = &denied.manager {
            _ = write!(message, " and the manager {manager}");
        }
        Failure { message: text(&message), ..failure(Status::NOT_ALLOWED, "") }
    }

    /// Notes in the audit log what nobody decides on.
    fn tell_attempt(
        &self,
        by: Asker,
        project: Option<ProjectId>,
        opcode: Opcode,
        result: Status,
        why: String,
    ) {
        let audit = self.shared.decider.audit();
        if audit.is_on() {
            let (tick, origin) = (self.shared.decider.clock().tick(), self.origin.to_string());
            audit.note(Attempt { tick, by, origin, project, opcode, result, why });
        }
    }

    /// Notes what an operator had done that changes nothing of what there is.
    pub(super) fn tell_administration(&self, operation: &Authorized<Operation>, result: Status) {
        let opcode = operation.opcode;
        self.tell_attempt(operation.by(), None, opcode, result, String::new());
    }

    /// The number under which its sessions are kept apart from those of others.
    pub(super) fn principal(&self) -> u32 {
        self.identity.as_ref().and_then(|identity| identity.actor.number()).unwrap_or(0)
    }
}

/// Where a request belongs, as its header says.
pub(super) fn scope_of(header: &RequestHeader) -> crate::engine::Scope {
    let RequestHeader { project, network, pool, restoring, .. } = *header;
    let network_project = header.network_project.filter(|home| *home != project);
    crate::engine::Scope { project, network, pool, network_project, restoring }
}
