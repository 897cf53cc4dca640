//! Handlers in Rust beside commands: one event at a time, and many.
//!
//!     cargo run --example rust_handler

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool};

/// The hooks without `run` are those of the functions below.
const HOOKS: &str = r#"
    [hook.policy]
    on = ["pre_tool"]

    [hook.tools]
    on = ["post_tool"]
    order = "none"
    batch = { size = 50, linger = "50ms" }

    [hook.shell]
    on = ["stop"]
    run = "cat > /dev/null"
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counts: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let written = Arc::clone(&counts);
    let pool = HookPool::builder()
        .config(Config::from_toml(HOOKS)?)
        // A panic or an error costs this job its success, and nothing else.
        .register("policy", |call: &Call| match call.event().tool() {
            Some("Bash") => Err("no shell in this project"),
            _ => Ok(()),
        })
        // One lock for the whole batch.
        .register_batch("tools", move |calls: &[Call]| {
            let mut counts = written.lock().map_err(|_| "the counts are broken")?;
            for tool in calls.iter().filter_map(|call| call.event().tool()) {
                *counts.entry(tool.to_owned()).or_default() += 1;
            }
            Ok::<_, &str>(())
        })
        .build()?;

    for tool in ["Read", "Bash"] {
        let json = format!(r#"{{"hook_event_name":"PreToolUse","tool_name":"{tool}"}}"#);
        for job in pool.submit(Event::from_json(json)?).admitted() {
            let outcome = job.wait(Duration::from_secs(10)).ok_or("no outcome in time")?;
            println!("{tool}: {outcome}");
        }
    }
    for tool in ["Read", "Edit", "Read"] {
        pool.submit(Event::from_json(format!(
            r#"{{"hook_event_name":"PostToolUse","tool_name":"{tool}"}}"#
        ))?);
    }
    pool.submit(Event::from_json(r#"{"hook_event_name":"Stop"}"#)?);

    let ledger = pool.drain(Duration::from_secs(10));
    println!("tools: {:?}", counts.lock().map_err(|_| "the counts are broken")?);
    for hook in &ledger.snapshot.hooks {
        println!("{}: {} jobs", hook.name, hook.counts.resolved());
    }
    println!("balanced: {}", ledger.is_balanced());
    Ok(())
}
