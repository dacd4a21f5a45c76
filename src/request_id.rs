//! Request ids: a lower-case UUID for each call, without asking the kernel each time.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use uuid::{Builder, Uuid};

use crate::secret::fork;

/// The id of one call, as text.
#[derive(Clone, Copy)]
pub struct RequestId([u8; 36]);

/// One call, as far as those who perform it need to know. Its id is made when it is first asked for:
/// many a call on the hot path never needs one.
#[derive(Default)]
pub struct Call {
    request_id: Cell<Option<RequestId>>,
    dry_run: bool,
}

impl Call {
    /// This call, but only tried: nothing comes of it, so nothing may change for its sake.
    pub fn to_dry_run(&self) -> Call {
        self.request_id();
        Call {
            request_id: self.request_id.clone(),
            dry_run: true,
        }
    }

    /// Whether it is only tried.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The id of this call, always the same.
    pub fn request_id(&self) -> RequestId {
        self.request_id.get().unwrap_or_else(|| {
            let id = RequestId::next();
            self.request_id.set(Some(id));
            id
        })
    }
}

/// Threads take numbers in blocks, so that they do not fight over one cache line.
const BLOCK: u64 = 1 << 12;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static NUMBERS: Cell<u64> = const { Cell::new(0) };
}

impl RequestId {
    /// A new id: a UUID of version 7, so that logs sort by it.
    ///
    /// Milliseconds, then 34 bits that count the calls of this process, then 40 bits that are random
    /// for each process and each forked child. Ids are for tracing; nothing secret hangs on them.
    pub fn next() -> Self {
        let count = next_number() & ((1 << 34) - 1);
        let process = fork::instance() & ((1 << 40) - 1);
        // `from_unix_timestamp_millis` takes 80 bits, of which version and variant replace six: the
        // top four bits and bits 62 and 63.
        let high = count >> 22;
        let low = ((count & ((1 << 22) - 1)) << 40) | process;
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&u16::try_from(high).unwrap_or(0).to_be_bytes());
        bytes[2..].copy_from_slice(&low.to_be_bytes());
        let millis = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis).unwrap_or(0);
        let id = Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        let mut text = [0; 36];
        text.copy_from_slice(
            id.hyphenated()
                .encode_lower(&mut Uuid::encode_buffer())
                .as_bytes(),
        );
        RequestId(text)
    }

    /// The id as text of 36 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn next_number() -> u64 {
    NUMBERS.with(|numbers| {
        let mut number = numbers.get();
        if number % BLOCK == 0 {
            number = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
        }
        numbers.set(number + 1);
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_of_version_7_and_never_repeat() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    (0..10_000)
                        .map(|_| RequestId::next().as_str().to_owned())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().unwrap() {
                let parsed = Uuid::parse_str(&id).unwrap();
                assert_eq!(parsed.get_version_num(), 7);
                assert!(seen.insert(id));
            }
        }
        assert_eq!(seen.len(), 40_000);
    }
}
