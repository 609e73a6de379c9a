//! A principal at full blast, by many connections that listen to nobody, leaves another one all of its operations:
//! it is refused none. The loud one is held to its rate, and costs no more refusals than it must.

use crate::support::hostile::bytes_of;
use crate::support::network::network;
use crate::support::pump::{Load, Pumps};
use crate::support::server::{Site, addrd};
use crate::support::tenants::operator;
use crate::support::{eventually, run, say, soon};
use addrd_client::protocol::message::{
    Fences, Grant, Hello, PrincipalCreate, Release, Request, Target, Verb, Verbs,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PrincipalId, ProjectId, Slot, Status, Text, Token,
};
use addrd_client::{Client, Settings, TokenSource, plain_allocate, plain_hello};
use std::time::Duration;

/// More than the modest one does in all, so that no machine is too fast for this test.
const CONFIG: &str = "journal_records_max = 262144\nauthentication = true\nrate_principal = 1_000\nrate_burst = \"1s\"\n";
/// Connections of the loud one, each with all requests in flight that the credit allows.
const LOUD: usize = 24;
const LOUD_IN_FLIGHT: usize = 256;
/// What the modest one allocates, and releases.
const MODEST: u128 = 200;

/// A principal that may allocate and release in the default project, and its token.
async fn principal(site: &Site, operator: &Client, number: u128) -> Token {
    let verbs = Verbs::NONE.with(Verb::Read).with(Verb::Allocate).with(Verb::ReleaseOwn);
    let grant = Grant { project_id: Some(ProjectId::DEFAULT), verbs, manager: None };
    let name = format!("principal-{number}");
    let create = PrincipalCreate {
        principal_id: PrincipalId::from_u128(number),
        name: Text::new(&name).ok(),
        grants: vec![grant],
        ..PrincipalCreate::default()
    };
    operator.principal_create(create).await.expect("a principal is made");
    let place = format!("unix:{}", site.data().join("addrd.sock").display());
    let mut command = addrd();
    command.args(["--server", &place, "token", "create", &name, "-q"]);
    let made = tokio::task::spawn_blocking(move || command.output());
    let made = made.await.expect("a thread").expect("the binary starts");
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).expect("text").trim().parse().expect("a token alone")
}

#[test]
fn one_principal_at_full_blast_leaves_another_all_of_its_operations() {
    run(Duration::from_secs(300), async {
        let site = Site::new().with_config(CONFIG);
        let server = site.start().await;
        let operator = operator(&site).await;
        let network = network(&operator, 1, &["10.0.0.0/12"]).await;
        let loud = principal(&site, &operator, 1).await;
        let modest = principal(&site, &operator, 2).await;

        let load = Load {
            network,
            owners: 1 << 64,
            connections: LOUD,
            in_flight: LOUD_IN_FLIGHT,
            items: 1,
        };
        let hello = Hello { token: Some(loud), ..plain_hello() };
        let hello = bytes_of(NetworkId::NIL, 1, &Request::Hello(Box::new(hello)));
        let pumps = Pumps::start_as(site.listen(), load, &hello).await;
        pumps.open();
        let limited = "addrd_limited_operations_total{bound=\"rate_principal\"}";
        eventually("the loud one to be held", async || {
            let figures = site.figures().await;
            let is_held = figures.get("addrd_rate_holds_total")? > 0.0;
            (is_held && figures.get(limited)? > 0.0).then_some(())
        })
        .await;

        // Tried once: the client would come again by itself, and nobody would see a refusal.
        let token = Some(TokenSource::Fixed(modest));
        let settings = Settings { token, sends_max: 1, ..site.settings() };
        let client = soon("the modest one", Client::connect(settings)).await.expect("it is let in");
        for owner in 1..=MODEST {
            let owner = OwnerId::from_u128(owner);
            client.allocate(network, plain_allocate(owner)).await.expect("an address");
            let target = Target::Key { owner, slot: Slot(0) };
            let release = Release { target, fences: Fences::default(), any: false };
            let released = client.release(network, release).await.expect("a release");
            assert!(released.is_some(), "what was answered was done");
        }
        // The operator is never refused.
        for _ in 0..2_000 {
            operator.ping().await.expect("an answer");
        }
        let figures = site.figures().await;
        assert!(figures.get("addrd_principals_active").is_some_and(|active| active >= 1.0));
        // While they wait they count as served: the valve is shut, and what is in flight is answered.
        let counts = pumps.counts();
        drop(pumps);
        let limited_only = counts.later.keys().all(|status| *status == Status::RATE_LIMITED.0);
        assert!(limited_only && !counts.later.is_empty(), "{counts:?}");
        assert!(counts.done > 0, "{counts:?}");
        say(&format!("the loud one did {}, and was told {:?}", counts.done, counts.later));
        server.stop().await;
        site.check_is_clean();
    });
}
