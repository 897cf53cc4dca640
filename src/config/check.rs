//! What `check` finds: every problem in the order of a reader, and what the configuration consists of.

use std::path::PathBuf;

use super::problem::{Origin, Problem, Severity};
use super::settings::Config;

/// What [`ConfigLoader::check`](super::ConfigLoader::check) has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// Everything that is wrong or has no effect: file by file from top to bottom, then variables, then options.
    pub problems: Vec<Problem>,
    /// The files that count, the least important first, whether or not they could be read.
    pub files: Vec<PathBuf>,
    /// The files that would count if they were there.
    pub missing: Vec<PathBuf>,
    /// How many hooks can run; those that are switched off are not among them.
    pub hooks: usize,
    /// How many hooks are switched off.
    pub disabled: usize,
}

impl Checked {
    pub(super) fn new(
        mut problems: Vec<Problem>,
        files: Vec<PathBuf>,
        missing: Vec<PathBuf>,
        config: Option<&Config>,
    ) -> Self {
        let place = |problem: &Problem| match &problem.origin {
            Origin::File { path, position } => {
                let file = files.iter().position(|file| file == path).unwrap_or(files.len());
                let at = position.as_ref().map_or((0, 0), |at| (at.line, at.column));
                (file, at)
            }
            Origin::Variable { .. } => (files.len() + 1, (0, 0)),
            Origin::Override { .. } | Origin::BuiltIn => (files.len() + 2, (0, 0)),
        };
        problems.sort_by_key(place);
        let hooks = config.map_or(&[][..], |config| &config.hooks);
        let disabled = hooks.iter().filter(|hook| !hook.enabled).count();
        Self { problems, files, missing, hooks: hooks.len() - disabled, disabled }
    }

    /// How many problems keep the configuration from being used.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// assert_eq!(ConfigLoader::new().text("hooks.toml", "[pool]\nworkers = 0").check().errors(), 1);
    /// ```
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many problems do not keep it from being used.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// assert_eq!(ConfigLoader::new().text("hooks.toml", "performance_mode = true").check().warnings(), 1);
    /// ```
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }
}
