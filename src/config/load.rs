//! Loading: which layers there are, in which order, and everything or nothing as the result.
//!
//! A loader is told its layers one by one and reads nothing before [`ConfigLoader::load`]. Only
//! [`ConfigLoader::standard`] looks at the environment and the working directory of the process.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeValue;

use super::check::Checked;
use super::compile::{Context, compile};
use super::env::{self, Environment, KnownHooks};
use super::file;
use super::layer::{Key, Layer};
use super::live::{Amendment, Sources};
use super::loaded::{Effective, Loaded};
use super::problem::{ConfigError, Origin, Problems};
use super::registry;
use super::settings::Config;
use super::source::{SourceText, Spot};

/// Collects the layers of a configuration and loads them. Later layers win, key by key.
///
/// ```
/// use hookpool::config::ConfigLoader;
/// let loaded = ConfigLoader::new()
///     .text("hooks.toml", "[pool]\nworkers = 2\n")
///     .environment([("HOOKPOOL_POOL__WORKERS".into(), "8".into())])
///     .overrides("queue.capacity", "50")
///     .load()?;
/// assert_eq!(loaded.config.pool.workers, 8);
/// assert_eq!(loaded.config.queue.capacity, 50);
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct ConfigLoader {
    files: Vec<Source>,
    environment: Environment,
    overrides: Vec<(String, String)>,
    working_dir: Option<PathBuf>,
    registered_handlers: bool,
    amendments: Vec<Amendment>,
}

/// The environment is in it, and may hold secrets.
impl fmt::Debug for ConfigLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigLoader").finish_non_exhaustive()
    }
}

/// A file or its equivalent.
#[derive(Clone)]
enum Source {
    /// A file that must be there.
    File(PathBuf),
    /// The first of these that is there; none may be.
    FirstOf(Vec<PathBuf>),
    /// Text with the name and folder of a file.
    Text { name: PathBuf, dir: Option<PathBuf>, text: String },
    /// What was read before.
    Read(Arc<SourceText>),
}

impl ConfigLoader {
    /// A loader without any layer but the built-in defaults: it reads no file and no environment.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().load()?;
    /// assert_eq!(loaded.config.pool.workers, 4);
    /// assert!(loaded.config.hooks.is_empty());
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The layers that the program has: the user's file, the project's file or `explicit` in its place, and the
    /// environment of the process.
    ///
    /// The user's file is `$XDG_CONFIG_HOME/hookpool/hooks.toml`, with `~/.config` when that variable is not set.
    /// The project's file is `hooks.toml`, else `config/hooks.toml`, in the working directory. Both may be missing;
    /// an explicit file may not.
    ///
    /// ```no_run
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::standard(None).load()?;
    /// for warning in &loaded.warnings {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn standard(explicit: Option<&Path>) -> Self {
        Self::layered(explicit, env::process_environment())
    }

    /// The layers of [`ConfigLoader::standard`] for this environment.
    pub(super) fn layered(explicit: Option<&Path>, environment: Environment) -> Self {
        let absolute = |name: &str| {
            let path = environment.get(std::ffi::OsStr::new(name)).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let user = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        let mut files = Vec::new();
        files.extend(user.map(|dir| Source::FirstOf(vec![dir.join("hookpool/hooks.toml")])));
        files.push(match explicit {
            Some(path) => Source::File(path.to_owned()),
            None => Source::FirstOf(vec!["hooks.toml".into(), "config/hooks.toml".into()]),
        });
        Self { files, environment, ..Self::default() }
    }

    /// One given text and nothing else: no user's file, no variables, no overrides. `dir` is what `${config_dir}`
    /// and relative paths mean.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let text = "[hook.greet]\non = [\"*\"]\nrun = [\"${config_dir}/greet\"]\n";
    /// let loaded = ConfigLoader::bundled(text, "/opt/demo").load()?;
    /// assert_eq!(loaded.config.hooks.len(), 1);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn bundled(text: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        let source =
            Source::Text { name: "built-in hooks.toml".into(), dir: Some(dir.into()), text: text.into() };
        Self { files: vec![source], ..Self::default() }
    }

    /// Adds a file that may be missing, above the files so far.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// assert!(ConfigLoader::new().optional_file("/no/such/file").load().is_ok());
    /// ```
    pub fn optional_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(Source::FirstOf(vec![path.into()]));
        self
    }

    /// Adds a file that must be there, above the files so far.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// assert!(ConfigLoader::new().file("/no/such/file").load().is_err());
    /// ```
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(Source::File(path.into()));
        self
    }

    /// Adds a text as if it were the file of that name, above the files so far. Relative paths in it start from the
    /// folder of `name`.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().text("/etc/hooks.toml", "performance_mode = true").load()?;
    /// assert!(loaded.config.performance_mode);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn text(mut self, name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.push(Source::Text { name: name.into(), dir: None, text: text.into() });
        self
    }

    /// Sets the environment: for the variables that are settings, and for `${env:NAME}`. It replaces the one so far.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let variables = [("CLAUDE_MPM_HOOK_QUEUE_SIZE".into(), "500".into())];
    /// let loaded = ConfigLoader::new().environment(variables).load()?;
    /// assert_eq!(loaded.config.queue.capacity, 500);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// Sets one key above everything else, as the command line does. The text is read like that of a variable.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().overrides("shutdown.drain", "5s").load()?;
    /// assert_eq!(loaded.config.shutdown.drain.as_secs(), 5);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn overrides(mut self, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.overrides.push((key.into(), text.into()));
        self
    }

    /// Sets the directory that relative names of files start from; by default that of the process.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loader = ConfigLoader::new().working_dir("/no/such/folder").file("hooks.toml");
    /// assert!(loader.load().is_err());
    /// ```
    pub fn working_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(dir.into());
        self
    }

    /// Allows hooks without `run`: their handlers are in Rust, and [registered](crate::HookPoolBuilder::register) with
    /// the pool's builder, which misses them if they are not. Otherwise such a hook is an error, as it is for the
    /// program.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loader = ConfigLoader::new().text("hooks.toml", "[hook.count]\non = ['*']\n");
    /// assert!(loader.clone().load().is_err());
    /// assert!(loader.registered_handlers(true).load().is_ok());
    /// ```
    pub fn registered_handlers(mut self, allowed: bool) -> Self {
        self.registered_handlers = allowed;
        self
    }

    /// Reads every layer and makes one configuration of them.
    ///
    /// # Errors
    /// Everything that is wrong in any layer, when at least one thing is. Nothing of it applies then.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let error = ConfigLoader::new().text("hooks.toml", "[pool]\nworker = 2\n").load().unwrap_err();
    /// assert_eq!(error.problems[0].hint.as_deref(), Some("did you mean `workers`?"));
    /// ```
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let (mut problems, mut found) = (Problems::default(), Found::default());
        let mut loader = Self { amendments: Vec::new(), ..self.clone() };
        let compiled = self.compile(false, &mut found, &mut problems);
        let warnings = problems.finish()?;
        let (mut config, effective) =
            compiled.expect("a configuration that cannot be made has left a problem");
        // Wherever the process goes, the sources stay where they are.
        loader.working_dir = Some(found.dir);
        let as_read = Self { files: found.read.into_iter().map(Source::Read).collect(), ..loader.clone() };
        config.sources = Arc::new(Sources { loader, as_read, effective: effective.clone() });
        Ok(Loaded { config, warnings, effective })
    }

    /// The same with these values above everything else.
    pub(super) fn amended(mut self, amendments: Vec<Amendment>) -> Self {
        self.amendments = amendments;
        self
    }

    /// Where its files are, or would be.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let dir = self.working_dir.as_deref().unwrap_or(Path::new(""));
        let paths = |source: &Source| match source {
            Source::File(path) => vec![dir.join(path)],
            Source::FirstOf(paths) => paths.iter().map(|path| dir.join(path)).collect(),
            Source::Text { .. } | Source::Read(_) => Vec::new(),
        };
        self.files.iter().flat_map(paths).collect()
    }

    /// Reads every layer as [`ConfigLoader::load`] does, and looks for more: what is right and does nothing, and what
    /// is missing on this machine. Nothing is run.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let text = "[pool]\nworker = 2\n[hook.a]\non = [\"stop\"]\nrun = [\"./no-such-program\"]\n";
    /// let checked = ConfigLoader::new().text("hooks.toml", text).check();
    /// assert_eq!(checked.errors(), 1);
    /// assert_eq!(checked.problems.len(), 2);
    /// ```
    pub fn check(self) -> Checked {
        let (mut problems, mut found) = (Problems::default(), Found::default());
        let compiled = self.compile(true, &mut found, &mut problems);
        let config = compiled.map(|(config, _)| config);
        Checked::new(problems.into_list(), found.files, found.missing, config.as_ref())
    }

    /// `checking`: also warns of what is right and does nothing, or not here, and keeps no places of values.
    fn compile(
        self,
        checking: bool,
        found: &mut Found,
        problems: &mut Problems,
    ) -> Option<(Config, Effective)> {
        let dir = self.working_dir.map_or_else(std::env::current_dir, std::path::absolute);
        let dir = match dir {
            Ok(dir) => dir,
            Err(error) => {
                let message = format!("the working directory cannot be found: {error}");
                problems.error(Origin::BuiltIn, "", message);
                return None;
            }
        };
        found.dir.clone_from(&dir);
        let mut layers = vec![built_in()];
        let (mut files, mut is_complete) = (Vec::new(), true);
        for source in self.files {
            match source.open(&dir, found, problems) {
                Opened::Missing => {}
                Opened::Failed => is_complete = false,
                Opened::Text(source) => {
                    found.read.push(Arc::clone(&source));
                    if let Some(layer) = file::layer_of(&source, problems) {
                        layers.push(layer);
                        files.push(source.name().to_owned());
                    } else {
                        is_complete = false;
                    }
                }
            }
        }
        let mut names: Vec<String> = layers.iter().flat_map(|layer| layer.hooks.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let hooks = KnownHooks { names, is_complete };
        layers.extend(env::legacy_layers(&self.environment, problems));
        layers.push(env::layer(&self.environment, &hooks, problems));
        for (key, text) in &self.overrides {
            layers.extend(env::override_layer(key, text, &hooks, problems));
        }
        for Amendment { key, text, is_new } in &self.amendments {
            if *is_new || hooks.has_hook_of(key) {
                layers.extend(env::override_layer(key, text, &hooks, problems));
            }
        }
        let context = Context {
            environment: &self.environment,
            dir: &dir,
            files,
            is_complete,
            registered_handlers: self.registered_handlers,
            checking,
        };
        compile(&layers, context, problems)
    }
}

/// The files that a loading was told of.
#[derive(Debug, Default)]
struct Found {
    /// Those that are there, whether or not they could be read.
    files: Vec<PathBuf>,
    /// Those that may be missing, and are.
    missing: Vec<PathBuf>,
    /// What was in them.
    read: Vec<Arc<SourceText>>,
    /// Where relative names started from.
    dir: PathBuf,
}

/// What became of a source.
enum Opened {
    Missing,
    /// There is a problem that says why.
    Failed,
    Text(Arc<SourceText>),
}

impl Source {
    fn open(self, dir: &Path, found: &mut Found, problems: &mut Problems) -> Opened {
        let read = |name: &Path, problems: &mut Problems| {
            let path = dir.join(name);
            let folder = path.parent().unwrap_or(dir);
            file::read_file(&path, name, folder, problems).map_or(Opened::Failed, Opened::Text)
        };
        // Only a file that is certainly not there counts as missing; one that cannot be looked at is a problem.
        let is_missing = |name: &Path| {
            std::fs::symlink_metadata(dir.join(name)).is_err_and(|error| {
                matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
            })
        };
        match self {
            Self::File(name) => {
                found.files.push(name.clone());
                read(&name, problems)
            }
            Self::FirstOf(names) => match first_of(names, is_missing, found) {
                // Nobody asked for this file: a pipe of that name must not stop the program.
                Some(name) if std::fs::metadata(dir.join(&name)).is_ok_and(|about| !about.is_file()) => {
                    let origin = Origin::File { path: name, position: None };
                    problems.error(origin, "", "the file cannot be read: it is no regular file".into());
                    Opened::Failed
                }
                Some(name) => read(&name, problems),
                None => Opened::Missing,
            },
            Self::Read(source) => {
                found.files.push(source.name().to_owned());
                Opened::Text(source)
            }
            Self::Text { name, dir: folder, text } => {
                found.files.push(name.clone());
                let folder = match folder {
                    Some(folder) => dir.join(folder),
                    None => dir.join(&name).parent().unwrap_or(dir).to_owned(),
                };
                file::source_of(&name, &folder, text.into_bytes(), problems)
                    .map_or(Opened::Failed, Opened::Text)
            }
        }
    }
}

/// The first file that is not missing.
fn first_of(names: Vec<PathBuf>, is_missing: impl Fn(&Path) -> bool, found: &mut Found) -> Option<PathBuf> {
    for name in names {
        if !is_missing(&name) {
            found.files.push(name.clone());
            return Some(name);
        }
        found.missing.push(name);
    }
    None
}

/// The layer of the defaults.
fn built_in() -> Layer {
    let mut layer = Layer::new("built-in defaults".into());
    for (key, setting) in registry::defaults() {
        let value = setting.default.and_then(|text| DeValue::parse(text).ok());
        if let Some(value) = value.and_then(|value| setting.kind.read(&value).ok()) {
            layer.set(&Key::dotted(&key), value, Spot::BuiltIn);
        }
    }
    layer
}

impl Config {
    /// A configuration from the text of one `hooks.toml` over the built-in defaults; no file and no variable counts.
    /// Relative paths start from the working directory. A hook without `run` is for a handler that is
    /// [registered](crate::HookPoolBuilder::register).
    ///
    /// # Errors
    /// Every problem of the text, each with its place.
    ///
    /// ```
    /// use hookpool::Config;
    /// let config = Config::from_toml("[pool]\nworkers = 2")?;
    /// assert_eq!(config.pool.workers, 2);
    /// assert!(Config::from_toml("[pool]\nworkers = \"two\"").is_err());
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let loader = ConfigLoader::new().text("hooks.toml", text).registered_handlers(true);
        loader.load().map(|loaded| loaded.config)
    }
}

/// The built-in defaults, without any hook.
impl Default for Config {
    fn default() -> Self {
        ConfigLoader::new().load().map(|loaded| loaded.config).expect("the built-in defaults are valid")
    }
}
