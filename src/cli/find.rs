//! From what people type to ids: networks by name or id, subnets by name, id or prefix; the
//! nearest name when there is none such. Changes nothing.

use super::fault::Fault;
use super::output;
use addrd_client::{Client, Error, Pages};
use addrd_protocol::message::{Network, Subnet, SubnetName};
use addrd_protocol::{NetworkId, Status, Text};

/// Names that are looked at for a suggestion.
const NAMES_MAX: usize = 5_000;
/// Least likeness of a suggestion, 0 to 1.
const LIKENESS_MIN: f64 = 0.6;

/// A network that the project may use, its own or one that another project shares, given by name or
/// id; with the client that asks about it.
pub(crate) async fn usable(client: &Client, text: &str) -> Result<(Client, NetworkId), Fault> {
    let found = match id(text)? {
        None => network_by_name(client, text).await?,
        Some(id) => match by_id(client, NetworkId(id)).await? {
            Some(network) => network,
            // The operation itself tells that there is none.
            None => return Ok((client.clone(), NetworkId(id))),
        },
    };
    if found.project_id != client.scope(NetworkId::NIL).project {
        // A name that was mistyped may be a stranger's.
        output::to_stderr(&format!("network {text} is shared by project {}", found.project_id));
    }
    Ok((client.on_networks_of(found.project_id), found.network_id))
}

/// The project's own network with an id, else the one that another project shares under it.
async fn by_id(client: &Client, id: NetworkId) -> Result<Option<Network>, Fault> {
    match client.network_get(id).await {
        Err(error) if error.is(Status::NOT_FOUND) => {}
        other => return Ok(Some(other?)),
    }
    let all = client.networks(None).take(NAMES_MAX).await?;
    let mut with_id = all.into_iter().filter(|network| network.network_id == id);
    match (with_id.next(), with_id.next()) {
        (Some(_), Some(_)) => Err(Fault::Usage(format!(
            "several projects share a network with the id {id}: give its name"
        ))),
        (found, _) => Ok(found),
    }
}

/// The id of a network of the project given by name or id.
///
/// An id is believed without asking: the operation itself tells whether it exists.
pub(crate) async fn network_id(client: &Client, text: &str) -> Result<NetworkId, Fault> {
    match id(text)? {
        Some(id) => Ok(NetworkId(id)),
        None => Ok(own(client, network_by_name(client, text).await?)?.network_id),
    }
}

/// A network that the project may use, given by name or id.
pub(crate) async fn network(client: &Client, text: &str) -> Result<Network, Fault> {
    match id(text)? {
        Some(id) => by_id(client, NetworkId(id))
            .await?
            .ok_or_else(|| Fault::NotFound(format!("there is no network {text}"))),
        None => network_by_name(client, text).await,
    }
}

/// The same of the project itself, which may change it.
pub(crate) async fn own_network(client: &Client, text: &str) -> Result<Network, Fault> {
    own(client, network(client, text).await?)
}

fn own(client: &Client, network: Network) -> Result<Network, Fault> {
    if network.project_id == client.scope(NetworkId::NIL).project {
        return Ok(network);
    }
    let shown = network.name.as_ref().map_or(network.network_id.to_string(), ToString::to_string);
    Err(Fault::Refused(format!(
        "network {shown} is of project {}, which shares it and alone can change it",
        network.project_id
    )))
}

async fn network_by_name(client: &Client, text: &str) -> Result<Network, Fault> {
    let name = name(text)?;
    match client.network_find(name).await {
        Err(error) => {
            let all = client.networks(None);
            shared_or_nearest(error, ("network", text), all, |one| one.name.as_ref()).await
        }
        Ok(found) => Ok(found),
    }
}

/// `; did you mean ..?` with the nearest name of a network; nothing if none is near.
pub(crate) async fn hint_at_network(client: &Client, text: &str) -> Result<String, Fault> {
    let networks = client.for_networks().networks(None).take(NAMES_MAX).await?;
    Ok(hint(text, networks.iter().filter_map(|network| network.name.as_deref())))
}

/// Where the project has none of that name: the one that another shares under it; else what there
/// is with a name like it.
pub(crate) async fn shared_or_nearest<T>(
    error: Error,
    (kind, text): (&str, &str),
    all: Pages<T>,
    name: impl Fn(&T) -> Option<&Text>,
) -> Result<T, Fault> {
    if !error.is(Status::NOT_FOUND) {
        return Err(error.into());
    }
    let all = match all.take(NAMES_MAX).await {
        Ok(all) => all,
        // The answer stands without a suggestion.
        Err(_) => return Err(error.into()),
    };
    let hint = hint(text, all.iter().filter_map(|one| name(one).map(Text::as_str)));
    let mut named = all.into_iter().filter(|one| name(one).is_some_and(|name| &**name == text));
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Fault::Usage(format!(
            "several projects share a {kind} with the name \"{text}\": give its id"
        ))),
        (None, _) => Err(Fault::NotFound(format!("there is no {kind} \"{text}\"{hint}"))),
    }
}

/// A subnet of a network, given by name, id or prefix.
pub(crate) async fn subnet(
    client: &Client,
    network: NetworkId,
    text: &str,
) -> Result<Subnet, Fault> {
    match client.subnet_get(network, subnet_name(text)?).await {
        Err(error) if error.is(Status::NOT_FOUND) => no_subnet(client, network, text, error).await,
        other => Ok(other?),
    }
}

/// Says whether the network is missing or only the subnet.
async fn no_subnet(
    client: &Client,
    network: NetworkId,
    text: &str,
    error: Error,
) -> Result<Subnet, Fault> {
    let subnets = match client.subnets(network).take(NAMES_MAX).await {
        Ok(subnets) => subnets,
        Err(other) if other.is(Status::NOT_FOUND) => return Err(error.into()),
        Err(other) => return Err(other.into()),
    };
    let names: Vec<String> = subnets
        .iter()
        .flat_map(|subnet| {
            [Some(subnet.cidr.to_string()), subnet.name.as_ref().map(ToString::to_string)]
        })
        .flatten()
        .collect();
    let hint = hint(text, names.iter().map(String::as_str));
    Err(Fault::NotFound(format!("there is no subnet \"{text}\"{hint}")))
}

/// How a request names the subnet that people typed.
pub(crate) fn subnet_name(text: &str) -> Result<SubnetName, Fault> {
    if let Some(id) = id(text)? {
        return Ok(SubnetName::Id(addrd_protocol::SubnetId(id)));
    }
    if let Ok(prefix) = text.parse() {
        return Ok(SubnetName::Cidr(prefix));
    }
    Ok(SubnetName::Name(name(text)?))
}

/// An id, if the text is one.
fn id(text: &str) -> Result<Option<uuid::Uuid>, Fault> {
    match uuid::Uuid::try_parse(text) {
        Ok(id) if id.is_nil() => Err(Fault::Usage("the id of all zeros is nothing's".to_owned())),
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(None),
    }
}

/// A name, or why it cannot be one.
pub(crate) fn name(text: &str) -> Result<Text, Fault> {
    match Text::new(text) {
        Ok(name) if name.is_name() => Ok(name),
        _ => Err(Fault::Usage(format!(
            "\"{}\" is not a name: 1 to 63 of A-Z a-z 0-9 . _ -, and no id, address or prefix",
            text.escape_debug()
        ))),
    }
}

/// What a message about a missing name ends with.
fn hint<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(text, names).map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// The name most like the text, if any is like it at all.
fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        strsim::normalized_damerau_levenshtein(&text.to_lowercase(), &name.to_lowercase())
    };
    names
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_if_it_is_near() {
        let names = ["blue", "green", "demo"];
        assert_eq!(nearest("bleu", names.into_iter()), Some("blue"));
        assert_eq!(nearest("Demo", names.into_iter()), Some("demo"));
        assert_eq!(nearest("gren", names.into_iter()), Some("green"));
        assert_eq!(nearest("xyz", names.into_iter()), None);
    }

    #[test]
    fn subnets_are_named_in_three_ways() {
        assert!(matches!(subnet_name("10.0.0.0/24"), Ok(SubnetName::Cidr(_))));
        assert!(matches!(subnet_name("fd00::/64"), Ok(SubnetName::Cidr(_))));
        assert!(matches!(subnet_name("web"), Ok(SubnetName::Name(_))));
        let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert!(matches!(subnet_name(id), Ok(SubnetName::Id(_))));
        assert!(matches!(subnet_name("a b"), Err(Fault::Usage(_))));
        assert!(matches!(subnet_name("10.0.0.1"), Err(Fault::Usage(_))));
    }
}
