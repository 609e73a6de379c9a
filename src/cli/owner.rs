//! Owners as people write them (protocol/SPEC.md section 1). Asks nobody.

use addrd_protocol::{OwnerId, Text};
use std::str::FromStr;
use uuid::Uuid;

/// An owner, and the text that it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: OwnerId,
    /// Absent where the text was the id.
    pub(crate) name: Option<Text>,
}

impl Owner {
    /// A new one, for who names none.
    pub(crate) fn random() -> Self {
        Self { id: OwnerId(Uuid::new_v4()), name: None }
    }

    /// For people.
    pub(crate) fn told(&self) -> String {
        self.name.as_ref().map_or_else(|| self.id.to_string(), ToString::to_string)
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an owner is a text of 1 to 255 bytes".to_owned());
        }
        let text = canonical(text)?;
        let name = Text::new(&text).map_err(|error| {
            format!("an owner has 1 to 255 bytes and no control characters; this text {error}")
        })?;
        let id = OwnerId::from_text(&text);
        if id.is_nil() {
            return Err("the id of all zeros is nobody's".to_owned());
        }
        let is_id = Uuid::try_parse(&text).is_ok() && text.len() == 36;
        Ok(Self { id, name: (!is_id).then_some(name) })
    }
}

/// A MAC in the one form whose id is meant; other text as it is.
fn canonical(text: &str) -> Result<String, String> {
    let Some(mac) = text.strip_prefix("mac:") else { return Ok(text.to_owned()) };
    let octets: Option<Vec<String>> = mac
        .split([':', '-'])
        .map(|octet| {
            let is_hex = octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| octet.to_ascii_lowercase())
        })
        .collect();
    match octets {
        Some(octets) if octets.len() == 6 => Ok(format!("mac:{}", octets.join(":"))),
        _ => Err(format!("\"{text}\" is not like mac:02:00:00:00:00:01")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_names_and_macs() {
        let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let by_id: Owner = id.parse().unwrap();
        assert_eq!((by_id.id.to_string().as_str(), by_id.name), (id, None));
        let named: Owner = "web-1".parse().unwrap();
        assert_eq!(named.id, OwnerId::from_text("web-1"));
        assert_eq!(named.name.as_deref(), Some("web-1"));
        let macs = ["mac:02:00:00:00:00:0A", "mac:02-00-00-00-00-0a", "mac:02:00:00:00:00:0a"];
        let owners: Vec<Owner> = macs.iter().map(|mac| mac.parse().unwrap()).collect();
        assert!(owners.iter().all(|owner| owner == &owners[2]));
        assert_eq!(owners[0].name.as_deref(), Some("mac:02:00:00:00:00:0a"));
    }

    #[test]
    fn what_is_no_owner_is_refused() {
        let long = "x".repeat(256);
        for wrong in [
            "",
            "mac:",
            "mac:02:00:00:00:00",
            "mac:02:00:00:00:00:01:02",
            "mac:2:0:0:0:0:1",
            "mac:+2:00:00:00:00:01",
            "a\nb",
            "00000000-0000-0000-0000-000000000000",
            &long,
        ] {
            assert!(wrong.parse::<Owner>().is_err(), "{wrong}");
        }
        assert!("x".repeat(255).parse::<Owner>().is_ok());
    }
}
