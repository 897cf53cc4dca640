//! What matching an event costs when three hooks want it, among ten hooks and among a thousand.
//!
//! The other hooks differ from the three in one thing only: their kinds, their tools' names, their patterns, or the
//! value that they want a field to have. Both sizes are measured in turn, round by round, so that a busy machine is
//! busy for both; the medians are compared. `cargo bench --bench matching`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hookpool::{Event, KindSet, Matcher, Selector};
use serde_json::{Value, json};

const EVENT: &str = r#"{"session_id":"fe130e5e-7372-4ed9-b36a-a2e545a770e7","transcript_path":"/home/user/.claude/projects/p.jsonl","cwd":"/home/user/project","prompt_id":"8aa57a43-a832-414a-84d8-342dece62dd6","permission_mode":"default","effort":{"level":"medium"},"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"cargo test --workspace","description":"run the tests"},"tool_use_id":"toolu_5c40ef146b7c47c78303"}"#;

const SMALL: usize = 10;
const LARGE: usize = 1000;
const MATCHING: usize = 3;

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let (rounds, calls) = if std::env::args().any(|arg| arg == "--bench") { (201, 2000) } else { (3, 10) };
    let event = Event::from_json(EVENT).expect("the event is well formed");
    println!(
        "{:<22}{:>12}{:>12}{:>8}",
        "the other hooks have",
        format!("{SMALL} hooks"),
        format!("{LARGE} hooks"),
        "ratio"
    );
    for (name, other) in CASES {
        let matchers = [SMALL, LARGE].map(|size| matcher(size, *other));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (matcher, times) in matchers.iter().zip(&mut times) {
                times.push(measure(matcher, &event, calls));
            }
        }
        let [small, large] = times.map(|times| median(times) / calls);
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("{name:<22}{:>12}{:>12}{ratio:>8.2}", format!("{small:?}"), format!("{large:?}"));
    }
}

type Other = fn(usize) -> Selector;

const CASES: &[(&str, Other)] = &[
    ("other kinds", |_| selector("post_tool", Some("Bash"), None)),
    ("other tools", |number| selector("pre_tool", Some(&format!("Tool{number}|Other{number}")), None)),
    ("other patterns", |number| selector("pre_tool", Some(&format!("mcp__server{number}__.*")), None)),
    ("other values", |number| selector("pre_tool", None, Some(json!(format!("cargo build -p p{number}"))))),
];

fn matcher(size: usize, other: Other) -> Matcher {
    let wanted = [
        selector("pre_tool", None, None),
        selector("pre_tool", Some("Bash|Edit"), None),
        selector("*", Some("Ba.*"), Some(json!("cargo test --workspace"))),
    ];
    let others: Vec<Selector> = (0..size - MATCHING).map(other).collect();
    // The three are spread over the list, as chance would have it.
    let (first, rest) = others.split_at(others.len() / 2);
    let [a, b, c] = &wanted;
    Matcher::new([a].into_iter().chain(first).chain([b]).chain(rest).chain([c]))
}

fn selector(on: &str, tool: Option<&str>, command: Option<Value>) -> Selector {
    let fields = command.map(|command| ("tool_input.command".to_owned(), command)).into_iter().collect();
    Selector::new(&[on.to_owned()], tool, fields).expect("the selector is well formed")
}

fn measure(matcher: &Matcher, event: &Event, calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        let mut found = 0;
        matcher.find(black_box(event), KindSet::all(), |_, matched| {
            black_box(matched);
            found += 1;
        });
        assert_eq!(found, MATCHING, "each list has three hooks that want the event");
    }
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
