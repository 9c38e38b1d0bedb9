//! Large buffers in large pages. A step that goes through hundreds of megabytes touches more small pages than the
//! processor keeps the addresses of.

use std::ptr::NonNull;

use memmap2::{MmapMut, MmapOptions};

use super::{Buffer, Source};

/// A large page of x86 and of most ARM systems.
const LARGE_PAGE: usize = 2 << 20;
/// Buffers of so many bytes have pages of their own.
pub(super) const MANY_PAGES: usize = 2 * LARGE_PAGE;

/// A buffer in pages of its own, large ones where the system has them; none where there is not that much memory.
pub(super) fn zeroed(bytes: usize) -> Option<Buffer> {
    let mut pages: MmapMut = MmapOptions::new()
        .len(bytes.checked_add(LARGE_PAGE)?)
        .map_anon()
        .ok()?;
    // The system may refuse, and then gives small ones, which hold the same.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::HugePage);
    let skipped = pages.as_ptr().align_offset(LARGE_PAGE);
    let memory = pages.get_mut(skipped..skipped.checked_add(bytes)?)?;
    Some(Buffer {
        pointer: NonNull::new(memory.as_mut_ptr())?,
        bytes,
        source: Source::Pages(pages),
    })
}
