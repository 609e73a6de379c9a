//! Identifiers and ordinals as newtypes; text forms by RFC 9562. Never looks anything up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Namespace of names that are turned into ids (UUIDv5, RFC 9562 section 5.5; SPEC.md section 1).
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6164_6472_6400_5000_8000_6f77_6e65_7221);

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// All zero bits: "none" where a field may be absent.
            pub const NIL: Self = Self(Uuid::nil());

            /// From the 16 bytes that travel.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes that travel.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From a number, most significant byte first.
            #[must_use]
            pub const fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }

            /// Whether all bits are zero.
            #[must_use]
            pub const fn is_nil(&self) -> bool {
                self.0.is_nil()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

id128!(
    /// A tenant.
    ProjectId
);
id128!(
    /// A network, chosen by the client; unique inside its project.
    NetworkId
);
id128!(
    /// A subnet, chosen by the client; unique inside its network.
    SubnetId
);
id128!(
    /// A subnet pool, chosen by the client; unique inside its project.
    PoolId
);
id128!(
    /// An address scope, chosen by the client; unique inside its project.
    AddressScopeId
);
id128!(
    /// A segment of a network, chosen by the client; unique inside its network.
    SegmentId
);
id128!(
    /// A port, chosen by the client; unique inside its network. Its addresses are allocations of the
    /// owner with the same id.
    PortId
);
id128!(
    /// Who holds an allocation, chosen by the client.
    OwnerId
);
id128!(
    /// Who may do what, chosen by the client; unique on the server.
    PrincipalId
);
id128!(
    /// A lane of a client (SPEC.md section 5).
    SessionId
);
id128!(
    /// A data set ("cluster id"), made once at its creation.
    ServerId
);

impl ProjectId {
    /// The project that always exists; who has one tenant never types it.
    pub const DEFAULT: Self = Self::from_u128(0x6164_6472_6400_5000_8000_6465_6661_756c);
}

impl OwnerId {
    /// The id of an owner given as text (SPEC.md section 1).
    ///
    /// A text in UUID form (36 characters) is that id. Everything else is UUIDv5 under
    /// [`NAMESPACE`]; a MAC after `mac:` is first written in lower case with colons, so that all
    /// its spellings are one owner.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match Uuid::try_parse(text) {
            Ok(id) if text.len() == UUID_TEXT_BYTES => return Self(id),
            _ => {}
        }
        let mac = mac_text(text);
        Self(Uuid::new_v5(&NAMESPACE, mac.as_deref().unwrap_or(text).as_bytes()))
    }
}

/// Characters of a UUID with its hyphens.
const UUID_TEXT_BYTES: usize = 36;
/// Bytes of a MAC.
const MAC_BYTES: usize = 6;

/// The canonical spelling of `mac:` and six pairs of hex digits between colons or hyphens.
fn mac_text(text: &str) -> Option<String> {
    let pairs: Vec<&str> = text.strip_prefix("mac:")?.split([':', '-']).collect();
    let is_pair = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    (pairs.len() == MAC_BYTES && pairs.iter().all(is_pair))
        .then(|| format!("mac:{}", pairs.join(":").to_ascii_lowercase()))
}

/// Ordinal of an allocation among those of its owner; 0-based.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Slot(pub u16);

macro_rules! number64 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(from)?;
                text.parse().map(Self).map_err(serde::de::Error::custom)
            }
        }
    };
}

number64!(
    /// Counter of a network's records and fencing token of an allocation. In JSON a decimal string.
    Revision
);
number64!(
    /// Which life of the owner holds an allocation now; 0 = unused. In JSON a decimal string.
    Instance
);
number64!(
    /// Position of a batch in the journal, never reused. In JSON a decimal string.
    Seq
);
number64!(
    /// A job (forced deletion, ...), numbered by the server. In JSON a decimal string.
    JobId
);

/// Which token, chosen by whoever makes it; unique on the server. As text and in JSON 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// A text that is no id of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTokenId;

impl fmt::Display for NoTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a token is 16 hex digits")
    }
}

impl std::error::Error for NoTokenId {}

impl FromStr for TokenId {
    type Err = NoTokenId;

    fn from_str(text: &str) -> Result<Self, NoTokenId> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(NoTokenId);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NoTokenId)
    }
}

impl Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Counts the restores of a data set; positions, cursors and revisions are compared with it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u32);
