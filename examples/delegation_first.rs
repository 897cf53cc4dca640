//! What a class does: a delegation behind twenty tool calls, on one worker, with the class `normal` and with `high`.
//!
//!     cargo run --example delegation_first

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool};

const TOOL_CALLS: usize = 20;

/// The hook's own class. A hook without one has that of the event's kind: delegations are `high` by default.
fn hooks(class: &str) -> String {
    format!(
        r#"
        [pool]
        workers = 1
        standby = 0

        [hook.audit]
        on = ["post_tool"]
        timeout = "1m"

        [hook.delegations]
        on = ["delegation"]
        priority = "{class}"
        "#
    )
}

/// The place of the delegation among all jobs.
fn place_of_delegation(class: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let (has_begun, everything_waits) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    let (begins, gate) = (Arc::clone(&has_begun), Arc::clone(&everything_waits));
    let pool = HookPool::builder()
        .config(Config::from_toml(&hooks(class))?)
        // The first one takes its time, so that the others pile up behind it.
        .register("audit", move |_: &Call| {
            let _ = begins.set(());
            gate.wait();
        })
        .register("delegations", |_: &Call| ())
        .build()?;
    let outcomes = pool.outcomes(TOOL_CALLS + 1);
    for _ in 0..TOOL_CALLS {
        pool.submit(Event::from_json(r#"{"hook_event_name":"PostToolUse","tool_name":"Read"}"#)?);
        has_begun.wait();
    }
    pool.submit(Event::from_json(r#"{"hook_event_name":"SubagentStart","agent_type":"explorer"}"#)?);
    let _ = everything_waits.set(());
    pool.drain(Duration::from_secs(10));
    let place = outcomes.take_while(|outcome| outcome.hook.as_str() != "delegations").count();
    Ok(place + 1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for class in ["normal", "high"] {
        println!(
            "{class:>6}: the delegation is number {} of {}",
            place_of_delegation(class)?,
            TOOL_CALLS + 1
        );
    }
    Ok(())
}
