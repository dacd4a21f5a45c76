//! A keystore on disk: views kept fresh by looks, changes made under the lock.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use super::disk::{self, Lock, Signature};
use super::format::{self, Header, Labelled};
use super::slot::Slot;
use super::state::State;
use super::store_key::{KeyBytes, Seal, StoreKey};
use super::view::View;
use super::{Edit, Keystore};
use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::random;
use crate::root_key::RootKey;
use crate::secret::{Arena, fork};

/// A keystore in one sealed file.
pub struct SealedFile {
    path: PathBuf,
    read_only: bool,
    interval: Nanos,
    lock_timeout: Duration,
    loaded: ArcSwap<Loaded>,
    /// The view alone, for the hot path; it always comes from `loaded`.
    view: ArcSwap<View>,
    born: Instant,
    /// When the last look that found the view right began.
    looked: AtomicU64,
    /// Whether a thread is looking ahead of time.
    early: AtomicBool,
    /// Held, inside the fork gate, by the thread that reads or writes the file.
    busy: Mutex<()>,
}

/// Nanoseconds since the keystore was opened.
type Nanos = u64;

/// The file as it was last read or written.
struct Loaded {
    header: Header,
    signature: Signature,
    seal: Seal,
    view: Arc<View>,
}

impl SealedFile {
    /// Opens the file, or makes it if the options say so.
    pub fn open(path: &std::path::Path, options: &Options, arena: &Arc<Arena>) -> Result<Self> {
        let path = disk::resolve(path)?;
        let root = options.root_key()?;
        let born = Instant::now();
        let deadline = born + options.lock_timeout;
        let (file, signature) = loop {
            let gate = fork::enter();
            if let Some(read) = disk::read(&path)? {
                break read;
            }
            if !options.create {
                return Err(Error::with(
                    Status::KeystoreNotFound,
                    format!("There is no keystore at {}.", path.display()),
                ));
            }
            // Whoever loses the race reads the winner's file in the next round.
            if let Some(lock) = Lock::try_take(&path)?
                && create(&path, &root, arena, &lock)?
            {
                continue;
            }
            drop(gate);
            wait(deadline)?;
        };
        let unverified = format::parse(&file)?;
        let header = unverified.header();
        let store_key = Slot::open_any(&header.slots, header.keystore_id, &root)?;
        drop(root);
        let store_key = Arc::new(StoreKey::new(header.keystore_id, &store_key, arena)?);
        let state = unverified.verify(&store_key)?;
        let view = Arc::new(View::new(state, store_key, header.epoch, None));
        Ok(SealedFile {
            path,
            read_only: options.read_only,
            interval: nanos(options.refresh_interval),
            lock_timeout: options.lock_timeout,
            view: ArcSwap::new(Arc::clone(&view)),
            loaded: ArcSwap::from_pointee(Loaded {
                header,
                signature,
                seal: unverified.seal.clone(),
                view,
            }),
            born,
            looked: AtomicU64::new(0),
            early: AtomicBool::new(false),
            busy: Mutex::new(()),
        })
    }

    /// One `stat`; the file is read only where that says it is another one.
    fn look_now(&self) -> Result<()> {
        let began = self.now();
        if self.signature()? != self.loaded.load().signature {
            return self.reload();
        }
        self.looked.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    fn reload(&self) -> Result<()> {
        let _gate = fork::enter();
        let _busy = self.lock_busy();
        self.catch_up()
    }

    /// Reads the file if it is not the one loaded. The caller is the one busy thread.
    fn catch_up(&self) -> Result<()> {
        let began = self.now();
        if self.signature()? != self.loaded.load().signature {
            let read = disk::read(&self.path).map_err(|error| self.altered(error))?;
            let (file, signature) = read.ok_or_else(|| self.gone())?;
            self.install(&file, signature)?;
        }
        self.looked.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    fn install(&self, file: &Labelled, signature: Signature) -> Result<()> {
        let old = self.loaded.load();
        let store_key = old.view.store_key();
        let unverified = format::parse(file).map_err(|error| self.altered(error))?;
        let state = unverified.verify(store_key)?;
        let header = unverified.header();
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
        self.take_over(header, signature, seal, state);
        Ok(())
    }

    fn take_over(&self, header: Header, signature: Signature, seal: Seal, state: State) {
        let old = self.loaded.load();
        let view = Arc::new(View::new(
            state,
            Arc::clone(old.view.store_key()),
            header.epoch,
            Some(&old.view),
        ));
        self.loaded.store(Arc::new(Loaded {
            header,
            signature,
            seal,
            view: Arc::clone(&view),
        }));
        self.view.store(view);
    }

    fn write(&self, edit: &mut Edit<'_>, lock: &Lock) -> Result<()> {
        self.catch_up()?;
        let old = self.loaded.load();
        let store_key = old.view.store_key();
        let mut state = old.view.state().clone();
        edit(&mut state, store_key)?;
        let mut header = old.header.clone();
        header.epoch += 1;
        let (file, seal) = format::encode(&header, &state, store_key)?;
        let began = self.now();
        disk::replace(&self.path, file.file(), lock)?;
        let signature = self.signature()?;
        self.take_over(header, signature, seal, state);
        self.looked.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    fn signature(&self) -> Result<Signature> {
        Signature::of(&self.path).map_err(|error| match error.status() {
            Status::KeystoreNotFound => self.gone(),
            _ => error,
        })
    }

    /// A file that was a keystore of ours is not a stranger's now: it was altered.
    fn altered(&self, error: Error) -> Error {
        match error.status() {
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
        } else if age >= self.interval / 2 && !self.early.swap(true, Ordering::AcqRel) {
            // What is wrong now is reported when the interval is over and the view may not serve.
            let _ = self.look_now();
            self.early.store(false, Ordering::Release);
        }
        Ok(self.view.load())
    }

    fn look(&self) -> Result<Guard<Arc<View>>> {
        self.look_now()?;
        Ok(self.view.load())
    }

    fn change(&self, edit: &mut Edit<'_>) -> Result<()> {
        if self.read_only {
            return Err(Error::with(
                Status::NoPermission,
                "This client is read-only: it was opened with read_only=true.",
            ));
        }
        let deadline = Instant::now() + self.lock_timeout;
        loop {
            let gate = fork::enter();
            if let Some(lock) = Lock::try_take(&self.path)? {
                let _busy = self.lock_busy();
                return self.write(edit, &lock);
            }
            drop(gate);
            wait(deadline)?;
        }
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Makes an empty keystore. `false`: something is there.
fn create(path: &std::path::Path, root: &RootKey, arena: &Arc<Arena>, lock: &Lock) -> Result<bool> {
    let keystore_id = random::uuid()?;
    let mut bytes = KeyBytes::default();
    random::fill(&mut bytes[..])?;
    let header = Header {
        keystore_id,
        epoch: 1,
        slots: vec![Slot::seal(keystore_id, root, &bytes)?],
    };
    let store_key = StoreKey::new(keystore_id, &bytes, arena)?;
    let (file, _) = format::encode(&header, &State::default(), &store_key)?;
    disk::create(path, file.file(), lock)
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
