//! A configuration that can be used, with what is needed to explain it: each value as it was read, and what set it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::layer::Key;
use super::problem::{Origin, Problem};
use super::settings::Config;
use super::source::Spot;

/// A configuration that can be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// What has no effect. All of them are warnings.
    pub warnings: Vec<Problem>,
    pub(super) effective: Effective,
}

impl Loaded {
    /// A configuration that was loaded before.
    pub(crate) fn without_warnings(config: Config) -> Self {
        let effective = config.sources.effective.clone();
        Self { config, warnings: Vec::new(), effective }
    }

    /// The keys that have a value, each with the file and line or the variable that set it, in the order of names.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().text("hooks.toml", "[pool]\nworkers = 2\n").load()?;
    /// let (_, origin) = loaded.origins().find(|(key, _)| *key == "pool.workers").unwrap();
    /// assert_eq!(origin.to_string(), "hooks.toml:2:11");
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn origins(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.effective.values.iter().map(|(key, value)| (key.as_str(), value.spot.origin()))
    }

    /// What set the key; `None` when it has no value.
    ///
    /// ```
    /// use hookpool::config::{ConfigLoader, Origin};
    /// let loaded = ConfigLoader::new().load()?;
    /// assert_eq!(loaded.origin("pool.workers"), Some(Origin::BuiltIn));
    /// assert_eq!(loaded.origin("pool.wrokers"), None);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn origin(&self, key: &str) -> Option<Origin> {
        self.effective.values.get(key).map(|value| value.spot.origin())
    }
}

/// The merged values, before they were compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Effective {
    /// Every value, by its dotted key.
    pub(super) values: BTreeMap<String, EffectiveValue>,
    /// The folder that a hook's paths start from where the layer of a value has none, by the hook's name.
    pub(super) dirs: BTreeMap<String, PathBuf>,
}

/// One value.
#[derive(Clone)]
pub(super) struct EffectiveValue {
    pub(super) key: Key,
    pub(super) value: Json,
    pub(super) spot: Spot,
}

/// Without the value, which may be secret.
impl fmt::Debug for EffectiveValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EffectiveValue").field("key", &self.key).finish_non_exhaustive()
    }
}
