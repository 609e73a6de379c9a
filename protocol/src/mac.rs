//! Addresses of interfaces (48 bits) and what IPv6 makes of them. Never looks anything up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Address of an interface. All zero travels as "none".
///
/// Text: six pairs of hex digits between colons or hyphens, either case; written with colons in
/// lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

/// A text that is no MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacError;

/// Bit of the first byte that marks an address of many interfaces.
const GROUP: u8 = 1;
/// Bit of the first byte that tells who gave the address; EUI-64 in IPv6 turns it over.
const LOCAL: u8 = 2;

impl Mac {
    /// Whether all bits are zero: "none".
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0 == [0; 6]
    }

    /// Whether it stands for one interface: neither zero nor an address of a group.
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        let [first, ..] = self.0;
        !self.is_nil() && first & GROUP == 0
    }

    /// As a number of 48 bits.
    #[must_use]
    pub fn number(&self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// From the lowest 48 bits of a number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// The modified EUI-64 interface identifier: the lowest 64 bits of an IPv6 address.
    ///
    /// Source: RFC 4291, appendix A.
    #[must_use]
    pub const fn eui64(&self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([a ^ LOCAL, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mac({self})")
    }
}

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC is six pairs of hex digits between colons or hyphens")
    }
}

impl std::error::Error for MacError {}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or(MacError)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| MacError)?;
        }
        if pairs.next().is_some() { Err(MacError) } else { Ok(Self(bytes)) }
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_are_one_value() {
        let mac: Mac = "fa:16:3e:00:0A:ff".parse().unwrap();
        assert_eq!("FA-16-3E-00-0a-FF".parse(), Ok(mac));
        assert_eq!(mac.to_string(), "fa:16:3e:00:0a:ff");
        assert_eq!(Mac::from_number(mac.number()), mac);
        for wrong in
            ["", "fa:16:3e:00:0a", "fa:16:3e:00:0a:ff:00", "fa:16:3e:00:0a:f", "+a:16:3e:00:0a:ff"]
        {
            assert_eq!(wrong.parse::<Mac>(), Err(MacError), "{wrong}");
        }
    }

    #[test]
    fn eui64_is_that_of_the_rfc() {
        // RFC 4291, appendix A: 34-56-78-9A-BC-DE gives 36-56-78-FF-FE-9A-BC-DE.
        let mac = Mac([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
        assert_eq!(mac.eui64(), 0x3656_78ff_fe9a_bcde);
    }

    #[test]
    fn groups_and_nothing_are_no_interface() {
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!Mac([1, 0, 0x5e, 0, 0, 1]).is_unicast());
        assert!(!Mac([0xff; 6]).is_unicast());
        assert!(!Mac::default().is_unicast());
    }
}
