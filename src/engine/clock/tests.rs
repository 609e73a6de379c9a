//! The clock over hands that tests move: downtime, steps back, jumps, and who ends the doubt.

use super::*;
use std::sync::Arc;

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;
/// The last journalled tick of each test.
const LAST: Tick = Tick(1_000 * HOUR);

/// A wall clock and a boot clock that move when told to.
#[derive(Clone, Debug)]
struct Moved {
    wall: Arc<Level>,
    boot: Arc<Level>,
}

impl Hands for Moved {
    fn wall_ms(&self) -> u64 {
        self.wall.get()
    }

    fn boot_ms(&self) -> u64 {
        self.boot.get()
    }

    fn monotonic_ns(&self) -> u64 {
        self.boot.get() * NS_PER_MS
    }
}

/// A clock that starts while the wall says this, and its hands.
fn started(wall_ms: u64, has_deadlines: bool) -> (SystemClock, Moved) {
    let (wall, boot) = (Arc::new(Level::new(wall_ms)), Arc::new(Level::new(77)));
    let hands = Moved { wall, boot };
    let over = Box::new(hands.clone());
    (SystemClock::over(over, LAST, HOUR, has_deadlines), hands)
}

#[test]
fn an_hour_of_downtime_is_believed() {
    let (clock, hands) = started(LAST.0 + HOUR, true);
    assert_eq!((clock.tick(), clock.is_doubted()), (Tick(LAST.0 + HOUR), false));
    hands.boot.add(500);
    assert_eq!(clock.tick(), Tick(LAST.0 + HOUR + 500));
    hands.wall.set(0);
    assert_eq!(clock.tick(), Tick(LAST.0 + HOUR + 500), "the wall is read at the start alone");
}

#[test]
fn a_wall_clock_that_is_behind_is_told_and_harmless() {
    let (clock, _) = started(LAST.0 - HOUR, true);
    assert_eq!((clock.tick(), clock.is_doubted()), (Tick(LAST.0 + 1), false));
    assert_eq!(clock.behind_ms(LAST), HOUR);
}

#[test]
fn a_wall_clock_a_year_ahead_is_not_believed() {
    let (clock, hands) = started(LAST.0 + YEAR, true);
    assert_eq!(clock.tick(), Tick(LAST.0 + 1));
    assert!(clock.is_doubted() && clock.doubt_ms() > YEAR / 2);
    hands.boot.add(1_000);
    clock.look_again();
    assert!(clock.is_doubted());
    assert_eq!(clock.tick(), Tick(LAST.0 + 1_001), "time goes on all the same");
}

#[test]
fn doubt_ends_when_the_wall_clock_is_right_again() {
    let (clock, hands) = started(LAST.0 + YEAR, true);
    hands.wall.set(LAST.0 + 60_000);
    clock.look_again();
    assert_eq!((clock.is_doubted(), clock.doubt_ms()), (false, 0));
    assert_eq!(clock.tick(), Tick(LAST.0 + 1));
}

#[test]
fn doubt_ends_when_an_operator_says_so_and_the_tick_moves_on() {
    let (clock, _) = started(LAST.0 + YEAR, true);
    assert_eq!(clock.accept(), YEAR - 1);
    assert_eq!((clock.tick(), clock.is_doubted()), (Tick(LAST.0 + YEAR), false));
    assert_eq!(clock.accept(), 0, "there is nothing to accept any more");
    assert_eq!(clock.tick(), Tick(LAST.0 + YEAR));
}

#[test]
fn without_anything_that_ends_any_time_is_believed() {
    let (clock, _) = started(LAST.0 + YEAR, false);
    assert_eq!((clock.tick(), clock.is_doubted()), (Tick(LAST.0 + YEAR), false));
}
