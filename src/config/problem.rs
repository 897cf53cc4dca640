//! What is wrong with a configuration, and where: one [`Problem`] for each mistake, and all of them at once.
//!
//! A problem always names the place that a user can go to: a file with line and column, an environment variable, or
//! an option of the program. Text that comes from outside is shown without its control characters and shortened, so
//! that a problem can be printed as it is.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::redact::{PLACEHOLDER, Redactor};
use crate::text::escape;
pub(crate) use crate::text::shown;

/// Most errors, and most warnings, that are kept of one loading. Each has its own limit, so that no number of warnings
/// hides that there is an error.
const MAX_PROBLEMS: usize = 1000;

/// One thing that is wrong, or that has no effect, and where it stands.
///
/// ```
/// use hookpool::config::ConfigLoader;
/// let error = ConfigLoader::new().text("hooks.toml", "[pool]\nworkers = 0\n").load().unwrap_err();
/// let problem = &error.problems[0];
/// assert_eq!((problem.line(), problem.column()), (Some(2), Some(11)));
/// assert_eq!(problem.key, "pool.workers");
/// assert!(problem.to_string().starts_with("hooks.toml:2:11: error: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where the value, or its absence, was found.
    pub origin: Origin,
    /// The dotted key that it concerns; empty when it concerns the whole file or variable.
    pub key: String,
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// What is wrong and what would be right.
    pub message: String,
    /// What to do about it, when there is a likely remedy.
    pub hint: Option<String>,
}

/// Whether a configuration with such a problem can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can: something has no effect.
    Warning,
}

/// Where a value of the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The default that is built in.
    BuiltIn,
    /// A file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Where in it; none when the problem is the file itself.
        position: Option<Position>,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// Its value, shortened.
        value: String,
    },
    /// A value that the program was given, on its command line for example.
    Override {
        /// The setting.
        key: String,
        /// What it was given.
        value: String,
    },
}

/// A position in a file, with what is needed to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line's text; the part around the column when it is long.
    pub text: String,
    /// Characters of `text` before the place that is meant.
    pub caret: usize,
}

impl Problem {
    /// The file, when it stands in one.
    pub fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The line in the file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.position().map(|position| position.line)
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> Option<usize> {
        self.position().map(|position| position.column)
    }

    /// The name of the environment variable, when it stands in one.
    pub fn variable(&self) -> Option<&str> {
        match &self.origin {
            Origin::Variable { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The position in the file, with the text of the line.
    pub fn position(&self) -> Option<&Position> {
        match &self.origin {
            Origin::File { position, .. } => position.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.severity, self.message)?;
        if let Some(position) = self.position() {
            let number = position.line.to_string();
            let (width, caret) = (number.len(), position.caret);
            write!(f, "\n  {number} | {}\n  {:width$} | {:caret$}^", position.text, "", "")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::File { path, position: None } => f.write_str(&escape(&path.to_string_lossy())),
            Self::File { path, position: Some(at) } => {
                write!(f, "{}:{}:{}", escape(&path.to_string_lossy()), at.line, at.column)
            }
            Self::Variable { name, value } => write!(f, "{name}={value}"),
            Self::Override { key, value } => write!(f, "option {key}={value}"),
        }
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
///
/// ```
/// use hookpool::config::ConfigLoader;
/// let text = "[pool]\nworkers = 0\nstandby = -1\n";
/// let error = ConfigLoader::new().text("hooks.toml", text).load().unwrap_err();
/// assert_eq!(error.problems.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The errors, and the warnings among them, layer by layer. At least one is an error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
    /// Hooks that ask for something that this version does not have: nothing else is said of their unused keys.
    unsupported: Vec<String>,
}

impl Problems {
    pub(crate) fn error(&mut self, origin: Origin, key: impl ToString, message: String) {
        self.push(origin, key, Severity::Error, message, None);
    }

    pub(crate) fn push(
        &mut self,
        origin: Origin,
        key: impl ToString,
        severity: Severity,
        message: String,
        hint: Option<String>,
    ) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if *count < MAX_PROBLEMS {
            *count += 1;
            self.list.push(Problem { origin, key: key.to_string(), severity, message, hint });
        }
    }

    /// Takes back the warnings about the key, for one that says more.
    pub(super) fn withdraw_warnings(&mut self, key: &str) {
        self.list.retain(|problem| problem.severity == Severity::Error || problem.key != key);
    }

    /// Notes that the hook with this prefix (`hook.NAME.`) cannot run in this version.
    pub(super) fn unsupported_hook(&mut self, prefix: String) {
        self.unsupported.push(prefix);
    }

    /// True when no further error would be kept, so that nothing is gained by looking for more.
    pub(super) fn is_full(&self) -> bool {
        self.errors >= MAX_PROBLEMS
    }

    /// Everything that was found.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        let unsupported = self.unsupported;
        self.list.retain(|problem| {
            problem.severity == Severity::Error
                || !unsupported.iter().any(|prefix| problem.key.starts_with(prefix))
        });
        self.list
    }

    /// The warnings, or everything when there is an error.
    pub(crate) fn finish(self) -> Result<Vec<Problem>, ConfigError> {
        let list = self.into_list();
        if list.iter().any(|problem| problem.severity == Severity::Error) {
            Err(ConfigError { problems: list })
        } else {
            Ok(list)
        }
    }
}

/// Text from outside for a message: in quotes, without characters that are unsafe to show, not longer than a line.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text))
}

/// The value of a setting, or what was found in its place, as people are told of it: an address, a header or a variable
/// of a handler may be secret. The setting is a key or the name of a variable.
pub(super) fn told(setting: &str, value: &str) -> String {
    let lower = setting.to_ascii_lowercase().replace("__", ".");
    let mut parts = lower.split('.').skip_while(|part| !part.ends_with("hook"));
    match (parts.next(), parts.nth(1)) {
        // All of a hook at once, or of every hook.
        (Some(_), None | Some("env" | "headers" | "url")) => PLACEHOLDER.to_owned(),
        _ => Redactor::default().text(value).into_owned(),
    }
}
