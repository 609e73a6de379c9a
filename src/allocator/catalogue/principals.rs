//! Principals and their tokens: create, change, delete, read. Knows who may do what; enforces none of it.
//!
//! Source: docs/decisions/0039-access.md.

use super::projects::{check_expected, lost, next_revision};
use super::{Catalogue, Named};
use crate::allocator::owned;
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::{Refused, limit, refuse_field};
use crate::allocator::release::write;
use crate::allocator::shard::At;
use crate::allocator::subnets::check_page_limit;
use crate::limits::PRINCIPALS_MAX;
use crate::model::{
    Effect, EffectSink, Family, NetworkHandle, PrincipalId, PrincipalRow, ProjectId, Revision,
    Setting, Status, Text, Tick, TokenId, TokenRow,
};
use addrd_protocol::message::principal::{
    PAGE_PRINCIPALS_MAX, Principal, PrincipalCreate, PrincipalDelete, PrincipalGet, PrincipalList,
    PrincipalPage, PrincipalUpdate, TOKENS_MAX, TokenCreate, TokenRevoke, TokenShown,
};
use addrd_protocol::message::{Grant, Verb, Verbs};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// All principals, by each way in which one is found.
#[derive(Debug, Default)]
pub struct Principals {
    by_id: BTreeMap<PrincipalId, Arc<PrincipalRow>>,
    ids: BTreeMap<NetworkHandle, PrincipalId>,
    tokens: BTreeMap<TokenId, PrincipalId>,
    certificates: BTreeMap<Text, PrincipalId>,
    users: BTreeMap<u32, PrincipalId>,
    /// Changes so far, of this process.
    changes: u64,
}

impl Principals {
    /// All of them, by id.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<PrincipalRow>> {
        self.by_id.values()
    }

    /// Rises with each change.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn get(&self, id: PrincipalId) -> Option<&PrincipalRow> {
        self.by_id.get(&id).map(|row| &**row)
    }

    pub(super) fn id_of(&self, handle: NetworkHandle) -> Option<PrincipalId> {
        self.ids.get(&handle).copied()
    }

    /// Takes a row, instead of the one that was there.
    pub(super) fn put(&mut self, row: &PrincipalRow) {
        self.remove(row.handle);
        self.changes += 1;
        self.ids.insert(row.handle, row.id);
        self.tokens.extend(row.tokens.iter().map(|token| (token.id, row.id)));
        self.certificates.extend(row.certificate_names.iter().map(|name| (owned(name), row.id)));
        self.users.extend(row.unix_users.iter().map(|user| (*user, row.id)));
        self.by_id.insert(row.id, Arc::new(owned_row(row)));
    }

    pub(super) fn remove(&mut self, handle: NetworkHandle) -> Option<Arc<PrincipalRow>> {
        let row = self.by_id.remove(&self.ids.remove(&handle)?)?;
        self.changes += 1;
        row.tokens.iter().for_each(|token| _ = self.tokens.remove(&token.id));
        row.certificate_names.iter().for_each(|name| _ = self.certificates.remove(name));
        row.unix_users.iter().for_each(|user| _ = self.users.remove(user));
        Some(row)
    }
}

impl Catalogue {
    /// Who may do what.
    #[must_use]
    pub const fn principals(&self) -> &Principals {
        &self.principals
    }

    pub(super) fn principal_create(
        &mut self,
        at: &At,
        request: &PrincipalCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Principal, Refused> {
        let id = request.principal_id;
        if let Some(row) = self.principals.get(id) {
            check_same(row, request)?;
            return Ok(Principal { repeated: true, ..shown(row, at) });
        }
        if let Some(name) = &request.name {
            self.check_name(Named::Principal, ProjectId::NIL, name)?;
        }
        let count = self.principals.by_id.len() as u128;
        if count >= PRINCIPALS_MAX.into() {
            return Err(limit("PRINCIPALS_MAX", count + 1, PRINCIPALS_MAX.into()));
        }
        check_grants(&request.grants)?;
        self.check_ways(id, &request.certificate_names, &request.unix_users)?;
        let row = PrincipalRow {
            handle: self.take_handle(),
            revision: Revision(at.tick.first_revision() + 1),
            id,
            disabled: false,
            name: request.name.clone(),
            description: request.description.clone(),
            grants: request.grants.clone(),
            certificate_names: request.certificate_names.clone(),
            unix_users: request.unix_users.clone(),
            tokens: Vec::new(),
        };
        self.put_principal(row, at, sink)
    }

    pub(super) fn principal_update(
        &mut self,
        at: &At,
        request: &PrincipalUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Principal, Refused> {
        let known = self.principal_row(request.principal_id)?;
        let mut row = known.clone();
        let renamed = write(&mut row.name, &request.name);
        write(&mut row.description, &request.description);
        write_list(&mut row.grants, &request.grants);
        write_list(&mut row.certificate_names, &request.certificate_names);
        write_list(&mut row.unix_users, &request.unix_users);
        row.disabled = request.disabled.unwrap_or(row.disabled);
        if row == *known {
            return Ok(Principal { repeated: true, ..shown(known, at) });
        }
        check_expected(request.expected, known.revision)?;
        if renamed && let Some(name) = &row.name {
            self.check_name(Named::Principal, ProjectId::NIL, name)?;
        }
        check_grants(&row.grants)?;
        self.check_ways(row.id, &row.certificate_names, &row.unix_users)?;
        self.put_principal(row, at, sink)
    }

    pub(super) fn principal_delete(
        &mut self,
        request: &PrincipalDelete,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let row = self.principal_row(request.principal_id)?;
        check_expected(request.expected, row.revision)?;
        let (object, revision) = (row.handle, Revision(row.revision.0 + 1));
        self.commit(&Effect::ObjectGone { object, revision }, sink);
        Ok(())
    }

    pub(super) fn token_create(
        &mut self,
        at: &At,
        request: &TokenCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Principal, Refused> {
        let known = self.principal_row(request.principal_id)?;
        let (id, hash) = (request.token_id, request.hash);
        if let Some(holder) = self.principals.tokens.get(&id) {
            let ends = |created: u64| match request.life_ms {
                0 => 0,
                life_ms => created.saturating_add(life_ms),
            };
            // Of one that has ended, or lives otherwise, it is no repeat.
            let is_it = |token: &TokenRow| {
                token.id == id
                    && token.hash == hash
                    && token.ends == ends(token.created)
                    && token.is_good(at.tick)
            };
            if *holder == known.id && known.tokens.iter().any(is_it) {
                return Ok(Principal { repeated: true, ..shown(known, at) });
            }
            let message = format_args!("a token with this id exists: choose another id");
            return Err(refuse_field(Status::ID_IN_USE, "token_id", message));
        }
        let mut row = known.clone();
        row.tokens.retain(|token| token.is_good(at.tick));
        if row.tokens.len() >= TOKENS_MAX {
            let count = row.tokens.len() as u128 + 1;
            return Err(limit("TOKENS_MAX", count, TOKENS_MAX as u128));
        }
        let ends = match request.life_ms {
            0 => 0,
            life_ms => at.tick.0.saturating_add(life_ms),
        };
        row.tokens.push(TokenRow { id, hash, created: at.tick.0, ends });
        self.put_principal(row, at, sink)
    }

    pub(super) fn token_revoke(
        &mut self,
        at: &At,
        request: &TokenRevoke,
        sink: &mut impl EffectSink,
    ) -> Result<Principal, Refused> {
        let holder = self.principals.tokens.get(&request.token_id).copied();
        let known = self.principal_row(holder.unwrap_or_default()).map_err(|_| {
            let message = format_args!("no token has the id {}", request.token_id);
            refuse_field(Status::NOT_FOUND, "token_id", message)
        })?;
        let mut row = known.clone();
        // It stays until another one takes its place, so that a late creation doesn't bring it back.
        let ends = at.tick.0.saturating_add(request.after_ms);
        let named = row.tokens.iter_mut().find(|token| token.id == request.token_id);
        let later = named.filter(|token| token.ends == 0 || token.ends > ends);
        later.into_iter().for_each(|token| token.ends = ends);
        if row == *known {
            return Ok(Principal { repeated: true, ..shown(known, at) });
        }
        self.put_principal(row, at, sink)
    }

    pub(super) fn principal_get(
        &self,
        at: &At,
        request: &PrincipalGet,
    ) -> Result<Principal, Refused> {
        let id = match &request.name {
            None => request.principal_id,
            Some(name) => {
                let handle = self.named(Named::Principal, ProjectId::NIL, name)?;
                self.principals.id_of(handle).ok_or_else(lost)?
            }
        };
        self.principal_row(id).map(|row| shown(row, at))
    }

    pub(super) fn principal_list(
        &self,
        at: &At,
        request: &PrincipalList,
    ) -> Result<PrincipalPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_PRINCIPALS_MAX)?;
        let from = match Cursor::read(Kind::Principal, at, &request.page)? {
            None => Bound::Unbounded,
            Some(cursor) => Bound::Excluded(PrincipalId::from_u128(cursor.key)),
        };
        let mut page = Page::new(most);
        for (id, row) in self.principals.by_id.range((from, Bound::Unbounded)) {
            let name = row.name.as_deref().unwrap_or_default();
            let start = request.name_prefix.as_deref();
            let item = start.is_none_or(|start| name.starts_with(start)).then(|| shown(row, at));
            if !page.look_at(id.0.as_u128(), item) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Principal, at, Family::V4);
        Ok(PrincipalPage { position: at.position, items, next })
    }

    fn principal_row(&self, id: PrincipalId) -> Result<&PrincipalRow, Refused> {
        self.principals.get(id).ok_or_else(|| {
            let message = format_args!("no principal has the id {id}");
            refuse_field(Status::NOT_FOUND, "principal_id", message)
        })
    }

    /// Gives the row its revision, and makes it so.
    fn put_principal(
        &mut self,
        row: PrincipalRow,
        at: &At,
        sink: &mut impl EffectSink,
    ) -> Result<Principal, Refused> {
        let id = row.id;
        let known = self.principals.get(id).map(|known| known.revision);
        let revision = known.map_or(row.revision, |known| next_revision(known, at));
        self.commit(&Effect::PrincipalPut(Box::new(PrincipalRow { revision, ..row })), sink);
        self.principals.get(id).map(|row| shown(row, at)).ok_or_else(lost)
    }

    /// Refuses names in certificates and users that are another principal, and one that stands twice.
    fn check_ways(&self, id: PrincipalId, names: &[Text], users: &[u32]) -> Result<(), Refused> {
        if let Some(name) = first_taken(&self.principals.certificates, id, names) {
            return Err(taken("certificate_names", &format_args!("the name {:?}", &**name)));
        }
        match first_taken(&self.principals.users, id, users) {
            Some(user) => Err(taken("unix_users", &format_args!("user {user}"))),
            None => Ok(()),
        }
    }
}

/// The first of these that is another principal, or stands among them before.
fn first_taken<'a, K: Ord>(
    known: &BTreeMap<K, PrincipalId>,
    id: PrincipalId,
    ways: &'a [K],
) -> Option<&'a K> {
    let is_taken = |(place, way): &(usize, &K)| {
        let is_anothers = known.get(way).is_some_and(|holder| *holder != id);
        is_anothers || ways.iter().take(*place).any(|before| before == *way)
    };
    ways.iter().enumerate().find(is_taken).map(|(_, way)| way)
}

/// A manager restricts nothing of what `manage` and `administer` are for.
fn check_grants(grants: &[Grant]) -> Result<(), Refused> {
    let is_wide = |verbs: Verbs| verbs.has(Verb::Manage) || verbs.has(Verb::Administer);
    if grants.iter().any(|grant| grant.manager.is_some() && is_wide(grant.verbs)) {
        let message = format_args!(
            "a grant of manage or administer is for no manager: give it apart from the others"
        );
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "grants", message));
    }
    Ok(())
}

fn taken(field: &str, what: &std::fmt::Arguments<'_>) -> Refused {
    let message = format_args!("{what} stands for a principal already: for one, and once");
    refuse_field(Status::NAME_IN_USE, field, message)
}

/// Refuses another principal under the id of one that is there.
fn check_same(row: &PrincipalRow, request: &PrincipalCreate) -> Result<(), Refused> {
    let pairs = [
        ("name", row.name == request.name),
        ("grants", row.grants == request.grants),
        ("certificate_names", row.certificate_names == request.certificate_names),
        ("unix_users", row.unix_users == request.unix_users),
    ];
    match pairs.into_iter().find(|(_, is_same)| !is_same) {
        None => Ok(()),
        Some((field, _)) => {
            let message = format_args!("a principal with this id has another {field}");
            Err(refuse_field(Status::ID_IN_USE, field, message))
        }
    }
}

fn write_list<T: Clone>(list: &mut Vec<T>, setting: &Setting<Vec<T>>) {
    match setting {
        Setting::Unset => {}
        Setting::Null => list.clear(),
        Setting::Value(new) => list.clone_from(new),
    }
}

/// A row that keeps no frame alive.
fn owned_row(row: &PrincipalRow) -> PrincipalRow {
    let grant =
        |grant: &Grant| Grant { manager: grant.manager.as_ref().map(owned), ..grant.clone() };
    PrincipalRow {
        name: row.name.as_ref().map(owned),
        description: row.description.as_ref().map(owned),
        grants: row.grants.iter().map(grant).collect(),
        certificate_names: row.certificate_names.iter().map(owned).collect(),
        ..row.clone()
    }
}

fn shown(row: &PrincipalRow, at: &At) -> Principal {
    let good = row.tokens.iter().filter(|token| token.is_good(at.tick));
    let tokens = good.map(|token| TokenShown {
        token_id: token.id,
        age_ms: at.tick.since(Tick(token.created)),
        time_left_ms: Some(token.ends).filter(|ends| *ends != 0).map(|ends| ends - at.tick.0),
    });
    Principal {
        principal_id: row.id,
        revision: row.revision,
        disabled: row.disabled,
        repeated: false,
        name: row.name.clone(),
        description: row.description.clone(),
        grants: row.grants.clone(),
        certificate_names: row.certificate_names.clone(),
        unix_users: row.unix_users.clone(),
        tokens: tokens.collect(),
    }
}
