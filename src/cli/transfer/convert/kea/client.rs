//! How Kea tells its clients apart, and the owner that each becomes. Asks nobody.

use super::config::Reservation;
use crate::cli::owner::Owner;

/// Holds what clients declined.
pub(super) const DECLINED: &str = "kea-declined";
/// First byte of a client id that is a hardware address of an Ethernet.
const ETHERNET: &str = "01:";
/// Text length of six bytes.
const MAC_CHARS: usize = 17;

/// What identifies a client: a kind, and bytes as hex digits between colons.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    kind: Kind,
    hex: Box<str>,
}

/// In the order in which the identifiers of a reservation are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Hardware,
    ClientId,
    Duid,
    Circuit,
    Flexible,
}

impl Client {
    /// Of bytes as a lease file has them; `None` if there are none.
    pub(super) fn of(kind: Kind, hex: &str) -> Option<Self> {
        (!hex.is_empty()).then(|| Self { kind, hex: hex.to_ascii_lowercase().into() })
    }

    /// Of a reservation. `Err` if it names nobody, or not in a form that is known.
    pub(super) fn reserved(reservation: &Reservation) -> Result<Self, String> {
        let named = [
            (Kind::Hardware, &reservation.hw_address),
            (Kind::Duid, &reservation.duid),
            (Kind::ClientId, &reservation.client_id),
            (Kind::Circuit, &reservation.circuit_id),
            (Kind::Flexible, &reservation.flex_id),
        ];
        let named = named.into_iter().find_map(|(kind, text)| Some((kind, text.as_ref()?)));
        let (kind, text) = named.ok_or_else(|| "it names no client".to_owned())?;
        let hex = hex_of(text).ok_or_else(|| format!("\"{text}\" is no identifier of a client"))?;
        Ok(Self { kind, hex: hex.into() })
    }

    pub(super) fn hex(&self) -> &str {
        &self.hex
    }

    /// The MAC of an Ethernet, as text.
    pub(super) fn mac(&self) -> Option<&str> {
        let hex = match self.kind {
            Kind::Hardware => Some(&*self.hex),
            Kind::ClientId => self.hex.strip_prefix(ETHERNET),
            Kind::Duid | Kind::Circuit | Kind::Flexible => None,
        };
        hex.filter(|hex| hex.len() == MAC_CHARS)
    }

    /// The owner. `Err` if its text would be too long.
    pub(super) fn owner(&self) -> Result<Owner, String> {
        if let Some(mac) = self.mac() {
            return format!("mac:{mac}").parse();
        }
        let kind = match self.kind {
            Kind::Hardware => "hw",
            Kind::ClientId => "client-id",
            Kind::Duid => "duid",
            Kind::Circuit => "circuit-id",
            Kind::Flexible => "flex-id",
        };
        format!("{kind}:{}", self.hex).parse()
    }
}

/// Text of a configuration as hex digits between colons: `01:2:a`, `01020a`, `0x01020a`, or
/// `'text'`.
fn hex_of(text: &str) -> Option<String> {
    let text = text.trim();
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    if let Some(quoted) = quoted.filter(|quoted| !quoted.is_empty()) {
        let bytes: Vec<String> = quoted.bytes().map(|byte| format!("{byte:02x}")).collect();
        return Some(bytes.join(":"));
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if !digits.is_ascii() {
        return None;
    }
    let bytes: Vec<&str> = match digits.contains([':', '-', ' ']) {
        true => digits.split([':', '-', ' ']).collect(),
        false => {
            let pairs = (0..digits.len().div_ceil(2)).map(|at| digits.get(2 * at..2 * at + 2));
            pairs.collect::<Option<_>>()?
        }
    };
    let byte = |text: &&str| {
        let is_hex = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(text, 16).ok().filter(|_| is_hex).map(|byte| format!("{byte:02x}"))
    };
    let bytes: Option<Vec<String>> = bytes.iter().map(byte).collect();
    bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| bytes.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: Kind, hex: &str) -> String {
        Client::of(kind, hex).unwrap().owner().unwrap().name.unwrap().to_string()
    }

    #[test]
    fn clients_become_owners() {
        assert_eq!(name(Kind::Hardware, "02:AA:00:00:00:01"), "mac:02:aa:00:00:00:01");
        assert_eq!(name(Kind::ClientId, "01:02:aa:00:00:00:01"), "mac:02:aa:00:00:00:01");
        assert_eq!(name(Kind::ClientId, "00:70:62:78"), "client-id:00:70:62:78");
        assert_eq!(name(Kind::ClientId, "02:aa:00:00:00:01"), "client-id:02:aa:00:00:00:01");
        assert_eq!(name(Kind::Hardware, "80:00:00:48"), "hw:80:00:00:48");
        assert_eq!(name(Kind::Duid, "00:03:00:01:02"), "duid:00:03:00:01:02");
        assert_eq!(Client::of(Kind::Duid, ""), None);
        assert!(Client::of(Kind::Duid, &"00:".repeat(130)).unwrap().owner().is_err());
    }

    #[test]
    fn identifiers_of_a_configuration_have_many_forms() {
        for (text, hex) in [
            ("01:2:A", "01:02:0a"),
            ("01020a", "01:02:0a"),
            ("0x01020A", "01:02:0a"),
            ("01-02-0a", "01:02:0a"),
            ("'ab'", "61:62"),
        ] {
            assert_eq!(hex_of(text).as_deref(), Some(hex), "{text}");
        }
        for text in ["", "''", "123", "0x", "zz", "01:+1", "1:222", "01::02", "é"] {
            assert_eq!(hex_of(text), None, "{text}");
        }
    }
}
