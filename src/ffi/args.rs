//! Arguments from C, turned into Rust values or refused.

use std::ffi::{CStr, c_char};

use crate::allocation;
use crate::context::Context;
use crate::error::{Error, Result, Status};

const WRONG_KIND: Error = Error::constant(Status::InvalidArgument, "A handle is not of its kind.");

/// A type that C holds by an opaque pointer. It begins with a [`Marked`].
pub(super) trait Handle {
    /// Tells one kind of handle from another.
    const MARK: u64;
}

/// A value behind the mark of its kind, which is the first word in memory: nothing else of a handle is
/// looked at before its kind is known.
#[repr(C)]
pub(super) struct Marked<T> {
    mark: u64,
    pub(super) value: T,
}

impl<T> Marked<T> {
    pub(super) fn of<H: Handle>(value: T) -> Self {
        Marked {
            mark: H::MARK,
            value,
        }
    }
}

/// # Safety
/// `handle` is NULL or came from this library and is not freed during `'a`.
pub(super) unsafe fn handle<'a, H: Handle>(handle: *const H) -> Result<&'a H> {
    // SAFETY: as promised to this function.
    unsafe { check(handle) }?;
    // SAFETY: of this kind, and alive as promised to this function.
    Ok(unsafe { &*handle })
}

/// # Safety
/// As for [`handle`], and nobody else uses it during `'a`.
pub(super) unsafe fn handle_mut<'a, H: Handle>(handle: *mut H) -> Result<&'a mut H> {
    // SAFETY: as promised to this function.
    unsafe { check(handle) }?;
    // SAFETY: of this kind, alive and not shared, as promised to this function.
    Ok(unsafe { &mut *handle })
}

/// # Safety
/// `handle` is NULL or came from this library, and nobody uses it from now on.
pub(super) unsafe fn free<H: Handle>(handle: *mut H) {
    // SAFETY: as promised to this function.
    if unsafe { self::handle(handle) }.is_ok() {
        // SAFETY: made by `Box::into_raw`, and given up by the caller.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// # Safety
/// `handle` is NULL, or a word can be read there.
unsafe fn check<H: Handle>(handle: *const H) -> Result<()> {
    if handle.is_null() {
        return Err(Error::invalid_argument("A handle is NULL."));
    }
    // SAFETY: not NULL, aligned, and readable as promised to this function.
    if !handle.is_aligned() || unsafe { handle.cast::<u64>().read() } != H::MARK {
        return Err(WRONG_KIND);
    }
    Ok(())
}

/// A text argument, not yet known to be there or to be UTF-8.
pub(super) struct Text<'a>(Option<&'a CStr>);

/// # Safety
/// `at` is NULL or points to NUL-terminated text that lives and stays unchanged during `'a`.
pub(super) unsafe fn text<'a>(at: *const c_char) -> Text<'a> {
    if at.is_null() {
        return Text(None);
    }
    // SAFETY: as promised to this function.
    Text(Some(unsafe { CStr::from_ptr(at) }))
}

impl<'a> Text<'a> {
    /// Text that must be given and not be empty.
    pub(super) fn required(self, name: &str) -> Result<&'a str> {
        self.optional(name)?
            .ok_or_else(|| Error::missing_parameter(name))
    }

    /// Text that may be NULL, but not empty: an empty variable must not pass for "not asked for".
    pub(super) fn optional(self, name: &str) -> Result<Option<&'a str>> {
        match self.0.map(CStr::to_str) {
            None => Ok(None),
            Some(Ok("")) => Err(Error::missing_parameter(name)),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::invalid_parameter(name, "It is not UTF-8.")),
        }
    }

    /// The bytes, which may be empty but not NULL.
    pub(super) fn bytes(self, name: &str) -> Result<&'a [u8]> {
        self.0
            .map(CStr::to_bytes)
            .ok_or_else(|| Error::missing_parameter(name))
    }
}

/// # Safety
/// As for [`text`].
pub(super) unsafe fn context(at: *const c_char) -> Result<Context> {
    // SAFETY: as promised to this function.
    match unsafe { text(at) }.0 {
        None => Ok(Context::empty()),
        Some(json) => Context::parse_bytes(json.to_bytes()),
    }
}

/// # Safety
/// `at` is NULL or points to `len` readable bytes that live and stay unchanged during `'a`.
pub(super) unsafe fn bytes<'a>(at: *const u8, len: usize) -> Result<&'a [u8]> {
    match (at.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::invalid_argument(
            "An input is NULL, but its length is not 0.",
        )),
        (false, len) if len > isize::MAX.unsigned_abs() => {
            Err(Error::invalid_argument("A length is larger than memory."))
        }
        // SAFETY: not NULL, and readable as promised to this function.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(at, len) }),
    }
}

/// Byte strings that lie one after the other.
///
/// # Safety
/// `lens` points to `count` lengths at any alignment, or is NULL; `at` points to as many readable bytes
/// as they add up to, or is NULL. All of it lives and stays unchanged during `'a`.
pub(super) unsafe fn many<'a>(
    at: *const u8,
    lens: *const usize,
    count: usize,
) -> Result<Vec<&'a [u8]>> {
    if lens.is_null() {
        return Err(Error::invalid_argument(
            "The lengths of the blobs are NULL.",
        ));
    }
    // SAFETY: within the lengths promised to this function.
    let lens = (0..count).map(|index| unsafe { lens.add(index).read_unaligned() });
    let total = lens
        .clone()
        .try_fold(0, |sum: usize, len| sum.checked_add(len));
    let total = total.ok_or(Error::invalid_argument("A length is larger than memory."))?;
    // SAFETY: as promised to this function.
    let mut rest = unsafe { bytes(at, total) }?;
    let mut parts = allocation::room(count)?;
    for len in lens {
        let (part, after) = rest.split_at(len);
        rest = after;
        parts.push(part);
    }
    Ok(parts)
}

/// Pairs of texts, flat.
///
/// # Safety
/// `at` is NULL or points to 2 × `pairs` pointers, each as for [`text`].
pub(super) unsafe fn texts<'a>(at: *const *const c_char, pairs: usize) -> Result<Vec<&'a str>> {
    // Each pair takes at least five characters of the 8192; more pairs are not even read.
    const MOST_PAIRS: usize = 2048;
    if pairs > 0 && at.is_null() {
        return Err(Error::invalid_argument(
            "An input is NULL, but its length is not 0.",
        ));
    }
    if pairs > MOST_PAIRS {
        return Err(Error::invalid_parameter(
            "EncryptionContext",
            "It is longer than 8192 characters.",
        ));
    }
    let mut texts = allocation::room(2 * pairs)?;
    for index in 0..2 * pairs {
        // SAFETY: within the pointers promised to this function; any alignment will do.
        let at = unsafe { at.add(index).read_unaligned() };
        // SAFETY: as promised to this function.
        let text = unsafe { text(at) }
            .0
            .ok_or(Error::invalid_argument("A text among the pairs is NULL."))?;
        texts.push(
            text.to_str()
                .map_err(|_| Error::invalid_parameter("EncryptionContext", "It is not UTF-8."))?,
        );
    }
    Ok(texts)
}
