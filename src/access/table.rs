//! All principals as connections see them, by each way to show oneself. Made anew with each change; never changed.

use crate::model::{
    NetworkHandle, PrincipalId, PrincipalRow, Text, Tick, TokenHash, TokenId, TokenRow,
};
use addrd_protocol::Token;
use addrd_protocol::message::Grant;
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What the server keeps of a token: SHA-256 (FIPS 180-4) of its secret, which is random enough to need nothing slower.
#[must_use]
pub fn hash_of(token: &Token) -> TokenHash {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.secret());
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    TokenHash(hash)
}

/// Whether two hashes are the same, in a time that doesn't depend on where they differ.
#[must_use]
pub fn is_same(one: &TokenHash, other: &TokenHash) -> bool {
    one.0.ct_eq(&other.0).into()
}

/// A principal as far as it matters to what it asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub handle: NetworkHandle,
    /// Its id.
    pub id: PrincipalId,
    /// Its name.
    pub name: Option<Text>,
    /// Nobody is it for the time being: who shows what is its own is shut out.
    pub disabled: bool,
    /// What it may do.
    pub grants: Vec<Grant>,
}

/// What somebody has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A token: its id, and the hash of the secret that came with it.
    Token(TokenId, TokenHash),
    /// A certificate that was verified, with this name.
    Certificate(Text),
    /// A process of this user, over the Unix socket.
    User(u32),
}

/// All principals that somebody may be.
#[derive(Debug, Default)]
pub struct Table {
    tokens: BTreeMap<TokenId, (TokenRow, Arc<Known>)>,
    certificates: BTreeMap<Text, Arc<Known>>,
    users: BTreeMap<u32, Arc<Known>>,
}

impl Table {
    /// Of all rows there are.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a PrincipalRow>) -> Self {
        let mut table = Self::default();
        for row in rows {
            let known = Arc::new(Known {
                handle: row.handle,
                id: row.id,
                name: row.name.clone(),
                disabled: row.disabled,
                grants: row.grants.clone(),
            });
            let with = |token: &TokenRow| (token.id, (*token, Arc::clone(&known)));
            table.tokens.extend(row.tokens.iter().map(with));
            let named = |name: &Text| (name.clone(), Arc::clone(&known));
            table.certificates.extend(row.certificate_names.iter().map(named));
            table.users.extend(row.unix_users.iter().map(|user| (*user, Arc::clone(&known))));
        }
        table
    }

    /// The principal that somebody is who has shown this; it may be disabled.
    #[must_use]
    pub fn find(&self, shown: &Shown, now: Tick) -> Option<Arc<Known>> {
        match shown {
            Shown::Nothing => None,
            Shown::Token(id, hash) => self.find_token(*id, hash, now),
            Shown::Certificate(name) => self.certificates.get(name).cloned(),
            Shown::User(user) => self.users.get(user).cloned(),
        }
    }

    /// When the next token ends behind a tick; `None`: none does.
    #[must_use]
    pub fn next_end(&self, behind: Tick) -> Option<Tick> {
        let ends = self.tokens.values().map(|(token, _)| token.ends);
        ends.filter(|ends| *ends > behind.0).min().map(Tick)
    }

    /// An unknown id costs the same comparison as a known one.
    fn find_token(&self, id: TokenId, hash: &TokenHash, now: Tick) -> Option<Arc<Known>> {
        let entry = self.tokens.get(&id);
        let expected = entry.map_or(TokenHash([0; 32]), |(token, _)| token.hash);
        let is_same = is_same(&expected, hash);
        let (token, known) = entry?;
        (is_same && token.is_good(now)).then(|| Arc::clone(known))
    }
}
