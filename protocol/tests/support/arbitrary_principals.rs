//! Principals and tokens, made from bytes.

use super::{Made, Source};
use addrd_protocol::message::principal::*;
use addrd_protocol::message::*;
use addrd_protocol::*;

made_by! {
    TokenId = |s| Self(s.make());
    Token = |s| {
        let (id, byte) = (s.make(), s.byte());
        Self::new(id, [byte; 32])
    };
    TokenHash = |s| {
        let byte = s.byte();
        Self([byte; 32])
    };
    Verbs = |s| Self::from_bits(s.byte() & 0b11_1111 | 1).unwrap();
    Grant = |s| Self {
        project_id: s.make(),
        verbs: s.make(),
        manager: s.maybe(Source::manager).filter(|manager| !manager.is_empty()),
    };
    PrincipalGet = |s| {
        let name = s.maybe(Source::name);
        Self { principal_id: s.make(), name }
    };
    TokenShown = |s| Self {
        token_id: s.make(),
        age_ms: s.make(),
        time_left_ms: s.maybe(|s| s.up_to(u64::MAX - 1)),
    };
}

/// 0, or a life that a token may have.
fn life(s: &mut Source) -> u64 {
    match s.up_to(TOKEN_LIFE_MS_MOST) {
        0 => 0,
        ms => ms.max(TOKEN_LIFE_MS_LEAST),
    }
}

fn certificate_names(s: &mut Source) -> Vec<Text> {
    s.filled_list(CERTIFICATE_NAMES_MAX, 255)
}

made_of_fields! {
    PrincipalCreate {
        principal_id, name = |s| s.maybe(Source::name), description,
        grants = |s| s.list(8), certificate_names = |s| certificate_names(s),
        unix_users = |s| s.list(UNIX_USERS_MAX),
    }
    PrincipalList { page, name_prefix = |s| s.maybe(|s| s.text_of(63)) }
    PrincipalUpdate {
        principal_id, expected, name = |s| s.setting(Source::name), description,
        grants = |s| s.setting(|s| s.list(8)),
        certificate_names = |s| s.setting(certificate_names),
        unix_users = |s| s.setting(|s| s.list(UNIX_USERS_MAX)),
        disabled,
    }
    PrincipalDelete { principal_id, expected }
    TokenCreate { principal_id, token_id, hash, life_ms = |s| life(s) }
    TokenRevoke { token_id, after_ms = |s| life(s) }
    Principal {
        principal_id, revision, disabled, repeated, name = |s| s.maybe(Source::name), description,
        grants = |s| s.list(8), certificate_names = |s| certificate_names(s),
        unix_users = |s| s.list(UNIX_USERS_MAX), tokens = |s| s.list(TOKENS_MAX),
    }
    PrincipalPage { position, items = |s| s.list(4), next }
}

/// A body of every request of this room.
pub(super) fn request(opcode: Opcode, s: &mut Source) -> Option<Request> {
    Some(match opcode {
        Opcode::PRINCIPAL_CREATE => Request::PrincipalCreate(s.make()),
        Opcode::PRINCIPAL_GET => Request::PrincipalGet(s.make()),
        Opcode::PRINCIPAL_LIST => Request::PrincipalList(s.make()),
        Opcode::PRINCIPAL_UPDATE => Request::PrincipalUpdate(s.make()),
        Opcode::PRINCIPAL_DELETE => Request::PrincipalDelete(s.make()),
        Opcode::TOKEN_CREATE => Request::TokenCreate(s.make()),
        Opcode::TOKEN_REVOKE => Request::TokenRevoke(s.make()),
        _ => return None,
    })
}

/// A body of every reply of this room with status `OK`.
pub(super) fn reply(opcode: Opcode, s: &mut Source) -> Option<Reply> {
    Some(match opcode {
        Opcode::PRINCIPAL_CREATE | Opcode::PRINCIPAL_GET | Opcode::PRINCIPAL_UPDATE => {
            Reply::Principal(s.make())
        }
        Opcode::TOKEN_CREATE | Opcode::TOKEN_REVOKE => Reply::Principal(s.make()),
        Opcode::PRINCIPAL_LIST => Reply::Principals(s.make()),
        Opcode::PRINCIPAL_DELETE => Reply::Empty,
        _ => return None,
    })
}
