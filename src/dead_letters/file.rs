//! The file of dead letters: appended to in whole lines, bounded by rotation, and nobody else's to read.
//!
//! `FILE` is the newest; `FILE.1` is what it was before, up to `FILE.N`. Several processes may write the same file: each
//! line is one write to its end, under a lock that only rotation needs. So a lock that somebody else holds too long is
//! done without, and then nothing is rotated.
//!
//! Invariant: what is opened is a regular file of this user that no link of somebody else has led to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::geteuid;

/// How often, and how long apart, a lock is asked for.
const TRIES: usize = 50;
const BETWEEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How many files that others rotate away, or that are full, are gone through for one line.
const ROTATIONS: usize = 100;

#[derive(Debug)]
pub(super) struct LetterFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    open: Option<File>,
    /// The last line may be torn: the next one has to begin on a line of its own.
    is_torn: bool,
}

/// Bits of a mode that let others look.
type Lax = Option<u32>;

impl LetterFile {
    pub(super) fn new(path: PathBuf, max_bytes: u64, keep: u32) -> Self {
        Self { path, max_bytes, keep, open: None, is_torn: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, unless it is open. The mode, if it is new to us and others may look at the file.
    pub(super) fn open(&mut self) -> io::Result<Lax> {
        if self.open.is_some() {
            return Ok(None);
        }
        let (file, mode) = open_own(&self.path)?;
        self.is_torn = !ends_with_line(&self.path, &file);
        self.open = Some(file);
        Ok(Some(mode & 0o777).filter(|mode| mode & 0o077 != 0))
    }

    /// Appends a line, which has its end with it.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<Lax> {
        if line.len() as u64 > self.max_bytes {
            let message =
                format!("a dead letter of {} bytes is larger than `dead_letters.max_bytes`", line.len());
            return Err(io::Error::new(ErrorKind::FileTooLarge, message));
        }
        let lax = self.open_with_room(line.len() as u64)?;
        let written = self.write(line);
        if let Some(file) = &self.open {
            let _ = file.unlock();
        }
        if written.is_err() {
            self.is_torn = true;
        }
        written.map(|()| lax)
    }

    /// Leaves the file open, and locked if that could be, with room for a line if it is locked.
    fn open_with_room(&mut self, line: u64) -> io::Result<Lax> {
        let mut lax = None;
        for _ in 0..ROTATIONS {
            lax = lax.or(self.open()?);
            let is_locked = self.lock();
            // Whoever had the lock may have rotated the file, or somebody has removed it: a lock on what the path no
            // longer leads to protects nothing.
            if !self.is_current() {
                self.open = None;
                continue;
            }
            let size = self.file()?.metadata()?.len();
            if !is_locked || size == 0 || size.saturating_add(line + 1) <= self.max_bytes {
                break;
            }
            // What comes next is somebody else's as much as ours: it is locked and looked at like this one.
            self.rotate()?;
        }
        Ok(lax.or(self.open()?))
    }

    pub(super) fn sync(&mut self) {
        // A file that could not be written has been complained about.
        let _ = self.open.take().map(|file| file.sync_data());
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let whole;
        let text = if self.is_torn {
            whole = [b"\n", line].concat();
            &whole
        } else {
            line
        };
        self.file()?.write_all(text)?;
        self.is_torn = false;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.open.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Whether the lock is ours. It goes when the file is closed.
    fn lock(&self) -> bool {
        let Some(file) = &self.open else { return false };
        (0..TRIES).any(|_| {
            let is_ours = file.try_lock().is_ok();
            if !is_ours {
                let _ = poll(&mut [] as &mut [PollFd<'_>], Some(&BETWEEN));
            }
            is_ours
        })
    }

    /// Whether the open file is still what the path leads to.
    fn is_current(&self) -> bool {
        let identity = |about: fs::Metadata| (about.dev(), about.ino());
        let open = self.open.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        open.is_some() && open == fs::metadata(&self.path).ok().map(identity)
    }

    /// Makes `FILE` `FILE.1`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        // Rotation is about the file that a link of this user leads to.
        let path = fs::canonicalize(&self.path)?;
        let numbered = |number: u32| -> PathBuf {
            let mut name: OsString = path.clone().into();
            name.push(format!(".{number}"));
            name.into()
        };
        for number in (1..self.keep).rev() {
            if let Err(error) = fs::rename(numbered(number), numbered(number + 1))
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        if self.keep == 0 { fs::remove_file(&path) } else { fs::rename(&path, numbered(1)) }?;
        // Who waits for the lock need not wait for the disk.
        if let Some(file) = &self.open {
            let _ = file.unlock();
        }
        self.sync();
        Ok(())
    }
}

/// Opens a file to append to it, with its mode.
fn open_own(path: &Path) -> io::Result<(File, u32)> {
    let file = match open_plain(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            if fs::symlink_metadata(path)?.uid() != geteuid().as_raw() {
                return Err(io::Error::new(
                    ErrorKind::PermissionDenied,
                    "it is a symbolic link of another user",
                ));
            }
            open_plain(&fs::canonicalize(path)?)?
        }
        other => other?,
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    if about.uid() != geteuid().as_raw() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    Ok((file, about.mode()))
}

fn open_plain(path: &Path) -> io::Result<File> {
    // A pipe of that name must not hold the thread up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Whether the file is empty or its last byte ends a line. Unknown counts as no.
fn ends_with_line(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::FileExt;
    let Ok(size) = file.metadata().map(|about| about.len()) else { return false };
    let mut last = [0];
    size == 0
        || File::open(path)
            .and_then(|file| file.read_exact_at(&mut last, size - 1))
            .is_ok_and(|()| last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn lines(path: &Path) -> usize {
        fs::read_to_string(path).map_or(0, |text| text.lines().count())
    }

    #[test]
    fn it_is_bounded_by_rotation_and_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let mut file = LetterFile::new(path.clone(), 100, 2);
        for number in 0..50 {
            assert_eq!(file.append(format!("line {number:04}\n").as_bytes()).unwrap(), None);
            for name in ["dead.jsonl", "dead.jsonl.1", "dead.jsonl.2"] {
                let about = fs::metadata(folder.path().join(name));
                assert!(
                    about.is_err()
                        || about.is_ok_and(|about| about.len() <= 100 && about.mode() & 0o777 == 0o600)
                );
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(fs::read_to_string(&path).unwrap().ends_with("line 0049\n"));
        let without = folder.path().join("none.jsonl");
        let mut file = LetterFile::new(without.clone(), 30, 0);
        for _ in 0..9 {
            file.append(b"123456789\n").unwrap();
        }
        assert!((1..=3).contains(&lines(&without)) && !folder.path().join("none.jsonl.1").exists());
        assert_eq!(file.append(&[b'x'; 31]).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn links_and_files_of_others_and_what_is_no_file_are_refused_and_a_lax_mode_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let open = |name: &str| LetterFile::new(path(name), 100, 1).open();
        fs::write(path("lax"), "").unwrap();
        fs::set_permissions(path("lax"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(open("lax").unwrap(), Some(0o644));
        std::os::unix::fs::symlink(path("target"), path("own")).unwrap();
        fs::write(path("target"), "").unwrap();
        assert!(open("own").is_ok());
        assert!(open("no/such/folder").is_err());
        fs::create_dir(path("folder")).unwrap();
        assert!(open("folder").is_err());
        std::os::unix::fs::symlink("/dev/full", path("device")).unwrap();
        assert_eq!(open("device").unwrap_err().to_string(), "it is no regular file");
        // Only root can make what belongs to somebody else.
        if geteuid().is_root() {
            std::os::unix::fs::lchown(path("own"), Some(12_345), None).unwrap();
            assert!(open("own").unwrap_err().to_string().contains("link of another user"));
            std::os::unix::fs::chown(path("target"), Some(12_345), None).unwrap();
            assert!(open("target").unwrap_err().to_string().contains("belongs to another user"));
        }
    }

    #[test]
    fn a_torn_line_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        fs::write(&path, "{\"torn").unwrap();
        LetterFile::new(path.clone(), 1000, 1).append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"torn\n{}\n");
    }

    #[test]
    fn who_writes_the_same_file_loses_no_line_and_keeps_the_bound_when_the_other_rotates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let write = |letter: char| {
            let mut file = LetterFile::new(path.clone(), 64, 500);
            for number in 0..500 {
                file.append(format!("{letter}{number}\n").as_bytes()).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for letter in ['a', 'b', 'c'] {
                scope.spawn(move || write(letter));
            }
        });
        let all = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let texts: Vec<String> = all.map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(texts.len() > 100 && texts.iter().all(|text| text.len() <= 64), "{texts:?}");
        let mut found: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        found.sort_unstable();
        let mut expected: Vec<_> =
            ['a', 'b', 'c'].iter().flat_map(|letter| (0..500).map(move |n| format!("{letter}{n}"))).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}
