//! Who may use a file: its owner, its group, its mode and its access list.
//!
//! Of a file with an access list the mode shows the list's mask where the bits of the group stand. They
//! are not what the group may do, and copied without the list they would let the group in.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr, getxattr};
use rustix::io::Errno;

/// The mode of a file that only its owner may use.
pub const OWNER_ONLY: u32 = 0o600;

const LIST: &str = "system.posix_acl_access";
/// More than 500 entries.
const LONGEST_LIST: usize = 4096;
const VERSION: [u8; 4] = 2_u32.to_le_bytes();

const OWNER: u16 = 1;
const OWNING_GROUP: u16 = 4;
const MASK: u16 = 16;
const OTHERS: u16 = 32;

const READ: u16 = 4;
const WRITE: u16 = 2;

/// What a file's owner, group, mode and access list are.
#[derive(Clone, Debug)]
pub struct Rights {
    device: u64,
    owner: u32,
    group: u32,
    /// As the access list has them; the three of the mode where there is no list.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    who: u16,
    may: u16,
    /// The user or group, of an entry that names one.
    id: [u8; 4],
}

impl Rights {
    /// Those of a file.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut list = vec![0; LONGEST_LIST];
        let len = getxattr(path, LIST, &mut list[..]);
        Self::new(&fs::metadata(path)?, entries(&list, len)?)
    }

    fn of_open(file: &File) -> io::Result<Self> {
        let mut list = vec![0; LONGEST_LIST];
        let len = fgetxattr(file, LIST, &mut list[..]);
        Self::new(&file.metadata()?, entries(&list, len)?)
    }

    fn new(metadata: &Metadata, list: Option<Vec<Entry>>) -> io::Result<Self> {
        Ok(Rights {
            device: metadata.dev(),
            owner: metadata.uid(),
            group: metadata.gid(),
            entries: list.unwrap_or_else(|| of_mode(metadata.mode())),
        })
    }

    /// The same, but that the owner may write in any case.
    pub fn and_owner_writes(mut self) -> Self {
        for entry in &mut self.entries {
            entry.may &= READ | WRITE;
            if entry.who == OWNER {
                entry.may = READ | WRITE;
            }
        }
        self
    }

    /// Reading and writing for the owner and for all who may write; nothing for those who only read.
    pub fn of_writers(mut self) -> Self {
        let mask = self.mask();
        for entry in &mut self.entries {
            let writes = match entry.who {
                OWNER | MASK => true,
                OTHERS => false,
                _ => entry.may & mask & WRITE != 0,
            };
            entry.may = if writes { READ | WRITE } else { 0 };
        }
        let others_write = |entry: &Entry| ![OWNER, MASK].contains(&entry.who) && entry.may != 0;
        if !self.entries.iter().any(others_write) {
            self.entries = of_mode(OWNER_ONLY);
        }
        self
    }

    /// Gives them to a file: the owner if this process may, the group, and then the rest. A file whose
    /// group cannot be given is left as it is.
    pub fn give(&self, file: &File) -> io::Result<()> {
        let now = Self::of_open(file)?;
        if (now.owner, now.group) != (self.owner, self.group) {
            fchown(file, Some(self.owner), Some(self.group))
                .or_else(|_| fchown(file, None, Some(self.group)))?;
        }
        if now.entries == self.entries {
            return Ok(());
        }
        match self.mode() {
            None => fsetxattr(file, LIST, &self.list(), XattrFlags::empty())?,
            Some(mode) => {
                // First, for without its list the mask would be the group's.
                file.set_permissions(fs::Permissions::from_mode(OWNER_ONLY))?;
                shed(file)?;
                file.set_permissions(fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }

    /// Gives them to a file beside the one that they are of, unless it may be a stranger's: one of
    /// another file system, or one that has another name too. Whoever may write in the directory can also
    /// give such a name to a file that is not his, so nobody gets one that has anything in it.
    pub fn give_beside(&self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        let own = metadata.is_file() && metadata.nlink() == 1 && metadata.dev() == self.device;
        match own && metadata.len() == 0 {
            true => self.give(file),
            false => Ok(()),
        }
    }

    /// Gives them to a file that was just made in this directory, if it is a directory of who gets the
    /// file: its path may have led elsewhere than it was meant to.
    pub fn give_in(&self, directory: &File, file: &File) -> io::Result<()> {
        let directory = directory.metadata()?;
        match directory.uid() == self.owner || self.are_shared(&directory) {
            true => self.give(file),
            false => Ok(()),
        }
    }

    /// Whether a file serves all whom these rights serve. It may have another owner only in a directory
    /// that a group shares, where the group may do what the owner may.
    pub fn are_of(&self, file: &File, directory: &Metadata) -> io::Result<bool> {
        let other = Self::of_open(file)?;
        let same = other.group == self.group && other.entries == self.entries;
        Ok(same && (other.owner == self.owner || self.are_shared(directory)))
    }

    /// A directory with the set-group-ID bit says that what is made in it is its group's, whoever makes it.
    fn are_shared(&self, directory: &Metadata) -> bool {
        const OF_THE_GROUP: u32 = 0o2020;
        let may = |who| {
            let entry = self.entries.iter().find(|entry| entry.who == who);
            entry.map_or(0, |entry| entry.may)
        };
        let group = may(OWNING_GROUP) & self.mask();
        directory.mode() & OF_THE_GROUP == OF_THE_GROUP
            && directory.gid() == self.group
            && group & WRITE != 0
            && may(OWNER) & !group == 0
    }

    fn mask(&self) -> u16 {
        let mask = self.entries.iter().find(|entry| entry.who == MASK);
        mask.map_or(u16::MAX, |mask| mask.may)
    }

    /// The mode that says all, where no list is needed.
    fn mode(&self) -> Option<u32> {
        match self.entries[..] {
            [owner, group, others] => {
                let [owner, group, others] = [owner, group, others].map(|e| u32::from(e.may));
                Some(owner << 6 | group << 3 | others)
            }
            _ => None,
        }
    }

    fn list(&self) -> Vec<u8> {
        let mut list = VERSION.to_vec();
        for entry in &self.entries {
            list.extend(entry.who.to_le_bytes());
            list.extend(entry.may.to_le_bytes());
            list.extend(entry.id);
        }
        list
    }
}

/// Takes from a new file the access list that its directory gave it; its mode says all then.
pub fn shed(file: &File) -> io::Result<()> {
    match fremovexattr(file, LIST) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn of_mode(mode: u32) -> Vec<Entry> {
    let places = [
        (OWNER, mode >> 6),
        (OWNING_GROUP, mode >> 3),
        (OTHERS, mode),
    ];
    let entry = |(who, bits)| Entry {
        who,
        may: u16::try_from(bits & 0o7).unwrap_or(0),
        id: [0xFF; 4],
    };
    places.map(entry).to_vec()
}

/// An access list as the system has it; `None` where there is none.
fn entries(list: &[u8], len: rustix::io::Result<usize>) -> io::Result<Option<Vec<Entry>>> {
    let list = match len {
        Ok(len) => &list[..len],
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(entries) = list.strip_prefix(&VERSION) else {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "its access list has an unknown form",
        ));
    };
    let (entries, _) = entries.as_chunks::<8>();
    let entry = |&[a, b, c, d, id @ ..]: &[u8; 8]| Entry {
        who: u16::from_le_bytes([a, b]),
        may: u16::from_le_bytes([c, d]),
        id,
    };
    Ok(Some(entries.iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: u16 = 2;

    fn rights(entries: &[(u16, u16)]) -> Rights {
        let entry = |&(who, may)| Entry {
            who,
            may,
            id: [0xFF; 4],
        };
        Rights {
            device: 0,
            owner: 1,
            group: 1,
            entries: entries.iter().map(entry).collect(),
        }
    }

    #[test]
    fn only_writers_get_at_what_writers_share() {
        for (keystore, lock) in [
            (0o600, 0o600),
            (0o400, 0o600),
            (0o640, 0o600),
            (0o644, 0o600),
            (0o660, 0o660),
            (0o664, 0o660),
        ] {
            let mut of_keystore = rights(&[]);
            of_keystore.entries = of_mode(keystore);
            assert_eq!(of_keystore.of_writers().mode(), Some(lock), "{keystore:o}");
        }
        // A user who reads, one who writes, one who would without the mask.
        let list = |user, group, mask| {
            rights(&[
                (OWNER, 6),
                (USER, user),
                (OWNING_GROUP, group),
                (MASK, mask),
                (OTHERS, 4),
            ])
        };
        assert_eq!(list(4, 4, 4).of_writers().mode(), Some(0o600));
        assert_eq!(list(6, 6, 4).of_writers().mode(), Some(0o600));
        let writers = list(6, 4, 6).of_writers();
        assert_eq!(writers.entries, list(6, 0, 6).of_writers().entries);
        assert_eq!(writers.mode(), None);
        assert_eq!(writers.entries[1].may, READ | WRITE);
        assert_eq!(writers.entries[2].may, 0);
    }
}
