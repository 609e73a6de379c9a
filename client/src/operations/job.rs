//! Jobs: reading them, and waiting until they are done.

use super::{Deleted, Page, Pages, expect_reply};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::message::{Job, JobGet, JobList, JobState, PageRequest, Request};
use addrd_protocol::{JobId, NetworkId};
use std::time::Duration;

/// First pause between two looks at a job.
const POLL_FIRST: Duration = Duration::from_millis(5);
/// Longest pause between two looks at a job.
const POLL_MOST: Duration = Duration::from_millis(500);

impl Client {
    /// Reads a job.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn job_get(&self, job_id: JobId) -> Result<Job, Error> {
        let request = Request::JobGet(JobGet { job_id });
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Job)?)
    }

    /// Jobs that are not finished and the last that are, ordered by number.
    #[must_use]
    pub fn jobs(&self) -> Pages<Job> {
        let request = |page: PageRequest| Request::JobList(Box::new(JobList { page }));
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Jobs)?;
            Ok(Page { position: None, items: page.items, next: page.next })
        })
    }

    /// Waits until a job is done, `look` seeing each state on the way.
    ///
    /// # Errors
    /// Those of [`Client::job_get`]. The job goes on whatever happens here; the caller bounds the
    /// time.
    pub async fn job_wait(&self, job_id: JobId, mut look: impl FnMut(&Job)) -> Result<Job, Error> {
        let mut pause = POLL_FIRST;
        loop {
            let job = self.job_get(job_id).await?;
            look(&job);
            if job.state == JobState::Done {
                return Ok(job);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_MOST);
        }
    }

    /// Waits until a deletion is done.
    ///
    /// # Errors
    /// Those of [`Client::job_wait`].
    pub async fn deleted(&self, deleted: Deleted) -> Result<(), Error> {
        match deleted {
            Deleted::Now => Ok(()),
            Deleted::ByJob(job) => self.job_wait(job.job_id, |_| ()).await.map(|_| ()),
        }
    }
}
