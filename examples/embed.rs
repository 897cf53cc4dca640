//! A pool inside of a program: hand events over, go on, and look at the outcomes later.
//!
//!     cargo run --example embed

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use hookpool::{Config, Event, HookPool};

const HOOKS: &str = r#"
    [pool]
    workers = 2

    # Delegations go first, whatever else waits.
    [priority]
    delegation = "high"

    [hook.audit]
    on = ["pre_tool", "post_tool"]
    run = "wc -c"
    priority = "low"

    [hook.delegations]
    on = ["delegation"]
    run = 'echo "$HOOKPOOL_KIND in $HOOKPOOL_SESSION"'
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = HookPool::builder().config(Config::from_toml(HOOKS)?).build()?;

    let mut jobs = Vec::new();
    for json in [
        r#"{"hook_event_name": "PreToolUse", "session_id": "s1", "tool_name": "Bash", "tool_input": {"command": "ls"}}"#,
        r#"{"hook_event_name": "SubagentStart", "session_id": "s1", "agent_type": "explorer"}"#,
        r#"{"hook_event_name": "SessionEnd", "session_id": "s1"}"#,
    ] {
        let event = Event::from_json(json)?;
        let name = event.name().to_owned();
        // This returns at once, whatever the handlers do.
        let submission = pool.submit(event);
        println!("{name}: {} jobs", submission.admitted().count());
        jobs.extend(submission.admitted().cloned());
    }

    for job in jobs {
        if let Some(outcome) = job.wait(Duration::from_secs(10)) {
            let output = outcome.process.as_ref().map(|process| process.stdout.text().trim().to_owned());
            println!("{outcome}, it said {:?}", output.unwrap_or_default());
        }
    }

    let ledger = pool.drain(Duration::from_secs(2));
    println!("{} submitted, balanced: {}", ledger.snapshot.total.submitted(), ledger.is_balanced());
    Ok(())
}
