//! The settings that the system before this one had, under their older names, read from the configuration of today.

use std::fmt::Write as _;
use std::time::Duration;

use super::HookManager;
use super::global::{existing, mode};
use crate::config::{Config, ConfigLoader};
use crate::event::{is_known_name, kind_of};
use crate::kind::{EventKind, KindSet};

/// The effective settings that concern performance: a copy, which later changes do not reach.
///
/// ```
/// use hookpool::get_hook_performance_config;
///
/// let config = get_hook_performance_config();
/// if config.performance_mode {
///     println!("every hook is skipped");
/// }
/// println!("{}", config.print_config());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the older system")]
pub struct HookPerformanceConfig {
    /// True: every hook is skipped.
    pub performance_mode: bool,
    /// Hooks run for tools that are about to run: `kinds.pre_tool`.
    pub enable_pre_tool_hooks: bool,
    /// Hooks run for tools that have run: `kinds.post_tool`.
    pub enable_post_tool_hooks: bool,
    /// Hooks run for prompts: `kinds.user_prompt`.
    pub enable_user_prompt_hooks: bool,
    /// Hooks run for the start and stop of sub-agents, and for tool calls that spawn one: `kinds.delegation`.
    pub enable_delegation_hooks: bool,
    /// Jobs that may wait: `queue.capacity`.
    pub queue_size: usize,
    /// Longest run time of a handler, for hooks that name none: `defaults.timeout`.
    pub background_timeout: Duration,
    /// Hooks that can take many events at once, and say nothing of their own, do: `batching.enabled`.
    pub enable_batching: bool,
    /// Most events of a batch: `batching.size`.
    pub batch_size: usize,
    /// Longest wait for a batch to fill: `batching.linger`. In the older system a number of milliseconds,
    /// `batch_timeout_ms`.
    pub batch_timeout: Duration,
    /// Detailed log lines: `debug`.
    pub debug: bool,
    /// Every kind and group that is switched on in `[kinds]`.
    pub kinds: KindSet,
    /// What is wrong with the configuration, which therefore is not used: every hook is skipped, and the settings here
    /// are the built-in ones. `None`: nothing.
    pub config_error: Option<String>,
}

/// The settings of [`hook_manager`](super::hook_manager); before its first use those that it would have, read anew at
/// each call. Never fails.
///
/// ```
/// use hookpool::get_hook_performance_config;
/// let config = get_hook_performance_config();
/// assert_eq!(config.is_hook_enabled("PreToolUse"), config.is_hook_enabled("pre-tool"));
/// ```
#[must_use]
pub fn get_hook_performance_config() -> HookPerformanceConfig {
    if let Some(pool) = existing().and_then(HookManager::pool) {
        return HookPerformanceConfig::from(&*pool.config());
    }
    let error = match existing().map(|_| super::try_hook_manager()) {
        Some(Err(error)) => error.to_string(),
        _ => match ConfigLoader::standard(None).load() {
            Ok(loaded) => {
                let config = HookPerformanceConfig::from(&loaded.config);
                return HookPerformanceConfig {
                    performance_mode: mode().unwrap_or(config.performance_mode),
                    ..config
                };
            }
            Err(error) => error.to_string(),
        },
    };
    let config = HookPerformanceConfig::from(&Config::default());
    HookPerformanceConfig {
        performance_mode: mode().unwrap_or_default(),
        config_error: Some(error),
        ..config
    }
}

impl From<&Config> for HookPerformanceConfig {
    fn from(config: &Config) -> Self {
        let enabled = |kinds: KindSet| config.kinds.intersects(kinds);
        Self {
            performance_mode: config.performance_mode,
            enable_pre_tool_hooks: enabled(EventKind::PreTool.as_set()),
            enable_post_tool_hooks: enabled(EventKind::PostTool.as_set()),
            enable_user_prompt_hooks: enabled(EventKind::UserPrompt.as_set()),
            enable_delegation_hooks: enabled(KindSet::DELEGATION),
            queue_size: config.queue.capacity as usize,
            background_timeout: config.default_timeout,
            enable_batching: config.batching.enabled,
            batch_size: config.batching.size as usize,
            batch_timeout: config.batching.linger,
            debug: config.debug,
            kinds: config.kinds,
            config_error: None,
        }
    }
}

impl HookPerformanceConfig {
    /// Whether hooks of this type run: a kind (`pre_tool`), a group (`delegation`), or the name that some known agent
    /// gives an event (`PreToolUse`), in any case, with `_`, `-`, `.` or nothing between the words.
    ///
    /// `None`: it is none of these, so nothing can be said of it. An event of such a name is of the kind `other`. False
    /// in performance mode, and with an invalid configuration.
    ///
    /// ```
    /// use hookpool::{Config, HookPerformanceConfig};
    /// let config = HookPerformanceConfig::from(&Config::from_toml("kinds.pre_tool = false")?);
    /// for name in ["pre_tool", "PRE-TOOL", "PreToolUse", "BeforeTool"] {
    ///     assert_eq!(config.is_hook_enabled(name), Some(false));
    /// }
    /// assert_eq!(config.is_hook_enabled("Stop"), Some(true));
    /// assert_eq!(config.is_hook_enabled("tea_time"), None);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn is_hook_enabled(&self, hook_type: &str) -> Option<bool> {
        let kinds = if hook_type.trim().eq_ignore_ascii_case("delegation") {
            KindSet::DELEGATION
        } else if is_known_name(hook_type.trim()) {
            kind_of(hook_type.trim()).as_set()
        } else {
            return None;
        };
        let off = self.performance_mode || self.config_error.is_some();
        Some(!off && self.kinds.intersects(kinds))
    }

    /// The settings as lines of text. It returns them, and prints nothing.
    ///
    /// ```
    /// use hookpool::{Config, HookPerformanceConfig};
    /// let text = HookPerformanceConfig::from(&Config::default()).print_config();
    /// assert!(text.contains("queue size          1000"));
    /// ```
    #[must_use]
    pub fn print_config(&self) -> String {
        let on = |on: bool| if on { "on" } else { "off" }.to_owned();
        let off_kinds: Vec<&str> = KindSet::names()
            .filter(|(_, kind)| !self.kinds.intersects(*kind))
            .map(|(name, _)| name)
            .collect();
        let rows = [
            ("performance mode", on(self.performance_mode)),
            ("pre-tool hooks", on(self.enable_pre_tool_hooks)),
            ("post-tool hooks", on(self.enable_post_tool_hooks)),
            ("user-prompt hooks", on(self.enable_user_prompt_hooks)),
            ("delegation hooks", on(self.enable_delegation_hooks)),
            ("kinds that are off", if off_kinds.is_empty() { "none".into() } else { off_kinds.join(", ") }),
            ("queue size", self.queue_size.to_string()),
            ("background timeout", format!("{:?}", self.background_timeout)),
            ("batching", on(self.enable_batching)),
            ("batch size", self.batch_size.to_string()),
            ("batch timeout", format!("{:?}", self.batch_timeout)),
            ("debug", on(self.debug)),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            let _ = writeln!(text, "{name:<20}{value}");
        }
        if let Some(error) = &self.config_error {
            let _ = writeln!(text, "The configuration is invalid, so every hook is skipped:\n{error}");
        }
        text
    }
}
