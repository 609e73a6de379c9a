//! What each operation needs, against the table in the documentation; and that nobody gets more.

use super::*;
use crate::model::{
    NetworkHandle, PrincipalId, PrincipalRow, ProjectId, Revision, Text, Tick, TokenId, TokenRow,
};
use addrd_protocol::codec::decode_request_slice;
use addrd_protocol::message::{Grant, Request, RequestHeader, Verb, Verbs};
use addrd_protocol::{Opcode, Token, TokenHash};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The project of the vectors that have one.
const OTHER: ProjectId = ProjectId::from_u128(0x0dd);

#[derive(Debug)]
struct Asked {
    header: RequestHeader,
    request: Request,
}

impl Ask for Asked {
    fn project(&self) -> ProjectId {
        self.header.project
    }

    fn is_restoring(&self) -> bool {
        self.header.restoring
    }

    fn request(&self) -> &Request {
        &self.request
    }
}

/// Every request of the vectors, as the server reads it.
fn asked() -> Vec<(String, Asked)> {
    let vectors = include_str!("../../protocol/vectors/requests.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let unhex = |hex: &str| -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    };
    let all = vectors.as_array().unwrap().iter().map(|vector| {
        let name = vector["name"].as_str().unwrap().to_owned();
        let bytes = unhex(vector["hex"].as_str().unwrap());
        let bytes = bytes::Bytes::from(bytes);
        let (header, request) = decode_request_slice(&bytes).unwrap();
        (name, Asked { header, request: request.unwrap() })
    });
    all.collect()
}

/// What a request needs, as the table says it.
fn needs_text(asked: &Asked) -> String {
    let mut all = BTreeSet::new();
    needs_of(asked, &mut |needs| {
        let place = match needs.project {
            None => " of all projects",
            Some(project) if project == asked.header.project => "",
            Some(_) => " in the other project",
        };
        let bound = if needs.manager.is_some() { " for the manager" } else { "" };
        all.insert(format!("{}{place}{bound}", needs.verb.name()));
    });
    match all.is_empty() {
        true => "nothing".to_owned(),
        false => all.into_iter().collect::<Vec<_>>().join(" and "),
    }
}

/// The rows of docs/access.md: operation, and each of what its requests may need.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../docs/access.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| 0x"));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let needs = cells[2].split(';').map(|need| need.trim().to_owned()).collect();
        (cells[1].to_owned(), needs)
    });
    rows.collect()
}

fn actor(grants: Vec<Grant>) -> Actor {
    let (handle, id) = (NetworkHandle(7), PrincipalId::from_u128(1));
    let known = Known { handle, id, name: None, disabled: false, grants };
    Actor::Principal(Arc::new(known))
}

fn grant(project_id: Option<ProjectId>, verbs: impl IntoIterator<Item = Verb>) -> Grant {
    Grant { project_id, verbs: verbs.into_iter().collect(), manager: None }
}

#[test]
fn every_operation_needs_what_the_documentation_says() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, asked) in asked() {
        let needs = match asked.header.opcode {
            Opcode::BATCH | Opcode::TRANSACTION => "what its items need".to_owned(),
            _ if asked.header.restoring => continue,
            _ => needs_text(&asked),
        };
        found.entry(asked.header.opcode.name().to_owned()).or_default().insert(needs);
    }
    let servers = [Opcode::GOAWAY, Opcode::ERROR, Opcode::EVENTS, Opcode::WATCH_END];
    for opcode in Opcode::ALL.iter().filter(|opcode| !servers.contains(opcode)) {
        assert!(found.contains_key(opcode.name()), "no vector of {}", opcode.name());
    }
    let lines: Vec<String> = Opcode::ALL
        .iter()
        .filter_map(|opcode| {
            let needs = found.get(opcode.name())?.iter().cloned().collect::<Vec<_>>().join("; ");
            Some(format!("| {:#06x} | {} | {needs} |", opcode.0, opcode.name()))
        })
        .collect();
    assert_eq!(table(), found, "docs/access.md should have:\n{}", lines.join("\n"));
}

/// Every operation against each kind of grant, by what the documentation says it needs.
#[test]
fn no_grant_allows_more_than_the_documentation_says() {
    let mut judged = 0;
    for (name, asked) in asked() {
        let project = asked.header.project;
        let everywhere = actor(vec![grant(None, Verb::ALL)]);
        assert!(everywhere.authorize(&asked, Reach::Everything).is_ok(), "{name}");
        let mut needs = BTreeSet::new();
        needs_of(&asked, &mut |need| {
            needs.insert((need.verb, need.project));
        });
        let is_free = needs.is_empty();
        assert_eq!(
            actor(Vec::new()).authorize(&asked, Reach::Everything).is_ok(),
            is_free,
            "{name}: no grant"
        );
        let other = actor(vec![grant(Some(OTHER), Verb::ALL)]);
        assert_eq!(
            other.authorize(&asked, Reach::Everything).is_ok(),
            is_free,
            "{name}: another project"
        );
        for verb in Verb::ALL {
            let has = |(needed, _): &(Verb, _)| *needed == verb;
            let in_project = |(_, place): &(_, Option<ProjectId>)| *place == Some(project);
            let here = actor(vec![grant(Some(project), [verb])]);
            let allowed = needs.iter().all(|need| has(need) && in_project(need));
            assert_eq!(
                here.authorize(&asked, Reach::Everything).is_ok(),
                allowed,
                "{name}: {verb:?} here"
            );
            let everywhere = actor(vec![grant(None, [verb])]);
            let allowed = needs.iter().all(has);
            assert_eq!(
                everywhere.authorize(&asked, Reach::Everything).is_ok(),
                allowed,
                "{name}: {verb:?} anywhere"
            );
            let all_but_one = Verb::ALL.into_iter().filter(|other| *other != verb);
            let rest = actor(vec![grant(None, all_but_one)]);
            let allowed = !needs.iter().any(has);
            assert_eq!(
                rest.authorize(&asked, Reach::Everything).is_ok(),
                allowed,
                "{name}: all but {verb:?}"
            );
            judged += 3;
        }
    }
    assert!(judged > 1_000, "{judged}");
}

impl Ask for &Asked {
    fn project(&self) -> ProjectId {
        (**self).project()
    }

    fn is_restoring(&self) -> bool {
        (**self).is_restoring()
    }

    fn request(&self) -> &Request {
        &self.request
    }
}

#[test]
fn a_grant_for_a_manager_is_for_no_other() {
    let bound = |manager: &str| {
        let manager = Some(Text::new(manager).unwrap());
        actor(vec![Grant { project_id: None, verbs: Verbs::ALL, manager }])
    };
    let mut named = 0;
    for (name, asked) in asked() {
        let mut managers = BTreeSet::new();
        needs_of(&asked, &mut |needs| managers.extend(needs.manager.map(ToString::to_string)));
        assert_eq!(
            bound("nobody's").authorize(&asked, Reach::Everything).is_ok(),
            managers.is_empty(),
            "{name}"
        );
        if let Some(manager) = managers.first().filter(|_| managers.len() == 1) {
            assert!(bound(manager).authorize(&asked, Reach::Everything).is_ok(), "{name}");
            named += 1;
        }
    }
    assert!(named >= 6, "{named}");
}

#[test]
fn what_is_denied_says_what_is_missing() {
    let (_, asked) = asked().into_iter().find(|(name, _)| name == "token_create").unwrap();
    let (denied, asked) = actor(Vec::new()).authorize(asked, Reach::Everything).unwrap_err();
    let expected =
        Denied { verb: Verb::Administer, project: None, manager: None, elsewhere: false };
    assert_eq!((denied, asked.header.opcode), (expected, Opcode::TOKEN_CREATE));
}

#[test]
fn where_administration_is_out_of_reach_nobody_has_it_and_all_else_is_as_before() {
    let everybody = [
        Actor::Anybody,
        Actor::Operator,
        actor(vec![Grant { project_id: None, verbs: Verbs::ALL, manager: None }]),
    ];
    let mut administrative = 0;
    for (name, asked) in asked() {
        let mut administers = false;
        needs_of(&asked, &mut |needs| administers |= needs.verb == Verb::Administer);
        administrative += usize::from(administers);
        for actor in &everybody {
            let judged = actor.authorize(&asked, Reach::NoAdministration);
            assert_eq!(judged.is_err(), administers, "{name}");
            assert!(judged.is_ok() || judged.is_err_and(|(denied, _)| denied.elsewhere));
        }
    }
    assert!(administrative >= 13, "{administrative}");
}

fn row(id: u128, tokens: Vec<TokenRow>) -> PrincipalRow {
    PrincipalRow {
        handle: NetworkHandle(id as u32),
        revision: Revision(1),
        id: PrincipalId::from_u128(id),
        disabled: false,
        name: None,
        description: None,
        grants: Vec::new(),
        certificate_names: vec![Text::new(&format!("host-{id}")).unwrap()],
        unix_users: vec![id as u32],
        tokens,
    }
}

fn token(id: u64, ends: u64) -> (Token, TokenRow) {
    let token = Token::new(TokenId(id), [id as u8; 32]);
    let row = TokenRow { id: token.id, hash: hash_of(&token), created: 0, ends };
    (token, row)
}

#[test]
fn somebody_is_found_by_what_it_showed_while_that_is_good() {
    let ((good, one), (_, two)) = (token(1, 0), token(2, 100));
    let rows = [row(10, vec![one, two]), PrincipalRow { disabled: true, ..row(11, Vec::new()) }];
    let table = Table::of(&rows);
    let find = |shown: &Shown, now| table.find(shown, Tick(now)).map(|known| known.id.0.as_u128());
    assert_eq!(find(&Shown::Token(good.id, hash_of(&good)), 1 << 40), Some(10));
    assert_eq!(find(&Shown::Token(TokenId(2), two.hash), 99), Some(10));
    assert_eq!(find(&Shown::Token(TokenId(2), two.hash), 100), None);
    assert_eq!(find(&Shown::Token(TokenId(2), one.hash), 1), None);
    assert_eq!(find(&Shown::Token(TokenId(3), one.hash), 1), None);
    assert_eq!(find(&Shown::Token(TokenId(3), TokenHash([0; 32])), 1), None);
    assert_eq!(find(&Shown::Certificate(Text::new("host-10").unwrap()), 1), Some(10));
    assert_eq!(find(&Shown::Certificate(Text::new("host-12").unwrap()), 1), None);
    assert_eq!((find(&Shown::User(10), 1), find(&Shown::User(12), 1)), (Some(10), None));
    // Who is disabled is known as such, so that it is nobody else either.
    let shut_out = table.find(&Shown::User(11), Tick(1)).unwrap();
    assert!(shut_out.disabled && shut_out.id.0.as_u128() == 11);
    assert_eq!(find(&Shown::Nothing, 1), None);
    assert_eq!((table.next_end(Tick(1)), table.next_end(Tick(100))), (Some(Tick(100)), None));
}

/// Source: FIPS 180-4's algorithm over 32 bytes of 0x61, as other implementations give it.
#[test]
fn a_secret_is_hashed_as_the_specification_says() {
    let token = Token::new(TokenId(1), [b'a'; 32]);
    let hash: String = hash_of(&token).0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, SHA256_OF_32_A);
}

const SHA256_OF_32_A: &str = "3ba3f5f43b92602683c19aee62a20342b084dd5971ddd33808d81a328879a547";
