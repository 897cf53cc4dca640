//! The one manager of the process, made at its first use, and the performance mode that is set for it.
//!
//! Invariant: there is at most one, whoever asks first and however many ask at once; and a performance mode that was
//! set before the manager was asked for, or while it is being made, is obeyed from its first event on. So it is made
//! under the lock of the mode.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{HookManager, Target};
use crate::config::{ConfigError, ConfigLoader, Problem};
use crate::runtime::{BuildError, HookPool};

/// Why the process's manager has no pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The configuration is invalid.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The pool could not be made.
    #[error("{0}")]
    Build(#[from] BuildError),
}

struct Global {
    manager: HookManager,
    error: Option<ManagerError>,
}

static GLOBAL: OnceLock<Global> = OnceLock::new();

/// What [`set_performance_mode`] was told last.
static MODE: Mutex<Option<bool>> = Mutex::new(None);

/// The manager of this process, made at the first call from the configuration of the working directory, of the user and
/// of the environment ([`ConfigLoader::standard`]). Many threads may call it first at once: there is one.
///
/// It never fails. If the configuration is invalid, this manager skips every event as `config_error`, and the first call
/// logs what is wrong, once; [`try_hook_manager`] returns it. The manager is never dropped, so a program that ends should
/// call [`HookManager::shutdown`], or keep a [`HookManager::shutdown_on_drop`].
///
/// ```no_run
/// use hookpool::hook_manager;
///
/// let manager = hook_manager();
/// manager.trigger_pre_tool_hook("MyTool", serde_json::json!({"arg": "value"}));
/// manager.trigger_post_tool_hook("MyTool", 0, "result");
/// println!("{} hooks wait", manager.queue_size());
/// ```
pub fn hook_manager() -> &'static HookManager {
    &global().manager
}

/// [`hook_manager`], or why it skips everything. A configuration that was invalid at the first call stays so until the
/// process ends.
///
/// # Errors
/// [`ManagerError`].
///
/// ```no_run
/// match hookpool::try_hook_manager() {
///     Ok(manager) => println!("{} hooks are configured", manager.status().hooks.len()),
///     Err(error) => eprintln!("hooks are off:\n{error}"),
/// }
/// ```
pub fn try_hook_manager() -> Result<&'static HookManager, &'static ManagerError> {
    let global = global();
    global.error.as_ref().map_or(Ok(&global.manager), Err)
}

/// Skips every hook of [`hook_manager`] from its next event on, or none any more for this reason: of the manager that is
/// there, and of one that is made later. Ends with the process; it stands above every configuration.
///
/// For another pool there is [`HookPool::set_performance_mode`].
///
/// ```
/// use hookpool::{get_hook_performance_config, set_performance_mode};
/// set_performance_mode(true);
/// assert!(get_hook_performance_config().performance_mode);
/// ```
pub fn set_performance_mode(on: bool) {
    let mut mode = lock_mode();
    *mode = Some(on);
    if let Some(pool) = existing().and_then(HookManager::pool) {
        pool.set_performance_mode(on);
    }
}

/// The manager, if it was asked for already.
pub(super) fn existing() -> Option<&'static HookManager> {
    GLOBAL.get().map(|global| &global.manager)
}

/// What [`set_performance_mode`] was told last, if it was.
pub(super) fn mode() -> Option<bool> {
    *lock_mode()
}

fn global() -> &'static Global {
    if let Some(global) = GLOBAL.get() {
        return global;
    }
    let mut warnings = Vec::new();
    let mut is_first = false;
    let mode = lock_mode();
    let global = GLOBAL.get_or_init(|| {
        is_first = true;
        match make(*mode, &mut warnings) {
            Ok(pool) => Global { manager: HookManager::new(pool), error: None },
            Err(error) => {
                Global { manager: HookManager::of(Target::Nowhere(Arc::default())), error: Some(error) }
            }
        }
    });
    drop(mode);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if is_first && let Some(error) = &global.error {
        tracing::error!("every hook is skipped, because the hook manager could not be made: {error}");
    }
    global
}

fn make(mode: Option<bool>, warnings: &mut Vec<Problem>) -> Result<HookPool, ManagerError> {
    let loaded = ConfigLoader::standard(None).load()?;
    *warnings = loaded.warnings;
    let pool = HookPool::builder().config(loaded.config).build()?;
    if let Some(on) = mode {
        pool.set_performance_mode(on);
    }
    Ok(pool)
}

fn lock_mode() -> MutexGuard<'static, Option<bool>> {
    MODE.lock().unwrap_or_else(PoisonError::into_inner)
}
