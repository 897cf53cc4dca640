//! What real agents send, and what is read from it.
//!
//! The payloads of Claude Code, Codex CLI and Gemini CLI were captured from real runs; the others are made by hand
//! after the agents' documentation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hookpool::{Event, KindSet};
use proptest::prelude::*;

/// File, name, kind and the groups it belongs to beside, the session's first letters, tool; `-` where there is none.
#[rustfmt::skip]
const EVENTS: &[(&str, &str, &str, &str, &str)] = &[
    ("claude/CwdChanged", "CwdChanged", "other", "4044a84d", "-"),
    ("claude/InstructionsLoaded", "InstructionsLoaded", "other", "fe130e5e", "-"),
    ("claude/MessageDisplay", "MessageDisplay", "other", "fe130e5e", "-"),
    ("claude/PermissionRequest", "PermissionRequest", "permission", "101d1cfb", "Bash"),
    ("claude/PostToolBatch", "PostToolBatch", "other", "fe130e5e", "-"),
    ("claude/PostToolBatch.subagent", "PostToolBatch", "other", "fe130e5e", "-"),
    ("claude/PostToolUse", "PostToolUse", "post_tool", "fe130e5e", "Bash"),
    ("claude/PostToolUse.Agent", "PostToolUse", "post_tool delegation", "fe130e5e", "Agent"),
    ("claude/PostToolUse.Bash-subagent", "PostToolUse", "post_tool", "fe130e5e", "Bash"),
    ("claude/PostToolUse.Read", "PostToolUse", "post_tool", "fe130e5e", "Read"),
    ("claude/PostToolUse.Write", "PostToolUse", "post_tool", "fe130e5e", "Write"),
    ("claude/PostToolUseFailure", "PostToolUseFailure", "tool_failed post_tool", "fe130e5e", "Bash"),
    ("claude/PreCompact", "PreCompact", "pre_compact", "fa2f9535", "-"),
    ("claude/PreToolUse", "PreToolUse", "pre_tool", "fe130e5e", "Bash"),
    ("claude/PreToolUse.Agent", "PreToolUse", "pre_tool delegation", "fe130e5e", "Agent"),
    ("claude/PreToolUse.Bash-subagent", "PreToolUse", "pre_tool", "fe130e5e", "Bash"),
    ("claude/PreToolUse.Read", "PreToolUse", "pre_tool", "fe130e5e", "Read"),
    ("claude/PreToolUse.Write", "PreToolUse", "pre_tool", "fe130e5e", "Write"),
    ("claude/SessionEnd", "SessionEnd", "session_end", "fe130e5e", "-"),
    ("claude/SessionStart", "SessionStart", "session_start", "fe130e5e", "-"),
    ("claude/Setup", "Setup", "other", "37a1222a", "-"),
    ("claude/Stop", "Stop", "stop", "fe130e5e", "-"),
    ("claude/SubagentStart", "SubagentStart", "delegation_start delegation", "fe130e5e", "-"),
    ("claude/SubagentStop", "SubagentStop", "delegation_stop delegation", "fe130e5e", "-"),
    ("claude/UserPromptExpansion", "UserPromptExpansion", "other", "62a2a1fe", "-"),
    ("claude/UserPromptSubmit", "UserPromptSubmit", "user_prompt", "fe130e5e", "-"),
    ("claude/WorktreeCreate", "WorktreeCreate", "other", "57f8e96f", "-"),
    ("codex/PostCompact", "PostCompact", "post_compact", "01a20384", "-"),
    ("codex/PostToolUse", "PostToolUse", "post_tool", "01a20368", "Bash"),
    ("codex/PostToolUse.Bash-subagent", "PostToolUse", "post_tool", "01a20383", "Bash"),
    ("codex/PostToolUse.spawn_agent", "PostToolUse", "post_tool delegation", "01a20368", "spawn_agent"),
    ("codex/PreCompact", "PreCompact", "pre_compact", "01a20384", "-"),
    ("codex/PreToolUse", "PreToolUse", "pre_tool", "01a20368", "Bash"),
    ("codex/PreToolUse.Bash-subagent", "PreToolUse", "pre_tool", "01a20383", "Bash"),
    ("codex/PreToolUse.spawn_agent", "PreToolUse", "pre_tool delegation", "01a20368", "spawn_agent"),
    ("codex/SessionEnd", "SessionEnd", "session_end", "01a20368", "-"),
    ("codex/SessionStart", "SessionStart", "session_start", "01a20368", "-"),
    ("codex/SessionStart.compact", "SessionStart", "session_start", "01a20384", "-"),
    ("codex/Stop", "Stop", "stop", "01a20368", "-"),
    ("codex/SubagentStart", "SubagentStart", "delegation_start delegation", "01a20368", "-"),
    ("codex/SubagentStop", "SubagentStop", "delegation_stop delegation", "01a20383", "-"),
    ("codex/UserPromptSubmit", "UserPromptSubmit", "user_prompt", "01a20368", "-"),
    ("codex/UserPromptSubmit.subagent", "UserPromptSubmit", "user_prompt", "01a20368", "-"),
    ("gemini/AfterAgent", "AfterAgent", "stop", "3b03f6cb", "-"),
    ("gemini/AfterModel", "AfterModel", "post_model", "3b03f6cb", "-"),
    ("gemini/AfterTool", "AfterTool", "post_tool", "3b03f6cb", "run_shell_command"),
    ("gemini/AfterTool.invoke_agent", "AfterTool", "post_tool delegation", "3b03f6cb", "invoke_agent"),
    ("gemini/AfterTool.read_file", "AfterTool", "post_tool", "3b03f6cb", "read_file"),
    ("gemini/AfterTool.write_file", "AfterTool", "post_tool", "3b03f6cb", "write_file"),
    ("gemini/BeforeAgent", "BeforeAgent", "user_prompt", "3b03f6cb", "-"),
    ("gemini/BeforeModel", "BeforeModel", "pre_model", "3b03f6cb", "-"),
    ("gemini/BeforeTool", "BeforeTool", "pre_tool", "3b03f6cb", "run_shell_command"),
    ("gemini/BeforeTool.invoke_agent", "BeforeTool", "pre_tool delegation", "3b03f6cb", "invoke_agent"),
    ("gemini/BeforeTool.read_file", "BeforeTool", "pre_tool", "3b03f6cb", "read_file"),
    ("gemini/BeforeTool.write_file", "BeforeTool", "pre_tool", "3b03f6cb", "write_file"),
    ("gemini/BeforeToolSelection", "BeforeToolSelection", "other", "3b03f6cb", "-"),
    ("gemini/PreCompress", "PreCompress", "pre_compact", "3b03f6cb", "-"),
    ("gemini/SessionEnd", "SessionEnd", "session_end", "3b03f6cb", "-"),
    ("gemini/SessionStart", "SessionStart", "session_start", "3b03f6cb", "-"),
    ("qwen/PostToolUse", "PostToolUse", "post_tool", "5d0f8f3e", "write_file"),
    ("qwen/PreToolUse", "PreToolUse", "pre_tool", "5d0f8f3e", "run_shell_command"),
    ("qwen/PreToolUse.agent", "PreToolUse", "pre_tool delegation", "5d0f8f3e", "agent"),
    ("qwen/QueryEnd", "QueryEnd", "other", "5d0f8f3e", "-"),
    ("qwen/UserPromptSubmit", "UserPromptSubmit", "user_prompt", "5d0f8f3e", "-"),
    ("copilot/agentStop", "agentStop", "stop", "0b7d9c52", "-"),
    ("copilot/errorOccurred", "errorOccurred", "other", "0b7d9c52", "-"),
    ("copilot/notification", "notification", "notification", "0b7d9c52", "-"),
    ("copilot/permissionRequest", "permissionRequest", "permission", "0b7d9c52", "bash"),
    ("copilot/postToolUse", "postToolUse", "post_tool", "0b7d9c52", "bash"),
    ("copilot/postToolUseFailure", "postToolUseFailure", "tool_failed post_tool", "0b7d9c52", "bash"),
    ("copilot/preCompact", "preCompact", "pre_compact", "0b7d9c52", "-"),
    ("copilot/preToolUse", "preToolUse", "pre_tool", "0b7d9c52", "bash"),
    ("copilot/preToolUse.task", "preToolUse", "pre_tool delegation", "0b7d9c52", "task"),
    ("copilot/sessionEnd", "sessionEnd", "session_end", "0b7d9c52", "-"),
    ("copilot/sessionStart", "sessionStart", "session_start", "0b7d9c52", "-"),
    ("copilot/subagentStart", "subagentStart", "delegation_start delegation", "0b7d9c52", "-"),
    ("copilot/subagentStop", "subagentStop", "delegation_stop delegation", "0b7d9c52", "-"),
    ("copilot/userPromptSubmitted", "userPromptSubmitted", "user_prompt", "0b7d9c52", "-"),
    ("cursor/afterAgentResponse", "afterAgentResponse", "post_model", "668320d2", "-"),
    ("cursor/afterFileEdit", "afterFileEdit", "post_tool", "668320d2", "-"),
    ("cursor/afterShellExecution", "afterShellExecution", "post_tool", "668320d2", "-"),
    ("cursor/beforeMCPExecution", "beforeMCPExecution", "pre_tool", "668320d2", "search"),
    ("cursor/beforeReadFile", "beforeReadFile", "pre_tool", "668320d2", "-"),
    ("cursor/beforeShellExecution", "beforeShellExecution", "pre_tool", "668320d2", "-"),
    ("cursor/beforeSubmitPrompt", "beforeSubmitPrompt", "user_prompt", "668320d2", "-"),
    ("cursor/postToolUseFailure", "postToolUseFailure", "tool_failed post_tool delegation", "668320d2", "Task"),
    ("cursor/preToolUse", "preToolUse", "pre_tool", "668320d2", "Shell"),
    ("cursor/stop", "stop", "stop", "668320d2", "-"),
    ("cursor/subagentStart", "subagentStart", "delegation_start delegation", "668320d2", "-"),
    ("cursor/workspaceOpen", "workspaceOpen", "other", "668320d2", "-"),
    ("droid/PreToolUse", "PreToolUse", "pre_tool", "c3c1a6de", "Execute"),
    ("droid/PreToolUse.Task", "PreToolUse", "pre_tool delegation", "c3c1a6de", "Task"),
    ("droid/SessionStart", "SessionStart", "session_start", "c3c1a6de", "-"),
    ("droid/SubagentStop", "SubagentStop", "delegation_stop delegation", "c3c1a6de", "-"),
    ("opencode/chat.message", "chat.message", "user_prompt", "ses_4f1c", "-"),
    ("opencode/message.part.updated", "message.part.updated", "other", "-", "-"),
    ("opencode/permission.ask", "permission.ask", "permission", "ses_4f1c", "-"),
    ("opencode/session.compacted", "session.compacted", "post_compact", "-", "-"),
    ("opencode/session.created", "session.created", "session_start", "-", "-"),
    ("opencode/session.idle", "session.idle", "stop", "-", "-"),
    ("opencode/tool.execute.after", "tool.execute.after", "post_tool delegation", "ses_4f1c", "task"),
    ("opencode/tool.execute.before", "tool.execute.before", "pre_tool", "ses_4f1c", "bash"),
    ("hookpool/delegation_start", "delegation_start", "delegation_start delegation", "7", "-"),
    ("hookpool/tool_failed", "tool_failed", "tool_failed post_tool delegation", "s", "spawn_agent"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events")
}

#[test]
fn payloads_of_all_agents_are_recognised() {
    for (file, name, kinds, session, tool) in EVENTS {
        let payload = std::fs::read(fixtures().join(format!("{file}.json"))).unwrap();
        let event = Event::from_json(payload.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let all = kinds
            .split(' ')
            .map(|kind| KindSet::from_name(kind).unwrap())
            .fold(KindSet::EMPTY, KindSet::union);
        assert_eq!(event.name(), *name, "{file}");
        assert_eq!(Some(event.kind().name()), kinds.split(' ').next(), "{file}");
        assert_eq!(event.kinds(), all, "{file}");
        match event.session() {
            Some(id) => assert!(*session != "-" && id.starts_with(session), "{file}: session {id}"),
            None => assert_eq!(*session, "-", "{file}"),
        }
        assert_eq!(event.session().is_some(), event.session_key().is_some(), "{file}");
        assert_eq!(event.tool().unwrap_or("-"), *tool, "{file}");
        assert_eq!(event.payload(), payload, "{file}");
    }
}

#[test]
fn every_payload_is_in_the_table() {
    let mut files = BTreeSet::new();
    for agent in std::fs::read_dir(fixtures()).unwrap() {
        let agent = agent.unwrap();
        for file in std::fs::read_dir(agent.path()).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let file = file.strip_suffix(".json").unwrap();
            files.insert(format!("{}/{file}", agent.file_name().into_string().unwrap()));
        }
    }
    let table: BTreeSet<String> = EVENTS.iter().map(|event| event.0.to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn agents_times_are_read() {
    let time =
        |file: &str| Event::from_json(std::fs::read(fixtures().join(file)).unwrap()).unwrap().timestamp_ms();
    assert_eq!(time("gemini/AfterTool.json"), Some(1_795_355_352_185));
    assert_eq!(time("copilot/preToolUse.json"), Some(1_795_356_131_310));
    assert_eq!(time("claude/PreToolUse.json"), None);
}

mod recording {
    use super::*;

    fn events() -> Vec<Event> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/recording.jsonl");
        let text = std::fs::read_to_string(file).expect("the recording is part of the package");
        text.lines()
            .map(|line| Event::from_json(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    #[test]
    fn it_shows_whole_sessions_of_several_agents_at_once() {
        let events = events();
        assert!(events.len() >= 60, "{} events", events.len());
        let sessions: BTreeSet<&str> = events.iter().filter_map(Event::session).collect();
        assert!(sessions.len() >= 5, "{} sessions", sessions.len());
        for session in sessions {
            let own: Vec<usize> =
                (0..events.len()).filter(|at| events[*at].session() == Some(session)).collect();
            let kind = |at: Option<&usize>| at.map(|at| events[*at].kind().name());
            assert_eq!(kind(own.first()), Some("session_start"), "{session}");
            assert_eq!(kind(own.last()), Some("session_end"), "{session}");
            let span = own.last().unwrap() - own.first().unwrap() + 1;
            assert!(span > own.len(), "{session} has nothing of another session in between");
        }
    }

    #[test]
    fn it_has_something_for_the_usual_hooks() {
        let all = events().iter().map(Event::kinds).fold(KindSet::EMPTY, KindSet::union);
        for kind in [
            "session_start",
            "session_end",
            "user_prompt",
            "pre_tool",
            "post_tool",
            "tool_failed",
            "delegation",
            "delegation_start",
            "delegation_stop",
            "stop",
            "permission",
            "pre_compact",
            "post_compact",
        ] {
            assert!(all.intersects(KindSet::from_name(kind).unwrap()), "no {kind}");
        }
    }

    #[test]
    fn its_times_rise() {
        let times: Vec<i64> = events().iter().filter_map(Event::timestamp_ms).collect();
        assert!(times.len() >= 10 && times.is_sorted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::from_json(bytes).map_err(|error| error.to_string());
    }

    #[test]
    fn damaged_payloads_never_panic(
        file in prop::sample::select(EVENTS),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = std::fs::read(fixtures().join(format!("{}.json", file.0))).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(event) = Event::from_json_named(bytes.clone(), Some("x")) {
            prop_assert_eq!(event.payload(), &bytes);
            for path in ["tool_input.command", "tool_calls.0.tool_name", "prompt"] {
                let _ = event.field(&path.parse().unwrap());
            }
        }
    }
}
