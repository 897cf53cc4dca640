//! What a process that stays saves: the same script, once as a process for each event, once for each batch of ten, once
//! as a resident handler. For Python, and for Node if it is there. `cargo bench --bench resident`.
//!
//! Everything goes through the whole pool. One at a time means that the next event is submitted when the one before has
//! its outcome. Rounds alternate, so that all sides see the same machine; figures are medians of rounds.

use std::path::Path;
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, JobHandle, OutcomeKind};

const ROUNDS: usize = 5;
const LONG: Duration = Duration::from_mins(5);

const PYTHON: &str = r#"
import json, sys
for line in sys.stdin:
    event = json.loads(line)
    if "hookpool" in event:
        sys.stdout.write('{"id":"%s","ok":true}\n' % event["hookpool"]["id"])
        sys.stdout.flush()
"#;

const NODE: &str = r#"
let rest = '';
process.stdin.on('data', (piece) => {
  const lines = (rest + piece).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const event = JSON.parse(line);
    if (event.hookpool) process.stdout.write('{"id":"' + event.hookpool.id + '","ok":true}\n');
  }
});
process.stdin.on('end', () => rest && JSON.parse(rest));
"#;

#[expect(clippy::print_stdout, reason = "the result of a bench is its output")]
fn main() {
    for (program, flag, script) in [("/usr/bin/python3", "-c", PYTHON), ("/usr/bin/node", "-e", NODE)] {
        if Path::new(program).exists() {
            for line in compare(program, flag, script) {
                println!("{line}");
            }
        } else {
            println!("{program}: not there, left out");
        }
    }
}

fn compare(program: &str, flag: &str, script: &str) -> Vec<String> {
    let pool = |keys: &str| {
        let text = format!(
            "queue.max_wait = 'off'\n[hook.a]\non = ['*']\nrun = ['{program}', '{flag}', '''{script}''']\n\
             timeout = '60s'\norder = 'none'\nmax_concurrency = 1\n{keys}\n"
        );
        HookPool::builder().config(Config::from_toml(&text).expect("it is valid")).build().expect("it starts")
    };
    let single = pool("");
    let batch = pool("mode = 'lines'\nbatch = { size = 10, linger = '50ms' }");
    let resident = pool("mode = 'resident'");
    let window = pool("mode = 'resident'\nwindow = 16");
    let mut figures: [Vec<f64>; 5] = Default::default();
    let mut waits = Vec::new();
    for round in 0..=ROUNDS {
        let taken = one_at_a_time(&resident, 2_000);
        let found = [
            per_second(&single, 20),
            per_second(&batch, 100),
            2_000.0 / taken.iter().sum::<Duration>().as_secs_f64(),
            per_second(&resident, 5_000),
            per_second(&window, 5_000),
        ];
        // The first round warms up.
        if round > 0 {
            waits.extend(taken);
            figures.iter_mut().zip(found).for_each(|(all, one)| all.push(one));
        }
    }
    waits.sort_unstable();
    let at = |part: usize| waits.get(waits.len() * part / 1000).map_or(f64::NAN, Duration::as_secs_f64) * 1e6;
    let [single, batch, one, many, window] = figures.map(median);
    vec![
        format!("{program}"),
        format!("  a process for each event      {single:>9.0}/s"),
        format!("  batches of ten                {batch:>9.0}/s  {:>6.1} ×", batch / single),
        format!("  resident, one at a time       {one:>9.0}/s  {:>6.0} ×", one / single),
        format!("  resident, queue full          {many:>9.0}/s  {:>6.0} ×", many / single),
        format!("  resident, window of 16        {window:>9.0}/s  {:>6.0} ×", window / single),
        format!(
            "  submit to outcome, one at a time: p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs",
            at(500),
            at(990),
            at(999)
        ),
    ]
}

fn event() -> Event {
    let text = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Bash","tool_input":{"command":"ls -l"}}"#;
    Event::from_json(text).expect("it is an event")
}

fn finish(job: &JobHandle) {
    let outcome = job.wait(LONG).expect("it has an outcome");
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
}

fn one_at_a_time(pool: &HookPool, count: usize) -> Vec<Duration> {
    let one = || {
        let begun = Instant::now();
        pool.submit(event()).admitted().for_each(finish);
        begun.elapsed()
    };
    (0..count).map(|_| one()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(pool: &HookPool, count: usize) -> f64 {
    let begun = Instant::now();
    let jobs: Vec<_> = (0..count)
        .flat_map(|_| pool.submit_when_room(event()).admitted().cloned().collect::<Vec<_>>())
        .collect();
    jobs.iter().for_each(finish);
    count as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
