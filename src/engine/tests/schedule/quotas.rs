//! What projects of a schedule have of what their quotas count, at most. Sends nothing.
//!
//! Guests have a quota of addresses, the default project one of prefixes straight from pools.

use super::oracle::{How, Known, Made, Shape, Thing, Wish};
use std::collections::BTreeMap;

/// Each of the quotas.
pub(super) const LIMIT: usize = 3;
/// Projects that have one.
pub(super) const PROJECTS: [u128; 3] = [0, 1, 2];

/// Most that a project can have had while requests were on their way, by request.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    most: BTreeMap<u64, [usize; PROJECTS.len()]>,
}

impl Quotas {
    /// A request was sent.
    pub(super) fn asked(&mut self, id: u64) {
        self.most.insert(id, [0; PROJECTS.len()]);
    }

    /// What is known has changed.
    pub(super) fn look(&mut self, known: &BTreeMap<Thing, Known>) {
        let now = PROJECTS.map(|project| {
            let own = known.iter().filter(|(thing, _)| is_counted(thing, project));
            own.map(|(thing, known)| at_most(thing, known)).sum()
        });
        for most in self.most.values_mut() {
            most.iter_mut().zip(now).for_each(|(most, now)| *most = (*most).max(now));
        }
    }

    /// A request was answered; whether a quota can have been in its way.
    pub(super) fn answered(&mut self, id: u64, wishes: &[Wish]) -> bool {
        let most = self.most.remove(&id).unwrap_or_default();
        PROJECTS.into_iter().zip(most).any(|(project, most)| {
            let own = wishes.iter().filter(|wish| is_counted(&wish.thing, project));
            let asked: usize = own.map(asked_for).sum();
            asked > 0 && most + asked > LIMIT
        })
    }

    /// Nobody waits any more.
    pub(super) fn cut_off(&mut self) {
        self.most.clear();
    }
}

/// No project has more than its quota, whatever became of the requests.
pub(super) fn check(found: &BTreeMap<Thing, Made>) {
    for project in PROJECTS {
        let own = found.iter().filter(|(thing, _)| is_counted(thing, project));
        let count: usize = own.map(|(thing, made)| of(thing, made)).sum();
        assert!(count <= LIMIT, "project {project} has {count} of {LIMIT}");
    }
}

const fn is_counted(thing: &Thing, of: u128) -> bool {
    match thing {
        Thing::Address(project, ..) | Thing::Port(project, ..) => *project == of && of != 0,
        Thing::Prefix(_) => of == 0,
        Thing::Subnet(..) => false,
    }
}

fn of(thing: &Thing, made: &Made) -> usize {
    if matches!(thing, Thing::Prefix(_)) { 1 } else { made.places.len() }
}

const fn size(thing: &Thing) -> usize {
    if matches!(thing, Thing::Port(..)) { 2 } else { 1 }
}

fn at_most(thing: &Thing, known: &Known) -> usize {
    match known {
        Known::Absent => 0,
        Known::Present(made) => of(thing, made),
        Known::Unsure => size(thing),
    }
}

fn asked_for(wish: &Wish) -> usize {
    match wish.how {
        How::Unmake | How::Change(Shape::Bare) => 0,
        How::Change(Shape::Six) => 1,
        How::Make | How::Change(Shape::Pair) => size(&wish.thing),
    }
}
