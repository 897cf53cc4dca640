//! Which configuration files have changed: a descriptor that is readable when one may have, and nothing that runs
//! meanwhile.
//!
//! Folders are watched and not files, since editors write a new file and give it the old one's name. Where a folder is
//! missing, the nearest one above it is watched for its coming. What is a link is looked at with its folder as a whole:
//! what it leads to may be another link there.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: OwnedFd,
    wanted: Vec<Wanted>,
}

/// Something in a watched folder.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    folder: i32,
    /// `None`: whatever happens there.
    name: Option<OsString>,
    path: PathBuf,
}

impl Watch {
    const WHAT: WatchFlags = WatchFlags::CREATE
        .union(WatchFlags::CLOSE_WRITE)
        .union(WatchFlags::MOVE)
        .union(WatchFlags::DELETE)
        .union(WatchFlags::MOVE_SELF)
        .union(WatchFlags::DELETE_SELF)
        .union(WatchFlags::ONLYDIR);

    pub(super) fn new(files: &[PathBuf]) -> io::Result<Self> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watch = Self { inotify, wanted: Vec::new() };
        watch.set(files);
        Ok(watch)
    }

    /// Watches these from now on. A folder that cannot be watched is left out. True: other places are watched than before,
    /// so what has happened there until now may have gone unseen.
    pub(super) fn set(&mut self, files: &[PathBuf]) -> bool {
        let before = std::mem::take(&mut self.wanted);
        for file in files {
            let is_link = std::fs::symlink_metadata(file).is_ok_and(|about| about.is_symlink());
            self.want(file, is_link);
            if is_link && let Ok(target) = file.canonicalize() {
                self.want(&target, false);
            }
        }
        let folders = before.iter().map(|old| old.folder);
        for folder in folders.filter(|folder| self.wanted.iter().all(|new| new.folder != *folder)) {
            // Unless the folder itself has gone, and its watch with it.
            let _ = remove_watch(&self.inotify, folder);
        }
        self.wanted != before
    }

    fn want(&mut self, file: &Path, whatever: bool) {
        for path in file.ancestors() {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
            if let Ok(folder) = add_watch(&self.inotify, folder, Self::WHAT) {
                let name = (!whatever || path != file).then(|| name.to_owned());
                self.wanted.push(Wanted { folder, name, path: path.to_owned() });
                return;
            }
        }
    }

    /// Takes what has happened. True: a file that is watched for may have changed.
    pub(super) fn has_changed(&mut self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        let mut changed = false;
        // It ends with an error when there is nothing more to read.
        while let Ok(event) = events.next() {
            let name = event.file_name().map(|name| std::ffi::OsStr::from_bytes(name.to_bytes()));
            let is_wanted = |wanted: &Wanted| {
                // A file that is created is written next.
                let is_new_file = || {
                    event.events().contains(ReadFlags::CREATE)
                        && wanted.name.is_some()
                        && wanted.path.is_file()
                };
                let is_its_name = name.is_none() || wanted.name.is_none() || wanted.name.as_deref() == name;
                wanted.folder == event.wd() && is_its_name && !is_new_file()
            };
            let is_lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            changed |= is_lost || self.wanted.iter().any(is_wanted);
        }
        changed
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever read the files before a folder came has not seen what is in it, and its coming is no news afterwards.
    #[test]
    fn a_folder_that_came_since_the_files_were_read_is_told() {
        let place = tempfile::tempdir().unwrap();
        let files = [place.path().join("config/hooks.toml")];
        let mut watch = Watch::new(&files).unwrap();
        assert!(!watch.set(&files));
        std::fs::create_dir(place.path().join("config")).unwrap();
        assert!(watch.set(&files));
        assert!(!watch.has_changed() && !watch.set(&files));
    }
}
