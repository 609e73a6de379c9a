//! Who may do what, where a process ends in between or two act at once: what a token's answer
//! promised stands after kill -9, principals don't take each other's sessions, certificates are names.

use crate::support::certificates::{Authority, Files};
use crate::support::server::{Site, addrd};
use crate::support::tenants::operator;
use crate::support::{eventually, run, soon};
use addrd_client::protocol::message::{
    Grant, PrincipalCreate, PrincipalUpdate, TokenCreate, TokenRevoke, Verb, Verbs,
};
use addrd_client::protocol::{
    OwnerId, PrincipalId, ProjectId, Setting, Status, Text, Token, TokenHash, TokenId,
};
use addrd_client::{Client, Error, Sessions, Settings, Tls, TokenSource};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
/// Everybody is asked who he is; files are small, as `--dev` makes them.
const ASKING: &str = "journal_records_max = 262144\nauthentication = true\n";
const WEB: &str = "spiffe://example/web";

/// What everybody needs who reads networks of a project and makes them.
fn grants(project: ProjectId) -> Vec<Grant> {
    let verbs = Verbs::NONE.with(Verb::Read).with(Verb::Manage);
    vec![Grant { project_id: Some(project), verbs, manager: None }]
}

async fn principal(operator: &Client, number: u128, certificate: Option<&str>) -> PrincipalId {
    let principal_id = PrincipalId::from_u128(number);
    let create = PrincipalCreate {
        principal_id,
        name: Text::new(&format!("principal-{number}")).ok(),
        grants: grants(ProjectId::DEFAULT),
        certificate_names: certificate.and_then(|name| Text::new(name).ok()).into_iter().collect(),
        ..PrincipalCreate::default()
    };
    operator.principal_create(create).await.expect("a principal is made");
    principal_id
}

/// Makes a token with the command line, as people do: its secret is made there.
async fn token(site: &Site, number: u128) -> Token {
    let place = format!("unix:{}", site.data().join("addrd.sock").display());
    let mut command = addrd();
    command.args(["--server", &place, "token", "create", &format!("principal-{number}"), "-q"]);
    let made = tokio::task::spawn_blocking(move || command.output());
    let made = made.await.expect("a thread").expect("the binary starts");
    assert!(made.status.success(), "{made:?}");
    let text = String::from_utf8(made.stdout).expect("text");
    text.trim().parse().expect("a token alone")
}

fn settings(site: &Site, token: &Token) -> Settings {
    let token = Some(TokenSource::Fixed(token.clone()));
    Settings { token, connect_rounds_max: 1, ..site.settings() }
}

async fn connect(settings: Settings) -> Result<Client, Error> {
    soon("an answer", Client::connect(settings)).await
}

/// Whether a token opens the door.
async fn is_good(site: &Site, token: &Token) -> bool {
    match connect(settings(site, token)).await {
        Ok(client) => {
            client.networks(None).take(1).await.expect("what its grants allow");
            true
        }
        Err(error) if error.is(Status::UNAUTHENTICATED) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_was_answered_of_tokens_stands_after_a_kill() {
    run(LIMIT, async {
        let site = Site::new().with_config(ASKING);
        let mut server = site.start().await;
        principal(&operator(&site).await, 1, None).await;
        for _ in 0..3 {
            let made = token(&site, 1).await;
            server.kill();
            server = site.start().await;
            assert!(is_good(&site, &made).await, "an answer was given for it");
            let revoke = TokenRevoke { token_id: made.id, after_ms: 0 };
            operator(&site).await.token_revoke(revoke).await.expect("it ends");
            server.kill();
            server = site.start().await;
            assert!(!is_good(&site, &made).await, "its end was answered");
        }
        // What ends later does so without whoever said it.
        let made = token(&site, 1).await;
        let revoke = TokenRevoke { token_id: made.id, after_ms: 1_000 };
        operator(&site).await.token_revoke(revoke).await.expect("it ends");
        server.kill();
        server = site.start().await;
        eventually("the token to end", async || (!is_good(&site, &made).await).then_some(())).await;
        server.stop().await;
        site.check_is_clean();
    });
}

#[test]
fn a_request_that_is_sent_again_makes_no_second_token() {
    run(LIMIT, async {
        let site = Site::new().with_config(ASKING);
        let server = site.start().await;
        let operator = operator(&site).await;
        let principal_id = principal(&operator, 1, None).await;
        let (token_id, hash) = (TokenId(7), TokenHash([9; 32]));
        let create = TokenCreate { principal_id, token_id, hash, life_ms: 0 };
        let made = operator.token_create(create.clone()).await.expect("a token");
        let again = operator.token_create(create.clone()).await.expect("the same token");
        assert_eq!((made.repeated, again.repeated, again.tokens.len()), (false, true, 1));
        // Another's token is nobody's to take.
        let other = principal(&operator, 2, None).await;
        let taken = operator.token_create(TokenCreate { principal_id: other, ..create }).await;
        assert!(taken.is_err_and(|error| error.is(Status::ID_IN_USE)));
        let found = operator.principals(None).take(10).await.expect("a list");
        assert_eq!(found.len(), 2);
        server.stop().await;
    });
}

#[test]
fn principals_with_the_same_session_do_not_replace_each_other() {
    run(LIMIT, async {
        let site = Site::new().with_config(ASKING);
        let server = site.start().await;
        let operator = operator(&site).await;
        let mut tokens = Vec::new();
        for number in [1, 2] {
            principal(&operator, number, None).await;
            tokens.push(token(&site, number).await);
        }
        let lane = |token: &Token| {
            let sessions = Sessions::OfOwner(OwnerId::from_u128(5));
            Settings { sessions, ..settings(&site, token) }
        };
        let first = connect(lane(&tokens[0])).await.expect("the first principal");
        let second = connect(lane(&tokens[1])).await.expect("the second principal");
        for _ in 0..3 {
            first.networks(None).take(1).await.expect("the first is still there");
            second.networks(None).take(1).await.expect("the second, too");
        }
        // The same principal again is who replaces it, and its neighbour stays.
        let again = connect(lane(&tokens[0])).await.expect("the first principal again");
        again.networks(None).take(1).await.expect("it is there");
        let replaced = first.networks(None).take(1).await;
        assert!(matches!(replaced, Err(Error::SessionReplaced)), "{replaced:?}");
        second.networks(None).take(1).await.expect("the second was not touched");
        server.stop().await;
    });
}

#[test]
fn a_name_in_a_certificate_is_its_principal() {
    run(LIMIT, async {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let files = Files::write(folder.path(), &authority.server(), &authority.pem());
        let site = Site::new().with_config(&format!("{ASKING}{}", files.mutual()));
        let server = site.start().await;
        let operator = operator(&site).await;
        let tls = |tls: Tls| Settings { tls: Some(tls), connect_rounds_max: 1, ..site.settings() };
        let web = || tls(authority.tls(Some(&authority.client(WEB))));

        // Its CA signed it, and still it is nobody.
        let nobody = connect(web()).await;
        assert!(matches!(&nobody, Err(error) if error.is(Status::UNAUTHENTICATED)), "{nobody:?}");
        let principal_id = principal(&operator, 1, Some(WEB)).await;
        let client = connect(web()).await.expect("the principal");
        client.networks(None).take(1).await.expect("what its grants allow");
        let denied = client.principals(None).take(1).await;
        assert!(matches!(&denied, Err(error) if error.is(Status::NOT_ALLOWED)), "{denied:?}");
        let other = tls(authority.tls(Some(&authority.client("spiffe://example/db"))));
        assert!(connect(other).await.is_err_and(|error| error.is(Status::UNAUTHENTICATED)));

        // A token stands in front of the certificate, and one that isn't good is never passed over.
        let wrong = Token::new(TokenId(1), [1; 32]);
        let shown = Settings { token: Some(TokenSource::Fixed(wrong)), ..web() };
        assert!(connect(shown).await.is_err_and(|error| error.is(Status::UNAUTHENTICATED)));
        principal(&operator, 2, None).await;
        let made = token(&site, 2).await;
        let gone = PrincipalUpdate {
            principal_id,
            certificate_names: Setting::Null,
            ..PrincipalUpdate::default()
        };
        operator.principal_update(gone).await.expect("a change");
        eventually("the connection to end", async || {
            client.networks(None).take(1).await.err().map(|error| {
                assert!(error.is(Status::UNAUTHENTICATED), "{error}");
            })
        })
        .await;
        let shown = Settings { token: Some(TokenSource::Fixed(made)), ..web() };
        connect(shown).await.expect("by its token");
        server.stop().await;
    });
}
