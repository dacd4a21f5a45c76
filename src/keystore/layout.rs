//! How the file's JSON is laid out: a line for each field of a CMK and for each of its versions, so
//! that `less` and `diff` show it well.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Indented down to the fields of a CMK; what lies deeper is on one line.
#[derive(Default)]
pub(super) struct Layout {
    depth: usize,
    filled: bool,
}

const DEEPEST_INDENTED: usize = 4;

impl Layout {
    fn open(&mut self) {
        self.depth += 1;
        self.filled = false;
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, end: &[u8]) -> io::Result<()> {
        let indented = self.filled && self.depth <= DEEPEST_INDENTED;
        self.depth -= 1;
        self.filled = true;
        if indented {
            self.new_line(writer)?;
        }
        writer.write_all(end)
    }

    fn item<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.filled = true;
        if !first {
            writer.write_all(b",")?;
        }
        match self.depth <= DEEPEST_INDENTED {
            true => self.new_line(writer),
            false if first => Ok(()),
            false => writer.write_all(b" "),
        }
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
