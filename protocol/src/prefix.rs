//! Prefixes, ranges, families: checked 128-bit arithmetic on addresses. Never looks anything up.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IPv4 or IPv6. On the wire 4 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Family {
    /// IPv4: 32 bits.
    V4 = 4,
    /// IPv6: 128 bits.
    V6 = 6,
}

impl Family {
    /// Width of an address, in bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Family of an address.
    #[must_use]
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The address with this number, if it fits the family.
    #[must_use]
    pub fn address(self, number: u128) -> Option<IpAddr> {
        match self {
            Self::V4 => u32::try_from(number).ok().map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))),
            Self::V6 => Some(IpAddr::V6(Ipv6Addr::from_bits(number))),
        }
    }
}

/// The number of an address: its bits, most significant first.
#[must_use]
pub fn number_of(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// Bits of an IPv6 address before the IPv4 address that it maps (RFC 4291 section 2.5.5.2).
pub(crate) const MAPPED_BITS: u8 = 96;

/// An IPv4-mapped IPv6 address as IPv4; others as they are (SPEC.md section 1).
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Network address and length; the host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNet);

impl Prefix {
    /// From an address and a length in bits; host bits must be zero.
    ///
    /// Returns `None` if the length is too long for the family or a host bit is set.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let net = IpNet::new(address, length).ok()?;
        (net.addr() == net.network()).then_some(Self(net))
    }

    /// Like [`Prefix::new`], but clears the host bits.
    #[must_use]
    pub fn truncated(address: IpAddr, length: u8) -> Option<Self> {
        Some(Self(IpNet::new(address, length).ok()?.trunc()))
    }

    /// Family of the prefix.
    #[must_use]
    pub fn family(&self) -> Family {
        match self.0 {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// Length, in bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Host bits: family width less length.
    #[must_use]
    pub fn host_bits(&self) -> u8 {
        self.0.max_prefix_len().saturating_sub(self.0.prefix_len())
    }

    /// First address (the network address).
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.0.network()
    }

    /// Last address (in a broadcast IPv4 subnet the broadcast address).
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// Number of the first address.
    #[must_use]
    pub fn base(&self) -> u128 {
        number_of(&self.first())
    }

    /// Highest 0-based offset inside the prefix (inclusive): size - 1.
    #[must_use]
    pub fn offset_max(&self) -> u128 {
        let unused = u32::from(Family::V6.bits().saturating_sub(self.host_bits()));
        u128::MAX.checked_shr(unused).unwrap_or(0)
    }

    /// Offset of an address in the prefix, if it lies inside.
    #[must_use]
    pub fn offset_of(&self, address: &IpAddr) -> Option<u128> {
        if Family::of(address) != self.family() {
            return None;
        }
        let offset = number_of(address).checked_sub(self.base())?;
        (offset <= self.offset_max()).then_some(offset)
    }

    /// Address at an offset, if it lies inside.
    #[must_use]
    pub fn address_at(&self, offset: u128) -> Option<IpAddr> {
        if offset > self.offset_max() {
            return None;
        }
        self.family().address(self.base().checked_add(offset)?)
    }

    /// Whether the address lies inside.
    #[must_use]
    pub fn contains(&self, address: &IpAddr) -> bool {
        self.0.contains(address)
    }

    /// Whether two prefixes share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// The same as an inclusive range.
    #[must_use]
    pub fn range(&self) -> Range {
        Range { first: self.first(), last: self.last() }
    }

    /// As `ipnet`'s type.
    #[must_use]
    pub fn net(&self) -> IpNet {
        self.0
    }
}

impl From<Ipv4Net> for Prefix {
    fn from(net: Ipv4Net) -> Self {
        Self(IpNet::V4(net.trunc()))
    }
}

impl From<Ipv6Net> for Prefix {
    fn from(net: Ipv6Net) -> Self {
        Self(IpNet::V6(net.trunc()))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no prefix, by what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixError {
    /// Not `ADDRESS/LENGTH` with an address of one of the families.
    Address,
    /// The length is no number, or longer than an address of the family.
    Length {
        /// Longest length of the family, bits.
        most: u8,
    },
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("a prefix is ADDRESS/LENGTH, for example 10.0.0.0/24"),
            Self::Length { most } => {
                write!(f, "the length of such a prefix is a number from 0 to {most}")
            }
        }
    }
}

impl std::error::Error for PrefixError {}

impl PrefixError {
    /// Why this text, which is no prefix, is none.
    fn of(text: &str) -> Self {
        let address = text.split_once('/').and_then(|(address, _)| address.parse().ok());
        address.map_or(Self::Address, |address: IpAddr| Self::Length {
            most: Family::of(&address).bits(),
        })
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;
    /// Host bits in the text are cleared, as Neutron does ("10.0.0.5/24" is 10.0.0.0/24);
    /// IPv4-mapped IPv6 becomes IPv4.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net = text.parse::<IpNet>().map_err(|_| PrefixError::of(text))?;
        let mapped = net.prefix_len().checked_sub(MAPPED_BITS);
        Ok(match (mapped, net.addr().to_canonical()) {
            (Some(length), address @ IpAddr::V4(_)) if net.addr().is_ipv6() => {
                Self::truncated(address, length).unwrap_or(Self(net.trunc()))
            }
            _ => Self(net.trunc()),
        })
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Inclusive range of addresses of one family, `first <= last`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

/// What a range is read from: two addresses in any relation.
#[derive(Deserialize)]
struct Ends {
    first: IpAddr,
    last: IpAddr,
}

impl TryFrom<Ends> for Range {
    type Error = &'static str;
    fn try_from(ends: Ends) -> Result<Self, Self::Error> {
        Self::new(canonical(ends.first), canonical(ends.last))
            .ok_or("a range needs two addresses of one family in rising order")
    }
}

impl Range {
    /// `None` if the families differ or `first > last`.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (Family::of(&first) == Family::of(&last) && first <= last).then_some(Self { first, last })
    }

    /// First address, inclusive.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Last address, inclusive.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Family of both ends.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(&self.first)
    }

    /// Whether the address lies inside.
    #[must_use]
    pub fn contains(&self, address: &IpAddr) -> bool {
        Family::of(address) == self.family() && (self.first..=self.last).contains(address)
    }

    /// Whether two ranges share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
