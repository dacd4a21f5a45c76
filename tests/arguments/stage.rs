//! One call on a stage: every argument that is memory lies in one block, each in a place of its own, and
//! afterwards every byte of the block is accounted for.

use std::ops::Range;
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::types::{kms_response, kms_status};

use super::table::{self, Buffer, Fixture, Function, PAIRS, Param, Word};
use crate::client::{ROOT_KEY, check_response};
use crate::support::header;

/// The room of each argument, which lies in its middle.
const PLACE: usize = 4096;
const MIDDLE: usize = 1536;
/// Where, after the pointers, the texts of the pairs lie.
const PAIR_TEXTS: usize = 256;
const RUBBISH: u8 = 0xA5;

pub struct Stage {
    function: &'static Function,
    memory: Vec<u128>,
    /// Where each argument lies at first.
    homes: Vec<Word>,
    /// What is passed.
    pub args: Vec<Word>,
}

impl Stage {
    /// Valid arguments.
    pub fn new(fixture: &Fixture, function: &'static Function) -> Stage {
        Stage::shifted(fixture, function, 0)
    }

    /// Valid arguments, all memory so many bytes off its alignment.
    pub fn shifted(fixture: &Fixture, function: &'static Function, shift: usize) -> Stage {
        let order: Vec<usize> = (0..function.params.len()).collect();
        Stage::set(fixture, function, shift, &order)
    }

    /// Valid arguments; one of them lies at higher addresses than all others.
    pub fn with_last(fixture: &Fixture, function: &'static Function, last: usize) -> Stage {
        let mut order: Vec<usize> = (0..function.params.len()).collect();
        order.swap(last, function.params.len() - 1);
        Stage::set(fixture, function, 0, &order)
    }

    fn set(fixture: &Fixture, function: &'static Function, shift: usize, order: &[usize]) -> Stage {
        let words = function.params.len() * PLACE / size_of::<u128>();
        let mut memory = vec![u128::from_ne_bytes([RUBBISH; 16]); words];
        let start: Word = memory.as_mut_ptr().cast();
        let homes: Vec<Word> = (order.iter())
            .map(|place| start.wrapping_add(place * PLACE + MIDDLE + shift))
            .collect();
        let mut stage = Stage {
            function,
            memory,
            args: homes.clone(),
            homes,
        };
        for index in 0..function.params.len() {
            stage.args[index] = stage.valid(fixture, index);
        }
        stage
    }

    fn valid(&mut self, fixture: &Fixture, index: usize) -> Word {
        let home = self.homes[index];
        match self.function.params[index] {
            Param::Client => return fixture.client.raw().cast_mut().cast(),
            Param::Options => return fixture.options.raw().cast(),
            Param::Number(number) | Param::InputLen(number) => return self::number(number),
            Param::Capacity => return self::number(self.buffer(index - 1).needed),
            Param::Blob => self.write(home, &fixture.blob),
            Param::RootKey => self.write(home, &ROOT_KEY),
            Param::Pairs => {
                let mut text_at = home.wrapping_add(PAIR_TEXTS);
                for (number, text) in PAIRS.iter().enumerate() {
                    let pointer = home.wrapping_add(number * size_of::<Word>());
                    c!(pointer.cast::<Word>().write_unaligned(text_at));
                    self.write(text_at, text.as_bytes());
                    self.write(text_at.wrapping_add(text.len()), &[0]);
                    text_at = text_at.wrapping_add(text.len() + 1);
                }
            }
            param => {
                if let Some(text) = param.text() {
                    self.put_text(home, text.as_bytes());
                }
            }
        }
        home
    }

    pub fn param(&self, index: usize) -> Param {
        self.function.params[index]
    }

    pub fn buffer(&self, index: usize) -> Buffer {
        match self.param(index) {
            Param::Buffer(buffer) => buffer,
            other => panic!("{other:?} is no buffer"),
        }
    }

    /// `function: parameter`, as the header names them.
    pub fn name(&self, index: usize) -> String {
        let function = self.function.name;
        let declared = header::functions()
            .into_iter()
            .find(|declared| declared.name == function)
            .unwrap();
        format!(
            "{function}: {}",
            table::parameters(&declared.declaration)[index].1
        )
    }

    /// Writes text and its NUL.
    pub fn put_text(&mut self, at: Word, text: &[u8]) {
        self.write(at, text);
        self.write(at.wrapping_add(text.len()), &[0]);
    }

    pub fn write(&mut self, at: Word, bytes: &[u8]) {
        let range = self.range(at, bytes.len());
        self.bytes_mut()[range].copy_from_slice(bytes);
    }

    /// Replaces one of the pairs' texts, or leaves NULL there.
    pub fn put_pair(&mut self, index: usize, number: usize, text: Option<&[u8]>) {
        let pointer = self.args[index].wrapping_add(number * size_of::<Word>());
        let place = match text {
            Some(text) => {
                let place = self.args[index].wrapping_add(2 * PAIR_TEXTS);
                self.put_text(place, text);
                place
            }
            None => ptr::null_mut(),
        };
        c!(pointer.cast::<Word>().write_unaligned(place));
    }

    /// Moves an argument; an input takes its content along.
    pub fn relocate(&mut self, index: usize, to: Word) {
        if self.param(index) == Param::Blob {
            let (start, len) = self.span(index).unwrap();
            let range = self.range(start, len);
            let content = self.bytes()[range].to_vec();
            self.write(to, &content);
        }
        self.args[index] = to;
    }

    /// What may not overlap: where it begins and how long it is.
    pub fn span(&self, index: usize) -> Option<(Word, usize)> {
        let len = match self.param(index) {
            Param::Blob | Param::Buffer(_) => self.args[index + 1].addr(),
            Param::Len | Param::Made | Param::MadeLen => size_of::<usize>(),
            Param::Response => size_of::<kms_response>(),
            _ => return None,
        };
        Some((self.args[index], len))
    }

    /// Calls, and checks the status and everything that the header promises with it.
    #[track_caller]
    pub fn expect(&mut self, expected: kms_status, why: &str) {
        let before = self.bytes().to_vec();
        let why = format!("{} {why}", self.function.name);
        let status = (self.function.call)(&self.args);
        assert_eq!(name(status), name(expected), "{why}");
        let makes = status == 0 || self.tells_refusal(status);
        let mut may_change = Vec::new();
        for (index, param) in self.function.params.iter().enumerate() {
            let at = self.args[index];
            if at.is_null() || !param.is_pointer() {
                continue;
            }
            match param {
                Param::Buffer(buffer) => {
                    let range = self.check_buffer(index, *buffer, status, &before, &why);
                    may_change.push(range);
                }
                Param::Len => {
                    let buffer = self.buffer(index - 2);
                    let len = match status {
                        0 => buffer.len,
                        _ if status == Status::BufferTooSmall.number() => buffer.needed,
                        _ => 0,
                    };
                    assert_eq!(self.word(at), len, "{why}: *len");
                    may_change.push(self.range(at, 8));
                }
                Param::Made => {
                    let made = c!(at.cast::<Word>().read_unaligned());
                    assert_eq!(!made.is_null(), makes, "{why}: what is made");
                    (self.function.free)(made);
                    may_change.push(self.range(at, 8));
                }
                Param::MadeLen => {
                    let made = makes && !self.args[index - 1].is_null();
                    assert_eq!(self.word(at) != 0, made, "{why}: its length");
                    may_change.push(self.range(at, 8));
                }
                Param::Response => {
                    let response = c!(at.cast::<kms_response>().read_unaligned());
                    check_response(&response, status);
                    may_change.push(self.range(at, size_of::<kms_response>()));
                }
                _ => {}
            }
        }
        self.expect_same(&before, &may_change, &why);
    }

    /// Calls with memory that overlaps: nothing is written but zeros where lengths and handles belong, and
    /// a response that is not itself in the way.
    #[track_caller]
    pub fn expect_overlap(&mut self, why: &str) {
        let before = self.bytes().to_vec();
        let status = (self.function.call)(&self.args);
        assert_eq!(
            name(status),
            name(Status::InvalidArgument.number()),
            "{why}"
        );
        let mut zeroed = Vec::new();
        for (index, param) in self.function.params.iter().enumerate() {
            if matches!(param, Param::Len | Param::Made | Param::MadeLen) {
                assert_eq!(self.word(self.args[index]), 0, "{why}");
                zeroed.push(self.range(self.args[index], 8));
            }
            if matches!(param, Param::Response) && self.lies_alone(index) {
                let at = self.args[index].cast::<kms_response>();
                check_response(&c!(at.read_unaligned()), status);
                zeroed.push(self.range(self.args[index], size_of::<kms_response>()));
            }
        }
        self.expect_same(&before, &zeroed, why);
    }

    /// Whether no other memory of the call touches that of this argument.
    fn lies_alone(&self, index: usize) -> bool {
        let reach = |index| {
            let (at, len) = self.span(index)?;
            Some(at.addr()..at.addr() + len)
        };
        let Some(mine) = reach(index) else {
            return false;
        };
        let others = (0..self.args.len()).filter(|other| *other != index);
        others
            .filter_map(reach)
            .all(|other| other.end <= mine.start || mine.end <= other.start)
    }

    /// Calls with a capacity that cannot be: the buffer stays as it was.
    #[track_caller]
    pub fn expect_nothing_written(&mut self, buffer: usize, why: &str) {
        let before = self.bytes().to_vec();
        let why = format!("{}: {why}", self.name(buffer));
        let status = (self.function.call)(&self.args);
        assert_eq!(
            name(status),
            name(Status::InvalidArgument.number()),
            "{why}"
        );
        let len = self.word(self.args[buffer + 2]);
        assert_eq!(len, 0, "{why}");
        let place = self.range(self.homes[buffer], PLACE - MIDDLE);
        assert_eq!(self.bytes()[place.clone()], before[place], "{why}");
    }

    /// What may have changed in a buffer: after a refusal a secret one is zero by capacity, another one
    /// is as it was; after success no byte beyond the length has changed.
    fn check_buffer(
        &self,
        index: usize,
        buffer: Buffer,
        status: kms_status,
        before: &[u8],
        why: &str,
    ) -> Range<usize> {
        let range = self.range(self.args[index], self.args[index + 1].addr());
        match status {
            0 => {
                let result = range.start..range.start + buffer.needed;
                assert_ne!(
                    self.bytes()[result.clone()],
                    before[result.clone()],
                    "{why}"
                );
                result
            }
            _ if buffer.secret && status != Status::BufferTooSmall.number() => {
                let wiped = self.bytes()[range.clone()].iter().all(|byte| *byte == 0);
                assert!(wiped, "{why}: the plaintext is wiped");
                range
            }
            _ => range.start..range.start,
        }
    }

    /// Whether a refusal comes with a document.
    fn tells_refusal(&self, status: kms_status) -> bool {
        let read = self
            .function
            .params
            .iter()
            .zip(&self.args)
            .all(|(param, at)| !matches!(param, Param::Request(_)) || !at.is_null());
        self.function.tells_refusals && read && status != Status::InvalidArgument.number()
    }

    fn expect_same(&self, before: &[u8], may_change: &[Range<usize>], why: &str) {
        for (at, (before, after)) in before.iter().zip(self.bytes()).enumerate() {
            if before != after {
                let allowed = may_change.iter().any(|range| range.contains(&at));
                assert!(
                    allowed,
                    "{why}: byte {} beside argument {} was written",
                    at % PLACE,
                    at / PLACE
                );
            }
        }
    }

    fn word(&self, at: Word) -> usize {
        c!(at.cast::<usize>().read_unaligned())
    }

    fn range(&self, at: Word, len: usize) -> Range<usize> {
        let start = at.addr() - self.memory.as_ptr().addr();
        start..start + len
    }

    fn bytes(&self) -> &[u8] {
        let len = size_of_val(&self.memory[..]);
        c!(std::slice::from_raw_parts(self.memory.as_ptr().cast(), len))
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let len = size_of_val(&self.memory[..]);
        c!(std::slice::from_raw_parts_mut(
            self.memory.as_mut_ptr().cast(),
            len
        ))
    }
}

/// A number where a pointer could stand.
pub fn number(number: usize) -> Word {
    ptr::without_provenance_mut(number)
}

fn name(status: kms_status) -> &'static str {
    match status {
        0 => "OK",
        number => Status::from_number(number).expect("a status").name(),
    }
}
