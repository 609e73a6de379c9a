//! Projects of different people on one server: principals with a token each, whose every id, text and IPv6 address
//! bears their mark, so that whatever of theirs turns up elsewhere is recognized.

use super::network::text;
use super::recorded::Heard;
use super::server::Site;
use super::soon;
use addrd_client::protocol::message::{
    Grant, PrincipalCreate, ProjectCreate, Quotas, Reply, Request, TokenCreate, Verbs,
};
use addrd_client::protocol::{NetworkId, PrincipalId, ProjectId, Text, Token, TokenHash, TokenId};
use addrd_client::{Client, Error, Settings, TokenSource};
use serde_json::{Value, json};
use std::net::SocketAddr;
use uuid::Uuid;

/// Everybody is asked who he is, files are small, and history is kept.
pub(crate) const ASKING: &str =
    "journal_records_max = 262144\nauthentication = true\nhistory_days = 1\n";

/// The second half of the id of everybody's project.
pub(crate) const PROJECT: u64 = 0xbb;

/// The first half of every id of somebody: as four bytes twice, so that an IPv6 address can bear it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u32);

impl Mark {
    /// An id that bears it.
    pub(crate) const fn id(self, low: u64) -> Uuid {
        Uuid::from_u64_pair(self.half(), low)
    }

    /// The half of an id, and a whole number where ids are that.
    pub(crate) const fn half(self) -> u64 {
        (self.0 as u64) << 32 | self.0 as u64
    }

    /// How ids look that bear it, as bytes and in both kinds of text, and addresses.
    pub(crate) fn looks(self) -> Vec<Vec<u8>> {
        let (high, low) = (self.0 >> 16, self.0 & 0xffff);
        let whole = self.half().to_be_bytes().to_vec();
        let texts =
            [format!("{:08x}-{high:04x}-{low:04x}", self.0), format!("{:016x}", self.half())];
        let address = format!("{high:x}:{low:x}:{high:x}");
        let texts = texts.into_iter().chain([address]).map(String::into_bytes);
        [whole].into_iter().chain(texts).collect()
    }
}

/// Somebody with a project, or several.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) mark: Mark,
    pub(crate) project: ProjectId,
    pub(crate) token: Token,
}

/// A client of the operator, over the Unix socket.
///
/// # Panics
/// When it isn't let in.
pub(crate) async fn operator(site: &Site) -> Client {
    let place = format!("unix:{}", site.data().join("addrd.sock").display());
    let local = Settings::to([place.as_str()]).expect("a path is an endpoint");
    soon("the operator", Client::connect(local)).await.expect("the operator is let in")
}

/// Asks for an operation by its name, its body as in SPEC.md section 12.
///
/// # Errors
/// Those of the client.
///
/// # Panics
/// When there is no such operation.
pub(crate) async fn ask(
    client: &Client,
    network: Uuid,
    operation: &str,
    body: Value,
) -> Result<Reply, Error> {
    let request = serde_json::from_value(json!({ operation: body }));
    let request: Request = request.unwrap_or_else(|error| panic!("{operation}: {error}"));
    client.call(&client.scope(NetworkId(network)), &request).await
}

/// The same, which has to be done.
///
/// # Panics
/// When it isn't.
pub(crate) async fn make(client: &Client, network: Uuid, operation: &str, body: Value) -> Reply {
    let made = ask(client, network, operation, body).await;
    made.unwrap_or_else(|error| panic!("{operation} on {network}: {error}"))
}

/// Makes a subnet that gives the lowest address first.
///
/// # Panics
/// When the server refuses.
pub(crate) async fn subnet(
    client: &Client,
    network: Uuid,
    subnet_id: Uuid,
    cidr: &str,
    name: Option<&str>,
) {
    let body = json!({ "subnet_id": subnet_id, "kind": "broadcast", "cidr": cidr,
        "strategy": "lowest", "enable_dhcp": false, "quarantine_ms": 0, "name": name });
    make(client, network, "subnet_create", body).await;
}

impl Tenant {
    /// Makes a project, a principal that may do everything there and in `more`, and its token.
    ///
    /// # Panics
    /// When the server refuses.
    pub(crate) async fn made(
        operator: &Client,
        name: &'static str,
        mark: Mark,
        quotas: Quotas,
        more: &[ProjectId],
    ) -> Self {
        let project = ProjectId(mark.id(PROJECT));
        let (named, description) = (Text::new(&canary(name, "team")).ok(), None);
        let create = ProjectCreate { name: named, description, quotas };
        operator.in_project(project).project_create(create).await.expect("a project");
        let principal_id = PrincipalId(mark.id(2));
        let grant = |project: &ProjectId| Grant {
            project_id: Some(*project),
            verbs: Verbs::ALL,
            manager: None,
        };
        let create = PrincipalCreate {
            principal_id,
            name: Text::new(&canary(name, "who")).ok(),
            grants: more.iter().chain([&project]).map(grant).collect(),
            ..PrincipalCreate::default()
        };
        operator.principal_create(create).await.expect("a principal");
        let token = Token::new(TokenId(mark.half()), secret(name));
        let digest = ring::digest::digest(&ring::digest::SHA256, token.secret());
        let hash = TokenHash(digest.as_ref().try_into().expect("32 bytes"));
        let create = TokenCreate { principal_id, token_id: token.id, hash, life_ms: 0 };
        operator.token_create(create).await.expect("a token");
        Self { name, mark, project, token }
    }

    /// A text of its own.
    pub(crate) fn text(&self, what: &str) -> Text {
        text(&canary(self.name, what))
    }

    /// A client of its, through a relay or to the server itself.
    ///
    /// # Panics
    /// When it isn't let in.
    pub(crate) async fn client(&self, site: &Site, to: SocketAddr) -> Client {
        let endpoints =
            Settings::to([to.to_string().as_str()]).expect("an address is an endpoint").endpoints;
        let token = Some(TokenSource::Fixed(self.token.clone()));
        let settings = Settings { endpoints, token, ..site.settings() };
        let client = soon("a client", Client::connect(settings)).await.expect("it is let in");
        client.with_project(self.project)
    }

    /// What of it was heard by somebody else; nothing should be.
    pub(crate) fn found_in(&self, heard: &Heard) -> Vec<String> {
        let texts = [canary(self.name, "").into_bytes(), secret(self.name).to_vec()];
        let looks = texts.into_iter().chain(self.mark.looks());
        looks.flat_map(|look| heard.of(&look)).collect()
    }
}

/// A text that nobody else writes.
pub(crate) fn canary(name: &str, what: &str) -> String {
    format!("{name}-canary-{what}")
}

/// The secret of its token.
fn secret(name: &str) -> [u8; 32] {
    let mut secret = [b'!'; 32];
    let text = canary(name, "secret");
    secret[..text.len()].copy_from_slice(text.as_bytes());
    secret
}
