//! A configuration file as a layer: read within limits, parsed with positions, and every mistake in it found at once.
//!
//! Syntax is the exception: a file that is no TOML has one problem, at the place where it stops being TOML, and
//! gives no layer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::layer::{Key, Layer, Place, Walk};
use super::problem::{Origin, Problems, Severity, shown};
use super::source::{SourceText, Spot};

/// Largest configuration file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 4_000_000;

/// Reads a file within limits; `None`, with a problem, when that fails. `dir` is its folder.
pub(super) fn read_file(
    path: &Path,
    name: &Path,
    dir: &Path,
    problems: &mut Problems,
) -> Option<Arc<SourceText>> {
    match File::open(path) {
        Ok(file) => read_source(file, name, dir, problems),
        Err(error) => {
            cannot_read(name, &error, problems);
            None
        }
    }
}

/// [`read_file`] for one that is open.
pub(crate) fn read_source(
    from: impl Read,
    name: &Path,
    dir: &Path,
    problems: &mut Problems,
) -> Option<Arc<SourceText>> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
        cannot_read(name, &error, problems);
        return None;
    }
    source_of(name, dir, bytes, problems)
}

pub(crate) fn cannot_read(name: &Path, error: &io::Error, problems: &mut Problems) {
    let origin = Origin::File { path: name.to_owned(), position: None };
    problems.error(origin, "", format!("the file cannot be read: {error}"));
}

/// Text from anywhere as a file; `None`, with a problem, when it is too large or not text.
pub(super) fn source_of(
    name: &Path,
    dir: &Path,
    bytes: Vec<u8>,
    problems: &mut Problems,
) -> Option<Arc<SourceText>> {
    let origin = || Origin::File { path: name.to_owned(), position: None };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MB", MAX_FILE_BYTES / 1_000_000);
        problems.error(origin(), "", message);
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Arc::new(SourceText::new(name.to_owned(), dir.to_owned(), text))),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            // Up to the first bad byte it is text, so the place can be shown.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = Arc::new(SourceText::new(name.to_owned(), dir.to_owned(), text));
            problems.error(Spot::File(source, valid).origin(), "", "the file is not UTF-8 text".into());
            None
        }
    }
}

/// The file's layer; `None`, with a problem, when it is no TOML.
pub(super) fn layer_of(source: &Arc<SourceText>, problems: &mut Problems) -> Option<Layer> {
    let table = parse_file(source, problems)?;
    let mut layer = Layer::new(source.name().display().to_string());
    let mut walk = Walk::new(&mut layer, problems, Place::File(source));
    walk.table(&Key::default(), table.get_ref());
    Some(layer)
}

/// The file's table; `None`, with a problem, when it is no TOML.
pub(crate) fn parse_file<'a>(
    source: &'a Arc<SourceText>,
    problems: &mut Problems,
) -> Option<Spanned<DeTable<'a>>> {
    if let Some(at) = source.text().find('\0') {
        let origin = Spot::File(Arc::clone(source), at).origin();
        let hint = Some("a file in UTF-16 has to be saved as UTF-8".to_owned());
        problems.push(origin, "", Severity::Error, "no valid TOML: there is a NUL".into(), hint);
        return None;
    }
    let parsed = DeTable::parse(source.text());
    parsed
        .inspect_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let message = format!("no valid TOML: {}", shown(&error.message().replace('\n', ", ")));
            problems.error(Spot::File(Arc::clone(source), at).origin(), "", message);
        })
        .ok()
}
