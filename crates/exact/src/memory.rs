//! The one block of memory a session has.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::Error;

/// Words in one allocation, zero at first, aligned for vectors and, if large, for large pages.
pub(crate) struct Memory {
    ptr: NonNull<u32>,
    layout: Layout,
}

// SAFETY: it owns its words as a vector does.
unsafe impl Send for Memory {}
// SAFETY: as above; writing needs `&mut` or the care of whoever uses `ptr`.
unsafe impl Sync for Memory {}

const LARGE_PAGE: usize = 2 << 20;

impl Memory {
    /// Words of zeros, or an error if the system has no such block to give.
    pub(crate) fn zeroed(words: usize) -> Result<Memory, Error> {
        let unavailable = || Error::Unavailable { words };
        let bytes = words.max(16).checked_mul(4).ok_or_else(unavailable)?;
        let align = if bytes >= LARGE_PAGE { LARGE_PAGE } else { 64 };
        let layout = Layout::from_size_align(bytes, align).map_err(|_| unavailable())?;
        // SAFETY: the layout is not empty.
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(unavailable)?;
        Ok(Memory { ptr: ptr.cast(), layout })
    }

    /// The first word. Who reads or writes through it answers for not overlapping other readers and writers.
    pub(crate) fn ptr(&self) -> *mut u32 {
        self.ptr.as_ptr()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.ptr.as_ptr().cast(), self.layout) };
    }
}
