//! Blobs and plaintext, from files and pipes.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use kmsbox::blob;
use kmsbox::error::{Error, Status};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// The longest blob.
const BLOB_MAX: usize = blob::OVERHEAD + blob::MAX_TEXT;
/// The longest line: the longest blob in base64, and some white space.
const LINE_MAX: usize = BLOB_MAX.div_ceil(3) * 4 + 64;

/// A blob that a command reads.
#[derive(Args)]
pub struct BlobArgs {
    /// The file with the blob, raw or in base64; "-" or nothing: standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// The blob itself, in base64
    #[arg(long, value_name = "BASE64", conflicts_with = "file")]
    pub blob: Option<String>,
}

impl BlobArgs {
    /// What is to be read.
    pub fn open(&self) -> Result<Input> {
        match &self.blob {
            Some(text) => Ok(Input::of(Box::new(io::Cursor::new(
                text.clone().into_bytes(),
            )))),
            None => Input::open(self.file.as_deref()),
        }
    }

    /// The one blob, as bytes.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut input = self.open()?;
        if input.is_raw()? {
            return input.raw();
        }
        let mut blob = None;
        while let Some(line) = input.line()? {
            if line.is_empty() {
                continue;
            }
            if blob.is_some() {
                return Err(Failure::Usage(
                    "There is more than one blob; this command takes one.".to_owned(),
                ));
            }
            blob = Some(decode(&line)?);
        }
        blob.ok_or_else(no_blob)
    }
}

/// Blobs to be read: one as its raw bytes, or one or more in base64, one in each line.
pub struct Input {
    reader: Box<dyn BufRead + Send>,
    /// How long the file is, where it is one.
    pub len: Option<u64>,
    /// How much has been read.
    pub read: u64,
}

impl Input {
    /// Opens a file; `-` or nothing is standard input.
    pub fn open(file: Option<&Path>) -> Result<Self> {
        match file {
            Some(path) if path != Path::new("-") => {
                let open = || {
                    let file = File::open(path)?;
                    let metadata = file.metadata()?;
                    Ok((file, metadata))
                };
                let (file, metadata) =
                    open().map_err(|error: io::Error| Failure::file("read", path, error))?;
                let len = metadata.is_file().then_some(metadata.len());
                Ok(Input {
                    len,
                    ..Input::of(Box::new(BufReader::with_capacity(1 << 16, file)))
                })
            }
            _ => Ok(Input::of(Box::new(BufReader::with_capacity(
                1 << 16,
                io::stdin(),
            )))),
        }
    }

    fn of(reader: Box<dyn BufRead + Send>) -> Self {
        Input {
            reader,
            len: None,
            read: 0,
        }
    }

    /// Whether it begins as a raw blob does, which nothing in base64 can.
    pub fn is_raw(&mut self) -> Result<bool> {
        let start = self.reader.fill_buf().map_err(|error| unreadable(&error))?;
        match start.first() {
            Some(first) => Ok(!first.is_ascii()),
            None => Err(no_blob()),
        }
    }

    /// All of it, as one blob.
    pub fn raw(&mut self) -> Result<Vec<u8>> {
        let mut blob = Vec::new();
        // One byte more than a blob can have shows that there is more.
        (&mut self.reader)
            .take(BLOB_MAX as u64 + 1)
            .read_to_end(&mut blob)
            .map_err(|error| unreadable(&error))?;
        Ok(blob)
    }

    /// The next line, without white space around it.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::with_capacity(256);
        let mut part = |line: &mut Vec<u8>, most: usize| {
            let read = (&mut self.reader).take(most as u64).read_until(b'\n', line);
            let read = read.map_err(|error| unreadable(&error))?;
            self.read += read as u64;
            Ok::<_, Failure>(read)
        };
        if part(&mut line, LINE_MAX)? == 0 {
            return Ok(None);
        }
        // What is longer is no blob; the rest of the line is passed over, so that memory is bounded.
        if line.len() == LINE_MAX && line.last() != Some(&b'\n') {
            let mut rest = Vec::new();
            while part(&mut rest, LINE_MAX)? > 0 && rest.last() != Some(&b'\n') {
                rest.clear();
            }
            return Ok(Some(line));
        }
        Ok(Some(line.trim_ascii().to_vec()))
    }
}

/// A blob from base64.
pub fn decode(line: &[u8]) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(line)
        .map_err(|_| Error::with(Status::NotABlob, "The CiphertextBlob is not base64."))
}

/// The plaintext to be wrapped, at most as much as a blob can hold. It is not typed: a terminal would
/// show it.
pub fn plaintext(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let secret = secret(file, blob::MAX_TEXT)?;
    if secret.is_empty() {
        return Err(Error::missing_parameter("Plaintext").into());
    }
    if secret.len() > blob::MAX_TEXT {
        return Err(Error::invalid_parameter("Plaintext", "It is longer than 6144 bytes.").into());
    }
    Ok(secret)
}

/// A secret from a file or a pipe; one byte more than `most` where there is more.
pub fn secret(file: Option<&Path>, most: usize) -> Result<Zeroizing<Vec<u8>>> {
    // Memory that grows would leave copies behind.
    let mut secret = Zeroizing::new(vec![0; most + 1]);
    let mut fill = |reader: &mut dyn Read| {
        let mut len = 0;
        while len < secret.len() {
            match reader.read(&mut secret[len..]) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(len)
    };
    let len = match file {
        Some(path) if path != Path::new("-") => File::open(path)
            .and_then(|mut file| fill(&mut file))
            .map_err(|error| Failure::file("read", path, error))?,
        _ if io::stdin().is_terminal() => {
            return Err(Failure::Usage(
                "A secret typed here would be shown: name a FILE or use a pipe.".to_owned(),
            ));
        }
        _ => stdin_unbuffered(&mut fill).map_err(|error| unreadable(&error))?,
    };
    secret.truncate(len);
    Ok(secret)
}

/// Past the buffer that the standard library would leave a copy in.
fn stdin_unbuffered(fill: &mut dyn FnMut(&mut dyn Read) -> io::Result<usize>) -> io::Result<usize> {
    use std::os::fd::AsFd;
    fill(&mut File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Files(format!("Could not read the input: {error}."))
}

fn no_blob() -> Failure {
    Failure::Service(Error::missing_parameter("CiphertextBlob"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut input = Input::of(Box::new(io::Cursor::new(text.to_vec())));
        std::iter::from_fn(|| input.line().unwrap()).collect()
    }

    #[test]
    fn lines_are_trimmed_and_a_last_one_needs_no_end() {
        assert_eq!(lines(b"a\r\n\n b \nc"), [&b"a"[..], b"", b"b", b"c"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let long = [&vec![b'A'; 3 * LINE_MAX + 7][..], b"\nnext\n"].concat();
        let lines = lines(&long);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LINE_MAX);
        assert_eq!(lines[1], b"next");
    }
}
