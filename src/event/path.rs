//! Paths into a payload, the values at their ends, and looking up many paths in one pass.
//!
//! A [`PathTrie`] holds the paths that somebody asks for. It reads a payload once, goes into the members that lead
//! to one of them, and steps over everything else; no tree of the payload is built. Recursion is as deep as the
//! longest path, which [`FieldPath::MAX_SEGMENTS`] bounds, whatever the payload's depth.
//!
//! It does not compare values; the matcher does.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::scan::{Scan, decode};
use crate::text::shown;

/// A path to a field of a payload: `tool_input.args.0`.
///
/// Segments are separated by dots; each names a member of an object, or is the index of an element of an array,
/// from 0. `\.` is a dot inside a member's name and `\\` a backslash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    segments: Box<[Box<str>]>,
}

impl FieldPath {
    /// Most segments of a path.
    pub const MAX_SEGMENTS: usize = 32;
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut segment = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '.' => segments.push(std::mem::take(&mut segment).into_boxed_str()),
                '\\' => match letters.next() {
                    Some(escaped @ ('.' | '\\')) => segment.push(escaped),
                    _ => {
                        return Err(format!(
                            "`{}` is no path: `\\` goes before `.` or `\\` only",
                            shown(text)
                        ));
                    }
                },
                _ => segment.push(letter),
            }
        }
        segments.push(segment.into_boxed_str());
        if segments.iter().any(|segment| segment.is_empty()) {
            let text = shown(text);
            return Err(format!("`{text}` is no path: it has an empty segment; write it like `a.b.0`"));
        }
        if segments.len() > Self::MAX_SEGMENTS {
            return Err(format!(
                "the path has {} segments, at most {} go",
                segments.len(),
                Self::MAX_SEGMENTS
            ));
        }
        Ok(Self { segments: segments.into() })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.segments.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(&segment.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// A value that a field can be compared with. Numbers are equal when their values are, however they are written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar<'a> {
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// A whole number, exact; also `1.0` and `1e3`.
    Integer(i128),
    /// Any other number, as the nearest 64-bit float.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
}

impl Scalar<'_> {
    /// The number that a JSON number's text means.
    fn number(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(whole) => Some(Self::Integer(whole)),
            Err(_) => text.parse().ok().map(Self::float),
        }
    }

    /// A float, or the integer that it equals, so that each number has one form.
    pub(crate) fn float(value: f64) -> Self {
        /// 2 to the power of 127.
        const BEYOND: f64 = 1.701_411_834_604_692_3e38;
        if value.fract() == 0.0 && value.abs() < BEYOND {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            Self::Integer(value as i128)
        } else {
            Self::Float(value)
        }
    }

    /// What a hash table knows it by.
    pub(crate) fn key(&self) -> ValueKey<'_> {
        match self {
            Self::Text(text) => ValueKey::Text(text),
            Self::Integer(number) => ValueKey::Other(0, *number),
            Self::Float(number) => ValueKey::Other(1, i128::from(number.to_bits())),
            Self::Bool(value) => ValueKey::Other(2, i128::from(*value)),
        }
    }
}

/// A [`Scalar`] as a key: equal keys are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ValueKey<'a> {
    Text(&'a str),
    /// The type's number, then the value's bits.
    Other(u8, i128),
}

/// Many paths, looked up together. Each is known by its place in the sorted list of paths.
#[derive(Debug)]
pub(crate) struct PathTrie {
    paths: Box<[FieldPath]>,
    root: Node,
    /// Longer texts are not decoded: nobody compares with them. In bytes.
    longest: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// Some path ends here.
    is_leaf: bool,
    /// The places of the paths that end here or below; the one that ends here is the first.
    leaves: Range<usize>,
    /// By name, sorted.
    members: Box<[(Box<str>, Node)]>,
    /// The members that can be an index too: `(index, place in members)`, sorted.
    elements: Box<[(usize, usize)]>,
}

impl PathTrie {
    /// A trie of the paths; texts of more than `longest` bytes count as missing.
    pub(crate) fn new(mut paths: Vec<FieldPath>, longest: usize) -> Self {
        paths.sort_unstable();
        paths.dedup();
        let root = Node::new(&paths, 0, 0);
        Self { paths: paths.into(), root, longest }
    }

    /// The place of a path in the list.
    pub(crate) fn place(&self, path: &FieldPath) -> Option<usize> {
        self.paths.binary_search(path).ok()
    }

    /// The scalars in `json` that are at the end of a path, by the path's place, ascending.
    pub(crate) fn find<'a>(&self, json: &'a [u8]) -> Vec<(usize, Scalar<'a>)> {
        let mut found = Vec::new();
        // What ends the walk early is text that is not JSON, which no event has.
        let _ = self.root.walk(&mut Scan::new(json), self.longest, &mut found);
        found.sort_unstable_by_key(|(place, _)| *place);
        found
    }
}

impl Node {
    /// The node of paths that share their first `depth` segments; the first of them has the place `first`.
    fn new(paths: &[FieldPath], depth: usize, first: usize) -> Self {
        let segment = |path: &FieldPath| path.segments.get(depth).cloned();
        // Sorted, the path that ends here comes first.
        let is_leaf = depth > 0 && paths.first().is_some_and(|path| path.segments.len() == depth);
        let mut next = first + usize::from(is_leaf);
        let below = paths.get(usize::from(is_leaf)..).unwrap_or_default();
        let members: Box<[_]> = below
            .chunk_by(|a, b| segment(a) == segment(b))
            .filter_map(|group| {
                let node = Self::new(group, depth + 1, next);
                next = node.leaves.end;
                Some((segment(group.first()?)?, node))
            })
            .collect();
        let mut elements: Vec<_> = members
            .iter()
            .enumerate()
            .filter_map(|(place, (name, _))| Some((element_index(name)?, place)))
            .collect();
        elements.sort_unstable();
        Self { is_leaf, leaves: first..next, members, elements: elements.into() }
    }

    fn member(&self, quoted: &[u8]) -> Option<&Self> {
        let name = decode(quoted)?;
        let at = self.members.binary_search_by(|(known, _)| (**known).cmp(&name)).ok()?;
        self.members.get(at).map(|(_, node)| node)
    }

    fn element(&self, index: usize) -> Option<&Self> {
        let at = self.elements.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        let (_, place) = self.elements.get(at)?;
        self.members.get(*place).map(|(_, node)| node)
    }

    /// Reads one value and what is wanted of it.
    fn walk<'a>(
        &self,
        scan: &mut Scan<'a>,
        longest: usize,
        found: &mut Vec<(usize, Scalar<'a>)>,
    ) -> Option<()> {
        match scan.peek()? {
            b'{' if !self.members.is_empty() => {
                scan.bump();
                loop {
                    match scan.peek()? {
                        b'"' => {
                            let member = self.member(scan.string()?);
                            scan.peek()?;
                            scan.bump();
                            let Some(member) = member else {
                                scan.skip()?;
                                continue;
                            };
                            // A member that comes again replaces all that came with it before.
                            found.retain(|(place, _)| !member.leaves.contains(place));
                            member.walk(scan, longest, found)?;
                        }
                        b',' => scan.bump(),
                        _ => {
                            scan.bump();
                            return Some(());
                        }
                    }
                }
            }
            b'[' if !self.elements.is_empty() => {
                scan.bump();
                let mut index = 0;
                loop {
                    match scan.peek()? {
                        b']' => {
                            scan.bump();
                            return Some(());
                        }
                        b',' => {
                            scan.bump();
                            index += 1;
                        }
                        _ => match self.element(index) {
                            Some(element) => element.walk(scan, longest, found)?,
                            None => scan.skip()?,
                        },
                    }
                }
            }
            b'"' if self.is_leaf => {
                let quoted = scan.string()?;
                // An escape takes at most six bytes for one.
                if quoted.len() / 6 <= longest {
                    found.extend(decode(quoted).map(|text| (self.leaves.start, Scalar::Text(text))));
                }
                Some(())
            }
            b'{' | b'[' | b'"' => scan.skip(),
            _ => {
                let word = scan.word()?;
                let value = match word {
                    "true" => Some(Scalar::Bool(true)),
                    "false" => Some(Scalar::Bool(false)),
                    "null" => None,
                    number => Scalar::number(number),
                };
                if self.is_leaf {
                    found.extend(value.map(|value| (self.leaves.start, value)));
                }
                Some(())
            }
        }
    }
}

/// The index that a segment is, if it is written as numbers are.
fn element_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with('0');
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits { segment.parse().ok() } else { None }
}
