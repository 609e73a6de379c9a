//! Log lines: text or JSON on standard error, one line an event whatever it contains, and at most
//! ten a second of one class. Never written by the way of a request unless something is wrong.

use addrd_sync::Level as Amount;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

/// Lines of one class, which is one place in the code, within a second.
pub const LINES_A_SECOND: u32 = 10;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// A running log: its level can be changed, and what was left out is counted.
#[derive(Clone)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    left_out: Arc<Amount>,
}

/// The log is set up already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetUpTwice;

/// Sets the log of the process up, on standard error.
///
/// # Errors
/// [`SetUpTwice`]; the first one stays.
pub fn set_up(level: tracing::Level, format: Format) -> Result<Log, SetUpTwice> {
    let (subscriber, log) = subscriber(level, format, io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| SetUpTwice)?;
    Ok(log)
}

/// What writes lines to `out`, and its handle.
pub fn subscriber<W>(
    level: tracing::Level,
    format: Format,
    out: W,
) -> (impl Subscriber + Send + Sync, Log)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let left_out = Arc::new(Amount::new(0));
    let log = Log { level: handle, left_out: Arc::clone(&left_out) };
    let sampler = Sampler { classes: Mutex::default(), left_out, began: Instant::now() };
    let lines = lines(format, OneLine(out)).with_filter(sampler);
    (Registry::default().with(filter).with(lines), log)
}

fn lines<S, W>(format: Format, out: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(out).with_ansi(false);
    match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

impl Log {
    /// Lines left out since the start.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.get()
    }

    /// Logs this and all that is graver from now on.
    pub fn set_level(&self, level: tracing::Level) {
        // It fails only if the log is gone, and then there is nothing to set.
        let _ = self.level.reload(LevelFilter::from_level(level));
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("left_out", &self.left_out()).finish_non_exhaustive()
    }
}

/// Lets ten lines a second of each class pass. Classes are places in the code: a bounded table.
struct Sampler {
    classes: Mutex<HashMap<Identifier, Window>>,
    left_out: Arc<Amount>,
    began: Instant,
}

#[derive(Clone, Copy, Default)]
struct Window {
    second: u64,
    lines: u32,
}

impl Sampler {
    fn passes(&self, class: Identifier, since: Duration) -> bool {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let window = classes.entry(class).or_default();
        if window.second != since.as_secs() {
            *window = Window { second: since.as_secs(), lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        window.lines <= LINES_A_SECOND
    }
}

impl<S> Filter<S> for Sampler {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let passes = self.passes(event.metadata().callsite(), self.began.elapsed());
        if !passes {
            self.left_out.add(1);
        }
        passes
    }
}

/// Makes each event one line: control characters that it contains are escaped, so that nobody can
/// forge a line or speak to a terminal.
struct OneLine<W>(W);

/// The writer of one event.
struct OneLineWriter<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        OneLineWriter(self.0.make_writer_for(metadata))
    }
}

impl<W: Write> Write for OneLineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = match event.split_last() {
            Some((b'\n', line)) => (line, &b"\n"[..]),
            _ => (event, &b""[..]),
        };
        let mut escaped = Vec::with_capacity(event.len());
        for character in String::from_utf8_lossy(line).chars() {
            if character.is_control() {
                escaped.extend(character.escape_default().map(|c| c as u8));
            } else {
                escaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        escaped.extend_from_slice(end);
        self.0.write_all(&escaped)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl fmt::Display for SetUpTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log is set up already")
    }
}

impl std::error::Error for SetUpTwice {}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{debug, info, warn};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(format: Format, write: impl FnOnce(&Log)) -> String {
        let page = Page::default();
        let out = page.clone();
        let (subscriber, log) = subscriber(tracing::Level::INFO, format, move || out.clone());
        tracing::subscriber::with_default(subscriber, || write(&log));
        page.text()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_contains() {
        for format in [Format::Text, Format::Json] {
            let evil = "a\nERROR forged\r\u{1b}[31m\u{7}\u{9b}ü";
            let text = logged(format, |_| warn!(peer = evil, "said {evil}"));
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.ends_with('\n') && text.contains('ü'), "{text}");
            assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn ten_lines_a_second_of_a_class_pass_and_the_rest_is_counted() {
        let mut left_out = 0;
        let text = logged(Format::Text, |log| {
            for _ in 0..1_000 {
                info!("often");
            }
            info!("rarely");
            left_out = log.left_out();
        });
        // The thousand may lie on both sides of the turn of a second.
        let passed = text.matches("often").count() as u64;
        assert!((10..=20).contains(&passed), "{passed}");
        assert_eq!(passed + left_out, 1_000);
        assert!(text.contains("rarely"));
    }

    #[test]
    fn a_class_passes_again_in_the_next_second() {
        let began = Instant::now();
        let sampler = Sampler { classes: Mutex::default(), left_out: Arc::default(), began };
        static PLACE: &Metadata<'static> = {
            static SITE: Site = Site;
            static META: Metadata<'static> = Metadata::new(
                "place",
                "test",
                tracing::Level::INFO,
                None,
                None,
                None,
                tracing::field::FieldSet::new(&[], tracing::callsite::Identifier(&SITE)),
                tracing::metadata::Kind::EVENT,
            );
            &META
        };
        let at = |ms| sampler.passes(PLACE.callsite(), Duration::from_millis(ms));
        assert_eq!((0..20).filter(|_| at(999)).count(), LINES_A_SECOND as usize);
        assert!(at(1_000));
    }

    struct Site;
    impl tracing::Callsite for Site {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("only its place is looked at")
        }
    }

    #[test]
    fn the_level_can_be_changed_while_running() {
        let text = logged(Format::Text, |log| {
            debug!("before");
            log.set_level(tracing::Level::DEBUG);
            debug!("after");
        });
        assert!(!text.contains("before") && text.contains("after"), "{text}");
    }
}
