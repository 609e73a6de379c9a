//! Options that every command takes, before or after its name. Reads nothing but arguments.

use super::tls::TlsOptions;
use clap::ValueEnum;
use std::path::PathBuf;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For eyes.
    Table,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    Jsonl,
    /// Columns separated by tabs.
    Plain,
}

/// Options that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Where the server listens: HOST[:PORT], [V6]:PORT or unix:PATH; several are tried in order
    /// [default: 127.0.0.1:2337]
    #[arg(
        long,
        global = true,
        env = "ADDRD_SERVER",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "ENDPOINT[,..]"
    )]
    pub(crate) server: Vec<String>,

    /// Settings kept under a name (see `addrd context`)
    #[arg(long, global = true, env = "ADDRD_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Project, as an id or `default`
    #[arg(long, global = true, env = "ADDRD_PROJECT", hide_env_values = true, value_name = "ID")]
    pub(crate) project: Option<String>,

    /// File with the token that shows the server who this is; others must not be able to read it
    #[arg(
        long,
        global = true,
        env = "ADDRD_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) tls: TlsOptions,

    /// How results are printed
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,

    /// Print only the address or id
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Print no line of column names
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,

    /// Print at most this many objects; 0 = all [default: 1000 in a table, else all]
    #[arg(long, global = true, value_name = "COUNT", value_parser = count, allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,

    /// Ask nothing before something is destroyed
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,

    /// Show what would be changed, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,

    /// How long the whole call may take, in seconds
    #[arg(
        long,
        global = true,
        default_value = "30",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub(crate) timeout: u32,
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("a count is a whole number from 0 to {}", usize::MAX))
}
