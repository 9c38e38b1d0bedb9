//! Buffers in large pages, several in one where they are smaller. A step that goes through hundreds of megabytes touches
//! more small pages than the processor keeps the addresses of; and small pages lie anywhere in its memory, so that
//! some sets of the second cache get more of them than they hold long before the cache is full.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::{Buffer, Source};

/// A large page of x86 and of most ARM systems.
const LARGE_PAGE: usize = 2 << 20;
/// A small page of x86: where a buffer begins.
const SMALL_PAGE: usize = 4096;
/// Buffers of so many bytes lie in large pages. To clear one costs smaller ones more than they win.
pub(super) const MANY_PAGES: usize = LARGE_PAGE / 8;

/// Large pages of which parts are given to buffers. No part is given twice, as a buffer begins with zeros; the buffers
/// own the pages, which go back to the system with the last of them.
struct Slab {
    memory: Weak<MmapRaw>,
    used: usize,
    end: usize,
}

static CURRENT: Mutex<Option<Slab>> = Mutex::new(None);

/// A buffer in large pages, where the system has them; none where there is not that much memory.
pub(super) fn zeroed(bytes: usize) -> Option<Buffer> {
    if bytes >= LARGE_PAGE {
        // Alone in its pages, so that no small one keeps them when it goes.
        let (_memory, mut slab) = Slab::new(bytes)?;
        return slab.part(bytes);
    }
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(buffer) = current.as_mut().and_then(|slab| slab.part(bytes)) {
        return Some(buffer);
    }
    let (_memory, mut slab) = Slab::new(bytes)?;
    let buffer = slab.part(bytes);
    // The one with more left stays.
    if current.as_ref().is_none_or(|old| old.left() < slab.left()) {
        *current = Some(slab);
    }
    buffer
}

impl Slab {
    /// Whole large pages for so many bytes.
    fn new(bytes: usize) -> Option<(Arc<MmapRaw>, Slab)> {
        let pages = bytes.checked_next_multiple_of(LARGE_PAGE)?;
        let memory: MmapMut = MmapOptions::new()
            .len(pages.checked_add(LARGE_PAGE)?)
            .map_anon()
            .ok()?;
        // The system may refuse, and then gives small ones, which hold the same.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        let used = memory.as_ptr().align_offset(LARGE_PAGE);
        let memory = Arc::new(MmapRaw::from(memory));
        let slab = Slab {
            memory: Arc::downgrade(&memory),
            used,
            end: used.checked_add(pages)?,
        };
        Some((memory, slab))
    }

    /// The bytes that no buffer has; none where the pages have gone back.
    fn left(&self) -> usize {
        match self.memory.strong_count() {
            0 => 0,
            _ => self.end - self.used,
        }
    }

    /// The next part, of so many bytes; none where no more are left.
    fn part(&mut self, bytes: usize) -> Option<Buffer> {
        let memory = self.memory.upgrade()?;
        let size = bytes.checked_next_multiple_of(SMALL_PAGE)?;
        if size > self.left() {
            return None;
        }
        // SAFETY: `used` is at most `end`, and that at most the mapping's length. Nothing else points into the part: `used`
        // only grows, so that each has pages, or a part of one, that the system has cleared and nobody has had; and the
        // buffer holds the mapping.
        let begin = unsafe { memory.as_mut_ptr().add(self.used) };
        self.used += size;
        Some(Buffer {
            pointer: NonNull::new(begin)?,
            bytes,
            source: Source::Pages(memory),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_buffers_are_neighbours_and_large_ones_alone() {
        // Nine do not fit one page, so that other tests, which take parts of their own, leave two neighbours.
        let small: Vec<Buffer> = (0..9 * 8).flat_map(|_| zeroed(MANY_PAGES)).collect();
        let places: Vec<usize> = small.iter().map(|one| one.base() as usize).collect();
        assert_eq!(places.len(), 9 * 8);
        assert!(places.windows(2).any(|two| two[1] == two[0] + MANY_PAGES));
        let large = zeroed(LARGE_PAGE + MANY_PAGES).expect("memory");
        let begin = large.base() as usize;
        assert!(begin.is_multiple_of(LARGE_PAGE));
        let after = zeroed(MANY_PAGES).expect("memory").base() as usize;
        assert!(!(begin..begin + 2 * LARGE_PAGE).contains(&after));
    }

    #[test]
    fn buffers_in_one_page_are_zeroed_and_do_not_overlap() {
        let (_memory, mut slab) = Slab::new(LARGE_PAGE).expect("small");
        let sizes = [MANY_PAGES, 1, MANY_PAGES + 1, MANY_PAGES];
        let mut buffers = sizes.map(|size| slab.part(size).expect("a page holds them"));
        for (fill, buffer) in (1..).zip(&mut buffers) {
            assert!(buffer.bytes().iter().all(|&byte| byte == 0));
            buffer.bytes_mut().fill(fill);
        }
        for (fill, (buffer, size)) in (1..).zip(buffers.iter().zip(sizes)) {
            assert_eq!(buffer.bytes(), vec![fill; size]);
            assert!((buffer.base() as usize).is_multiple_of(SMALL_PAGE));
        }
    }

    #[test]
    fn a_part_that_was_given_back_is_not_given_again() {
        let (_memory, mut slab) = Slab::new(1).expect("small");
        let mut first = slab.part(MANY_PAGES).expect("a page holds it");
        first.bytes_mut().fill(7);
        drop(first);
        let second = slab.part(MANY_PAGES).expect("a page holds two");
        assert_eq!(second.bytes(), vec![0; MANY_PAGES]);
    }

    #[test]
    fn what_is_left_ends_with_the_last_whole_page() {
        let (memory, mut slab) = Slab::new(LARGE_PAGE + 1).expect("small");
        assert!((memory.as_ptr() as usize + slab.used).is_multiple_of(LARGE_PAGE));
        assert!(slab.end <= memory.len());
        assert_eq!(slab.left(), 2 * LARGE_PAGE);
        assert!(slab.part(2 * LARGE_PAGE + 1).is_none());
        assert!(slab.part(usize::MAX).is_none());
        let all = slab.part(2 * LARGE_PAGE).expect("as much is left");
        assert!(slab.part(1).is_none());
        drop(all);
    }

    #[test]
    fn pages_go_back_with_their_last_buffer() {
        let (memory, mut slab) = Slab::new(1).expect("small");
        let mut buffer = slab.part(MANY_PAGES).expect("a page holds it");
        drop(memory);
        buffer.bytes_mut().fill(3);
        assert_eq!(buffer.bytes(), vec![3; MANY_PAGES]);
        drop(buffer);
        assert_eq!(slab.left(), 0);
        assert!(slab.part(1).is_none());
    }
}
