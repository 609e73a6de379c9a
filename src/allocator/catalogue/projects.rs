//! Projects: create, change, delete, read. The default one always exists.

use super::{Catalogue, Named};
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::{Refused, limit, no_project, refuse, refuse_field, with};
use crate::allocator::release::write;
use crate::allocator::shard::{Answer, At};
use crate::allocator::subnets::{check_page_limit, rules};
use crate::limits::PROJECTS_MAX;
use crate::model::{
    Effect, EffectSink, Family, NetworkId, ProjectId, ProjectRow, Revision, Status, SubnetId, Text,
};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    Detail, Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectPage,
    ProjectUpdate, Quotas, Reply,
};
use std::ops::Bound;

/// The revision of an object's next record: higher than the last one, and than any that was given before
/// this tick by a server whose data was restored since.
pub(super) fn next_revision(last: Revision, at: &At) -> Revision {
    Revision(last.0.max(at.tick.first_revision()) + 1)
}

impl Catalogue {
    /// Refuses projects that do not exist.
    pub(super) fn check_project(&self, id: ProjectId) -> Result<(), Refused> {
        if id == ProjectId::DEFAULT || self.projects.contains_key(&id) {
            return Ok(());
        }
        Err(no_project(id))
    }

    pub(super) fn project_create(
        &mut self,
        at: &At,
        id: ProjectId,
        request: &ProjectCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Project, Refused> {
        if let Some(project) = self.project(id) {
            return Ok(Project { repeated: true, ..project });
        }
        if let Some(name) = &request.name {
            self.check_name(Named::Project, ProjectId::NIL, name)?;
        }
        let count = self.projects.len() as u128;
        if count >= PROJECTS_MAX.into() {
            return Err(limit("PROJECTS_MAX", count + 1, PROJECTS_MAX.into()));
        }
        let row = ProjectRow {
            handle: self.take_handle(),
            revision: Revision(at.tick.first_revision() + 1),
            id,
            name: request.name.clone(),
            description: request.description.clone(),
            quotas: request.quotas,
        };
        self.commit(&Effect::ProjectPut(Box::new(row)), sink);
        self.project(id).ok_or_else(lost)
    }

    pub(super) fn project_update(
        &mut self,
        at: &At,
        id: ProjectId,
        request: &ProjectUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Project, Refused> {
        self.check_project(id)?;
        let known = self.projects.get(&id);
        let mut row = known.cloned().unwrap_or_else(|| ProjectRow {
            handle: Default::default(),
            revision: Revision(0),
            id,
            name: Text::new("default").ok(),
            description: None,
            quotas: Quotas::default(),
        });
        let before = row.revision;
        let renamed = write(&mut row.name, &request.name);
        let described = write(&mut row.description, &request.description);
        let quotas = request.quotas.apply_to(row.quotas);
        let limited = std::mem::replace(&mut row.quotas, quotas) != quotas;
        if !renamed && !described && !limited {
            return Ok(Project { repeated: true, ..self.project(id).ok_or_else(lost)? });
        }
        check_expected(request.expected, before)?;
        if renamed && let Some(name) = &row.name {
            self.check_name(Named::Project, ProjectId::NIL, name)?;
        }
        if before.0 == 0 {
            // The default project gets a row, and a number, with its first change.
            row.handle = self.take_handle();
            row.revision = Revision(at.tick.first_revision() + 1);
        } else {
            row.revision = next_revision(row.revision, at);
        }
        self.commit(&Effect::ProjectPut(Box::new(row)), sink);
        self.project(id).ok_or_else(lost)
    }

    pub(super) fn project_delete(
        &mut self,
        id: ProjectId,
        as_guest: u64,
        request: &ProjectDelete,
        sink: &mut impl EffectSink,
    ) -> Answer {
        if id == ProjectId::DEFAULT {
            let message = format_args!("the default project always exists");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "project", message));
        }
        self.check_project(id)?;
        let Some(row) = self.projects.get(&id) else { return Err(lost()) };
        check_expected(request.expected, row.revision)?;
        let counts = self.counts.get(&id).copied().unwrap_or_default();
        let used = self.pools.values().filter(|pool| pool.used_by(id) > 0).count() as u64;
        let count =
            u64::from(counts.networks) + u64::from(counts.pools) + u64::from(counts.scopes) + used;
        let count = count + as_guest;
        if count > 0 {
            let message = format_args!(
                "the project has {} networks, {} subnet pools and {} address scopes, uses {used} \
                 pools, and has {as_guest} allocations and ports on networks of others",
                counts.networks, counts.pools, counts.scopes
            );
            let count = count.into();
            return Err(with(refuse(Status::IN_USE, message), Detail::Count { count }));
        }
        let revision = Revision(row.revision.0 + 1);
        self.commit(&Effect::ObjectGone { object: row.handle, revision }, sink);
        Ok((Status::OK, Reply::Empty))
    }

    pub(super) fn project_get(
        &self,
        id: ProjectId,
        request: &ProjectGet,
    ) -> Result<Project, Refused> {
        let id = match &request.name {
            None => id,
            Some(name) if name.as_str() == "default" && self.is_default_unnamed() => {
                ProjectId::DEFAULT
            }
            Some(name) => {
                let handle = self.named(Named::Project, ProjectId::NIL, name)?;
                self.project_ids.get(&handle).copied().ok_or_else(lost)?
            }
        };
        self.check_project(id)?;
        self.project(id).ok_or_else(lost)
    }

    /// The default project has the name that it is born with.
    fn is_default_unnamed(&self) -> bool {
        !self.projects.contains_key(&ProjectId::DEFAULT)
    }

    pub(super) fn project_list(
        &self,
        at: &At,
        request: &ProjectList,
    ) -> Result<ProjectPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let from = match Cursor::read(Kind::Project, at, &request.page)? {
            None => Bound::Unbounded,
            Some(cursor) => Bound::Excluded(ProjectId::from_u128(cursor.key)),
        };
        let behind = |id: &ProjectId| match from {
            Bound::Excluded(last) => *id > last,
            _ => true,
        };
        let all = self.projects.range((from, Bound::Unbounded)).map(|(id, _)| *id);
        let mut ids: Vec<ProjectId> = all.take(crate::limits::LIST_OBJECTS_MAX + 1).collect();
        if self.is_default_unnamed() && behind(&ProjectId::DEFAULT) {
            ids.push(ProjectId::DEFAULT);
            ids.sort_unstable();
        }
        let mut page = Page::new(most);
        for id in ids {
            let shown = self.project(id).filter(|project| {
                let name = project.name.as_deref().unwrap_or_default();
                request.name_prefix.as_deref().is_none_or(|start| name.starts_with(start))
            });
            if !page.look_at(id.0.as_u128(), shown) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Project, at, Family::V4);
        Ok(ProjectPage { position: at.position, items, next })
    }

    /// Refuses texts that are no names, and names that others of the kind have in the project.
    pub(super) fn check_name(
        &self,
        named: Named,
        project: ProjectId,
        name: &Text,
    ) -> Result<(), Refused> {
        rules::check_name(name)?;
        let is_default = named == Named::Project && name.as_str() == "default";
        let other = self.names.get(&(named, project, name.clone()));
        if other.is_none() && !(is_default && self.is_default_unnamed()) {
            return Ok(());
        }
        let id = other.and_then(|handle| self.id_of(*handle)).unwrap_or_default();
        let detail =
            Detail::Other { network_id: NetworkId(id), subnet_id: SubnetId::NIL, cidr: None };
        Err(rules::name_in_use(name, detail))
    }

    /// The id of whatever has a number.
    fn id_of(&self, handle: crate::model::NetworkHandle) -> Option<uuid::Uuid> {
        let network = self.networks.get(&handle).map(|network| network.id.0);
        let pool = self.pools.get(&handle).map(|pool| pool.row.id.0);
        let scope = self.scopes.get(&handle).map(|scope| scope.row.id.0);
        let project = self.project_ids.get(&handle).map(|id| id.0);
        let principal = self.principals.id_of(handle).map(|id| id.0);
        network.or(pool).or(scope).or(project).or(principal)
    }
}

/// Refuses a change by somebody who knows another revision.
pub(super) fn check_expected(expected: Revision, known: Revision) -> Result<(), Refused> {
    if expected.0 == 0 || expected == known {
        return Ok(());
    }
    Err(rules::stale(known, expected))
}

/// What was found or made just now is not there.
#[cold]
pub(super) fn lost() -> Refused {
    refuse(Status::OUTCOME_UNKNOWN, format_args!("the catalogue lost an object of its own"))
}
