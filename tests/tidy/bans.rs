//! Shows that the bans of `clippy.toml` fire: each expectation below is a warning, and so an error,
//! once its ban does not. Calls nothing.

use std::any::type_name_of_val;
use std::time::SystemTime;

#[test]
#[expect(clippy::disallowed_methods, reason = "a ban whose path is misspelt is silent")]
fn the_system_clock_is_banned() {
    assert!(type_name_of_val(&SystemTime::now).contains("now"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a ban whose path is misspelt is silent")]
fn bare_threads_are_banned() {
    assert!(type_name_of_val(&std::thread::spawn::<fn(), ()>).contains("spawn"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a ban whose path is misspelt is silent")]
fn channels_without_bound_are_banned() {
    assert!(type_name_of_val(&std::sync::mpsc::channel::<u8>).contains("channel"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a ban whose path is misspelt is silent")]
fn channels_without_bound_of_the_runtime_are_banned() {
    assert!(type_name_of_val(&tokio::sync::mpsc::unbounded_channel::<u8>).contains("unbounded"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a ban whose path is misspelt is silent")]
fn tasks_without_owner_are_banned() {
    let spawn = tokio::spawn::<std::future::Ready<()>>;
    assert!(type_name_of_val(&spawn).contains("spawn"));
}
