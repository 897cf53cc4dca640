//! Loading again: a configuration remembers what it was made of.
//!
//! The layers can be read once more, for a reload; or be taken as they were read, for one value that is set above them,
//! so that setting it neither picks up an edit that nobody asked for yet, nor fails because of one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::layer::Key;
use super::load::ConfigLoader;
use super::loaded::{Effective, EffectiveValue, Loaded};
use super::problem::ConfigError;
use super::settings::Config;
use super::source::Spot;

/// A value that was set while the configuration was in use: the layer above all others.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Amendment {
    pub(crate) key: String,
    /// Read like that of a variable.
    pub(crate) text: String,
    /// It is being set. An older one does nothing while no file defines its hook, which may come back.
    pub(crate) is_new: bool,
}

/// Without the text, which may be secret.
impl fmt::Debug for Amendment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amendment").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What a configuration was made of.
#[derive(Clone, Default)]
pub(super) struct Sources {
    /// Reads its layers when it loads.
    pub(super) loader: ConfigLoader,
    /// The same layers as they were read.
    pub(super) as_read: ConfigLoader,
    pub(super) effective: Effective,
}

/// The environment is among the sources, and may hold secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Config {
    /// Reads its sources again.
    ///
    /// # Errors
    /// As [`ConfigLoader::load`].
    pub(crate) fn load_again(&self, amendments: Vec<Amendment>) -> Result<Loaded, ConfigError> {
        self.sources.loader.clone().amended(amendments).load()
    }

    /// Makes it again of what was read for it, with these values above.
    ///
    /// # Errors
    /// As [`ConfigLoader::load`].
    pub(crate) fn amend(&self, amendments: Vec<Amendment>) -> Result<Loaded, ConfigError> {
        let loaded = self.sources.as_read.clone().amended(amendments).load()?;
        let mut config = loaded.config;
        let sources = Arc::make_mut(&mut config.sources);
        sources.loader = self.sources.loader.clone();
        Ok(Loaded { config, ..loaded })
    }

    /// The same with this one value set.
    pub(crate) fn with_performance_mode(&self, on: bool) -> Self {
        let mut config = Self { performance_mode: on, ..self.clone() };
        let key = Key::new(&["performance_mode"]);
        let spot = Spot::Override(Arc::new((key.to_string(), on.to_string())));
        let values = &mut Arc::make_mut(&mut config.sources).effective.values;
        values.insert(key.to_string(), EffectiveValue { key, value: on.into(), spot });
        config
    }

    /// The files that it would be read from again, the least important first, whether or not they are there: for whoever
    /// watches them. Their paths are absolute.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().optional_file("/no/such/hooks.toml").load()?;
    /// assert!(loaded.config.files.is_empty());
    /// assert_eq!(loaded.config.sources(), [std::path::PathBuf::from("/no/such/hooks.toml")]);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        self.sources.loader.paths()
    }
}
