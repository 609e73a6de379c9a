//! A client that behaves, beside others that don't: it allocates and releases without pause and
//! never sees an error.

use super::network::{network, text};
use super::server::Site;
use addrd_client::protocol::message::{AllocateExtras, Fences, Release, Target};
use addrd_client::protocol::{NetworkId, OwnerId, Slot};
use addrd_client::{Client, plain_allocate};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Good clients at work.
#[derive(Debug)]
pub(crate) struct Good {
    tasks: JoinSet<u64>,
    stop: watch::Sender<bool>,
}

impl Good {
    /// Starts as many as asked for, on a network of their own; they label what they hold.
    ///
    /// # Panics
    /// When the server refuses.
    pub(crate) async fn start(site: &Site, count: u64, label: &str) -> Self {
        let client = site.client().await;
        let network = network(&client, 0x600d, &["10.9.0.0/16"]).await;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for number in 1..=count {
            let (client, stopped, label) = (client.clone(), stopped.clone(), label.to_owned());
            let owner = OwnerId::from_u128(number.into());
            tasks.spawn(async move {
                let mut rounds = 0;
                while !*stopped.borrow() {
                    round(&client, network, owner, &label).await;
                    rounds += 1;
                }
                rounds
            });
        }
        Self { tasks, stop }
    }

    /// Ends them and returns how often each of their rounds went well.
    ///
    /// # Panics
    /// When one saw an error, or none got through.
    pub(crate) async fn end(mut self) -> u64 {
        self.stop.send_replace(true);
        let mut rounds = 0;
        while let Some(done) = super::soon("a good client", self.tasks.join_next()).await {
            rounds += done.expect("a good client sees no error");
        }
        assert!(rounds > 0, "no good client got through");
        rounds
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
