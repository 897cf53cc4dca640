//! From names and shapes to kinds: the one table of what agents call things.
//!
//! Names are compared without case and without `_ - . / :` and spaces, so `PreToolUse`, `preToolUse` and
//! `pre_tool_use` are one entry. A name that is not in the table is judged by its words, so that agents which nobody
//! has seen yet work as well; what remains is `other`.
//!
//! How the table decides where it could go either way:
//! - One thing that happens is one event. Where an agent tells it twice, the second telling is `other`:
//!   `UserPromptExpansion` (the prompt follows), `PostToolBatch` (each tool has its own), `BeforeToolSelection`
//!   (`BeforeModel` comes too), the opencode bus's copies of messages.
//! - Cursor's narrow events (`beforeShellExecution`, `afterFileEdit`, …) are tool calls, `before…` and `after…`; they
//!   carry no tool name and get none. Its `afterAgentResponse` and `afterAgentThought` are a model's answers.
//! - The end of a turn is `stop`, by error too (`StopFailure`).
//! - A payload that tells of a failure inside `PostToolUse` stays `post_tool`: texts are not guessed at.

use crate::kind::{EventKind, KindSet};

use EventKind::{
    DelegationStart, DelegationStop, Notification, Other, Permission, PostCompact, PostModel, PostTool,
    PreCompact, PreModel, PreTool, SessionEnd, SessionStart, Stop, ToolFailed, UserPrompt,
};

/// The kind of the event that an agent calls so.
pub(crate) fn kind_of(name: &str) -> EventKind {
    let mut buffer = [0; LONGEST];
    let Some(name) = normalise(name, &mut buffer) else { return Other };
    known(name).unwrap_or_else(|| by_words(name))
}

/// True when some agent that we know, or hookpool itself, sends events of that name, in whatever spelling.
pub(crate) fn is_known_name(name: &str) -> bool {
    normalise(name, &mut [0; LONGEST]).is_some_and(|name| known(name).is_some())
}

/// Every kind and group that an event of that kind, about that tool, belongs to.
pub(super) fn kinds_of(kind: EventKind, tool: Option<&str>) -> KindSet {
    let own = kind.as_set();
    let spawns = || tool.is_some_and(spawns_agent);
    match kind {
        DelegationStart | DelegationStop => own.union(KindSet::DELEGATION),
        PreTool | PostTool | ToolFailed => {
            let own = if kind == ToolFailed { own.union(PostTool.as_set()) } else { own };
            if spawns() { own.union(KindSet::DELEGATION) } else { own }
        }
        _ => own,
    }
}

/// Longer names, normalised, are nobody's.
const LONGEST: usize = 64;

fn normalise<'b>(name: &str, buffer: &'b mut [u8; LONGEST]) -> Option<&'b str> {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ' | b'/' | b':'));
    let mut length = 0;
    for letter in letters {
        *buffer.get_mut(length)? = letter.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(buffer.get(..length)?).ok().filter(|name| !name.is_empty())
}

#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "a row for each family of agents")]
fn known(name: &str) -> Option<EventKind> {
    Some(match name {
        // Claude Code, Codex, Qwen, Copilot, Cursor, droid, hermes, gptme, opencode
        "sessionstart" | "onsessionstart" | "sessioncreated" => SessionStart,
        // Amazon Q, Kiro: the agent that the user talks to begins.
        "agentspawn" => SessionStart,
        "sessionend" | "onsessionend" | "sessiondeleted" => SessionEnd,
        // Claude Code; Copilot; Gemini; Cursor; opencode; Windsurf; Kiro; our own
        "userpromptsubmit" | "userpromptsubmitted" | "beforeagent" | "beforesubmitprompt" | "chatmessage"
        | "preuserprompt" | "promptsubmit" | "userprompt" => UserPrompt,
        // Claude Code; Gemini; opencode; gptme; hermes; our own
        "pretooluse" | "beforetool" | "toolexecutebefore" | "toolexecutepre" | "pretoolcall" | "pretool" => PreTool,
        // Cursor
        "beforeshellexecution" | "beforemcpexecution" | "beforereadfile" | "beforetabfileread" => PreTool,
        // Windsurf
        "prereadcode" | "prewritecode" | "preruncommand" | "premcptooluse" => PreTool,
        "posttooluse" | "aftertool" | "toolexecuteafter" | "toolexecutepost" | "posttoolcall" | "posttool" => PostTool,
        "aftershellexecution" | "aftermcpexecution" | "afterfileedit" | "aftertabfileedit" => PostTool,
        "postreadcode" | "postwritecode" | "postruncommand" | "postmcptooluse" => PostTool,
        "posttoolusefailure" | "toolfailed" => ToolFailed,
        "subagentstart" | "delegationstart" | "delegation" => DelegationStart,
        "subagentstop" | "delegationstop" => DelegationStop,
        // Claude Code; Copilot; Gemini; opencode; Codex's notify program; Windsurf
        "stop" | "stopfailure" | "agentstop" | "afteragent" | "sessionidle" | "agentturncomplete"
        | "postcascaderesponse" => Stop,
        "notification" => Notification,
        // Claude Code; opencode; Codex's notify program; our own
        "permissionrequest" | "permissiondenied" | "permissionask" | "permissionasked" | "permissionupdated"
        | "permissionreplied" | "approvalrequested" | "permission" => Permission,
        "precompact" | "precompress" | "experimentalsessioncompacting" => PreCompact,
        "postcompact" | "sessioncompacted" => PostCompact,
        "beforemodel" | "chatparams" | "prellmcall" | "generationpre" | "premodel" => PreModel,
        "aftermodel" | "postllmcall" | "generationpost" | "afteragentresponse" | "afteragentthought"
        | "postmodel" => PostModel,
        // Known, and none of the kinds. Claude Code, Qwen:
        "setup" | "instructionsloaded" | "userpromptexpansion" | "messagedisplay" | "posttoolbatch" | "taskcreated"
        | "taskcompleted" | "teammateidle" | "configchange" | "cwdchanged" | "directoryadded" | "filechanged"
        | "worktreecreate" | "worktreeremove" | "premodelswitch" | "postmodelswitch" | "elicitation"
        | "elicitationresult" | "queryend" => Other,
        // Codex; Gemini; Copilot; Cursor
        "interrupt" | "beforetoolselection" | "erroroccurred" | "workspaceopen" => Other,
        // opencode
        "chatheaders" | "commandexecutebefore" | "shellenv" | "messageupdated" | "messagepartupdated"
        | "sessionerror" | "sessionupdated" | "fileedited" => Other,
        "other" => Other,
        _ => return None,
    })
}

/// The kind that the words of an unknown name tell.
fn by_words(name: &str) -> EventKind {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let ends = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    let fails = has(&["fail", "error"]);
    let before = name.starts_with("pre") || has(&["before"]) || ends(&["pre", "start", "started", "begin"]);
    let after = name.starts_with("post")
        || has(&["after"])
        || ends(&["post", "stop", "stopped", "end", "ended", "complete", "completed", "finish", "finished"]);

    if has(&["permission", "approval"]) {
        return Permission;
    }
    if has(&["notification"]) {
        return Notification;
    }
    if has(&["subagent", "delegat"]) {
        return match (before, after || fails) {
            (true, _) => DelegationStart,
            (_, true) => DelegationStop,
            _ => Other,
        };
    }
    if has(&["tool"]) {
        return match (before, fails, after) {
            (true, _, _) => PreTool,
            (_, true, _) => ToolFailed,
            (_, _, true) => PostTool,
            _ => Other,
        };
    }
    if has(&["compact", "compress"]) {
        return match (before, after) {
            (true, _) => PreCompact,
            (_, true) => PostCompact,
            _ => Other,
        };
    }
    if has(&["prompt"]) && (before || has(&["submit", "user"])) {
        return UserPrompt;
    }
    if has(&["llm", "model"]) {
        return match (before, after) {
            (true, _) => PreModel,
            (_, true) => PostModel,
            _ => Other,
        };
    }
    if has(&["session"]) {
        return match (before || has(&["resum"]), after) {
            (true, _) => SessionStart,
            (_, true) => SessionEnd,
            _ => Other,
        };
    }
    if has(&["turn"]) && after { Stop } else { Other }
}

/// True for the tools with which agents start sub-agents.
fn spawns_agent(tool: &str) -> bool {
    // Most tools are sorted out by that, and need not be normalised.
    if !may_spawn_agent(tool) {
        return false;
    }
    let mut buffer = [0; LONGEST];
    let Some(tool) = normalise(tool, &mut buffer) else { return false };
    tool.starts_with(DELEGATES) || SPAWNERS.contains(&tool)
}

/// False for names without the letters of which all of [`SPAWNERS`], and [`DELEGATES`], have one.
fn may_spawn_agent(tool: &str) -> bool {
    tool.bytes().any(|byte| matches!(byte.to_ascii_lowercase(), b'g' | b'k' | b'w'))
}

/// What names of such tools begin with.
const DELEGATES: &str = "delegate";

const SPAWNERS: &[&str] = &[
    "agent",
    "task",
    "newtask",
    "subagent",
    "spawnagent",
    "invokeagent",
    "callagent",
    "runagent",
    "startagent",
    "launchagent",
    "dispatchagent",
    "transfertoagent",
    "sessionsspawn",
    "runsubagent",
    "spawnsubagent",
    "usesubagent",
    "usesubagents",
];

/// Which telling members an object has, beside its name: how an event without a name is recognised.
///
/// Only GitHub Copilot sends such events on purpose, so the names are its own.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
pub(super) struct Shape {
    result: bool,
    error: bool,
    permission: bool,
    prompt: bool,
    initial_prompt: bool,
    answer: bool,
    stop_reason: bool,
    agent: bool,
    source: bool,
    reason: bool,
    trigger: bool,
    notification: bool,
}

impl Shape {
    /// The flag of a member, if it tells something. A member that is `null` tells nothing.
    pub(super) fn flag(member: &[u8]) -> Option<fn(&mut Self) -> &mut bool> {
        Some(match member {
            b"toolResult" | b"tool_result" | b"tool_response" | b"toolResponse" | b"tool_output"
            | b"toolOutput" => |shape| &mut shape.result,
            b"error" => |shape| &mut shape.error,
            b"permissionSuggestions" | b"permission_suggestions" => |shape| &mut shape.permission,
            b"prompt" => |shape| &mut shape.prompt,
            b"initialPrompt" | b"initial_prompt" => |shape| &mut shape.initial_prompt,
            b"prompt_response" | b"promptResponse" => |shape| &mut shape.answer,
            b"stopReason" | b"stop_reason" => |shape| &mut shape.stop_reason,
            b"agentId" | b"agent_id" | b"agentName" | b"agent_name" | b"agentType" | b"agent_type" => {
                |shape| &mut shape.agent
            }
            b"source" => |shape| &mut shape.source,
            b"reason" => |shape| &mut shape.reason,
            b"trigger" => |shape| &mut shape.trigger,
            b"notificationType" | b"notification_type" => |shape| &mut shape.notification,
            _ => return None,
        })
    }

    /// The name of the event that looks so; the most telling member decides.
    pub(super) fn name(self, has_tool: bool) -> Option<&'static str> {
        Some(match self {
            Self { permission: true, .. } if has_tool => "permissionRequest",
            Self { result: true, .. } if has_tool => "postToolUse",
            Self { error: true, .. } if has_tool => "postToolUseFailure",
            _ if has_tool => "preToolUse",
            Self { stop_reason: true, agent: true, .. } => "subagentStop",
            Self { stop_reason: true, .. } | Self { answer: true, .. } => "agentStop",
            Self { initial_prompt: true, .. } => "sessionStart",
            Self { prompt: true, .. } => "userPromptSubmitted",
            Self { error: true, .. } => "errorOccurred",
            Self { notification: true, .. } => "notification",
            Self { source: true, .. } => "sessionStart",
            Self { reason: true, .. } => "sessionEnd",
            Self { trigger: true, .. } => "preCompact",
            Self { agent: true, .. } => "subagentStart",
            _ => return None,
        })
    }
}

/// Smaller numbers are seconds: this is the year 5138 as seconds, and 1973 as milliseconds.
const SECONDS_BELOW: u64 = 100_000_000_000;

/// A time as agents write it, in milliseconds since 1970; `raw` is the JSON of it.
pub(super) fn timestamp_ms(raw: &str) -> Option<i64> {
    if raw.starts_with('"') {
        // Nobody writes a time with escapes.
        let text = raw.trim_matches('"');
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    }
    if let Ok(whole) = raw.parse::<i64>() {
        let seconds = whole.unsigned_abs() < SECONDS_BELOW;
        return if seconds { whole.checked_mul(1000) } else { Some(whole) };
    }
    let number: f64 = raw.parse().ok()?;
    let ms = if number.abs() < 1e11 { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    (ms.abs() < 9e18).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tool_that_starts_agents_is_sorted_out_by_its_letters() {
        for name in SPAWNERS.iter().copied().chain([DELEGATES, "delegate_work"]) {
            assert!(spawns_agent(name) && spawns_agent(&name.to_uppercase()), "{name}");
        }
        assert!(!spawns_agent("Bash") && !spawns_agent("Grep") && !spawns_agent(""));
    }
}
