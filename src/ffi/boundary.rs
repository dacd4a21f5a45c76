//! What stands between C and Rust: panics caught, outputs checked before and defined after.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;

use super::document;
use super::response::Answer;
use super::types::{KMS_PLAINTEXT_MAX, kms_response, kms_status};
use crate::blob::Content;
use crate::document::Text;
use crate::error::{Error, Result, Status};
use crate::kms::KeyUse;
use crate::secret::{fork, wipe};

/// Runs `body`; a panic in it is silenced and becomes `fallback`.
pub(super) fn boundary<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    silence_own_panics();
    let _inside = Inside::enter();
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            // Dropping a payload can itself panic; it is small, and this path is not taken twice.
            std::mem::forget(payload);
            fallback
        }
    }
}

/// Runs a fallible call: checks its outputs, runs `body`, and defines every output by the outcome.
pub(super) fn answer(
    mut outputs: Outputs,
    body: impl FnOnce(&mut Outputs) -> Result<()>,
) -> kms_status {
    boundary(Status::Internal.number(), || {
        let outcome = match outputs.check() {
            Ok(()) => boundary(Err(Error::new(Status::Internal)), || body(&mut outputs)),
            Err(error) => Err(error),
        };
        outputs.finish(outcome)
    })
}

/// Everything that a call writes to, and the blob it must not overlap with.
pub(super) struct Outputs {
    response: *mut kms_response,
    answer: Answer,
    buffers: [Buffer; 2],
    count: usize,
    pointer: Option<Pointer>,
    input: Span,
    overlap: bool,
}

impl Outputs {
    pub(super) fn new(response: *mut kms_response) -> Self {
        Outputs {
            response,
            answer: Answer::default(),
            buffers: [Buffer::NONE; 2],
            count: 0,
            pointer: None,
            input: Span::NONE,
            overlap: false,
        }
    }

    /// A buffer for key material.
    pub(super) fn secret(self, at: *mut u8, capacity: usize, len: *mut usize) -> Self {
        self.buffer(at, capacity, len, true)
    }

    /// A buffer for anything else.
    pub(super) fn bytes(self, at: *mut u8, capacity: usize, len: *mut usize) -> Self {
        self.buffer(at, capacity, len, false)
    }

    /// A pointer that the call makes.
    pub(super) fn handle<T>(mut self, to: *mut *mut T) -> Self {
        self.pointer = Some(Pointer {
            to: to.cast(),
            made: ptr::null_mut(),
            len: None,
        });
        self
    }

    /// A document that the call makes, and its length.
    pub(super) fn document(mut self, to: *mut *mut c_char, len: *mut usize) -> Self {
        self.pointer = Some(Pointer {
            to: to.cast(),
            made: ptr::null_mut(),
            len: Some((len, 0)),
        });
        self
    }

    /// Bytes read by the call, which no output may touch.
    pub(super) fn input(mut self, at: *const u8, len: usize) -> Self {
        self.input = Span::of(at, len);
        self
    }

    /// Whether the results fit, from their lengths alone.
    pub(super) fn fit<const N: usize>(&mut self, needed: [usize; N]) -> Result<()> {
        let buffers = &mut self.buffers[..N];
        if buffers
            .iter()
            .zip(needed)
            .all(|(buffer, needed)| needed <= buffer.capacity)
        {
            return Ok(());
        }
        for (buffer, needed) in buffers.iter_mut().zip(needed) {
            buffer.len_value = needed;
        }
        Err(Error::new(Status::BufferTooSmall))
    }

    /// Writes a result. Inputs have been read by now: a text may lie in what is written.
    pub(super) fn put(&mut self, index: usize, bytes: &[u8]) {
        let buffer = &mut self.buffers[index];
        assert!(bytes.len() <= buffer.capacity);
        // SAFETY: the caller owns `capacity` writable bytes there, and `bytes` is our own memory.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.at, bytes.len()) };
        buffer.len_value = bytes.len();
    }

    /// Writes text with its NUL; the length leaves the NUL out.
    pub(super) fn put_text(&mut self, index: usize, text: &str) -> Result<()> {
        self.fit([text.len() + 1])?;
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.put(index, &bytes);
        self.buffers[index].len_value = text.len();
        Ok(())
    }

    pub(super) fn put_handle<T>(&mut self, value: T) {
        self.put_pointer(Box::into_raw(Box::new(value)).cast());
    }

    pub(super) fn put_document(&mut self, text: Text) -> Result<()> {
        let len = text.as_bytes().len();
        let document = document::into_c(text).ok_or(Error::new(Status::NoMemory))?;
        self.put_pointer(document.as_ptr().cast());
        if let Some(Pointer { len: Some(to), .. }) = &mut self.pointer {
            to.1 = len;
        }
        Ok(())
    }

    pub(super) fn put_pointer(&mut self, made: *mut c_void) {
        if let Some(pointer) = &mut self.pointer {
            pointer.made = made;
        }
    }

    /// This call's id: the same in the response and in a document.
    pub(super) fn request_id(&mut self) -> crate::request_id::RequestId {
        self.answer.request_id()
    }

    /// The CMK and version that the call used.
    pub(super) fn key(&mut self, used: &KeyUse) {
        self.answer.key = Some(*used);
    }

    pub(super) fn content(&mut self, content: Content) {
        self.answer.content = content;
    }

    fn buffer(mut self, at: *mut u8, capacity: usize, len: *mut usize, secret: bool) -> Self {
        self.buffers[self.count] = Buffer {
            at,
            capacity,
            len,
            len_value: 0,
            secret,
        };
        self.count += 1;
        self
    }

    fn check(&mut self) -> Result<()> {
        self.overlap = self.overlaps();
        for buffer in &self.buffers[..self.count] {
            if buffer.len.is_null() {
                return Err(Error::invalid_argument("A length to be written is NULL."));
            }
            if buffer.is_impossible() {
                return Err(Error::invalid_argument("A capacity is larger than memory."));
            }
            if buffer.at.is_null() && buffer.capacity > 0 {
                return Err(Error::invalid_argument(
                    "An output buffer is NULL, but its capacity is not 0.",
                ));
            }
        }
        if let Some(pointer) = &self.pointer
            && (pointer.to.is_null() || pointer.len.is_some_and(|(len, _)| len.is_null()))
        {
            return Err(Error::invalid_argument("An output is NULL."));
        }
        if self.overlap {
            return Err(Error::invalid_argument(
                "The blob, the output buffers, their lengths and the response must not overlap.",
            ));
        }
        Ok(())
    }

    fn overlaps(&self) -> bool {
        let mut spans = [Span::NONE; 8];
        spans[0] = Span::of(self.response, size_of::<kms_response>());
        spans[1] = self.input;
        for (index, buffer) in self.buffers[..self.count].iter().enumerate() {
            spans[2 + 2 * index] = Span::of(buffer.at, buffer.capacity);
            spans[3 + 2 * index] = Span::of(buffer.len, size_of::<usize>());
        }
        if let Some(pointer) = &self.pointer {
            spans[6] = Span::of(pointer.to, size_of::<*mut c_void>());
            spans[7] = Span::of(
                pointer.len.map_or(ptr::null_mut(), |(len, _)| len),
                size_of::<usize>(),
            );
        }
        (1..spans.len()).any(|i| spans[..i].iter().any(|span| span.meets(spans[i])))
    }

    fn finish(&mut self, outcome: Result<()>) -> kms_status {
        let status = outcome.as_ref().err().map(Error::status);
        let lengths = matches!(status, None | Some(Status::BufferTooSmall));
        for buffer in &self.buffers[..self.count] {
            if status.is_some_and(|status| status != Status::BufferTooSmall) && !self.overlap {
                buffer.wipe();
            }
            write(buffer.len, if lengths { buffer.len_value } else { 0 });
        }
        if let Some(pointer) = &self.pointer {
            write(pointer.to, pointer.made);
            if let Some((len, value)) = pointer.len {
                write(len, value);
            }
        }
        // An overlapping response would write over something else that was just defined.
        if !self.response.is_null() && !self.overlap {
            write(self.response, self.answer.response(outcome.as_ref().err()));
        }
        status.map_or(0, Status::number)
    }
}

struct Buffer {
    at: *mut u8,
    capacity: usize,
    len: *mut usize,
    len_value: usize,
    secret: bool,
}

impl Buffer {
    const NONE: Buffer = Buffer {
        at: ptr::null_mut(),
        capacity: 0,
        len: ptr::null_mut(),
        len_value: 0,
        secret: false,
    };

    /// A sum of the caller's went wrong: nothing can be said of what lies there.
    fn is_impossible(&self) -> bool {
        self.capacity > isize::MAX.unsigned_abs()
    }

    /// A buffer used again may still hold the key of the call before. No more than the longest
    /// plaintext can be there, and a capacity that claims more is not believed.
    fn wipe(&self) {
        if self.secret && !self.at.is_null() && !self.is_impossible() {
            let len = self.capacity.min(KMS_PLAINTEXT_MAX);
            // SAFETY: the caller owns `capacity` writable bytes there.
            unsafe { ptr::write_bytes(self.at, 0, len) };
            // SAFETY: initialised by the line above.
            wipe(unsafe { std::slice::from_raw_parts_mut(self.at, len) });
        }
    }
}

struct Pointer {
    to: *mut *mut c_void,
    made: *mut c_void,
    len: Option<(*mut usize, usize)>,
}

/// A stretch of the caller's memory, as addresses.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    const NONE: Span = Span { start: 0, end: 0 };

    fn of<T>(at: *const T, len: usize) -> Span {
        if at.is_null() || len == 0 {
            return Span::NONE;
        }
        let start = at.addr();
        Span {
            start,
            end: start.saturating_add(len),
        }
    }

    fn meets(self, other: Span) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Writes to the caller, at any alignment; nothing where the pointer is NULL.
fn write<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: the caller passes NULL or a place for one T.
        unsafe { to.write_unaligned(value) };
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Marks this thread as being inside the library, for the panic hook.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Panics inside the library print nothing; those of a Rust host go on to the host's own hook.
fn silence_own_panics() {
    static HOOK: Once = Once::new();
    if !HOOK.is_completed() {
        // No fork may find the Once half done.
        let _gate = fork::enter();
        HOOK.call_once(|| {
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                    previous(info);
                }
            }));
        });
    }
}
