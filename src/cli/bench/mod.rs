//! `addrd bench`: makes what it needs, loads the server, reports, removes what it made. Measures
//! from outside only: it sees what any client sees.

mod drive;
mod line;
mod owners;
mod plan;
mod report;
mod setup;
mod storm;
mod tally;
mod wire;

use super::fault::Fault;
use super::output;
use super::session::Session;
use addrd_client::protocol::message::Network;
use addrd_client::protocol::{ProjectId, SubnetId};
use addrd_client::{Client, Error, Sessions, Settings};
use drive::{Driver, Pace};
use line::{Line, Script, Work};
use owners::Owners;
use plan::Plan;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::sync::{mpsc, watch};
use wire::Template;

/// Addresses that are live unless said otherwise.
const LIVE_CHURN: u32 = 1_000_000;
/// Ports or subnets that are live unless said otherwise.
const LIVE_OBJECTS: u32 = 100_000;
/// Addresses that are allocated at most unless said otherwise.
const LIVE_ALLOCATE: u32 = 10_000_000;
/// Longest run, so that no sum overflows, s.
const SECONDS_MAX: f64 = 86_400.0;
/// A thread looks for a request to stop this often.
const SLICE: Duration = Duration::from_millis(100);
/// Networks that are named when others are in the way.
const NAMED_MAX: usize = 3;
/// Longest wait for outstanding replies at the end.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Measures a server.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
It makes networks, subnets and allocations of its own and removes them at the end. An operation
counts when its successful reply has come. One that is refused for overload (BUSY) or for a rate
(RATE_LIMITED) is no error: it is counted apart and repeated when the server advises; its latency
counts from the first try.

A server that has other networks, such as the sample network of `serve --dev`, is refused unless
--force is given; other networks are never touched.

Examples:
  addrd bench                                        1 M live, 16 connections x 128 in flight
  addrd bench --connections 64 --in-flight 1
  addrd bench --live 10000000 --fill 0.99 --duration 60
  addrd bench --workload ports                       creates and deletes of ports
  addrd bench --workload subnets --networks 1000     creates and deletes of subnets of a pool
  addrd bench --rate 500000 --expiring 1000000       while a million leases end at once
  addrd bench --rate 500000 --output json            latency from the intended start")]
pub(crate) struct Bench {
    /// What is done
    #[arg(long, value_enum, default_value_t = Workload::Churn)]
    workload: Workload,
    /// Connections
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Requests without reply on each connection
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    in_flight: u16,
    /// Operations a second, whatever the server does (an open loop) [default: as fast as replies
    /// come]
    #[arg(long, value_name = "PER_SECOND", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", allow_negative_numbers = true)]
    duration: f64,
    /// Seconds before that, not measured [default: 1, of `allocate` 0]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    warm_up: Option<f64>,
    /// Addresses that are kept allocated; of `allocate` the most that are [default: 1000000, 100000 ports or
    /// subnets, of `allocate` 10000000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(plan::LIVE_MAX)))]
    live: Option<u32>,
    /// Part of the pools that is live, more than 0 and at most 1
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    fill: f64,
    /// Networks
    #[arg(long, default_value_t = 1)]
    networks: u32,
    /// Subnets of each network
    #[arg(long, default_value_t = 1)]
    subnets: u32,
    /// Threads that make load
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Leases on a network of their own that all end in the middle of the measured time
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    expiring: u32,
    /// Load a server that has other networks
    #[arg(long)]
    force: bool,
    /// Leave everything that was made
    #[arg(long)]
    keep: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Release and allocate, one for one, in random order
    Churn,
    /// Allocate only
    Allocate,
    /// Delete and create ports with one address of each family, in random order
    Ports,
    /// Take the addresses of ports away and give them one of each family, in random order
    PortUpdates,
    /// Delete and create subnets of a subnet pool, in random order
    Subnets,
}

impl Workload {
    const fn has_ports(self) -> bool {
        matches!(self, Self::Ports | Self::PortUpdates)
    }
}

impl Bench {
    fn work(&self) -> Work {
        match self.workload {
            Workload::Allocate => Work::Allocate,
            _ => Work::Churn,
        }
    }

    fn live(&self) -> u32 {
        self.live.unwrap_or(match self.workload {
            Workload::Churn => LIVE_CHURN,
            Workload::Ports | Workload::PortUpdates | Workload::Subnets => LIVE_OBJECTS,
            Workload::Allocate => LIVE_ALLOCATE,
        })
    }

    /// What is not measured, s. `allocate` measures all of its bounded work.
    fn warm_up(&self) -> f64 {
        self.warm_up.unwrap_or(match self.workload {
            Workload::Allocate => 0.0,
            _ => 1.0,
        })
    }

    /// Owners of line `number`: where they begin, and how many.
    fn share(&self, number: u32) -> (u32, u32) {
        let at = |n: u32| u64::from(self.live()) * u64::from(n) / u64::from(self.connections);
        (at(number) as u32, (at(number + 1) - at(number)) as u32)
    }

    fn check(&self) -> Result<(), String> {
        let seconds = |seconds: f64| (0.0..=SECONDS_MAX).contains(&seconds);
        if !seconds(self.duration) || self.duration == 0.0 || !seconds(self.warm_up()) {
            return Err(format!(
                "--duration {} --warm-up {}: they are seconds, at most a day, and it measures for \
                 more than 0",
                self.duration,
                self.warm_up()
            ));
        }
        if let Some(rate) = self.rate.filter(|rate| !(*rate > 0.0 && *rate <= 1e9)) {
            return Err(format!("--rate {rate}: it is more than 0 and at most 1000000000"));
        }
        let workers = self.connections * u32::from(self.in_flight);
        if self.work() == Work::Churn && self.live() / 4 < workers {
            return Err(format!(
                "--live {}: it is at least 4 for each request in flight, here {}",
                self.live(),
                u64::from(workers) * 4
            ));
        }
        Ok(())
    }
}

pub(crate) fn run(session: &Session, bench: &Bench) -> Result<(), Fault> {
    bench.check().map_err(Fault::Usage)?;
    let run = uuid::Uuid::new_v4().as_u64_pair().0;
    let mut plan = Plan::new(run, bench.networks, bench.subnets, bench.live(), bench.fill)
        .map_err(Fault::Usage)?;
    plan.same_ids = bench.workload == Workload::PortUpdates;
    let mut settings = session.settings(Sessions::Random)?;
    settings.lanes = setup::LANES;
    // An overloaded server is asked again until the time of the call ends.
    settings.sends_max = u32::MAX;
    session.block_on(measure(session, bench, plan, settings))
}

async fn measure(
    session: &Session,
    bench: &Bench,
    plan: Plan,
    settings: Settings,
) -> Result<(), Fault> {
    let client = Client::connect(settings.clone()).await?;
    if !bench.force {
        refuse_others(&client).await?;
    }
    let result = tokio::select! {
        result = loaded(bench, plan, &settings, &client) => result,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err(Fault::Refused("interrupted".to_owned()))
        }
    };
    if !bench.keep {
        progress("removing what was made");
        let removed = tokio::select! {
            removed = setup::remove(&client, &plan, bench.workload == Workload::Subnets) => removed,
            // Asked a second time, it ends at once.
            _ = tokio::signal::ctrl_c() => Err(Fault::Refused("interrupted".to_owned())),
        };
        // What went wrong first is what matters.
        return match (result, removed) {
            (Ok(outcome), Ok(())) => report::print(session, bench, &plan, &outcome),
            (Err(fault), _) | (Ok(_), Err(fault)) => Err(fault),
        };
    }
    report::print(session, bench, &plan, &result?)
}

/// A server with other networks is loaded only if asked for: whoever uses them would feel it.
async fn refuse_others(client: &Client) -> Result<(), Fault> {
    let networks = client.networks(None).take(NAMED_MAX + 1).await?;
    if networks.is_empty() {
        return Ok(());
    }
    let name = |network: &Network| match &network.name {
        Some(name) => format!("\"{name}\""),
        None => network.network_id.to_string(),
    };
    let names: Vec<String> = networks.iter().take(NAMED_MAX).map(name).collect();
    let more = if networks.len() > NAMED_MAX { " and more" } else { "" };
    Err(Fault::Refused(format!(
        "this server has networks of its own ({}{more}), and whoever uses them would feel the load. \
         To measure it all the same (they are not touched): addrd bench --force. To measure an \
         empty one: addrd serve --data DIR",
        names.join(", ")
    )))
}

/// What a run brought.
#[derive(Debug)]
struct Outcome {
    tally: Tally,
    measured: Duration,
    prefill: Duration,
}

async fn loaded(
    bench: &Bench,
    plan: Plan,
    settings: &Settings,
    client: &Client,
) -> Result<Outcome, Fault> {
    let prefill = prepare(bench, &plan, client).await?;
    // Before there are drivers: an open loop counts from when it was made.
    if bench.expiring > 0 {
        let ahead = Duration::from_secs_f64(bench.warm_up() + bench.duration / 2.0);
        storm::gather(client, &plan, bench.expiring, ahead).await?;
    }
    let lines = setup::open(settings, bench.connections).await?;
    let mut lines: Vec<Line> = (0..)
        .zip(lines)
        .map(|(number, (socket, leftover))| {
            let (first, count) = bench.share(number);
            let (held, fresh) = match bench.work() {
                Work::Churn => (count, 0),
                Work::Allocate => (0, count),
            };
            let seed = plan.run.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9));
            Line::new(socket, &leftover, bench.in_flight, Owners::new(first, held, fresh, seed))
        })
        .collect();
    let threads = bench.threads.min(bench.connections) as usize;
    let mut drivers = Vec::new();
    for left in (1..=threads).rev() {
        let share = lines.split_off(lines.len() - lines.len() / left);
        let (allocate, release) = templates(bench.workload, &plan, settings.project)?;
        let script = Script { plan, work: bench.work(), allocate, release };
        let pace = bench.rate.map_or(Pace::Closed, |rate| {
            Pace::Open(rate * share.len() as f64 / f64::from(bench.connections))
        });
        let driver = Driver::new(share, bench.in_flight, script, pace);
        drivers.push(driver.map_err(Fault::Internal)?);
    }
    let place = settings.endpoints.first().map(ToString::to_string).unwrap_or_default();
    let (tally, measured) = load(bench, drivers, &place).await?;
    if bench.expiring > 0 {
        let left = storm::left(client, &plan).await?;
        progress(&format!("{left} of {} leases have not ended", bench.expiring));
    }
    Ok(Outcome { tally, measured, prefill })
}

/// Makes and fills what a workload needs; how long the filling took.
async fn prepare(bench: &Bench, plan: &Plan, client: &Client) -> Result<Duration, Fault> {
    progress(&format!("making {} networks of {} subnets", plan.networks, plan.subnets));
    setup::make_networks(client, plan).await?;
    let with_ports = bench.workload.has_ports();
    match bench.workload {
        Workload::Subnets => setup::make_pool(client, plan).await?,
        _ => setup::make_subnets(client, plan).await?,
    }
    if with_ports {
        setup::make_second_family(client, plan).await?;
    }
    let began = Instant::now();
    match bench.workload {
        Workload::Subnets => setup::fill_pool(client, plan, bench.live()).await?,
        Workload::Allocate => {}
        _ => setup::fill(client, plan, bench.live(), with_ports).await?,
    }
    Ok(began.elapsed())
}

/// The two requests of a workload: the one that takes, the one that gives back.
fn templates(
    workload: Workload,
    plan: &Plan,
    project: ProjectId,
) -> Result<(Template, Template), Fault> {
    Ok(match workload {
        Workload::Churn | Workload::Allocate => {
            (Template::allocate(project), Template::release(project))
        }
        Workload::Ports => (Template::port_create(project), Template::port_delete(project)),
        Workload::PortUpdates => {
            (Template::port_update(project, true), Template::port_update(project, false))
        }
        Workload::Subnets => {
            let create = setup::pool_subnet(plan, SubnetId::from_u128(1))?;
            (Template::subnet_create(project, create), Template::subnet_delete(project))
        }
    })
}

/// What a thread says on its way.
#[derive(Debug)]
enum Said {
    /// Operations of the last slice.
    Operations(u64),
    /// The end, and how long was measured.
    End(Result<(Tally, Duration), String>),
}

async fn load(
    bench: &Bench,
    drivers: Vec<Driver>,
    place: &str,
) -> Result<(Tally, Duration), Fault> {
    let (say, mut said) = mpsc::channel(1_024);
    // Dropped together with this future: threads then stop at their next slice.
    let (_going, stop) = watch::channel(());
    let mut running = drivers.len();
    for (number, driver) in drivers.into_iter().enumerate() {
        let (say, stop, bench) = (say.clone(), stop.clone(), bench.clone());
        std::thread::Builder::new()
            .name(format!("bench-{number}"))
            .spawn(move || drive(driver, &bench, &say, &stop))?;
    }
    let mut sum = (Tally::default(), Duration::ZERO);
    let mut second = (Instant::now(), 0, 0_u64);
    while running > 0 {
        match said.recv().await {
            Some(Said::Operations(operations)) => second.1 += operations,
            Some(Said::End(result)) => {
                let (tally, measured) = result
                    .map_err(|cause| Error::Unreachable { endpoint: place.to_owned(), cause })?;
                sum.0.add(&tally);
                sum.1 = sum.1.max(measured);
                running -= 1;
            }
            None => return Err(Fault::Internal("a load thread ended early".to_owned())),
        }
        let passed = second.0.elapsed();
        if passed >= Duration::from_secs(1) {
            let rate = second.1 as f64 / passed.as_secs_f64();
            progress(&format!("{:>4} s  {}/s", second.2 + 1, report::thousands(rate as u64)));
            second = (Instant::now(), 0, second.2 + 1);
        }
    }
    Ok(sum)
}

/// The life of a load thread.
fn drive(mut driver: Driver, bench: &Bench, say: &mpsc::Sender<Said>, stop: &watch::Receiver<()>) {
    let phase = |driver: &mut Driver, seconds: f64| -> Result<Duration, String> {
        let began = Instant::now();
        let end = began + Duration::from_secs_f64(seconds);
        while Instant::now() < end && stop.has_changed().is_ok() {
            let before = driver.tally.operations;
            driver.run(end.min(Instant::now() + SLICE), true)?;
            // Nobody listens any more: the next look at `stop` ends this.
            let _ = say.blocking_send(Said::Operations(driver.tally.operations - before));
            if driver.is_finished() {
                break;
            }
        }
        Ok(began.elapsed())
    };
    let result = phase(&mut driver, bench.warm_up()).and_then(|_| {
        driver.tally = Tally::default();
        let measured = phase(&mut driver, bench.duration)?;
        let tally = driver.tally.clone();
        driver.run(Instant::now() + DRAIN_MAX, false)?;
        Ok((tally, measured))
    });
    let _ = say.blocking_send(Said::End(result));
}

fn progress(text: &str) {
    output::to_stderr(text);
}
