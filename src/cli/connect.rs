//! From options, context and environment to the settings of a client. Opens no connection.

use super::context::{self, Kept};
use super::fault::Fault;
use super::global::Global;
use super::output;
use super::tls::must_be_path;
use addrd_client::{Endpoint, Sessions, Settings, TokenSource};
use addrd_protocol::{ProjectId, ServerId, Text};
use std::time::Duration;

/// How long one try to connect may take at most.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Options win over the context, the context over defaults.
pub(crate) fn settings(global: &Global, sessions: Sessions) -> Result<Settings, Fault> {
    let context = context::current(global)?;
    let named = if global.server.is_empty() { &context.server } else { &global.server };
    let endpoints = named
        .iter()
        .map(|text| text.trim().parse().map_err(|error| Fault::Usage(format!("{error}"))))
        .collect::<Result<Vec<Endpoint>, Fault>>()?;
    let endpoints = if endpoints.is_empty() { vec![Endpoint::default()] } else { endpoints };
    let project = project_of(global, &context)?.unwrap_or(ProjectId::DEFAULT);
    let timeout = Duration::from_secs(global.timeout.into());
    // What a context says of TLS holds for whatever server is named: nobody is led to plain text by
    // another address. A server that it doesn't fit fails, and says why.
    let tls = if global.tls.is_empty() { &context.tls } else { &global.tls }.tls()?;
    // A token is never shown to servers that it isn't for.
    let kept = context.token_file.as_ref().filter(|_| global.server.is_empty());
    let token = global.token_file.as_ref().or(kept);
    token.map_or(Ok(()), |path| must_be_path(path))?;
    let token = token.cloned().map(TokenSource::File);
    // Which server it is holds for no others.
    let server_id = match (global.server.is_empty(), &context.server_id) {
        (true, Some(text)) => Some(server_id(text)?),
        _ => None,
    };
    Ok(Settings {
        endpoints,
        tls,
        token,
        token_in_plain: true,
        sessions,
        server_id,
        project,
        client: Text::new(concat!("addrd ", env!("CARGO_PKG_VERSION"))).ok(),
        timeout,
        connect_timeout: timeout.min(CONNECT_MAX),
        connect_rounds_max: 1,
        ..Settings::default()
    })
}

/// Says where others can read the token, if there is such a place.
pub(crate) fn warn_of_token(settings: &Settings) {
    if let Some(endpoint) = settings.exposed_token() {
        output::to_stderr(&format!(
            "warning: the token goes over plain TCP to {endpoint}, where others can read it: speak TLS (--tls-ca)"
        ));
    }
}

/// The project that options or context name.
pub(crate) fn named_project(global: &Global) -> Result<Option<ProjectId>, Fault> {
    project_of(global, &context::current(global)?)
}

fn project_of(global: &Global, context: &Kept) -> Result<Option<ProjectId>, Fault> {
    global.project.as_ref().or(context.project.as_ref()).map(|text| project(text)).transpose()
}

/// A project as people write it.
pub(crate) fn project(text: &str) -> Result<ProjectId, Fault> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => super::find::name(text).map(|_| super::project::id_of(text)),
    }
}

fn server_id(text: &str) -> Result<ServerId, Fault> {
    text.parse().map_err(|_| Fault::Usage(format!("server id \"{text}\" is not an id")))
}
