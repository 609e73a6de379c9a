//! A client that behaves, beside others that don't: it allocates and releases without pause and
//! never sees an error.

use super::network::{network, text};
use super::server::Site;
use addrd_client::protocol::message::{AllocateExtras, Fences, Release, Target};
use addrd_client::protocol::{NetworkId, OwnerId, Slot};
use addrd_client::{Client, plain_allocate};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Good clients at work.
#[derive(Debug)]
pub(crate) struct Good {
    tasks: JoinSet<Work>,
    stop: watch::Sender<bool>,
}

/// What they have done: how long each of their rounds took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    micros: Vec<u32>,
}

impl Work {
    async fn of_all(tasks: &mut JoinSet<Self>) -> Self {
        let mut all = Self::default();
        while let Some(done) = tasks.join_next().await {
            all.micros.extend(done.expect("a good client sees no error").micros);
        }
        assert!(all.rounds() > 0, "no good client got through");
        all
    }

    fn note(&mut self, took: Duration) {
        self.micros.push(took.as_micros().try_into().unwrap_or(u32::MAX));
    }

    /// Rounds that went well.
    pub(crate) fn rounds(&self) -> usize {
        self.micros.len()
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = self.micros.clone();
        micros.sort_unstable();
        let part = |of: usize| micros.get(micros.len() * of / 100).copied().unwrap_or_default();
        write!(f, "{} rounds, half within {} us, 99 % {} us", micros.len(), part(50), part(99))
    }
}

impl Good {
    /// Starts as many as asked for, on a network of their own; they label what they hold.
    ///
    /// # Panics
    /// When the server refuses.
    pub(crate) async fn start(site: &Site, count: u64, label: &str) -> Self {
        Self::set_out(&site.client().await, 0x600d, count, label, u64::MAX).await
    }

    /// The same over a connection that is there.
    ///
    /// # Panics
    /// When the server refuses.
    pub(crate) async fn over(client: &Client, count: u64, label: &str) -> Self {
        Self::set_out(client, 0x600d, count, label, u64::MAX).await
    }

    /// What they do when nobody else is there: so many rounds each.
    ///
    /// # Panics
    /// When one saw an error.
    pub(crate) async fn alone(site: &Site, count: u64, label: &str, rounds: u64) -> Work {
        let mut good = Self::set_out(&site.client().await, 0x600e, count, label, rounds).await;
        Work::of_all(&mut good.tasks).await
    }

    async fn set_out(client: &Client, number: u128, count: u64, label: &str, most: u64) -> Self {
        let network = network(client, number, &["10.9.0.0/16"]).await;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for number in 1..=count {
            let (client, stopped, label) = (client.clone(), stopped.clone(), label.to_owned());
            let owner = OwnerId::from_u128(number.into());
            tasks.spawn(async move {
                let mut work = Work::default();
                while !*stopped.borrow() && (work.rounds() as u64) < most {
                    let began = Instant::now();
                    round(&client, network, owner, &label).await;
                    work.note(began.elapsed());
                }
                work
            });
        }
        Self { tasks, stop }
    }

    /// Ends them and returns what they have done.
    ///
    /// # Panics
    /// When one saw an error, or none got through.
    pub(crate) async fn end(mut self) -> Work {
        self.stop.send_replace(true);
        super::soon("good clients", Work::of_all(&mut self.tasks)).await
    }
}

async fn round(client: &Client, network: NetworkId, owner: OwnerId, label: &str) {
    let mut allocate = plain_allocate(owner);
    let extras = AllocateExtras { label: Some(text(label)), ..AllocateExtras::default() };
    allocate.extras = Some(Box::new(extras));
    let got = client.allocate(network, allocate).await.expect("a good client gets an address");
    let fences = Fences { revision: Some(got.first.revision), ..Fences::default() };
    let target = Target::Key { owner, slot: Slot(0) };
    let release = Release { target, fences, any: false };
    let released = client.release(network, release).await.expect("a good client can release");
    let released = released.expect("it was held");
    assert_eq!(released.address, got.first.address);
}
