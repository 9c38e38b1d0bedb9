//! Buffers that programs run in: zeroed, aligned, owned.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::MmapRaw;

use crate::program::{ALIGNMENT, Program};

mod element;
mod pages;

pub use element::{Element, cast_mut};
use pages::MANY_PAGES;

/// Why there is no memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot allocate {bytes} bytes")]
pub struct MemoryError {
    /// How much was asked for.
    pub bytes: u64,
}

/// A zeroed block of memory that begins at a multiple of [`ALIGNMENT`].
#[derive(Debug)]
pub struct Buffer {
    pointer: NonNull<u8>,
    bytes: usize,
    source: Source,
}

/// Where a buffer's memory is from.
#[derive(Debug)]
enum Source {
    /// The allocator, with this layout.
    Heap(Layout),
    /// A part of these large pages.
    Pages(#[expect(dead_code, reason = "it holds the memory")] Arc<MmapRaw>),
}

// SAFETY: a `Buffer` owns its memory as a `Box<[u8]>` does; nothing else points into it beyond a borrow of it.
unsafe impl Send for Buffer {}
// SAFETY: `&Buffer` gives only shared views.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of so many zero bytes.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub fn zeroed(bytes: u64) -> Result<Buffer, MemoryError> {
        let failure = MemoryError { bytes };
        let size = usize::try_from(bytes).map_err(|_| failure.clone())?;
        let layout = Buffer::allocation(size).ok_or_else(|| failure.clone())?;
        if size >= MANY_PAGES {
            return pages::zeroed(size).ok_or(failure);
        }
        // SAFETY: `allocation` never has size 0.
        let pointer = unsafe { alloc_zeroed(layout) };
        Ok(Buffer {
            pointer: NonNull::new(pointer).ok_or(failure)?,
            bytes: size,
            source: Source::Heap(layout),
        })
    }

    fn allocation(bytes: usize) -> Option<Layout> {
        let alignment = ALIGNMENT as usize;
        Layout::from_size_align(bytes.max(1).checked_next_multiple_of(alignment)?, alignment).ok()
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Where it begins. Reading and writing through it follows the rules of raw pointers.
    pub(crate) fn base(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `pointer` is valid for `bytes` initialised (zeroed) bytes that `self` owns.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.bytes) }
    }

    /// All bytes, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; `&mut self` makes the view the only one.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.bytes) }
    }

    /// `count` elements from `offset_bytes` on.
    ///
    /// # Panics
    /// When they do not lie in the buffer or the offset is not a multiple of the element's size.
    pub fn view<T: Element>(&self, offset_bytes: u64, count: usize) -> &[T] {
        self.check_view::<T>(offset_bytes, count);
        // SAFETY: in bounds and aligned by `check_view`; every bit pattern is a `T` (`Element`).
        unsafe { std::slice::from_raw_parts(self.base().add(offset_bytes as usize).cast(), count) }
    }

    /// `count` elements from `offset_bytes` on, to change them.
    ///
    /// # Panics
    /// As [`Buffer::view`].
    pub fn view_mut<T: Element>(&mut self, offset_bytes: u64, count: usize) -> &mut [T] {
        self.check_view::<T>(offset_bytes, count);
        // SAFETY: as in `view`; `&mut self` makes the view the only one.
        unsafe {
            std::slice::from_raw_parts_mut(self.base().add(offset_bytes as usize).cast(), count)
        }
    }

    fn check_view<T: Element>(&self, offset_bytes: u64, count: usize) {
        let size = size_of::<T>() as u64;
        let end = (count as u64)
            .checked_mul(size)
            .and_then(|bytes| bytes.checked_add(offset_bytes));
        assert!(
            offset_bytes.is_multiple_of(size),
            "offset {offset_bytes} is no multiple of {size}"
        );
        assert!(
            end.is_some_and(|end| end <= self.bytes as u64),
            "{count} elements at {offset_bytes} of {}",
            self.bytes
        );
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Source::Heap(layout) = self.source {
            // SAFETY: allocated in `zeroed` with this very layout.
            unsafe { dealloc(self.pointer.as_ptr(), layout) }
        }
    }
}

/// One scratch buffer per worker.
#[derive(Debug, Default)]
pub struct Scratch {
    buffers: Vec<Buffer>,
}

impl Scratch {
    /// Makes sure that each of so many workers has so many bytes. Contents are lost where a buffer grows.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub fn reserve(&mut self, workers: usize, bytes: u64) -> Result<(), MemoryError> {
        self.buffers.retain(|buffer| buffer.len() as u64 >= bytes);
        while self.buffers.len() < workers {
            self.buffers.push(Buffer::zeroed(bytes)?);
        }
        Ok(())
    }

    pub(crate) fn buffers(&mut self) -> &mut [Buffer] {
        &mut self.buffers
    }
}

/// What one running program works on. The parameters are borrowed by whichever program of a run is at work; the
/// arena belongs to one program; the scratch is anybody's between runs.
#[derive(Debug)]
pub struct Memory<'a> {
    /// Parameters and states.
    pub persistent: &'a mut Buffer,
    /// The program's own buffer, made by [`arena_of`].
    pub arena: &'a mut Buffer,
    /// The workers' buffers; grown to what the program needs.
    pub scratch: &'a mut Scratch,
}

/// A new arena for a program, with its constants in place.
///
/// # Errors
/// When there is not that much memory.
///
/// # Panics
/// When the program has not passed its check.
pub fn arena_of(program: &Program) -> Result<Buffer, MemoryError> {
    let mut arena = Buffer::zeroed(program.arena_bytes)?;
    for constant in &program.constants {
        let begin = constant.offset_bytes as usize;
        arena.bytes_mut()[begin..begin + constant.bytes.len()].copy_from_slice(&constant.bytes);
    }
    Ok(arena)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_and_aligned() {
        for bytes in [0, 1, 63, 64, 4097, MANY_PAGES as u64 + 1] {
            let mut buffer = Buffer::zeroed(bytes).expect("small");
            assert_eq!(buffer.base() as u64 % ALIGNMENT, 0);
            assert_eq!(buffer.bytes(), vec![0; bytes as usize]);
            buffer.bytes_mut().fill(7);
            assert_eq!(buffer.bytes(), vec![7; bytes as usize]);
        }
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert_eq!(
            Buffer::zeroed(u64::MAX).unwrap_err(),
            MemoryError { bytes: u64::MAX }
        );
        assert_eq!(
            Buffer::zeroed(1 << 62).unwrap_err().to_string(),
            "cannot allocate 4611686018427387904 bytes"
        );
    }

    #[test]
    fn views_are_typed() {
        let mut buffer = Buffer::zeroed(64).expect("small");
        buffer.view_mut::<f32>(4, 2).copy_from_slice(&[1.0, -2.0]);
        assert_eq!(buffer.view::<f32>(0, 4), [0.0, 1.0, -2.0, 0.0]);
        assert_eq!(buffer.view::<i32>(4, 1), [0x3f80_0000]);
    }

    #[test]
    #[should_panic(expected = "elements at 60")]
    fn views_end_with_the_buffer() {
        Buffer::zeroed(64).expect("small").view::<i64>(60 - 4, 1);
        Buffer::zeroed(64).expect("small").view::<f32>(60, 2);
    }

    #[test]
    fn scratch_grows() {
        let mut scratch = Scratch::default();
        scratch.reserve(2, 10).expect("small");
        scratch.reserve(3, 100).expect("small");
        assert_eq!(
            scratch
                .buffers()
                .iter()
                .map(|buffer| buffer.len())
                .collect::<Vec<_>>(),
            [100; 3]
        );
    }
}
