//! Everything that was found to lead somewhere, and what the project has of real input, through its door: as it is, and
//! damaged in ways that follow from a seed.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::DOORS;

/// Damaged copies of each input.
const COPIES: u64 = 3;

/// Longest input that is tried more than once: the rest would take the time of many.
const LONGEST: usize = 20_000;

/// Where the project has real input for a door.
const FIXTURES: &[(&str, &str, &str)] = &[
    ("configuration", "tests/fixtures/check", "toml"),
    ("configuration", "tests/fixtures/config", "toml"),
    ("configuration", "config", "toml"),
    ("dead_letters", "tests/fixtures/events", "json"),
    ("event", "tests/fixtures/events", "json"),
];

/// What damage puts in: what means something to a parser, or what nobody thinks of.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xEF\xBB\xBF",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"=",
    b".",
    b"'",
    b"\\ud800",
    b"\\u0000",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"null",
    b"true",
    b"${",
    b"#",
    b"\x1b[2J",
    "\u{202e}".as_bytes(),
];

fn files(folder: &Path, extension: Option<&str>, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, extension, found);
        } else if extension.is_none_or(|extension| path.extension().is_some_and(|own| own == extension)) {
            found.push(path);
        }
    }
}

/// The inputs of a door, in the same order everywhere.
fn inputs(door: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    // A package has none: it is only in the repository.
    files(&root.join("fuzz/corpus").join(door), None, &mut found);
    for (_, folder, extension) in FIXTURES.iter().filter(|(own, ..)| *own == door) {
        files(&root.join(folder), Some(extension), &mut found);
    }
    found.sort_unstable();
    found
}

struct Damage(u64);

impl Damage {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn of(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(20)).min(bytes.len());
            match self.below(5) {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.truncate(at),
                2 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => drop(bytes.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied())),
            }
        }
        bytes
    }
}

/// Gives the door everything that there is for it.
fn try_everything(door: &str) {
    let (_, property) = DOORS.iter().find(|(name, _)| *name == door).unwrap();
    let check = |bytes: &[u8], what: &str| {
        let held = catch_unwind(AssertUnwindSafe(|| property(bytes)));
        assert!(held.is_ok(), "the door `{door}` fails for {what}:\n{}", bytes.escape_ascii());
    };
    check(b"", "nothing");
    for token in TOKENS {
        check(token, "a token");
    }
    for path in inputs(door) {
        let input = fs::read(&path).unwrap();
        let what = path.display().to_string();
        check(&input, &what);
        if input.len() <= LONGEST {
            let mut damage = Damage(input.len() as u64);
            for _ in 0..COPIES {
                check(&damage.of(&input), &format!("a damaged {what}"));
            }
        }
    }
}

/// A test for each door, so that they are tried side by side.
macro_rules! doors {
    ($($door:ident),*) => {
        $(
            #[test]
            fn $door() {
                try_everything(stringify!($door));
            }
        )*

        #[test]
        fn every_door_is_tried() {
            assert!(DOORS.iter().map(|(name, _)| *name).eq([$(stringify!($door)),*]));
        }
    };
}

doors!(answers, configuration, dead_letters, event, recording, redaction, selector, simulation, variables);
