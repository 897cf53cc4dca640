//! A pool inside of an agent's loop: a guard that the loop asks before each tool call, and hooks that it never waits
//! for.
//!
//!     cargo run --example embed

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::thread;
use std::time::Duration;

use hookpool::{Answer, Call, Config, Event, HookPool, OutcomeKind};

const HOOKS: &str = r#"
    [pool]
    workers = 2

    # In Rust, see `guard` below. No other tool call waits in front of it.
    [hook.guard]
    on = ["pre_tool"]
    priority = "critical"
    timeout = "1s"

    [hook.audit]
    on = ["pre_tool", "post_tool"]
    run = "wc -c"
    priority = "low"

    # Delegations are `high` by default.
    [hook.delegations]
    on = ["delegation"]
    run = 'echo "$HOOKPOOL_KIND in $HOOKPOOL_SESSION"'
"#;

/// What the model wants to do.
const PLAN: [(&str, &str); 4] =
    [("Read", "notes.md"), ("Bash", "ls"), ("Bash", "rm -rf /"), ("Task", "explorer")];

fn guard(call: &Call) -> Answer {
    let allowed = !String::from_utf8_lossy(call.event().payload()).contains("rm -rf");
    let verdict = format!(r#"{{"allow":{allowed}}}"#).parse().expect("it is JSON");
    Answer::ok()
        .with_message(if allowed { "go on" } else { "that would delete everything" })
        .with_verdict(verdict)
}

fn event(name: &str, (tool, input): (&str, &str)) -> Result<Event, hookpool::EventError> {
    Event::from_json(format!(
        r#"{{"hook_event_name":"{name}","session_id":"s1","tool_name":"{tool}","tool_input":{{"input":"{input}"}}}}"#
    ))
}

/// Asks the guard, and waits for its word alone. Without one in time the answer is no.
fn is_allowed(pool: &HookPool, step: (&str, &str)) -> Result<bool, hookpool::EventError> {
    let submission = pool.submit(event("PreToolUse", step)?);
    let guard = submission.admitted_for("guard");
    let outcome = guard.and_then(|job| job.wait(Duration::from_secs(2)));
    let verdict = outcome.as_ref().filter(|outcome| outcome.kind == OutcomeKind::Succeeded);
    let verdict = verdict.and_then(|outcome| outcome.verdict.as_ref());
    Ok(verdict.is_some_and(|verdict| verdict.as_str() == r#"{"allow":true}"#))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = HookPool::builder().config(Config::from_toml(HOOKS)?).register("guard", guard).build()?;
    // Outcomes are looked at beside the loop, at this thread's own pace.
    let outcomes = pool.outcomes(1000);
    let log = thread::spawn(move || outcomes.map(|outcome| outcome.to_string()).collect::<Vec<_>>());

    for step @ (tool, input) in PLAN {
        if !is_allowed(&pool, step)? {
            println!("{tool} {input}: denied");
            continue;
        }
        println!("{tool} {input}: done");
        // Nobody waits for these: submit returns at once, whatever the handlers do.
        pool.submit(event("PostToolUse", step)?);
    }

    let ledger = pool.drain(Duration::from_secs(10));
    let mut log = log.join().map_err(|_| "the log's thread panicked")?;
    log.sort();
    println!("{}", log.join("\n"));
    println!("{} submitted, balanced: {}", ledger.snapshot.total.submitted(), ledger.is_balanced());
    Ok(())
}
