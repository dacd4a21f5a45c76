//! Documents handed to C: allocated here, freed here, wiped.

use std::alloc::{self, Layout};
use std::ffi::c_char;
use std::ptr::{self, NonNull};

use crate::secret::wipe;
use crate::tree::Text;

/// The length stands before the text, so that freeing does not trust the caller's NUL.
const LENGTH: usize = size_of::<usize>();

/// Copies a document into memory of its own, NUL-terminated; None where there is no memory.
pub(super) fn into_c(text: Text) -> Option<NonNull<c_char>> {
    let bytes = text.as_bytes();
    let layout = layout(bytes.len())?;
    // SAFETY: the layout is not empty.
    let start = NonNull::new(unsafe { alloc::alloc(layout) })?;
    // SAFETY: the layout has room for the length, the bytes and the NUL, aligned for the length.
    unsafe {
        start.cast::<usize>().write(bytes.len());
        let at = start.add(LENGTH);
        ptr::copy_nonoverlapping(bytes.as_ptr(), at.as_ptr(), bytes.len());
        at.add(bytes.len()).write(0);
        Some(at.cast())
    }
}

/// # Safety
/// `document` is NULL or came from [`into_c`], and nobody uses it from now on.
pub(super) unsafe fn free(document: *mut c_char) {
    if document.is_null() {
        return;
    }
    // SAFETY: made by `into_c`, where the length stands before the text.
    let (start, len) = unsafe {
        let start = document.cast::<u8>().sub(LENGTH);
        (start, start.cast::<usize>().read())
    };
    let Some(layout) = layout(len) else { return };
    // SAFETY: `into_c` initialised all of it.
    wipe(unsafe { std::slice::from_raw_parts_mut(start, layout.size()) });
    // SAFETY: allocated by `into_c` with this layout.
    unsafe { alloc::dealloc(start, layout) };
}

fn layout(len: usize) -> Option<Layout> {
    let size = len.checked_add(LENGTH + 1)?;
    Layout::from_size_align(size, align_of::<usize>()).ok()
}
