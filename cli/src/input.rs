//! Blobs and plaintext, from files and pipes.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
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
/// How each blob begins in base64: its magic and its format version.
const START: &[u8] = b"iUtNQgE";
/// The columns at which base64 is wrapped: by base64(1) and MIME, and by OpenSSL and PEM. No blob is as
/// short as such a line.
const WRAPPED: [usize; 2] = [76, 64];

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
        while let Some(item) = input.item()? {
            if item.text.is_empty() {
                continue;
            }
            if blob.is_some() {
                return Err(Failure::Usage(
                    "There is more than one blob; this command takes one, in one line or wrapped at 64 \
                     or 76 columns."
                        .to_owned(),
                ));
            }
            blob = Some(decode(&item.text)?);
        }
        blob.ok_or_else(no_blob)
    }
}

/// A line, or the lines of one blob joined.
pub struct Item {
    /// The number of the (first) line, from 1.
    pub line: u64,
    /// Without white space around it.
    pub text: Vec<u8>,
}

/// Blobs to be read: one as its raw bytes, or one or more in base64, each in a line or wrapped.
pub struct Input {
    reader: Box<dyn BufRead + Send>,
    /// Lines that were read and belong to the next items.
    ahead: VecDeque<Vec<u8>>,
    /// The number of the last line given out.
    line: u64,
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
            ahead: VecDeque::new(),
            line: 0,
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

    /// The next line; or, where it is the first of a blob that was wrapped, all lines of that blob. Lines
    /// are joined only where each but the last is full and where together, and only so, they are a blob.
    pub fn item(&mut self) -> Result<Option<Item>> {
        let next = self.ahead.pop_front();
        let Some(mut text) = next.map_or_else(|| self.read_line(), |line| Ok(Some(line)))? else {
            return Ok(None);
        };
        self.line += 1;
        let line = self.line;
        if WRAPPED.contains(&text.len()) && text.starts_with(START) {
            let more = self.lines_after(text.len())?;
            let rest = self.ahead.iter().take(more).flatten();
            let joined: Vec<u8> = text.iter().chain(rest).copied().collect();
            if more > 0 && decode(&joined).is_ok_and(|bytes| blob::parse(&bytes).is_ok()) {
                self.ahead.drain(..more);
                self.line += more as u64;
                text = joined;
            }
        }
        Ok(Some(Item { line, text }))
    }

    /// How many lines could go on with a blob that is wrapped at this width.
    fn lines_after(&mut self, width: usize) -> Result<usize> {
        let (mut count, mut len) = (0, width);
        loop {
            if count == self.ahead.len() {
                match self.read_line()? {
                    Some(line) => self.ahead.push_back(line),
                    None => return Ok(count),
                }
            }
            let line = &self.ahead[count];
            len += line.len();
            let other = line.is_empty() || line.len() > width || line.starts_with(START);
            if other || len > LINE_MAX {
                return Ok(count);
            }
            count += 1;
            if line.len() < width {
                return Ok(count);
            }
        }
    }

    /// The next line, without white space around it.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>> {
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

    fn items(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut input = Input::of(Box::new(io::Cursor::new(text.to_vec())));
        std::iter::from_fn(|| input.item().unwrap())
            .map(|item| (item.line, item.text))
            .collect()
    }

    /// A blob with this much plaintext, in base64. Only its shape is looked at.
    fn blob(plaintext_len: usize) -> String {
        let mut bytes = vec![7; blob::OVERHEAD + plaintext_len];
        bytes[..6].copy_from_slice(&[0x89, b'K', b'M', b'B', 1, 0]);
        STANDARD.encode(bytes)
    }

    fn wrapped(text: &str, width: usize, end: &str) -> String {
        let lines = text.as_bytes().chunks(width);
        lines
            .map(|line| format!("{}{end}", str::from_utf8(line).unwrap()))
            .collect()
    }

    #[test]
    fn lines_are_trimmed_and_a_last_one_needs_no_end() {
        let expected = [&b"a"[..], b"", b"b", b"c"].map(<[u8]>::to_vec);
        let numbered: Vec<_> = (1..).zip(expected).collect();
        assert_eq!(items(b"a\r\n\n b \nc"), numbered);
        assert!(items(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let long = [&vec![b'A'; 3 * LINE_MAX + 7][..], b"\nnext\n"].concat();
        let items = items(&long);
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].1.len(), LINE_MAX);
        assert_eq!(items[1], (2, b"next".to_vec()));
    }

    #[test]
    fn a_wrapped_blob_is_one() {
        assert!(blob(32).as_bytes().starts_with(START));
        for width in WRAPPED {
            // 4 gives two full lines of 76 and no shorter one, 6144 is the longest.
            for len in [1, 4, 32, 61, 6144] {
                for end in ["\n", "\r\n", " \n"] {
                    let (one, other) = (blob(len), blob(32));
                    let all = format!(
                        "{}{}\n{other}\n\nx\n",
                        wrapped(&one, width, end),
                        wrapped(&other, width, end)
                    );
                    let texts: Vec<_> = items(all.as_bytes())
                        .into_iter()
                        .map(|item| item.1)
                        .collect();
                    let expected =
                        [&one, &other, "", &other, "", "x"].map(|text| text.as_bytes().to_vec());
                    assert_eq!(texts, expected, "{width} {len}");
                    // Without the last line's end.
                    let text = wrapped(&one, width, end);
                    assert_eq!(items(text.trim_end().as_bytes()), [(1, one.into_bytes())]);
                }
            }
        }
    }

    #[test]
    fn what_is_no_wrapped_blob_stays_line_by_line() {
        let one = blob(32);
        let cut = &one[..76];
        for text in [
            format!("{cut}\nNULL\n"),
            format!("{cut}\n{one}\n"),
            format!("{cut}\n\n{}\n", &one[76..]),
            format!("{cut}\n{}\n", &one[76..]), // the second line is too long
            wrapped(&one, 100, "\n"),
            wrapped(&one, 4, "\n"),
            wrapped(&one.replace('B', "!"), 76, "\n"),
            format!("{one}\n{}\n", &one[152..]),
        ] {
            let lines = text.lines().map(|line| line.as_bytes().to_vec());
            let expected: Vec<_> = (1..).zip(lines).collect();
            assert_eq!(items(text.as_bytes()), expected, "{text}");
        }
    }
}
