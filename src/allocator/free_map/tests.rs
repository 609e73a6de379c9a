//! Free maps against a set of taken blocks, and their edges.

use super::*;
use crate::allocator::index::split_mix;
use std::collections::BTreeMap;

/// The same, by walking over all taken blocks.
#[derive(Default)]
struct Model {
    blocks: BTreeMap<u128, u8>,
}

fn last_of(at: u128, order: u8) -> u128 {
    if order >= 128 { u128::MAX } else { at | ((1 << order) - 1) }
}

impl Model {
    fn is_free(&self, at: u128, order: u8) -> bool {
        let last = last_of(at, order);
        self.blocks.range(..=last).next_back().is_none_or(|(&b, &o)| last_of(b, o) < at)
    }

    fn find_free(&self, from: u128, to: u128, order: u8) -> Option<u128> {
        let up = |at: u128| Some(at.checked_add(last_of(0, order))? & !last_of(0, order));
        let mut at = up(from)?;
        loop {
            let last = last_of(at, order);
            if last > to {
                return None;
            }
            let Some((&b, &o)) = self.blocks.range(..=last).next_back() else { return Some(at) };
            if last_of(b, o) < at {
                return Some(at);
            }
            at = up(last_of(b, o).checked_add(1)?)?;
        }
    }

    fn next_taken(&self, from: u128) -> Option<u128> {
        let before = self.blocks.range(..=from).next_back();
        if before.is_some_and(|(&b, &o)| last_of(b, o) >= from) {
            return Some(from);
        }
        self.blocks.range(from..).next().map(|(&b, _)| b)
    }

    fn count(&self, from: u128, to: u128) -> u128 {
        let overlap = |(&b, &o): (&u128, &u8)| {
            let (first, last) = (b.max(from), last_of(b, o).min(to));
            if first > last { 0 } else { (last - first).wrapping_add(1) }
        };
        self.blocks.iter().map(overlap).fold(0, u128::wrapping_add)
    }

    fn room(&self, host_bits: u8) -> u8 {
        let last = last_of(0, host_bits);
        let fits = |&order: &u8| self.find_free(0, last, order).is_some();
        (0..=host_bits).rev().find(fits).map_or(0, |order| order + 1)
    }
}

fn random(state: &mut u64, host_bits: u8, narrow: bool) -> u128 {
    let wide = u128::from(split_mix(state)) << 64 | u128::from(split_mix(state));
    let bits = if narrow { host_bits.min(11) } else { host_bits };
    let value = wide & last_of(0, bits);
    if split_mix(state).is_multiple_of(8) { last_of(0, host_bits) - value } else { value }
}

fn run(host_bits: u8, seed: u64, steps: u32, order_most: u8) {
    let mut store = MapStore::new();
    let (mut map, mut model, mut state) = (FreeMap::new(host_bits), Model::default(), seed);
    let last = last_of(0, host_bits);
    for step in 0..steps {
        let pick = split_mix(&mut state);
        let order = if pick.is_multiple_of(3) {
            (pick >> 8) as u8 % (order_most.min(host_bits) + 1)
        } else {
            0
        };
        let narrow = !pick.is_multiple_of(5);
        let place = random(&mut state, host_bits, narrow);
        let at = place & !last_of(0, order);
        let context = format!("bits {host_bits} seed {seed} step {step} at {at:#x} order {order}");
        assert_eq!(map.is_free(&store, at, order), model.is_free(at, order), "{context}");
        let growing = (step / 300) % 2 == 0;
        if growing || pick.is_multiple_of(4) {
            let found = map.find_free(&store, place, last, order);
            assert_eq!(found, model.find_free(place, last, order), "{context}");
            if let Some(found) = found {
                map.take(&mut store, found, order);
                model.blocks.insert(found, order);
            }
        } else if let Some((&at, &order)) =
            model.blocks.range(place..).next().or_else(|| model.blocks.iter().next())
        {
            map.release(&mut store, at, order);
            model.blocks.remove(&at);
        }
        let other = random(&mut state, host_bits, narrow);
        let (from, to) = (place.min(other), place.max(other));
        assert_eq!(map.count(&store, from, to), model.count(from, to), "{context}");
        assert_eq!(map.next_taken(&store, from), model.next_taken(from), "{context}");
        let bounded = map.find_free(&store, from, to, order);
        assert_eq!(bounded, model.find_free(from, to, order), "{context}");
        if step % 16 == 0 {
            assert_eq!(map.taken(&store), model.count(0, last), "{context}");
            assert_eq!(map.room(&store), model.room(host_bits), "{context}");
        }
    }
    map.clear(&mut store);
    assert_eq!(store.parts(), 0);
    assert_eq!(map.room(&store), host_bits + 1);
}

#[test]
fn equals_a_set_of_blocks() {
    for host_bits in [0, 1, 2, 5, 6, 7, 9, 10, 11, 12, 16, 20, 24, 31, 32] {
        run(host_bits, 1, 2_000, host_bits);
        run(host_bits, 2, 1_000, 3);
    }
    for host_bits in [33, 40, 64, 80, 127, 128] {
        run(host_bits, 3, 2_000, host_bits);
        run(host_bits, 4, 1_000, 3);
    }
}

#[test]
fn fills_to_the_last_offset_and_empties_again() {
    for (host_bits, order) in [(0, 0), (3, 0), (10, 0), (11, 0), (17, 0), (24, 12), (32, 26)] {
        let mut store = MapStore::new();
        let mut map = FreeMap::new(host_bits);
        let last = last_of(0, host_bits);
        let mut taken = Vec::new();
        while let Some(at) = map.find_free(&store, 0, last, order) {
            map.take(&mut store, at, order);
            taken.push(at);
        }
        assert_eq!(taken.len(), 1 << (host_bits - order));
        assert_eq!((map.room(&store), map.taken(&store)), (0, 1 << host_bits));
        assert_eq!(map.next_taken(&store, last), Some(last));
        taken.into_iter().rev().for_each(|at| map.release(&mut store, at, order));
        assert_eq!((store.parts(), map.taken(&store)), (0, 0));
    }
}

#[test]
fn neighbours_in_a_huge_prefix_coalesce() {
    let mut store = MapStore::new();
    let mut map = FreeMap::new(64);
    for at in 0..100_000_u128 {
        assert_eq!(map.find_free(&store, 0, u128::from(u64::MAX), 0), Some(at));
        map.take(&mut store, at, 0);
    }
    assert!(store.parts() < 40, "{} twigs for one run", store.parts());
    assert_eq!(map.count(&store, 10, 20), 11);
}

#[test]
fn whole_prefix_of_every_width() {
    for host_bits in 0..=128 {
        let mut store = MapStore::new();
        let mut map = FreeMap::new(host_bits);
        let last = last_of(0, host_bits);
        assert_eq!(map.find_free(&store, 0, last, host_bits), Some(0));
        assert_eq!(map.find_free(&store, last, last, 0), Some(last));
        map.take(&mut store, 0, host_bits);
        assert_eq!(map.find_free(&store, 0, last, 0), None);
        assert_eq!(map.next_taken(&store, last), Some(last));
        map.release(&mut store, 0, host_bits);
        map.take(&mut store, last, 0);
        assert_eq!(map.next_taken(&store, 0), Some(last));
        assert_eq!(map.find_free(&store, last, last, 0), None);
    }
}

/// Everything that a map says about a place equals what the model says.
fn same_around(store: &MapStore, map: &FreeMap, model: &Model, at: u128, last: u128, text: &str) {
    for from in [at.saturating_sub(1), at, at.saturating_add(1).min(last)] {
        assert_eq!(map.is_free(store, from, 0), model.is_free(from, 0), "{text}");
        assert_eq!(map.next_taken(store, from), model.next_taken(from), "{text}");
        for order in [0, 1, 3, 6, 7, 8] {
            let found = map.find_free(store, from, last, order);
            assert_eq!(found, model.find_free(from, last, order), "{text} order {order}");
        }
        let to = from.saturating_add(200).min(last);
        assert_eq!(map.count(store, from, to), model.count(from, to), "{text}");
    }
}

/// Single offsets around the edges of leaves, taken in random order until there is no gap, then
/// released in random order: leaves become full, join, split and vanish.
#[test]
fn leaves_of_huge_prefixes_fill_and_empty() {
    for (host_bits, seed) in [(33, 1), (64, 2), (64, 3), (127, 4), (128, 5)] {
        let last = last_of(0, host_bits);
        let middle = last / 2 + 1;
        for first in [0, 100, 128, middle - 300, last - 599] {
            let (mut map, mut model) = (FreeMap::new(host_bits), Model::default());
            let (mut store, mut state) = (MapStore::new(), seed);
            let mut places: Vec<u128> = (first..=first + 599).collect();
            shuffle(&mut places, &mut state);
            for &at in &places {
                let text = format!("bits {host_bits} seed {seed} from {first:#x} take {at:#x}");
                map.take(&mut store, at, 0);
                model.blocks.insert(at, 0);
                same_around(&store, &map, &model, at, last, &text);
            }
            assert_eq!(map.room(&store), model.room(host_bits));
            shuffle(&mut places, &mut state);
            for (step, &at) in places.iter().enumerate() {
                let text = format!("bits {host_bits} seed {seed} from {first:#x} release {at:#x}");
                map.release(&mut store, at, 0);
                model.blocks.remove(&at);
                same_around(&store, &map, &model, at, last, &text);
                assert_eq!(map.taken(&store), 599 - step as u128, "{text}");
                if step % 32 == 0 {
                    assert_eq!(map.room(&store), model.room(host_bits), "{text}");
                }
            }
            assert_eq!(store.parts(), 0);
        }
    }
}

fn shuffle(places: &mut [u128], state: &mut u64) {
    for at in (1..places.len()).rev() {
        let other = (split_mix(state) % (at as u64 + 1)) as usize;
        places.swap(at, other);
    }
}

/// What an address far from all others costs: a leaf, and the twig that it hangs on.
#[test]
fn a_lone_address_costs_two_twigs() {
    let (mut store, mut map, mut state) = (MapStore::new(), FreeMap::new(64), 9);
    for _ in 0..10_000 {
        let at = u128::from(split_mix(&mut state));
        if map.is_free(&store, at, 0) {
            map.take(&mut store, at, 0);
        }
    }
    assert!(store.parts() < 20_000, "{} twigs", store.parts());
    assert_eq!(size_of::<Twig>(), 48);
}
