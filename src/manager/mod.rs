//! The hook manager: what a program calls when something happens in it, and one for the whole process.
//!
//! | file | owns |
//! |---|---|
//! | `answer.rs` | what a trigger answers |
//! | `global.rs` | the one manager of the process, and its performance mode |
//! | `performance.rs` | the settings under their older names |
//! | `write.rs` | events in the form that agents send |
//!
//! Invariant: a trigger never blocks, never fails its caller, and its answer is what really happened. It decides
//! nothing about an event: the pool does.

mod answer;
mod global;
mod performance;
mod write;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

pub use self::answer::{ToolUseId, Triggered};
pub use self::global::{ManagerError, hook_manager, set_performance_mode, try_hook_manager};
pub use self::performance::{HookPerformanceConfig, get_hook_performance_config};

use self::write::Voice;
use crate::config::{Config, inherited_session};
use crate::event::{Draft, Event, EventError, Session};
use crate::kind::EventKind;
use crate::metrics::{Ledger, Snapshot};
use crate::outcome::Skip;
use crate::runtime::{BuildError, HookPool};

/// Triggers hooks by what happened: the tool calls, prompts and delegations of the program that it lives in.
///
/// Each `trigger_…` writes an event as agents send it, with the member names of the system before this one beside
/// today's, hands it to a pool and returns at once: it waits for no handler and no room. Every event carries
/// `hook_event_name`, `session_id`, `cwd` (where the manager was made) and `timestamp` (ISO 8601, UTC, microseconds). An
/// event that no hook wants, or that is skipped, is not even written.
///
/// The session id is `CLAUDE_MPM_SESSION_ID`, else a random one for each manager; [`HookManager::with_session`] gives
/// another. It is never written into the environment of the process.
///
/// A clone is another handle on the same manager. When the last handle on its pool is dropped, that drains;
/// [`HookManager::shutdown`] does the same and answers with the ledger. The manager of [`hook_manager`] is never dropped:
/// end it with `shutdown`, or what waits is lost when the process ends.
///
/// After a `fork` only the calling thread exists in the child, so a manager made before the fork admits jobs there that
/// nobody runs: make a new one in the child, with [`HookManager::new`].
///
/// ```
/// use hookpool::{Config, HookManager};
/// use serde_json::json;
///
/// let config = Config::from_toml("[hook.audit]\non = ['pre_tool', 'post_tool']\nrun = 'cat > /dev/null'\n")?;
/// let manager = HookManager::from_config(config)?;
/// let call = manager.trigger_pre_tool_hook("Bash", json!({"command": "ls"}));
/// assert!(call.is_admitted());
/// // … the tool runs …
/// manager.trigger_post_tool_hook("Bash", 0, "a.txt\nb.txt\n");
/// assert_eq!(manager.shutdown().snapshot.total.admitted(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HookManager {
    target: Target,
    voice: Arc<Voice>,
    calls: Arc<AtomicU64>,
}

/// Where events go.
#[derive(Clone, Debug)]
enum Target {
    Pool(HookPool),
    /// There is no pool, since there is no valid configuration: the number of events that were skipped for that.
    Nowhere(Arc<AtomicU64>),
}

/// Whether a sub-agent begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DelegationPhase {
    /// It begins: `SubagentStart`.
    Start,
    /// It ends: `SubagentStop`.
    Stop,
}

impl HookManager {
    /// A manager for a pool, in the session of this process: `CLAUDE_MPM_SESSION_ID`, else a random id.
    ///
    /// ```
    /// use hookpool::{HookManager, HookPool};
    /// let manager = HookManager::new(HookPool::builder().build()?);
    /// assert_eq!(manager.queue_size(), 0);
    /// # Ok::<(), hookpool::BuildError>(())
    /// ```
    pub fn new(pool: HookPool) -> Self {
        Self::of(Target::Pool(pool))
    }

    /// A manager with a pool of its own.
    ///
    /// # Errors
    /// As [`HookPoolBuilder::build`](crate::HookPoolBuilder::build).
    ///
    /// ```
    /// use hookpool::{Config, HookManager};
    /// let manager = HookManager::from_config(Config::default())?;
    /// assert!(manager.trigger_user_prompt_hook("hello").is_unmatched(), "no hooks are configured");
    /// # Ok::<(), hookpool::BuildError>(())
    /// ```
    pub fn from_config(config: Config) -> Result<Self, BuildError> {
        HookPool::builder().config(config).build().map(Self::new)
    }

    fn of(target: Target) -> Self {
        let inherited = inherited_session().and_then(|id| Session::new(&id));
        let session = inherited.unwrap_or_else(write::random_session);
        Self { target, voice: Arc::new(Voice::new(session)), calls: Arc::default() }
    }

    /// The same manager, with the same pool, for another session: events of one session are handled in order.
    ///
    /// # Errors
    /// [`EventError::TooLong`], or [`EventError::Empty`] for an empty id.
    ///
    /// ```
    /// use hookpool::{Config, HookManager};
    /// let manager = HookManager::from_config(Config::default())?;
    /// let talk = manager.with_session("conversation-7")?;
    /// assert_eq!(talk.session_id(), "conversation-7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_session(&self, id: &str) -> Result<Self, EventError> {
        let session = Session::new(id).ok_or(match id.len() {
            0 => EventError::Empty,
            bytes => EventError::TooLong { member: "session_id", bytes },
        })?;
        Ok(Self { voice: Arc::new(Voice::new(session)), ..self.clone() })
    }

    /// The session id that its events carry.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.voice.session().id()
    }

    /// A tool is about to run. The answer's [`Triggered::tool_use_id`] is for
    /// [`HookManager::trigger_post_tool_hook_for`].
    ///
    /// The event is a `PreToolUse` with `tool_name`, `tool_input`, `tool_args` (the same) and `tool_use_id`. Arguments
    /// that serialise to `null` are sent as `{}`.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager, RawJson};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// manager.trigger_pre_tool_hook("Bash", serde_json::json!({"command": "ls"}));
    /// manager.trigger_pre_tool_hook("Bash", RawJson::new(r#"{"command": "ls"}"#)?); // serialised already: faster
    /// manager.trigger_pre_tool_hook("ListFiles", ()); // no arguments
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger_pre_tool_hook(&self, tool: &str, args: impl Serialize) -> Triggered {
        let id = self.voice.tool_use_id(self.calls.fetch_add(1, Ordering::Relaxed));
        let write = |text: &mut Vec<u8>| self.voice.pre_tool(text, tool, &args, id);
        self.send("PreToolUse", EventKind::PreTool, Some(tool), write).of_call(id)
    }

    /// A tool has run; an exit code other than 0 says that it failed.
    ///
    /// The event is a `PostToolUse` with `tool_name`, `tool_response`, `result` (the same) and `exit_code`. It is one of
    /// the kind `post_tool` whatever the exit code: `where = { exit_code = 1 }` selects failures. An agent's own event of
    /// a failed tool, of the kind `tool_failed`, is `trigger("PostToolUseFailure", …)`.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// manager.trigger_post_tool_hook("Bash", 1, "ls: cannot access 'x'");
    /// manager.trigger_post_tool_hook("Bash", 0, None::<&str>);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger_post_tool_hook(&self, tool: &str, exit_code: i32, result: impl Serialize) -> Triggered {
        self.post_tool(None, tool, exit_code, &result)
    }

    /// [`HookManager::trigger_post_tool_hook`] for the very call that `id` was given to: the event has the same
    /// `tool_use_id`, so handlers can pair them when tools run side by side.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// let call = manager.trigger_pre_tool_hook("Bash", serde_json::json!({"command": "ls"}));
    /// if let Some(id) = call.tool_use_id() {
    ///     manager.trigger_post_tool_hook_for(id, "Bash", 0, "a.txt");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger_post_tool_hook_for(
        &self,
        id: ToolUseId,
        tool: &str,
        exit_code: i32,
        result: impl Serialize,
    ) -> Triggered {
        self.post_tool(Some(id), tool, exit_code, &result).of_call(id)
    }

    fn post_tool(
        &self,
        id: Option<ToolUseId>,
        tool: &str,
        exit_code: i32,
        result: &impl Serialize,
    ) -> Triggered {
        let write = |text: &mut Vec<u8>| self.voice.post_tool(text, tool, exit_code, result, id);
        self.send("PostToolUse", EventKind::PostTool, Some(tool), write)
    }

    /// The user sent a prompt: a `UserPromptSubmit` with `prompt`.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// manager.trigger_user_prompt_hook("Refactor the parser.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger_user_prompt_hook(&self, prompt: &str) -> Triggered {
        let write = |text: &mut Vec<u8>| self.voice.prompt(text, prompt);
        self.send("UserPromptSubmit", EventKind::UserPrompt, None, write)
    }

    /// A sub-agent begins or ends: a `SubagentStart` or `SubagentStop` with `agent_type`.
    ///
    /// The members of `data`, when it is an object, stand beside that, as agents send them (`agent_id`,
    /// `last_assistant_message`, …); anything else but `null` is the member `data`. `hook_event_name` and `agent_type`
    /// cannot be among them, other common members can.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// use hookpool::DelegationPhase;
    /// # let manager = HookManager::from_config(Config::default())?;
    /// manager.trigger_delegation_hook("explorer", DelegationPhase::Start, serde_json::json!({"agent_id": "a1"}));
    /// manager.trigger_delegation_hook("explorer", DelegationPhase::Stop, ());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger_delegation_hook(
        &self,
        agent_type: &str,
        phase: DelegationPhase,
        data: impl Serialize,
    ) -> Triggered {
        let name = match phase {
            DelegationPhase::Start => "SubagentStart",
            DelegationPhase::Stop => "SubagentStop",
        };
        self.send_whole(|| self.voice.whole(name, Some(agent_type), "data", &data))
    }

    /// Anything else that happened, by the name that an agent gives it: `SessionStart`, `PreCompact`, a name of your own.
    ///
    /// The members of `fields` stand beside the common ones and take their place where they have the same name;
    /// `hook_event_name` cannot be among them. Fields that serialise to something else than an object or `null` make the
    /// event invalid. An event that is JSON already goes to [`HookPool::submit`].
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// manager.trigger("SessionStart", serde_json::json!({"source": "startup"}));
    /// assert!(manager.trigger("SessionStart", "startup").invalid().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trigger(&self, name: &str, fields: impl Serialize) -> Triggered {
        self.send_whole(|| self.voice.whole(name, None, "", &fields))
    }

    /// Number of jobs that wait.
    #[must_use]
    pub fn queue_size(&self) -> usize {
        self.pool().map_or(0, HookPool::queue_size)
    }

    /// A copy of all counts.
    #[must_use]
    pub fn status(&self) -> Snapshot {
        match &self.target {
            Target::Pool(pool) => pool.status(),
            Target::Nowhere(skipped) => {
                Snapshot::of_skipped(Skip::ConfigError, skipped.load(Ordering::Relaxed))
            }
        }
    }

    /// Ends the pool: takes nothing more, lets what was admitted run on for `shutdown.drain`, then abandons what still
    /// waits and stops what still runs. Every admitted job has its outcome when this returns. Later triggers are refused
    /// as `closed`.
    ///
    /// ```
    /// # use hookpool::{Config, HookManager};
    /// # let manager = HookManager::from_config(Config::default())?;
    /// let ledger = manager.shutdown();
    /// assert!(ledger.is_balanced());
    /// # Ok::<(), hookpool::BuildError>(())
    /// ```
    pub fn shutdown(&self) -> Ledger {
        match &self.target {
            Target::Pool(pool) => pool.drain(pool.config().shutdown.drain),
            Target::Nowhere(_) => Ledger { snapshot: self.status(), lost: 0, leaked: 0, still_admitted: 0 },
        }
    }

    /// A guard that shuts the manager down when it is dropped: for `main`, so that nothing that was triggered is lost at
    /// its end, on an early return neither.
    ///
    /// ```no_run
    /// use hookpool::hook_manager;
    ///
    /// fn main() {
    ///     let manager = hook_manager();
    ///     let _end = manager.shutdown_on_drop();
    ///     manager.trigger_user_prompt_hook("hello");
    /// } // what was triggered is run here, for at most `shutdown.drain`
    /// ```
    pub fn shutdown_on_drop(&self) -> ShutdownGuard {
        ShutdownGuard { manager: self.clone() }
    }

    /// Its pool. `None`: there is none, because [`hook_manager`] found the configuration invalid.
    #[must_use]
    pub fn pool(&self) -> Option<&HookPool> {
        match &self.target {
            Target::Pool(pool) => Some(pool),
            Target::Nowhere(_) => None,
        }
    }

    /// Sends an event that is written when a hook wants it.
    fn send(
        &self,
        name: &'static str,
        kind: EventKind,
        tool: Option<&str>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<i64, EventError>,
    ) -> Triggered {
        let Some(pool) = self.pool_or_count() else { return Triggered::skipped(Skip::ConfigError) };
        let error = Cell::new(None);
        let write = |text: &mut Vec<u8>| write(text).map_err(|why| error.set(Some(why))).ok();
        match Draft::new(name, kind, tool, self.voice.session(), write) {
            Ok(draft) => Triggered::new(pool.submit_subject(draft), error.take()),
            Err(error) => Triggered::invalid_event(error),
        }
    }

    /// Sends an event that has to be written before it is known what it is.
    fn send_whole(&self, write: impl FnOnce() -> Result<Event, EventError>) -> Triggered {
        let Some(pool) = self.pool_or_count() else { return Triggered::skipped(Skip::ConfigError) };
        match write() {
            Ok(event) => Triggered::new(pool.submit(event), None),
            Err(error) => Triggered::invalid_event(error),
        }
    }

    fn pool_or_count(&self) -> Option<&HookPool> {
        match &self.target {
            Target::Pool(pool) => Some(pool),
            Target::Nowhere(skipped) => {
                skipped.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// Shuts a manager down when it is dropped; see [`HookManager::shutdown_on_drop`].
#[derive(Debug)]
#[must_use = "it shuts the manager down when it is dropped, which is at once if nobody keeps it"]
pub struct ShutdownGuard {
    manager: HookManager,
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        self.manager.shutdown();
    }
}
