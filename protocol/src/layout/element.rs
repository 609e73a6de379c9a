//! Layouts of what many messages share: enumerations, addresses, prefixes, ranges, settings.

use super::Read;
use crate::error::{DecodeError, EncodeError, Fault};
use crate::mac::Mac;
use crate::message::allocation::AllocationState;
use crate::message::{FamilyChoice, Route, Strategy, SubnetName};
use crate::prefix::{Family, MAPPED_BITS, Prefix, Range, number_of};
use crate::setting::Setting;
use crate::text::{NAME_BYTES_MAX, TEXT_BYTES_MAX, Text};
use crate::wire::{Reader, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an IPv6 address with its family.
pub(super) const ADDRESS_BYTES_MAX: usize = 1 + 16;
/// Bytes of an IPv6 prefix.
pub(super) const PREFIX_BYTES_MAX: usize = 1 + 1 + 16;
/// Bytes of a range of IPv6.
pub(super) const RANGE_BYTES_MAX: usize = 1 + 2 * 16;

/// An enumeration that travels as one byte.
pub(crate) trait Numbered: Copy {
    fn of(number: u8) -> Option<Self>;
    fn number(self) -> u8;
}

macro_rules! numbered {
    ($($type:ty: $($variant:ident)*;)*) => {$(
        impl Numbered for $type {
            #[inline]
            fn of(number: u8) -> Option<Self> {
                $(const $variant: u8 = <$type>::$variant as u8;)*
                match number { $($variant => Some(Self::$variant),)* _ => None }
            }
            #[inline]
            fn number(self) -> u8 {
                self as u8
            }
        }
    )*};
}

#[expect(non_upper_case_globals, reason = "constants named like the variants that they number")]
mod numbers {
    use super::Numbered;
    use super::{AllocationState, Family, FamilyChoice, Strategy};
    use crate::message::{
        AdoptAction, BatchMode, CandidateReason, EventKind, ExclusionMode, GoAwayReason,
        HistoryKind, HostLeaseState, IpAllocation, Ipv6Mode, JobKind, JobState, OnEnd,
        PrefixChoice, QuotaResource, SubnetKind, WatchEndReason,
    };

    numbered! {
        Family: V4 V6;
        FamilyChoice: One V4 V6 Each Both;
        Strategy: Default Lowest Next Random Hashed Exact Eui64;
        AllocationState: Free Held Allocated Quarantined;
        SubnetKind: Broadcast Routed;
        OnEnd: Report Release;
        HostLeaseState: Absent Running Overdue Ended;
        ExclusionMode: Automatic Everyone;
        BatchMode: Independent AllOrNothing;
        GoAwayReason: Shutdown SessionReplaced Idle SlowReader AccessEnded;
        AdoptAction: Begin End;
        JobKind: NetworkDelete SubnetDelete SubnetFill;
        Ipv6Mode: Slaac Stateful Stateless;
        IpAllocation: Immediate Deferred Unaddressed;
        JobState: Running Done;
        EventKind: Project Scope Pool Network Segment Host Subnet Port Pin Allocation Job
            Level;
        WatchEndReason: Slow Relist;
        HistoryKind: Held Allocated Changed Resting Released RestEnded ReleaseHeld
            Transferred;
        PrefixChoice: Exact Length DefaultLength;
        QuotaResource: Pool Addresses Prefixes Networks Subnets Ports Resting;
        CandidateReason: Exhausted Family Limit Deleting NoPools Length NotFound Fragmented
            AutoAddress ServiceType Segment;
    }
}

fn unknown(value: u8, field: &'static str) -> DecodeError {
    DecodeError::new(Fault::Unknown { value: value.into() }, field)
}

fn fault<T>(fault: Fault, field: &'static str) -> Read<T> {
    Err(DecodeError::new(fault, field))
}

impl Reader<'_> {
    #[inline]
    pub(crate) fn numbered<T: Numbered>(&mut self, field: &'static str) -> Read<T> {
        let number = self.u8(field)?;
        T::of(number).ok_or(unknown(number, field))
    }

    /// One of a table, or 0 = none.
    pub(crate) fn maybe_numbered<T: Numbered>(&mut self, field: &'static str) -> Read<Option<T>> {
        match self.u8(field)? {
            0 => Ok(None),
            number => T::of(number).map(Some).ok_or(unknown(number, field)),
        }
    }

    /// A boolean: 0 or 1.
    pub(crate) fn bool(&mut self, field: &'static str) -> Read<bool> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(unknown(other, field)),
        }
    }

    fn octets(&mut self, family: Family, field: &'static str) -> Read<IpAddr> {
        Ok(match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>(field)?)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>(field)?)),
        })
    }

    /// Family and 4 or 16 bytes; IPv4-mapped IPv6 becomes IPv4.
    pub(crate) fn address(&mut self, field: &'static str) -> Read<IpAddr> {
        let family = self.numbered(field)?;
        Ok(self.octets(family, field)?.to_canonical())
    }

    /// Family, length in bits, and 4 or 16 bytes.
    pub(crate) fn prefix(&mut self, field: &'static str) -> Read<Prefix> {
        let family = self.numbered(field)?;
        let length = self.u8(field)?;
        prefix_of(self.octets(family, field)?, length, field)
    }

    /// Family, then first and last address of 4 or 16 bytes each.
    pub(crate) fn range(&mut self, field: &'static str) -> Read<Range> {
        let family = self.numbered(field)?;
        let first = self.octets(family, field)?.to_canonical();
        let last = self.octets(family, field)?.to_canonical();
        Range::new(first, last).ok_or(DecodeError::new(Fault::Order, field))
    }

    /// A prefix and the address of the next hop, of one family.
    pub(crate) fn route(&mut self) -> Read<Route> {
        let destination = self.prefix("destination")?;
        let next_hop = self.address("next_hop")?;
        if Family::of(&next_hop) != destination.family() {
            return fault(Fault::Conflict, "next_hop");
        }
        Ok(Route { destination, next_hop })
    }

    /// A name of a network or subnet.
    pub(crate) fn name(&mut self, field: &'static str) -> Read<Text> {
        let name = self.text(NAME_BYTES_MAX, field)?;
        if name.is_name() { Ok(name) } else { fault(Fault::Name, field) }
    }

    /// Six bytes, not all zero.
    pub(crate) fn mac(&mut self, field: &'static str) -> Read<Mac> {
        self.maybe_mac(field)?.ok_or(DecodeError::new(Fault::Missing, field))
    }

    /// Six bytes; all zero = none.
    pub(crate) fn maybe_mac(&mut self, field: &'static str) -> Read<Option<Mac>> {
        self.array(field).map(|bytes| Some(Mac(bytes)).filter(|mac| !mac.is_nil()))
    }

    /// A text behind its length of one byte, not empty.
    pub(crate) fn short_text(&mut self, most: usize, field: &'static str) -> Read<Text> {
        let length = self.u8(field)?;
        if length == 0 {
            return fault(Fault::Missing, field);
        }
        self.text_of(length.into(), most, field)
    }

    /// Text of the common bound.
    pub(crate) fn any_text(&mut self, field: &'static str) -> Read<Text> {
        self.text(TEXT_BYTES_MAX, field)
    }

    /// 0 = null, 1 and the value.
    pub(crate) fn setting<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Setting<T>> {
        match self.bool(field)? {
            false => Ok(Setting::Null),
            true => read(self).map(Setting::Value),
        }
    }

    /// Which subnet, by one of the tags 0x8001 (id), 0x8002 (name), 0x8003 (prefix).
    pub(crate) fn subnet_name(&mut self, tag: u16, into: &mut Option<SubnetName>) -> Read<bool> {
        let name = match tag {
            0x8001 => SubnetName::Id(self.nonzero_id("subnet_id")?),
            0x8002 => SubnetName::Name(self.name("name")?),
            0x8003 => SubnetName::Cidr(self.prefix("cidr")?),
            _ => return Ok(false),
        };
        match into.replace(name) {
            None => Ok(true),
            Some(_) => fault(Fault::Conflict, "subnet"),
        }
    }

    /// An id of 16 bytes.
    #[inline]
    pub(crate) fn id<T: From<Bits128>>(&mut self, field: &'static str) -> Read<T> {
        self.array(field).map(|bytes| Bits128(bytes).into())
    }

    /// An id that must not be all zero.
    #[inline]
    pub(crate) fn nonzero_id<T: From<Bits128>>(&mut self, field: &'static str) -> Read<T> {
        let bytes = self.array(field)?;
        if bytes == [0; 16] {
            return fault(Fault::Missing, field);
        }
        Ok(Bits128(bytes).into())
    }
}

/// 16 bytes on their way to an id.
pub(crate) struct Bits128([u8; 16]);

macro_rules! from_bits {
    ($($id:ident)*) => {$(
        impl From<Bits128> for crate::id::$id {
            #[inline]
            fn from(bits: Bits128) -> Self {
                Self::from_bytes(bits.0)
            }
        }
    )*};
}

from_bits!(ProjectId NetworkId SubnetId PoolId AddressScopeId SegmentId PortId);
from_bits!(OwnerId SessionId ServerId PrincipalId);

impl From<Bits128> for uuid::Uuid {
    fn from(bits: Bits128) -> Self {
        Self::from_bytes(bits.0)
    }
}

/// An address from a fixed part: 128 bits as a number, and a family byte that stands elsewhere.
#[inline]
pub(crate) fn fixed_address(family: u8, number: u128, field: &'static str) -> Read<IpAddr> {
    let family = Family::of_number(family, field)?;
    match family.address(number) {
        Some(address) => Ok(address.to_canonical()),
        None => fault(Fault::Reserved, field),
    }
}

/// A prefix from a fixed part.
pub(crate) fn fixed_prefix(family: u8, number: u128, length: u8) -> Read<Prefix> {
    let family = Family::of_number(family, "cidr")?;
    let address = family.address(number).ok_or(DecodeError::new(Fault::Reserved, "cidr"))?;
    prefix_of(address, length, "cidr")
}

/// A range from a fixed part.
pub(crate) fn fixed_range(family: u8, first: u128, last: u128) -> Read<Range> {
    let first = fixed_address(family, first, "first")?;
    let last = fixed_address(family, last, "last")?;
    Range::new(first, last).ok_or(DecodeError::new(Fault::Order, "last"))
}

impl Family {
    #[inline]
    fn of_number(number: u8, field: &'static str) -> Read<Self> {
        <Self as Numbered>::of(number).ok_or(unknown(number, field))
    }
}

/// Length of what is held: at most the width of the family.
#[inline]
pub(crate) fn fixed_length(length: u8, address: &IpAddr, field: &'static str) -> Read<u8> {
    let most = Family::of(address).bits();
    crate::wire::within(length.into(), 0, most.into(), field).map(|_| length)
}

/// A prefix; one of IPv4-mapped IPv6 becomes one of IPv4.
fn prefix_of(address: IpAddr, length: u8, field: &'static str) -> Read<Prefix> {
    let canonical = address.to_canonical();
    let prefix = match (length.checked_sub(MAPPED_BITS), canonical == address) {
        (Some(length), false) => Prefix::new(canonical, length),
        _ => Prefix::new(address, length),
    };
    prefix.ok_or(DecodeError::new(Fault::Prefix, field))
}

impl Writer<'_> {
    #[inline]
    pub(crate) fn numbered<T: Numbered>(&mut self, value: T) {
        self.u8(value.number());
    }

    pub(crate) fn maybe_numbered<T: Numbered>(&mut self, value: Option<T>) {
        self.u8(value.map_or(0, T::number));
    }

    /// The address as a 128-bit number; its family stands elsewhere.
    #[inline]
    pub(crate) fn fixed_address(&mut self, address: &IpAddr) {
        self.u128(number_of(address));
    }

    #[inline]
    pub(crate) fn family(&mut self, address: &IpAddr) {
        self.u8(Family::of(address).number());
    }

    fn octets(&mut self, address: &IpAddr) {
        match address {
            IpAddr::V4(address) => self.slice(&address.octets()),
            IpAddr::V6(address) => self.slice(&address.octets()),
        }
    }

    pub(crate) fn address(&mut self, address: &IpAddr) {
        self.family(address);
        self.octets(address);
    }

    pub(crate) fn prefix(&mut self, prefix: &Prefix) {
        let first = prefix.first();
        self.family(&first);
        self.u8(prefix.length());
        self.octets(&first);
    }

    pub(crate) fn range(&mut self, range: &Range) {
        self.family(&range.first());
        self.octets(&range.first());
        self.octets(&range.last());
    }

    pub(crate) fn route(&mut self, route: &Route) {
        self.prefix(&route.destination);
        self.address(&route.next_hop);
    }

    /// A list as an entry, left out if it is empty.
    pub(crate) fn entry_list<T>(
        &mut self,
        tag: u16,
        list: &[T],
        mut write: impl FnMut(&mut Self, &T),
    ) {
        if !list.is_empty() {
            self.entry(tag, |w| list.iter().for_each(|element| write(w, element)));
        }
    }

    /// An address as an entry, if there is one.
    pub(crate) fn entry_address(&mut self, tag: u16, address: Option<&IpAddr>) {
        if let Some(address) = address {
            self.entry(tag, |w| w.address(address));
        }
    }

    /// A MAC as an entry, if there is one.
    pub(crate) fn entry_mac(&mut self, tag: u16, mac: Option<Mac>) {
        if let Some(mac) = mac {
            self.entry(tag, |w| w.slice(&mac.0));
        }
    }

    /// A text behind its length of one byte.
    pub(crate) fn short_text(&mut self, text: &Text) {
        match u8::try_from(text.len()) {
            Ok(length) => self.u8(length),
            Err(_) => self.fail(EncodeError::FieldTooLong { tag: 0 }),
        }
        self.slice(text.as_bytes());
    }

    /// A setting as an entry, left out if it is unset.
    pub(crate) fn entry_setting<T>(
        &mut self,
        tag: u16,
        setting: &Setting<T>,
        write: impl FnOnce(&mut Self, &T),
    ) {
        match setting {
            Setting::Unset => {}
            Setting::Null => self.entry(tag, |w| w.u8(0)),
            Setting::Value(value) => self.entry(tag, |w| {
                w.u8(1);
                write(w, value);
            }),
        }
    }

    /// A setting with text.
    pub(crate) fn entry_text_setting(&mut self, tag: u16, setting: &Setting<Text>) {
        self.entry_setting(tag, setting, |w, text| w.slice(text.as_bytes()));
    }

    /// Which subnet, as an entry.
    pub(crate) fn entry_subnet_name(&mut self, name: &SubnetName) {
        match name {
            SubnetName::Id(id) => self.entry_id(0x8001, Some(id.as_bytes())),
            SubnetName::Name(name) => self.entry_text(0x8002, Some(name)),
            SubnetName::Cidr(prefix) => self.entry(0x8003, |w| w.prefix(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> Result<T, Fault> {
        read(&mut Reader::item_of(bytes)).map_err(|error| error.fault)
    }

    #[test]
    fn mapped_addresses_and_prefixes_become_ipv4() {
        let mut bytes = vec![6];
        bytes.extend("::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap().octets());
        let address = read(&bytes, |r| r.address("address"));
        assert_eq!(address, Ok("10.0.0.1".parse().unwrap()));
        let mapped = |length| prefix_of("::ffff:10.0.0.0".parse().unwrap(), length, "cidr");
        assert_eq!(mapped(120).unwrap().to_string(), "10.0.0.0/24");
        assert_eq!(mapped(90).map_err(|e| e.fault), Err(Fault::Prefix));
        assert_eq!(prefix_of("::".parse().unwrap(), 0, "cidr").unwrap().to_string(), "::/0");
    }

    #[test]
    fn host_bits_long_prefixes_and_falling_ranges_are_refused() {
        assert_eq!(read(&[4, 24, 10, 0, 0, 1], |r| r.prefix("x")), Err(Fault::Prefix));
        assert_eq!(read(&[4, 33, 10, 0, 0, 0], |r| r.prefix("x")), Err(Fault::Prefix));
        assert_eq!(read(&[4, 0, 0, 0, 2, 0, 0, 0, 1], |r| r.range("x")), Err(Fault::Order));
        assert_eq!(read(&[5, 0, 0, 0, 2], |r| r.address("x")), Err(Fault::Unknown { value: 5 }));
        assert!(fixed_address(4, 1 << 32, "x").is_err());
    }
}
