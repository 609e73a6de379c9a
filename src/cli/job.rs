//! `addrd job`: progress of big work.

use super::fault::Fault;
use super::held::{NamedJob, Names};
use super::output;
use super::session::Session;
use addrd_client::Client;
use addrd_protocol::JobId;
use addrd_protocol::message::{Job as JobObject, JobState};

/// Jobs of the server: get, list, wait.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Job {
    /// Shows a job.
    #[command(visible_alias = "show")]
    Get(Number),
    /// Lists jobs that are not finished, and the last that are.
    #[command(visible_alias = "ls")]
    List,
    /// Waits until a job is done.
    Wait(Number),
}

/// Names a job.
#[derive(Debug, clap::Args)]
pub(crate) struct Number {
    /// Number of the job
    job: u64,
}

pub(crate) async fn run(session: &Session, job: Job) -> Result<(), Fault> {
    let client = session.client().await?;
    let mut names = Names::new(&client, &session.output);
    match job {
        Job::Get(number) => {
            let found = client.job_get(JobId(number.job)).await?;
            session.output.one(&names.job(found).await?)
        }
        Job::Wait(number) => {
            let ended = wait(session, &client, JobId(number.job)).await?;
            session.output.one(&names.job(ended).await?)
        }
        Job::List => {
            let most = session.output.objects_max();
            let mut jobs = client.jobs();
            let mut out = session.output.list::<NamedJob>();
            while let Some(job) = jobs.next().await? {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(names.job(job).await?)?;
            }
            out.end(false)
        }
    }
}

/// Waits for a job, showing its progress to whoever watches.
pub(crate) async fn wait(
    session: &Session,
    client: &Client,
    job_id: JobId,
) -> Result<JobObject, Fault> {
    let mut shown = 0;
    let watched = output::is_interactive();
    let job = client
        .job_wait(job_id, |job| {
            if watched && job.state == JobState::Running && job.done > shown {
                shown = job.done;
                session.output.remark(&format!("job {job_id}: {} of {}", job.done, job.total));
            }
        })
        .await?;
    Ok(job)
}
