//! Unset, null and a value are three things (SPEC.md section 1). Decides nothing.

use serde::{Deserialize, Serialize};

/// A field that may be left out, cleared, or given.
///
/// JSON: left out, `null`, or the value (fields carry `#[serde(default, skip_serializing_if)]`).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Setting<T> {
    /// Not mentioned: automatic on creation, unchanged on update.
    #[default]
    Unset,
    /// Explicitly nothing.
    Null,
    /// Explicitly this.
    Value(T),
}

impl<T> Setting<T> {
    /// Whether it was left out.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }

    /// The value, if one is given.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Null => None,
        }
    }
}

impl<T: Serialize> Serialize for Setting<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_some(value),
            Self::Unset | Self::Null => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(from)?.map_or(Self::Null, Self::Value))
    }
}
