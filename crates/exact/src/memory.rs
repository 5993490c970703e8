//! The one block of memory a session has.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

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
    pub(crate) fn zeroed(words: usize) -> Memory {
        let bytes = words.max(16) * 4;
        let align = if bytes >= LARGE_PAGE { LARGE_PAGE } else { 64 };
        // A size that overflows with its alignment is a size no allocator has.
        let layout = Layout::from_size_align(bytes, align).unwrap_or(Layout::new::<u32>());
        assert!(layout.size() >= bytes, "a session of {bytes} bytes cannot be allocated");
        // SAFETY: the layout is not empty.
        let Some(ptr) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        Memory { ptr: ptr.cast(), layout }
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
