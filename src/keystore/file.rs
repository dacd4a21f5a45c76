//! A keystore on disk: views kept fresh by looks, changes made under the lock.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use super::disk::{self, Signature};
use super::format::{self, Header, Labelled};
use super::lock::Lock;
use super::opening::{at, empty, not_found, unlock};
use super::root_keys::Slots;
use super::store_key::{Seal, StoreKey};
use super::view::View;
use super::{Change, Draft, Keystore, Patience, usage};
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::random;
use crate::root_key::Source;
use crate::secret::{Arena, fork};

/// A keystore in one sealed file.
pub struct SealedFile {
    /// Absolute, and may have links in it, which each use follows.
    path: PathBuf,
    read_only: bool,
    /// Where the root key came from, unless it was given as bytes.
    root_source: Option<Source>,
    arena: Arc<Arena>,
    interval: Nanos,
    lock_timeout: Duration,
    loaded: ArcSwap<Loaded>,
    /// The view alone, for the hot path; it always comes from `loaded`.
    view: ArcSwap<View>,
    born: Instant,
    /// When the last look that found the view right began.
    looked: AtomicU64,
    /// The process in which a thread is looking ahead of time; 0: none. A forked child has not
    /// inherited that thread.
    early: AtomicU64,
    /// Whether a look was made since somebody asked.
    unasked: AtomicBool,
    /// Held, inside the fork gate, by the thread that reads or writes the file.
    busy: Mutex<()>,
}

/// Nanoseconds since the keystore was opened.
type Nanos = u64;

/// The file as it was last read or written.
struct Loaded {
    header: Header,
    seal: Seal,
    view: Arc<View>,
}

impl SealedFile {
    /// Opens the file, or makes it if the options say so.
    pub fn open(path: &Path, options: &Options, arena: &Arc<Arena>) -> Result<Self> {
        let path = disk::absolute(path)?;
        let root_source = options.root_key_source()?;
        let root = options.root_key()?;
        let born = Instant::now();
        let deadline = born + options.lock_timeout;
        let mut new = None;
        let mut made = false;
        // Whoever is refused and finds a keystore there must know whose it is.
        let told = |made: bool, error: Error| match made {
            true => error.after_the_change("the new keystore was not opened"),
            false => error,
        };
        let (file, signature) = loop {
            let gate = fork::enter();
            if let Some(read) = disk::read(&path).map_err(|error| told(made, error))? {
                break read;
            }
            if !options.create {
                return Err(not_found(&path));
            }
            drop(gate);
            // Argon2id takes its time: made while nobody waits for the gate or the lock.
            let new = match &new {
                Some(new) => new,
                None => new.insert(empty(options.keystore_id, &root, arena)?),
            };
            let gate = fork::enter();
            let place = disk::resolve(&path)?;
            // Whoever loses the race reads the winner's file in the next round.
            if let Some(lock) = Lock::try_take(&place)?
                && disk::create(&place, new.file(), &lock)?
            {
                made = true;
                continue;
            }
            drop(gate);
            wait(deadline)?;
        };
        let (unverified, store_key, state) = unlock(&path, &file, options, &root, arena)
            .map_err(|error| told(made, at(&path, error)))?;
        drop(root);
        let header = unverified.header();
        let view = Arc::new(View::new(
            state,
            Arc::new(store_key),
            header.epoch,
            Some(signature),
            None,
        )?);
        Ok(SealedFile {
            path,
            read_only: options.read_only,
            root_source,
            arena: Arc::clone(arena),
            interval: nanos(options.refresh_interval),
            lock_timeout: options.lock_timeout,
            view: ArcSwap::new(Arc::clone(&view)),
            loaded: ArcSwap::from_pointee(Loaded {
                header,
                seal: unverified.seal.clone(),
                view,
            }),
            born,
            looked: AtomicU64::new(0),
            early: AtomicU64::new(0),
            unasked: AtomicBool::new(false),
            busy: Mutex::new(()),
        })
    }

    /// One `stat`; the file is read only where that says it is another one.
    fn look_now(&self) -> Result<()> {
        self.unasked.store(true, Ordering::Relaxed);
        let began = self.now();
        // The view itself says of which file it is: no other order of stores and loads can pass an old
        // view off as fresh.
        if !self.view.load().is_of(self.signature(&self.path)?) {
            return self.reload();
        }
        self.looked.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    /// The right to look ahead of time, for one thread at once.
    fn look_early(&self) -> Option<Early<'_>> {
        let mine = fork::instance();
        let other = self.early.load(Ordering::Relaxed);
        let free = other != mine
            && self
                .early
                .compare_exchange(other, mine, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        free.then_some(Early(&self.early))
    }

    fn reload(&self) -> Result<()> {
        let _gate = fork::enter();
        let _busy = self.lock_busy();
        let began = self.now();
        let differs = !self.view.load().is_of(self.signature(&self.path)?);
        self.catch_up(&self.path, differs, began)
    }

    /// Reads the file if it is not the one loaded. The caller is the one busy thread, and began to look at
    /// that time.
    fn catch_up(&self, path: &Path, differs: bool, began: Nanos) -> Result<()> {
        if differs {
            let read = disk::read(path).map_err(|error| self.altered(error))?;
            let (file, signature) = read.ok_or_else(|| self.gone())?;
            self.install(&file, signature)?;
        }
        self.looked.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    fn install(&self, file: &Labelled, signature: Signature) -> Result<()> {
        let old = self.loaded.load();
        let unverified = format::parse(file).map_err(|error| self.altered(error))?;
        let header = unverified.header();
        // One root key may open several keystores; this client is of one.
        if header.keystore_id != old.header.keystore_id {
            return Err(Error::with(
                Status::KeystoreTampered,
                format!("{} is another keystore now.", self.path.display()),
            ));
        }
        let (state, store_key) = match unverified.verify(old.view.store_key()) {
            Ok(state) => (state, Arc::clone(old.view.store_key())),
            // New slots may hold a new store key, which the root key's source then opens.
            Err(_) if header.slots.may_have_replaced(&old.header.slots) => {
                let store_key = self.new_store_key(&header)?;
                (unverified.verify(&store_key)?, store_key)
            }
            Err(error) => return Err(error),
        };
        let put_back = header.epoch < old.header.epoch
            || (header.epoch == old.header.epoch && unverified.seal != old.seal);
        if put_back {
            return Err(Error::with(
                Status::KeystoreTampered,
                format!(
                    "{} was put back: its epoch is {}, but {} was seen.",
                    self.path.display(),
                    header.epoch,
                    old.header.epoch
                ),
            ));
        }
        let seal = unverified.seal.clone();
        let view = View::new(
            state,
            store_key,
            header.epoch,
            Some(signature),
            Some(&old.view),
        )?;
        self.take_over(header, seal, view);
        Ok(())
    }

    /// The store key of a file that was sealed anew. A client that was given its root key as bytes
    /// has forgotten them, and must be opened again.
    fn new_store_key(&self, header: &Header) -> Result<Arc<StoreKey>> {
        let source = self
            .root_source
            .as_ref()
            .ok_or(Error::new(Status::RootKey))?;
        let key = header.slots.open(header.keystore_id, &source.load()?)?;
        StoreKey::new(header.keystore_id, &key, &self.arena).map(Arc::new)
    }

    fn take_over(&self, header: Header, seal: Seal, view: View) {
        view.take_counts_of(&self.loaded.load().view);
        let view = Arc::new(view);
        self.loaded.store(Arc::new(Loaded {
            header,
            seal,
            view: Arc::clone(&view),
        }));
        self.view.store(view);
    }

    /// Writes the file at `place`, to which the path leads, and which is locked.
    fn write(&self, change: &mut dyn Change, place: &Path, lock: &Lock) -> Result<()> {
        // A file system with coarse times could give two files one signature; a change that is built on
        // the wrong one would undo another.
        let looking = self.now();
        let same = {
            let loaded = self.loaded.load();
            loaded.view.is_of(self.signature(place)?)
                && disk::ends_with(place, loaded.seal.to_text().as_bytes())?
        };
        self.catch_up(place, !same, looking)?;
        let old = self.loaded.load();
        let mut header = old.header.clone();
        header.epoch = next_epoch(header.epoch)?;
        let mut draft = Draft {
            state: old.view.state().copied()?,
            store_key: Arc::clone(old.view.store_key()),
            epoch: header.epoch,
            root_keys: Some(header.slots.clone()),
            purged: Vec::new(),
        };
        // A wrong clock keeps what is gone for another time; `purge` tells of it.
        let _ = draft.purge(false);
        change.edit(&mut draft)?;
        draft.state.written = Timestamp::to_be_kept()?;
        if let Some(slots) = &draft.root_keys {
            header.slots = slots.clone();
        }
        let (file, seal) = format::encode(&header, &draft.state, &draft.store_key)?;
        change.intend(&draft)?;
        let began = self.now();
        // Made before the file is replaced, since there may be no memory for it.
        let mut view = View::new(
            draft.state,
            draft.store_key,
            header.epoch,
            None,
            Some(&old.view),
        )?;
        view.set_signature(disk::replace(place, file.file(), lock)?);
        self.take_over(header, seal, view);
        self.looked.fetch_max(began, Ordering::AcqRel);
        usage::compact(place, self.view.load().versions());
        Ok(())
    }

    fn signature(&self, path: &Path) -> Result<Signature> {
        Signature::of(path).map_err(|error| self.altered(error))
    }

    /// Where the path leads now, links followed.
    fn place(&self) -> Result<PathBuf> {
        disk::resolve(&self.path).map_err(|error| self.altered(error))
    }

    /// A file that was a keystore of ours is not a stranger's now: it was altered, or it is gone.
    fn altered(&self, error: Error) -> Error {
        match error.status() {
            Status::KeystoreNotFound => self.gone(),
            Status::NotAKeystore => Error::with(
                Status::KeystoreTampered,
                format!("{} is no longer a keystore.", self.path.display()),
            ),
            _ => error,
        }
    }

    fn gone(&self) -> Error {
        Error::with(
            Status::KeystoreIo,
            format!("The keystore {} is gone.", self.path.display()),
        )
    }

    fn try_busy(&self, patience: Patience) -> Option<MutexGuard<'_, ()>> {
        match patience {
            Patience::Configured => Some(self.lock_busy()),
            Patience::None => match self.busy.try_lock() {
                Ok(busy) => Some(busy),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            },
        }
    }

    fn lock_busy(&self) -> MutexGuard<'_, ()> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Nanos {
        nanos(self.born.elapsed())
    }
}

impl Keystore for SealedFile {
    /// A view found right by a look that began at T serves the calls that start before T + interval.
    /// From the middle of the interval on, one thread looks ahead while the others go on.
    fn view(&self) -> Result<Guard<Arc<View>>> {
        let age = self
            .now()
            .saturating_sub(self.looked.load(Ordering::Acquire));
        if age >= self.interval {
            self.look_now()?;
        } else if age >= self.interval / 2
            && let Some(_looking) = self.look_early()
        {
            // What is wrong now is reported when the interval is over and the view may not serve.
            let _ = self.look_now();
        }
        Ok(self.view.load())
    }

    fn loaded(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    fn root_keys(&self) -> Option<Slots> {
        Some(self.loaded.load().header.slots.clone())
    }

    fn looked(&self) -> bool {
        self.unasked.load(Ordering::Relaxed) && self.unasked.swap(false, Ordering::Relaxed)
    }

    fn look(&self) -> Result<Guard<Arc<View>>> {
        self.look_now()?;
        Ok(self.view.load())
    }

    fn change(&self, change: &mut dyn Change, patience: Patience) -> Result<()> {
        if self.read_only {
            return Err(Error::with(
                Status::NoPermission,
                "This client is read-only: it was opened with read_only=true.",
            ));
        }
        let deadline = Instant::now()
            + match patience {
                Patience::Configured => self.lock_timeout,
                Patience::None => Duration::ZERO,
            };
        loop {
            let gate = fork::enter();
            let place = self.place()?;
            if let Some(lock) = Lock::try_take(&place)?
                && let Some(_busy) = self.try_busy(patience)
                // Not one that a switched link has left behind.
                && self.place()? == place
            {
                return self.write(change, &place, &lock);
            }
            drop(gate);
            wait(deadline)?;
        }
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// Marks that a thread looks ahead of time.
struct Early<'a>(&'a AtomicU64);

impl Drop for Early<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

fn next_epoch(epoch: u64) -> Result<u64> {
    epoch.checked_add(1).ok_or(Error::constant(
        Status::LimitExceeded,
        "The keystore's epoch is the last there is: it cannot be changed any more.",
    ))
}

/// Sleeps before the next try for the lock, or gives up. Nothing is held meanwhile, so that forks
/// go on.
fn wait(deadline: Instant) -> Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::new(Status::KeystoreBusy));
    }
    // Waiters of one keystore should not all wake at once.
    let mut random = [0; 1];
    random::fill(&mut random)?;
    thread::sleep(left.min(Duration::from_micros(500 + 16 * u64::from(random[0]))));
    Ok(())
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
