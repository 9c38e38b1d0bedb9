//! Which tasks touch which bytes within a phase: races as they happen.

use std::collections::TryReserveError;
use std::ops::Range;

/// Nobody touches the byte; tasks are numbered from 1.
const NONE: u32 = 0;
/// More than one task touches it; only readers can be that many.
const MANY: u32 = u32::MAX;

/// The bytes of one space. Tasks that no barrier parts have different numbers; a byte that one writes is touched by
/// no other.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    writers: Vec<u32>,
    readers: Vec<u32>,
}

impl Touched {
    /// A space of so many bytes.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn new(bytes: usize) -> Result<Touched, TryReserveError> {
        let untouched = || {
            let mut untouched = Vec::new();
            untouched.try_reserve_exact(bytes)?;
            untouched.resize(bytes, NONE);
            Ok::<Vec<u32>, TryReserveError>(untouched)
        };
        Ok(Touched {
            writers: untouched()?,
            readers: untouched()?,
        })
    }

    /// A barrier.
    pub(super) fn forget(&mut self) {
        self.writers.fill(NONE);
        self.readers.fill(NONE);
    }

    /// Notes that `task` touches the bytes; the first of them that is a race, if one is.
    pub(super) fn touch(&mut self, task: u32, bytes: Range<usize>, writes: bool) -> Option<usize> {
        let own = |other: u32| other == NONE || other == task;
        for byte in bytes {
            if !own(self.writers[byte]) || writes && !own(self.readers[byte]) {
                return Some(byte);
            }
            if writes {
                self.writers[byte] = task;
            } else {
                self.readers[byte] = if own(self.readers[byte]) { task } else { MANY };
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readers_meet() {
        let mut touched = Touched::new(8).expect("memory");
        assert_eq!(touched.touch(1, 0..4, false), None);
        assert_eq!(touched.touch(2, 2..6, false), None);
        assert_eq!(touched.touch(1, 0..2, true), None);
        assert_eq!(touched.touch(2, 0..4, false), Some(0));
        assert_eq!(touched.touch(1, 1..4, true), Some(2));
        assert_eq!(touched.touch(2, 6..8, true), None);
        assert_eq!(touched.touch(2, 6..8, false), None);
        assert_eq!(touched.touch(3, 5..8, true), Some(5));
        touched.forget();
        assert_eq!(touched.touch(3, 0..8, true), None);
    }
}
