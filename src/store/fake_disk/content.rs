//! The bytes of a file, in pages that copies share until one of them writes. Knows nothing of
//! syncs.

use std::io;
use std::sync::Arc;

const PAGE_BYTES: usize = 16 << 10;

type Page = [u8; PAGE_BYTES];

/// Bytes of a file; cloned in time proportional to its pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: usize,
    /// `None` = nothing but zeros. Behind the length a page is zero too.
    pages: Vec<Option<Arc<Page>>>,
}

impl Content {
    pub(super) const fn len(&self) -> u64 {
        self.len as u64
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut all = vec![0; self.len];
        self.copy(0, &mut all);
        all
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if start.saturating_add(out.len()) > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.copy(start, out);
        Ok(())
    }

    /// Copies bytes that are there.
    fn copy(&self, mut start: usize, mut out: &mut [u8]) {
        while !out.is_empty() {
            let (page, at) = (start / PAGE_BYTES, start % PAGE_BYTES);
            let count = out.len().min(PAGE_BYTES - at);
            let (piece, rest) = out.split_at_mut(count);
            match &self.pages[page] {
                Some(page) => piece.copy_from_slice(&page[at..at + count]),
                None => piece.fill(0),
            }
            (start, out) = (start + count, rest);
        }
    }

    /// Writes, and makes the file longer if need be.
    pub(super) fn put(&mut self, offset: u64, mut data: &[u8]) {
        let mut start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        if end > self.len {
            self.cut(end as u64);
        }
        while !data.is_empty() {
            let (page, at) = (start / PAGE_BYTES, start % PAGE_BYTES);
            let count = data.len().min(PAGE_BYTES - at);
            let (piece, rest) = data.split_at(count);
            let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[at..at + count].copy_from_slice(piece);
            (start, data) = (start + count, rest);
        }
    }

    /// Makes the file this long; what is new is zero.
    pub(super) fn cut(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.pages.resize(len.div_ceil(PAGE_BYTES), None);
        if let (true, Some(Some(last))) = (len < self.len, self.pages.last_mut()) {
            let used = len - (len - 1) / PAGE_BYTES * PAGE_BYTES;
            Arc::make_mut(last)[used..].fill(0);
        }
        self.len = len;
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let mut content = Self::default();
        content.put(0, &bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, PAGE_BYTES};
    use crate::store::fake_disk::Random;

    #[test]
    fn equals_a_vector_and_copies_go_their_own_way() {
        let mut random = Random::new(7);
        let (mut content, mut plain) = (Content::default(), Vec::<u8>::new());
        let mut copies = Vec::new();
        let most = 5 * PAGE_BYTES as u64;
        for step in 0..2_000_u64 {
            let (at, count) = (random.below(most), random.below(2 * PAGE_BYTES as u64) as usize);
            match random.below(8) {
                0 => {
                    content.cut(at);
                    plain.resize(at as usize, 0);
                }
                1 => copies.push((content.clone(), plain.clone())),
                _ => {
                    let data = vec![step as u8 | 1; count];
                    content.put(at, &data);
                    let end = at as usize + count;
                    if count > 0 && plain.len() < end {
                        plain.resize(end, 0);
                    }
                    if count > 0 {
                        plain[at as usize..end].copy_from_slice(&data);
                    }
                }
            }
            assert_eq!(content.len(), plain.len() as u64, "step {step}");
            let mut read = vec![9; count.min(plain.len())];
            let from = plain.len() - read.len();
            content.read(from as u64, &mut read).unwrap();
            assert_eq!(read, plain[from..], "step {step}");
            assert!(content.read(plain.len() as u64, &mut [0]).is_err());
        }
        for (content, plain) in copies {
            assert_eq!(content.to_vec(), plain);
        }
    }
}
