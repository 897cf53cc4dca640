//! `--metrics FILE`: written at the end, and put in its place as a whole, so that who reads it never sees a part.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hookpool::Snapshot;

use super::openmetrics::render;
use crate::cli::error::CliError;

/// A place where the metrics can be written.
#[derive(Debug)]
pub(in crate::cli) struct MetricsFile {
    path: PathBuf,
    folder: PathBuf,
}

impl MetricsFile {
    /// Nothing is written yet; but what is certain to fail at the end fails here, before any hook runs.
    pub(in crate::cli) fn at(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            let words = "--metrics needs a file: standard output is for the report";
            return Err(CliError::Usage(words.to_owned()));
        }
        let refuse = |source| CliError::Metrics { path: path.to_owned(), source };
        // A link stays, and what it points to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&target) {
            Ok(found) if !found.is_file() => {
                return Err(refuse(io::Error::other("it is there, and no file")));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refuse(error)),
            _ => {}
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        if !folder.is_dir() {
            return Err(refuse(io::Error::new(io::ErrorKind::NotFound, "there is no such folder")));
        }
        Ok(Self { path: target, folder })
    }

    pub(in crate::cli) fn write(&self, snapshot: Snapshot) -> Result<(), CliError> {
        let Self { path, folder } = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let draft = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let write = || {
            File::create_new(&draft)?.write_all(render(snapshot).as_bytes())?;
            fs::rename(&draft, path)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&draft);
            CliError::Metrics { path: path.clone(), source }
        })
    }
}
