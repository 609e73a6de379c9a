//! How objects look: columns of a list, fields of one object, what `-q` prints. JSON is the
//! serde form of the message (SPEC.md section 12).

use super::duration;
use addrd_protocol::message::{
    Exclusion, ExclusionMode, HostMapping, Network, Pin, Port, Segment, ServerStatus, Subnet,
};
use addrd_protocol::{Family, Prefix, Text};
use serde::Serialize;
use std::net::IpAddr;

/// An object that can be printed.
pub(crate) trait View: Serialize {
    /// Names of the columns of a list.
    const COLUMNS: &'static [&'static str];

    /// The columns of a list, without tabs or line ends.
    fn cells(&self) -> Vec<String>;

    /// What `-q` prints: addresses or ids.
    fn keys(&self) -> Vec<String>;

    /// Lines above the fields of a single object.
    fn titles(&self) -> Vec<String> {
        Vec::new()
    }

    /// Fields of a single object; empty ones are not shown.
    fn fields(&self) -> Vec<(&'static str, String)> {
        Self::COLUMNS.iter().copied().zip(self.cells()).collect()
    }
}

pub(crate) fn text(text: Option<&Text>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn yes(set: bool, word: &str) -> String {
    if set { word.to_owned() } else { String::new() }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The word that JSON uses for an enumeration.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// An address, with its length if a block is meant.
pub(crate) fn address(address: &IpAddr, length: u8) -> String {
    match length == Family::of(address).bits() {
        true => address.to_string(),
        false => format!("{address}/{length}"),
    }
}

/// The prefix of an address's subnet; what is from a pool is in none.
pub(crate) fn subnet(address: &IpAddr, length: u8) -> Option<Prefix> {
    Some(length).filter(|length| *length > 0).and_then(|bits| Prefix::truncated(*address, bits))
}

impl View for Network {
    const COLUMNS: &'static [&'static str] =
        &["name", "network_id", "subnets", "allocations", "project_id", "description", "note"];

    fn cells(&self) -> Vec<String> {
        let notes = [yes(self.deleting, "being deleted"), yes(self.shared, "shared")];
        vec![
            text(self.name.as_ref()),
            self.network_id.to_string(),
            self.subnets.to_string(),
            self.allocations.to_string(),
            self.project_id.to_string(),
            text(self.description.as_ref()),
            notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(", "),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.network_id.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        fields.push(("revision", self.revision.to_string()));
        fields
    }
}

impl View for Subnet {
    const COLUMNS: &'static [&'static str] =
        &["cidr", "name", "subnet_id", "gateway", "kind", "allocations", "note"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.cidr.to_string(),
            text(self.name.as_ref()),
            self.subnet_id.to_string(),
            self.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            word(&self.kind),
            self.allocations.to_string(),
            yes(self.deleting, "being deleted"),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.subnet_id.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let routes: Vec<String> =
            self.routes.iter().map(|r| format!("{}={}", r.destination, r.next_hop)).collect();
        let exclusions: Vec<String> = self.exclusions.iter().map(exclusion).collect();
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        fields.extend([
            ("network_id", self.network_id.to_string()),
            ("pools", if self.pools.is_empty() { "none".into() } else { joined(&self.pools) }),
            ("excluded", exclusions.join(", ")),
            ("strategy", word(&self.strategy)),
            ("enable_dhcp", yes(self.enable_dhcp, "true")),
            ("dns_servers", joined(&self.dns_servers)),
            ("routes", routes.join(", ")),
            ("description", text(self.description.as_ref())),
            ("ipv6_ra_mode", self.service.ipv6_ra_mode.as_ref().map(word).unwrap_or_default()),
            (
                "ipv6_address_mode",
                self.service.ipv6_address_mode.as_ref().map(word).unwrap_or_default(),
            ),
            ("service_types", joined(&self.service.service_types)),
            ("segment_id", self.service.segment_id.map(|id| id.to_string()).unwrap_or_default()),
            ("quarantine", duration::left(self.quarantine_ms)),
            ("filling", self.filling.map(|job| job.to_string()).unwrap_or_default()),
            ("live_inside", joined(&self.live_inside)),
            ("overlaps", joined(&self.overlaps)),
            ("subnet_pool_id", self.subnet_pool_id.map(|id| id.to_string()).unwrap_or_default()),
            ("revision", self.revision.to_string()),
        ]);
        fields
    }
}

fn exclusion(exclusion: &Exclusion) -> String {
    let whom = match exclusion.mode {
        ExclusionMode::Automatic => "",
        ExclusionMode::Everyone => " for everyone",
    };
    let reason = exclusion.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!("{}{whom}{}", exclusion.range, reason.unwrap_or_default())
}

impl View for Port {
    const COLUMNS: &'static [&'static str] =
        &["port_id", "mac", "addresses", "ip_allocation", "host", "device_owner", "revision"];

    fn cells(&self) -> Vec<String> {
        let addresses: Vec<_> = self.fixed_ips.iter().map(|fixed| fixed.ip_address).collect();
        vec![
            self.port_id.to_string(),
            self.mac.to_string(),
            joined(&addresses),
            word(&self.ip_allocation),
            text(self.host.as_ref()),
            text(self.device_owner.as_ref()),
            self.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        self.fixed_ips.iter().map(|fixed| fixed.ip_address.to_string()).collect()
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        fields.push(("network_id", self.network_id.to_string()));
        fields.push(("description", text(self.description.as_ref())));
        fields
    }
}

impl View for Segment {
    const COLUMNS: &'static [&'static str] =
        &["segment_id", "subnets", "hosts", "description", "revision"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.segment_id.to_string(),
            self.subnets.to_string(),
            self.hosts.to_string(),
            text(self.description.as_ref()),
            self.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.segment_id.to_string()]
    }
}

impl View for HostMapping {
    const COLUMNS: &'static [&'static str] = &["host", "segment_id"];

    fn cells(&self) -> Vec<String> {
        vec![self.host.to_string(), self.segment_id.to_string()]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.host.to_string()]
    }
}

impl View for Pin {
    const COLUMNS: &'static [&'static str] =
        &["address", "owner", "slot", "held", "subnet_id", "revision"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.address.to_string(),
            self.owner_name.as_ref().map_or_else(|| self.owner.to_string(), ToString::to_string),
            self.slot.0.to_string(),
            yes(self.held, "held"),
            self.subnet_id.to_string(),
            self.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.address.to_string()]
    }
}

/// Never rounded up to 100 while something is left.
pub(crate) fn percent(part: u128, whole: u128) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Beyond 64 bits a thousandth more or less shows nowhere.
    let shift = 64_u32.saturating_sub(whole.leading_zeros());
    let tenths = (part >> shift) * 1_000 / (whole >> shift).max(1);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

impl View for ServerStatus {
    const COLUMNS: &'static [&'static str] = &[
        "state",
        "version",
        "server_id",
        "incarnation",
        "position",
        "folded",
        "journal_records",
        "uptime_s",
        "workers",
        "connections",
        "adopting",
        "networks",
        "allocations",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.state.to_string(),
            self.version.to_string(),
            self.server_id.to_string(),
            self.incarnation.0.to_string(),
            self.position.to_string(),
            self.folded.to_string(),
            format!("{} of {}", self.journal_records, self.journal_records_max),
            (self.uptime_ms / 1_000).to_string(),
            self.workers.to_string(),
            self.connections.to_string(),
            self.adopting.to_string(),
            self.networks.to_string(),
            self.allocations.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.server_id.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_never_overstate() {
        assert_eq!(percent(0, 0), "-");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(9_999, 10_000), "99.9%");
        assert_eq!(percent(10_000, 10_000), "100.0%");
        assert_eq!(percent(u128::MAX / 2, u128::MAX), "50.0%".replace("50.0", "49.9"));
        assert_eq!(percent(u128::MAX, u128::MAX), "100.0%");
    }

    #[test]
    fn blocks_show_their_length() {
        let one = IpAddr::from([10, 0, 0, 16]);
        assert_eq!(address(&one, 32), "10.0.0.16");
        assert_eq!(address(&one, 28), "10.0.0.16/28");
    }
}
