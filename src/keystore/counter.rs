//! A count that a forked child does not inherit: its parent writes down what it had counted itself.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::secret::fork;

/// The lower bits count; the upper ones name the process that does. Where the name is another one, the
/// count is nothing here.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

const COUNT_BITS: u32 = 44;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

impl Counter {
    /// Counts on; after a fork from nothing.
    pub(crate) fn add(&self, more: u64) {
        let mine = process();
        let now = self.0.load(Ordering::Relaxed);
        if now & !COUNT == mine {
            self.0.fetch_add(more, Ordering::Relaxed);
            return;
        }
        // Threads of a new child may be here together.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(mine | (count(now, mine) + more))
            });
    }

    /// What this process has counted.
    pub(crate) fn get(&self) -> u64 {
        count(self.0.load(Ordering::Relaxed), process())
    }

    /// What this process has counted, which begins anew.
    pub(crate) fn take(&self) -> u64 {
        let mine = process();
        count(self.0.swap(mine, Ordering::Relaxed), mine)
    }
}

fn count(value: u64, mine: u64) -> u64 {
    if value & !COUNT == mine {
        value & COUNT
    } else {
        0
    }
}

fn process() -> u64 {
    fork::instance() << COUNT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_begins_anew() {
        let counter = Counter::default();
        assert_eq!(counter.get(), 0);
        counter.add(3);
        counter.add(4);
        assert_eq!(counter.get(), 7);
        assert_eq!(counter.take(), 7);
        assert_eq!(counter.take(), 0);
        counter.add(1);
        assert_eq!(counter.get(), 1);
    }

    #[test]
    fn what_another_process_counted_is_nothing_here() {
        let another = process() ^ (1 << COUNT_BITS);
        let counter = Counter(AtomicU64::new(another | 5));
        assert_eq!(counter.get(), 0);
        counter.add(2);
        assert_eq!(counter.take(), 2);
        let counter = Counter(AtomicU64::new(another | 5));
        assert_eq!(counter.take(), 0);
    }
}
