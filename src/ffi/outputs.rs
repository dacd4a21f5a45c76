//! Where a call writes to: the caller's buffers, lengths, handles and response, checked before the call
//! and defined by its outcome.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::document;
use super::response::Answer;
use super::types::{KMS_DATA_KEY_MAX, KMS_PLAINTEXT_MAX, kms_response, kms_status};
use crate::allocation;
use crate::blob::Content;
use crate::error::{Error, Result, Status};
use crate::key_name::KeyUse;
use crate::request_id::Call;
use crate::secret::wipe;
use crate::tree::Text;

const OVERLAP: Error = Error::constant(
    Status::InvalidArgument,
    "The blob, the output buffers, their lengths and the response must not overlap.",
);

/// Everything that a call writes to, and the blob it must not overlap with.
pub(super) struct Outputs {
    response: *mut kms_response,
    answer: Answer,
    buffers: [Buffer; 2],
    count: usize,
    pointer: Option<Pointer>,
    input: Span,
    overlap: bool,
    /// Whether the response is among what overlaps.
    response_overlaps: bool,
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
            response_overlaps: false,
        }
    }

    /// A buffer for key material.
    pub(super) fn secret(self, at: *mut u8, capacity: usize, len: *mut usize) -> Self {
        self.buffer(at, capacity, len, Kind::Secret)
    }

    /// A buffer for the key material of so many keys.
    pub(super) fn secrets(
        self,
        at: *mut u8,
        capacity: usize,
        len: *mut usize,
        count: usize,
    ) -> Self {
        let mut outputs = self.secret(at, capacity, len);
        let most = count.saturating_mul(KMS_DATA_KEY_MAX);
        outputs.buffers[outputs.count - 1].most = most.max(KMS_PLAINTEXT_MAX);
        outputs
    }

    /// A buffer for anything else.
    pub(super) fn bytes(self, at: *mut u8, capacity: usize, len: *mut usize) -> Self {
        self.buffer(at, capacity, len, Kind::Public)
    }

    /// An array of known length, for which no length is told.
    pub(super) fn array<T>(self, at: *mut T, count: usize) -> Self {
        let len = count.saturating_mul(size_of::<T>());
        self.buffer(at.cast(), len, ptr::null_mut(), Kind::Array)
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

    /// More bytes read by the call, known only after others were read.
    pub(super) fn also_input<T>(&mut self, at: *const T, len: usize) -> Result<()> {
        let input = Span::of(at, len);
        let spans = self.spans();
        if spans.iter().any(|span| span.meets(input)) {
            self.overlap = true;
            self.response_overlaps = spans[RESPONSE].meets(input);
            return Err(OVERLAP);
        }
        Ok(())
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

    /// Lends the caller's own buffers, zeroed, to a call with long results. The texts that the call
    /// reads must be copied before: they may lie in there.
    pub(super) fn lend<const N: usize>(&mut self, lens: [usize; N]) -> [&mut [u8]; N] {
        let mut buffers = self.buffers.iter_mut();
        lens.map(|len| match buffers.next() {
            Some(buffer) if len > 0 => {
                assert!(len <= buffer.capacity);
                buffer.len_value = len;
                buffer.used = len;
                // SAFETY: the caller owns `capacity` writable bytes there.
                unsafe { ptr::write_bytes(buffer.at, 0, len) };
                // SAFETY: initialised by the line above; the buffers do not overlap, nor does any
                // input but texts, which were copied.
                unsafe { std::slice::from_raw_parts_mut(buffer.at, len) }
            }
            _ => &mut [],
        })
    }

    /// Writes one item of an array, at any alignment.
    pub(super) fn put_item<T>(&mut self, index: usize, item: usize, value: T) {
        let buffer = &self.buffers[index];
        assert!((item + 1) * size_of::<T>() <= buffer.capacity);
        // SAFETY: within the array that the caller owns.
        write(unsafe { buffer.at.cast::<T>().add(item) }, value);
    }

    /// Writes text with its NUL; the length leaves the NUL out.
    pub(super) fn put_text(&mut self, index: usize, text: &str) -> Result<()> {
        self.fit([text.len() + 1])?;
        let mut bytes = allocation::room(text.len() + 1)?;
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.put(index, &bytes);
        self.buffers[index].len_value = text.len();
        Ok(())
    }

    pub(super) fn put_handle<T>(&mut self, value: T) -> Result<()> {
        // As `Box::new`, which would end the host's process where there is no memory.
        // SAFETY: a handle is not of size zero.
        let at = unsafe { std::alloc::alloc(std::alloc::Layout::new::<T>()) }.cast::<T>();
        if at.is_null() {
            return Err(Error::new(Status::NoMemory));
        }
        // SAFETY: just allocated for one T.
        unsafe { at.write(value) };
        self.put_pointer(at.cast());
        Ok(())
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

    /// This call, whose id is the same in the response, in a document and in the audit log.
    pub(super) fn call(&self) -> &Call {
        &self.answer.call
    }

    /// The same, to be held while a buffer is lent.
    pub(super) fn call_mut(&mut self) -> &mut Call {
        &mut self.answer.call
    }

    /// The CMK and version that the call used.
    pub(super) fn key(&mut self, used: &KeyUse) {
        self.answer.key = Some(*used);
    }

    pub(super) fn content(&mut self, content: Content) {
        self.answer.content = content;
    }

    fn buffer(mut self, at: *mut u8, capacity: usize, len: *mut usize, kind: Kind) -> Self {
        self.buffers[self.count] = Buffer {
            at,
            capacity,
            len,
            len_value: 0,
            used: 0,
            most: KMS_PLAINTEXT_MAX,
            kind,
        };
        self.count += 1;
        self
    }

    /// Whether it can be written to at all, and nothing overlaps.
    pub(super) fn check(&mut self) -> Result<()> {
        let spans = self.spans();
        let meets = |i: usize| spans[..i].iter().any(|span| span.meets(spans[i]));
        self.overlap = (1..spans.len()).any(meets);
        self.response_overlaps = (1..spans.len()).any(|i| spans[RESPONSE].meets(spans[i]));
        for buffer in &self.buffers[..self.count] {
            if buffer.len.is_null() && buffer.kind != Kind::Array {
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
            return Err(OVERLAP);
        }
        Ok(())
    }

    /// The caller's memory that this call touches.
    fn spans(&self) -> [Span; 8] {
        let mut spans = [Span::NONE; 8];
        spans[RESPONSE] = Span::of(self.response, size_of::<kms_response>());
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
        spans
    }

    /// Defines every output by how the call ended.
    pub(super) fn finish(&mut self, outcome: Result<()>) -> kms_status {
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
        // It would write over something else that was just defined.
        if !self.response.is_null() && !self.response_overlaps {
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
    /// How far it was lent to the call.
    used: usize,
    /// How much key material of an earlier call can be there.
    most: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Public,
    Array,
}

impl Buffer {
    const NONE: Buffer = Buffer {
        at: ptr::null_mut(),
        capacity: 0,
        len: ptr::null_mut(),
        len_value: 0,
        used: 0,
        most: 0,
        kind: Kind::Public,
    };

    /// A sum of the caller's went wrong: nothing can be said of what lies there.
    fn is_impossible(&self) -> bool {
        self.capacity > isize::MAX.unsigned_abs()
    }

    /// Wipes what a failed call has written, and key material: a buffer used again may still hold that of
    /// the call before. No more than `most` can be there; a capacity that claims more is not believed.
    fn wipe(&self) {
        let len = match self.kind {
            Kind::Secret => self.capacity.min(self.most).max(self.used),
            Kind::Public | Kind::Array => self.used,
        };
        if len > 0 && !self.at.is_null() && !self.is_impossible() {
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

/// Which of the spans is the response.
const RESPONSE: usize = 0;

/// A stretch of the caller's memory, as addresses.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    const NONE: Span = Span { start: 0, end: 0 };

    fn of<T>(at: *const T, len: usize) -> Span {
        // What cannot be a length is refused as such, and overlaps with nothing.
        if at.is_null() || len == 0 || len > isize::MAX.unsigned_abs() {
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
