//! What must hold for any text as a configuration file. Called by the fuzz target, and on stable by
//! `tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd::config::{Config, ConfigErrors, Origin, SETTINGS, Sources};
use std::path::Path;

/// What is accepted can be shown and read back; what is not names a line that exists, and shows
/// nothing that a terminal would obey.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::from_text(Path::new("addrd.toml"), text) {
        Ok(config) => accepted(&config),
        Err(errors) => refused(&errors, text),
    }
}

fn accepted(config: &Config) {
    let shown = SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.show(config)));
    let sources = Sources { flags: shown.collect(), ..Sources::default() };
    assert_eq!(Config::load(&sources).as_ref(), Ok(config));
}

fn refused(errors: &ConfigErrors, text: &str) {
    assert!(!errors.0.is_empty());
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for error in &errors.0 {
        if let Origin::Line(_, line) = &error.origin {
            assert!((1..=lines).contains(line), "line {line} of {lines}");
        }
        let told = error.to_string();
        assert!(!told.contains(|c: char| c.is_control()), "{told:?}");
    }
}
