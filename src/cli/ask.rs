//! Questions before something is destroyed. Destroys nothing itself.

use super::fault::Fault;
use super::global::Global;
use super::output;
use std::io::{self, BufRead, Write};

/// Asks, if somebody sits at a terminal and did not say yes already.
///
/// # Errors
/// [`Fault::Refused`] if the answer is not yes.
pub(crate) fn confirm(global: &Global, question: &str) -> Result<(), Fault> {
    if global.yes || !output::is_interactive() {
        return Ok(());
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Fault::Refused("nothing was changed".to_owned())),
    }
}
