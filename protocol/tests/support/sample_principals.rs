//! Samples of principals and tokens.

use super::sample_replies::failure;
use super::*;
use addrd_protocol::message::principal::{TokenShown, Verb, Verbs};
use addrd_protocol::{PrincipalId, Token, TokenHash, TokenId};

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0b00;
const PRINCIPAL: PrincipalId = PrincipalId::from_u128(0x7777_7777_7777_4777_8777_7777_7777_7777);
const TOKEN: TokenId = TokenId(0x0011_2233_4455_6677);

fn grants() -> Vec<Grant> {
    let team = [Verb::Read, Verb::Allocate, Verb::ReleaseOwn].into_iter().collect();
    vec![
        Grant { project_id: Some(PROJECT), verbs: team, manager: some("cni") },
        Grant { project_id: None, verbs: Verbs::NONE.with(Verb::Read), manager: None },
    ]
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let create = PrincipalCreate {
        principal_id: PRINCIPAL,
        name: some("cni-blue"),
        description: some("nodes"),
        grants: grants(),
        certificate_names: vec![text("spiffe://example/cni")],
        unix_users: vec![997],
    };
    let plain = PrincipalCreate { principal_id: PRINCIPAL, ..PrincipalCreate::default() };
    let get = PrincipalGet { principal_id: PRINCIPAL, name: None };
    let by_name = PrincipalGet { name: some("cni-blue"), ..PrincipalGet::default() };
    let update = PrincipalUpdate {
        principal_id: PRINCIPAL,
        expected: REVISION,
        name: Setting::Null,
        description: Setting::Value(text("pods")),
        grants: Setting::Value(grants()),
        certificate_names: Setting::Null,
        unix_users: Setting::Value(vec![0, 997]),
        disabled: Some(true),
    };
    let token = TokenCreate {
        principal_id: PRINCIPAL,
        token_id: TOKEN,
        hash: TokenHash([0xab; 32]),
        life_ms: 86_400_000,
    };
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        features: 0,
        session: SessionId::NIL,
        epoch: 0,
        server_id: None,
        client: None,
        manager: None,
        host: None,
        token: Some(Token::new(TOKEN, [0x5e; 32])),
    };
    let list = PrincipalList { page: page(), name_prefix: some("cni") };
    let delete = PrincipalDelete { principal_id: PRINCIPAL, expected: REVISION };
    let revoke = TokenRevoke { token_id: TOKEN, after_ms: 3_600_000 };
    let all = vec![
        ("principal_create_plain", Request::PrincipalCreate(Box::new(plain))),
        ("principal_create_full", Request::PrincipalCreate(Box::new(create))),
        ("principal_get", Request::PrincipalGet(Box::new(get))),
        ("principal_get_by_name", Request::PrincipalGet(Box::new(by_name))),
        ("principal_list", Request::PrincipalList(Box::new(list))),
        ("principal_update", Request::PrincipalUpdate(Box::new(update))),
        ("principal_delete", Request::PrincipalDelete(delete)),
        ("token_create", Request::TokenCreate(Box::new(token))),
        ("token_revoke", Request::TokenRevoke(revoke)),
        ("hello_token", Request::Hello(Box::new(hello))),
    ];
    let sample = |(number, (name, request)): (u64, (&str, Request))| RequestSample {
        name: name.to_owned(),
        header: header(request.opcode(), number),
        request,
    };
    (FIRST..).zip(all).map(sample).collect()
}

/// Replies of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let shown = TokenShown { token_id: TOKEN, age_ms: 5_000, time_left_ms: Some(86_395_000) };
    let endless = TokenShown { token_id: TokenId(1), age_ms: 0, time_left_ms: None };
    let principal = Principal {
        principal_id: PRINCIPAL,
        revision: REVISION,
        disabled: false,
        repeated: true,
        name: some("cni-blue"),
        description: some("nodes"),
        grants: grants(),
        certificate_names: vec![text("spiffe://example/cni")],
        unix_users: vec![997],
        tokens: vec![shown, endless],
    };
    let bare = Principal {
        disabled: true,
        repeated: false,
        name: None,
        description: None,
        grants: Vec::new(),
        certificate_names: Vec::new(),
        unix_users: Vec::new(),
        tokens: Vec::new(),
        ..principal.clone()
    };
    let page = PrincipalPage {
        position: Seq(1_234),
        items: vec![bare.clone(), principal.clone()],
        next: None,
    };
    let done = |reply| (Status::OK, ReplyOrFailure::Reply(reply));
    let refused = |status| (status, ReplyOrFailure::Failure(Box::new(failure(status, Vec::new()))));
    let all = vec![
        ("principal", Opcode::PRINCIPAL_GET, done(Reply::Principal(Box::new(principal.clone())))),
        (
            "principal_made",
            Opcode::PRINCIPAL_CREATE,
            done(Reply::Principal(Box::new(bare.clone()))),
        ),
        ("principal_revoked", Opcode::TOKEN_REVOKE, done(Reply::Principal(Box::new(bare.clone())))),
        ("principal_bare", Opcode::PRINCIPAL_UPDATE, done(Reply::Principal(Box::new(bare)))),
        ("principal_of_token", Opcode::TOKEN_CREATE, done(Reply::Principal(Box::new(principal)))),
        ("principals", Opcode::PRINCIPAL_LIST, done(Reply::Principals(Box::new(page)))),
        ("principal_deleted", Opcode::PRINCIPAL_DELETE, done(Reply::Empty)),
        ("failure_unauthenticated", Opcode::HELLO, refused(Status::UNAUTHENTICATED)),
        ("failure_not_allowed", Opcode::ALLOCATE, refused(Status::NOT_ALLOWED)),
    ];
    let sample = |(request_id, (name, opcode, (status, body)))| ReplySample {
        name: str::to_owned(name),
        opcode,
        request_id,
        status,
        body,
    };
    (FIRST..).zip(all).map(sample).collect()
}
