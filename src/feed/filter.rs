//! Which events a watch gets: what it may see, and what it asks for. Decides by what stands beside an
//! event, never by its bytes.

use crate::model::{NetworkId, OwnerId, ProjectId, SubnetId, Text};
use addrd_protocol::message::{EventKind, Watch};
use foldhash::HashSet;
use uuid::Uuid;

/// Who may see an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Every project.
    All,
    /// One project.
    Only(ProjectId),
    /// Every project but one: it ceased to be shared.
    Others(ProjectId),
    /// One project, and of the others who looks at the network itself.
    Lookers(ProjectId),
}

/// A network or pool as requests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watched {
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: NetworkId,
    /// It is a subnet pool.
    pub is_pool: bool,
}

/// What stands beside an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) kind: EventKind,
    pub(super) audience: Audience,
    /// What it is in, or is.
    pub(super) place: Option<Watched>,
    pub(super) subnet: SubnetId,
    /// Of an allocation or pin; of a port its id.
    pub(super) owner: OwnerId,
    /// Of an allocation that was transferred: who had it, as far as this audience may know.
    pub(super) former: Option<OwnerId>,
    pub(super) label: Option<Box<Text>>,
    pub(super) is_gone: bool,
    /// One of many that a forced deletion releases.
    pub(super) is_single: bool,
    /// The object may have been there before with another label.
    pub(super) is_change: bool,
}

/// What a filter says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Hidden,
    Shown,
    /// It is not among what is asked for (any more): told as gone.
    Left,
}

/// What one watch may see and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The project that watches.
    pub project: ProjectId,
    /// Only this network or pool; of a pool without an id: all pools.
    pub place: Option<Watched>,
    mask: u16,
    singles: bool,
    subnet: Option<SubnetId>,
    owner: Option<OwnerId>,
    label: Option<Text>,
}

impl Filter {
    /// The filter of a watch; texts are copied.
    #[must_use]
    pub fn of(project: ProjectId, place: Option<Watched>, watch: &Watch) -> Self {
        Self {
            project,
            place,
            mask: watch.kinds.iter().fold(0, |mask, kind| mask | kind.bit()),
            singles: watch.singles,
            subnet: watch.subnet,
            owner: watch.owner,
            label: watch.label.as_deref().and_then(|label| Text::new(label).ok()),
        }
    }

    pub(super) fn judge(&self, key: &Key) -> Verdict {
        // Without kinds all of the first version are asked for: its clients know no others.
        let mask = if self.mask == 0 { EventKind::FIRST } else { self.mask };
        let asked = mask & key.kind.bit() != 0
            && (self.singles || !key.is_single)
            && self.may_see(key)
            && self.is_here(key)
            && self.is_of_subnet(key);
        match asked {
            true if self.is_of_owner(key) => self.by_label(key),
            // Who follows its former owner learns that it is that one's no more.
            true if key.former.is_some() && self.owner == key.former => Verdict::Left,
            _ => Verdict::Hidden,
        }
    }

    /// Whether any event of a page with these places can be for it.
    pub(super) fn may_be_among(&self, places: &HashSet<Watched>) -> bool {
        match &self.place {
            None => true,
            Some(wanted) if wanted.id.is_nil() => places.iter().any(|place| place.is_pool),
            Some(wanted) => places.contains(wanted),
        }
    }

    fn may_see(&self, key: &Key) -> bool {
        match key.audience {
            Audience::All => true,
            Audience::Only(project) => self.project == project,
            Audience::Others(project) => self.project != project,
            Audience::Lookers(project) => self.project == project || self.place.is_some(),
        }
    }

    fn is_here(&self, key: &Key) -> bool {
        match (&self.place, &key.place) {
            (None, Some(place)) => {
                // Of what others share only what its lists without a network would show.
                place.project == self.project
                    || matches!(key.kind, EventKind::Network | EventKind::Pool)
                    || key.kind == EventKind::Allocation
                    || (key.kind == EventKind::Level && place.is_pool)
            }
            (None, None) => true,
            (Some(wanted), Some(place)) if wanted.id.is_nil() => place.is_pool,
            (Some(wanted), place) => place.as_ref() == Some(wanted),
        }
    }

    fn is_of_subnet(&self, key: &Key) -> bool {
        let ends = key.is_gone && key.kind == EventKind::Network;
        self.subnet.is_none_or(|subnet| subnet == key.subnet || ends)
    }

    fn is_of_owner(&self, key: &Key) -> bool {
        let Some(owner) = self.owner else { return true };
        match key.kind {
            EventKind::Allocation | EventKind::Pin | EventKind::Port => owner == key.owner,
            _ => takes_along(key),
        }
    }

    fn by_label(&self, key: &Key) -> Verdict {
        let Some(wanted) = self.label.as_deref() else { return Verdict::Shown };
        if key.kind != EventKind::Allocation {
            return if takes_along(key) { Verdict::Shown } else { Verdict::Hidden };
        }
        let has = key.label.as_deref().is_some_and(|held| has_label(held, wanted));
        match (key.is_gone || has, key.is_change) {
            (true, _) => Verdict::Shown,
            (false, true) => Verdict::Left,
            (false, false) => Verdict::Hidden,
        }
    }
}

/// Whether what is in it is gone with it.
fn takes_along(key: &Key) -> bool {
    key.is_gone && matches!(key.kind, EventKind::Network | EventKind::Subnet)
}

/// Whether a label is this text, or has it as one of its pairs: as lists do.
fn has_label(held: &str, wanted: &str) -> bool {
    held == wanted || held.split(',').any(|pair| pair.trim() == wanted)
}

impl Watched {
    pub(super) const fn new(project: ProjectId, id: Uuid, is_pool: bool) -> Self {
        Self { project, id: NetworkId(id), is_pool }
    }
}
