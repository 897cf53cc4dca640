//! The text of a file and positions in it; where each value of a layer stands.
//!
//! A [`Spot`] is cheap to clone and knows just enough; lines and columns are counted only for what is reported.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{Origin, Position, shown, told};
use crate::redact::Redactor;
use crate::text::is_unsafe;

/// A configuration file's text.
#[derive(Debug)]
pub(crate) struct SourceText {
    /// As the user knows it.
    name: PathBuf,
    /// The folder that relative paths in it start from; absolute.
    dir: PathBuf,
    text: String,
    /// Byte offset of the first character of each line.
    lines: Vec<usize>,
}

impl SourceText {
    pub(crate) fn new(name: PathBuf, dir: PathBuf, text: String) -> Self {
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { name, dir, text, lines }
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn position(&self, offset: usize) -> Position {
        /// Characters shown on each side of the caret.
        const SIDE: usize = 70;
        let offset = self.text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        let column = before.chars().count();
        let rest = self.text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let rest = Redactor::default().starred(rest);
        let skipped = column.saturating_sub(SIDE);
        let text = rest
            .chars()
            .skip(skipped)
            .take(2 * SIDE)
            .map(|c| if is_unsafe(c) { ' ' } else { c })
            .collect::<String>();
        Position { line: line.max(1), column: column + 1, text, caret: column - skipped }
    }
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    BuiltIn,
    /// Byte offset in the file.
    File(Arc<SourceText>, usize),
    /// Name and value of the variable.
    Variable(Arc<(String, String)>),
    /// Key and value as the program gave them.
    Override(Arc<(String, String)>),
}

impl Spot {
    pub(super) fn variable(name: &str, value: &str) -> Self {
        Self::Variable(Arc::new((name.to_owned(), value.to_owned())))
    }

    /// The place of one character in the text that stands here, counted from 1, if it is written without escapes.
    pub(super) fn inside(&self, text: &str, column: usize) -> Option<Self> {
        let Self::File(source, offset) = self else { return None };
        let written = source.text.get(*offset..)?;
        let quote = written.chars().next().filter(|c| "\"'".contains(*c))?;
        let is_plain = written.get(1..)?.strip_prefix(text)?.starts_with(quote);
        // Three quotes open a text of several lines, which may begin behind a line break.
        let at = text.char_indices().nth(column.checked_sub(1)?).map_or(text.len(), |(at, _)| at);
        is_plain.then(|| Self::File(Arc::clone(source), offset + 1 + at))
    }

    /// The folder of the file that it stands in.
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::File(source, _) => Some(source.dir()),
            _ => None,
        }
    }

    /// The same place for a reader.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::BuiltIn => Origin::BuiltIn,
            Self::File(source, offset) => {
                Origin::File { path: source.name.clone(), position: Some(source.position(*offset)) }
            }
            Self::Variable(pair) => {
                Origin::Variable { name: shown(&pair.0), value: shown(&told(&pair.0, &pair.1)) }
            }
            Self::Override(pair) => {
                Origin::Override { key: shown(&pair.0), value: shown(&told(&pair.0, &pair.1)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, offset: usize) -> (usize, usize, String, usize) {
        let source = SourceText::new("f".into(), "/".into(), text.to_owned());
        let at = source.position(offset);
        (at.line, at.column, at.text, at.caret)
    }

    #[test]
    fn columns_are_characters() {
        assert_eq!(place("ä = 1\nb = ü x", 14), (2, 7, "b = ü x".into(), 6));
        assert_eq!(place("", 0), (1, 1, String::new(), 0));
        assert_eq!(place("a\n", 99), (2, 1, String::new(), 0));
    }

    #[test]
    fn a_long_line_is_shown_around_the_caret() {
        let (_, column, text, caret) = place(&"x".repeat(10_000), 5000);
        assert_eq!((column, text.len(), caret), (5001, 140, 70));
    }
}
