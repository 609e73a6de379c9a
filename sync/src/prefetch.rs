//! Asks the processor to bring a value near. Reads nothing, waits for nothing, changes nothing.
//!
//! A load does the same and needs no `unsafe`, but it keeps everything behind it from retiring until
//! memory has answered, so only a few waits overlap; a prefetch leaves at once. Figures of both:
//! docs/performance.md, "Memory".

/// Brings the first cache line of `place` near, if this processor has an instruction for it.
///
/// Concurrency: no access in the sense of the memory model; harmless wherever a reference is.
#[inline(always)]
#[cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "the instruction takes a raw pointer")
)]
pub fn prefetch<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is defined and has no effect on the program's state;
        // this one comes from a reference, which its caller keeps alive.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn it_changes_nothing() {
        let values = [7_u64; 32];
        values.iter().for_each(prefetch);
        assert_eq!(values, [7; 32]);
    }
}
