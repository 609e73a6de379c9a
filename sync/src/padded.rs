//! A value that shares its cache lines with nothing else. Only layout; no logic.

use std::ops::{Deref, DerefMut};

/// Keeps its value away from its neighbours, so that writers of one don't slow users of another.
///
/// Shape: aligned to 128 bytes, two lines of 64, because x86-64 fetches lines in pairs and some
/// aarch64 cores have lines of 128 bytes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Padded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
