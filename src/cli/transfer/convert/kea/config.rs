//! The parts of Kea's configuration that say what addresses there are and for whom some are kept.
//! Reads text; judges nothing.

use super::json;
use addrd_protocol::Family;
use serde::Deserialize;

/// What a configuration file holds, or the server's answer to config-get.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Whole {
    #[serde(rename = "Dhcp4")]
    four: Option<Dhcp>,
    #[serde(rename = "Dhcp6")]
    six: Option<Dhcp>,
    arguments: Option<Box<Whole>>,
}

/// Of one server.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Dhcp {
    pub(super) shared_networks: Vec<Shared>,
    #[serde(alias = "subnet4", alias = "subnet6")]
    pub(super) subnets: Vec<Subnet>,
    pub(super) option_data: Vec<OptionData>,
    pub(super) reservations: Vec<Reservation>,
}

/// Subnets of one link.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Shared {
    pub(super) name: String,
    #[serde(default, alias = "subnet4", alias = "subnet6")]
    pub(super) subnets: Vec<Subnet>,
    #[serde(default)]
    pub(super) option_data: Vec<OptionData>,
}

/// A subnet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Subnet {
    /// 0 = the server numbers it.
    #[serde(default)]
    pub(super) id: u32,
    pub(super) subnet: String,
    #[serde(default)]
    pub(super) pools: Vec<Pool>,
    #[serde(default)]
    pub(super) pd_pools: Vec<PdPool>,
    #[serde(default)]
    pub(super) option_data: Vec<OptionData>,
    #[serde(default)]
    pub(super) reservations: Vec<Reservation>,
}

/// A range of addresses: `first - last`, or a prefix.
#[derive(Debug, Deserialize)]
pub(super) struct Pool {
    pub(super) pool: String,
}

/// Where prefixes are delegated from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PdPool {
    pub(super) prefix: String,
    pub(super) prefix_len: u8,
    pub(super) delegated_len: u8,
}

/// An option that clients get.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct OptionData {
    pub(super) name: Option<String>,
    pub(super) code: Option<u32>,
    pub(super) space: Option<String>,
    pub(super) csv_format: Option<bool>,
    pub(super) data: Option<String>,
}

/// What is kept for a client.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Reservation {
    pub(super) hw_address: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) duid: Option<String>,
    pub(super) circuit_id: Option<String>,
    pub(super) flex_id: Option<String>,
    pub(super) ip_address: Option<String>,
    pub(super) ip_addresses: Vec<String>,
    pub(super) prefixes: Vec<String>,
}

/// The servers of a file.
pub(super) fn read(text: &str) -> Result<Vec<(Family, Dhcp)>, String> {
    let text = json::plain(text)?;
    let whole: Whole = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let whole = whole.arguments.map_or((whole.four, whole.six), |inner| (inner.four, inner.six));
    let four = whole.0.map(|dhcp| (Family::V4, dhcp));
    let servers: Vec<_> = four.into_iter().chain(whole.1.map(|dhcp| (Family::V6, dhcp))).collect();
    match servers.is_empty() {
        true => Err("it has neither \"Dhcp4\" nor \"Dhcp6\"".to_owned()),
        false => Ok(servers),
    }
}
