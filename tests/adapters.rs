//! The adapters of `examples/handlers` make a handler that speaks lines of a plain function.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::Duration;

use hookpool::{Config, Event, HookPool, OutcomeKind};

const AMPLE: Duration = Duration::from_mins(1);

fn check(program: &str, script: &str) {
    if !["/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).exists()) {
        return;
    }
    let script = format!("{}/examples/handlers/{script}", env!("CARGO_MANIFEST_DIR"));
    for mode in ["mode = 'resident'", "mode = 'lines'\nbatch = { size = 9, linger = '0s' }"] {
        let text = format!(
            "[hook.audit]\non = ['pre_tool']\nrun = ['{program}', '{script}']\ntimeout = '60s'\n{mode}\n\
             env.PATH = '/usr/bin:/bin:/usr/local/bin'\nenv.PYTHONDONTWRITEBYTECODE = '1'\n"
        );
        let pool = HookPool::builder().config(Config::from_toml(&text).unwrap()).build().unwrap();
        pool.pause("audit");
        let jobs = ["ls \u{2028} -l", "rm -r x", ""].map(|command| {
            let input =
                if command.is_empty() { String::new() } else { format!("\n\"command\":\"{command}\"") };
            let event = format!(r#"{{"event":"PreToolUse","tool_name":"Bash","tool_input":{{{input}}}}}"#);
            pool.submit(Event::from_json(event).unwrap()).admitted().next().unwrap().clone()
        });
        pool.resume("audit");
        let outcomes = jobs.map(|job| job.wait(AMPLE).unwrap());
        let kinds = outcomes.each_ref().map(|outcome| outcome.kind);
        assert_eq!(
            kinds,
            [OutcomeKind::Succeeded, OutcomeKind::Succeeded, OutcomeKind::Failed],
            "{program}: {outcomes:?}"
        );
        assert!(outcomes[0].verdict.is_none(), "{:?}", outcomes[0]);
        let verdict = outcomes[1].verdict.as_ref().unwrap().as_str().replace(' ', "");
        assert_eq!(verdict, r#"{"decision":"ask","why":"itremovesafolder"}"#);
        let why = outcomes[2].message.as_deref().unwrap();
        assert!(why.starts_with("KeyError: ") || why.starts_with("TypeError: "), "{why}");
        let ledger = pool.drain(AMPLE);
        assert!(ledger.is_balanced());
    }
}

#[test]
fn a_python_function_becomes_a_handler() {
    check("python3", "audit.py");
}

#[test]
fn a_node_function_becomes_a_handler() {
    check("node", "audit.mjs");
}
