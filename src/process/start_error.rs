//! Why a handler did not start, in words that help.
//!
//! The system says "no such file or directory" for a missing program, a missing interpreter and a missing working
//! directory alike. [`diagnose`] looks at the files again and tells them apart.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a handler did not start. Each text ends with what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such program.
    #[error("no program `{}`{}", program.display(), place_text(searched.as_ref(), from.as_deref()))]
    Missing {
        /// What the hook names.
        program: OsString,
        /// The `PATH` that was searched, if it was.
        searched: Option<OsString>,
        /// The working directory that a relative path was taken from, if it is one.
        from: Option<PathBuf>,
    },
    /// The file is there, but may not be executed, or is no file.
    #[error("`{}` is not an executable file; make it one with `chmod +x`, or name its interpreter first in `run`", program.display())]
    NotExecutable { program: PathBuf },
    /// A text file that does not say what interprets it.
    #[error("`{}` is text without an interpreter line; begin it with one such as `#!/bin/sh`, or name its interpreter first in `run`", program.display())]
    NoInterpreterLine { program: PathBuf },
    /// Executable, but nothing that this machine can execute.
    #[error("`{}` is no program for this machine; build it for this system and processor", program.display())]
    WrongFormat { program: PathBuf },
    /// The interpreter of its first line, or its loader, is missing.
    #[error("`{}` is there, but its interpreter `{interpreter}` is not; install it or correct the file's first line", program.display())]
    MissingInterpreter { program: PathBuf, interpreter: String },
    /// The working directory cannot be entered.
    #[error("working directory `{}` cannot be entered: {why}; create it or correct `cwd`", cwd.display())]
    BadCwd { cwd: PathBuf, why: String },
    /// No file descriptor is left.
    #[error("no file descriptor is left; raise `ulimit -n`, or lower `workers`")]
    DescriptorLimit,
    /// No process can be added.
    #[error(
        "no process can be added; raise `ulimit -u` or the container's process limit, or lower `workers`"
    )]
    ProcessLimit,
    /// No memory is left.
    #[error("no memory is left to start a process; lower `workers`, or give the machine more")]
    OutOfMemory,
    /// Arguments and environment together are too long.
    #[error("arguments and environment are too long; pass large data on standard input")]
    TooLong,
    /// The program's file is being written.
    #[error("`{}` is being written to; replace programs by renaming a complete file", program.display())]
    Busy { program: PathBuf },
    /// The system refuses one of its limits: its program runs as another user.
    #[error(
        "its limit `limits.{key}` could not be set ({why}), so it was killed; a program that changes its user cannot have limits"
    )]
    NotBound { key: String, why: String },
    /// `SIGCHLD` is ignored, which the portable waiter would not survive.
    #[error("this process ignores SIGCHLD; register a handler for it before the first run")]
    ChildSignalIgnored,
    /// It was cancelled before it could start.
    #[error("cancelled before it started")]
    Cancelled,
    /// Anything else.
    #[error("`{}` could not be started: {why}", program.display())]
    Other { program: PathBuf, why: String },
}

fn place_text(searched: Option<&OsString>, from: Option<&Path>) -> String {
    match (searched, from) {
        (Some(path), _) => {
            format!(" in PATH (searched {}); install it, or give its full path", path.display())
        }
        (None, Some(cwd)) => {
            format!(" in the working directory `{}`; create it, or correct its path or `cwd`", cwd.display())
        }
        (None, None) => "; create it, or correct its path".to_owned(),
    }
}

/// What a failed start really means.
pub(super) fn diagnose(error: &io::Error, program: &Path, cwd: &Path) -> StartError {
    let program = program.to_owned();
    let Some(errno) = Errno::from_io_error(error) else {
        return StartError::Other { program, why: error.to_string() };
    };
    match errno {
        Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP => cwd_problem(cwd)
            .or_else(|| program_problem(&program))
            .unwrap_or_else(|| StartError::Other { program, why: error.to_string() }),
        Errno::NOEXEC => match first_bytes(&program).as_deref() {
            Some(bytes) if bytes.contains(&0) => StartError::WrongFormat { program },
            _ => StartError::NoInterpreterLine { program },
        },
        Errno::MFILE | Errno::NFILE => StartError::DescriptorLimit,
        Errno::AGAIN => StartError::ProcessLimit,
        Errno::NOMEM => StartError::OutOfMemory,
        Errno::TOOBIG => StartError::TooLong,
        Errno::TXTBSY => StartError::Busy { program },
        _ => StartError::Other { program, why: error.to_string() },
    }
}

fn cwd_problem(cwd: &Path) -> Option<StartError> {
    let why = match cwd.metadata() {
        Err(error) => error.to_string(),
        Ok(meta) if !meta.is_dir() => "it is no directory".to_owned(),
        // To enter a directory takes its `x` permission.
        Ok(_) => rustix::fs::access(cwd, rustix::fs::Access::EXEC_OK).err()?.to_string(),
    };
    Some(StartError::BadCwd { cwd: cwd.to_owned(), why })
}

fn program_problem(program: &Path) -> Option<StartError> {
    if let Err(error) = program.metadata() {
        return (error.kind() == io::ErrorKind::NotFound).then(|| StartError::Missing {
            program: program.into(),
            searched: None,
            from: None,
        });
    }
    if rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_err() || !program.is_file() {
        return Some(StartError::NotExecutable { program: program.to_owned() });
    }
    // The file is fine, so the missing one is what it needs.
    let bytes = first_bytes(program)?;
    let interpreter = interpreter(&bytes).unwrap_or_else(|| "its dynamic loader".to_owned());
    Some(missing_interpreter(program, &interpreter))
}

/// The interpreter that the program's first line names is missing, or that which it has `env` look for. `is_program`
/// says whether there is a program of that name.
pub(super) fn interpreter_problem(program: &Path, is_program: impl Fn(&str) -> bool) -> Option<StartError> {
    let bytes = first_bytes(program)?;
    let mut words = first_line(&bytes)?;
    let first = words.next()?;
    let of_env = words.find(|word| !word.starts_with('-')).filter(|word| !word.contains('='));
    let needed = [Some(first.clone()), of_env.filter(|_| first.ends_with("/env"))];
    needed
        .into_iter()
        .flatten()
        .find(|name| !is_program(name))
        .map(|name| missing_interpreter(program, &name))
}

fn missing_interpreter(program: &Path, name: &str) -> StartError {
    let interpreter = match name.strip_suffix('\r') {
        Some(name) => format!("{name}\\r` (the line ends in CR LF) `"),
        None => name.to_owned(),
    };
    StartError::MissingInterpreter { program: program.to_owned(), interpreter }
}

/// The interpreter that a file's first line names.
fn interpreter(bytes: &[u8]) -> Option<String> {
    first_line(bytes)?.next()
}

/// The words of a first line that names an interpreter.
fn first_line(bytes: &[u8]) -> Option<impl Iterator<Item = String>> {
    let line = bytes.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let words = line.split(|&byte| byte == b' ' || byte == b'\t').filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()))
}

fn first_bytes(program: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_the_first_word_of_the_first_line() {
        for (text, name) in [
            ("#!/bin/sh\necho", Some("/bin/sh")),
            ("#! /usr/bin/env python3", Some("/usr/bin/env")),
            ("#!/bin/sh -e\n", Some("/bin/sh")),
            ("echo\n#!/bin/sh", None),
            ("", None),
        ] {
            assert_eq!(interpreter(text.as_bytes()).as_deref(), name, "{text:?}");
        }
    }

    #[test]
    fn every_system_error_has_its_kind() {
        let program = Path::new("/bin/sh");
        for (errno, kind) in [
            (Errno::MFILE, StartError::DescriptorLimit),
            (Errno::NFILE, StartError::DescriptorLimit),
            (Errno::AGAIN, StartError::ProcessLimit),
            (Errno::NOMEM, StartError::OutOfMemory),
            (Errno::TOOBIG, StartError::TooLong),
            (Errno::TXTBSY, StartError::Busy { program: program.into() }),
            (Errno::NOEXEC, StartError::WrongFormat { program: program.into() }),
        ] {
            assert_eq!(diagnose(&errno.into(), program, Path::new("/")), kind);
        }
        let odd = diagnose(&io::Error::other("odd"), program, Path::new("/"));
        assert_eq!(odd.to_string(), "`/bin/sh` could not be started: odd");
    }
}
