//! Tuning: the same load with pools of several sizes, and how long jobs waited.
//!
//!     cargo run --release --example tuning

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::thread;
use std::time::{Duration, Instant};

use hookpool::{Call, Config, Event, HookPool};

/// The load to tune for: so many events at once, whose handlers wait for that long.
const EVENTS: usize = 64;
const WORK: Duration = Duration::from_millis(5);

fn try_out(workers: u16) -> Result<(), Box<dyn std::error::Error>> {
    let hook = "[hook.work]\non = ['*']\norder = 'none'\ntimeout = '1m'\n";
    let config = Config::from_toml(&format!("pool = {{ workers = {workers}, standby = 0 }}\n{hook}"))?;
    let work = |_: &Call| {
        let until = Instant::now() + WORK;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            thread::park_timeout(left);
        }
    };
    let pool = HookPool::builder().config(config).register("work", work).build()?;
    let begin = Instant::now();
    for _ in 0..EVENTS {
        pool.submit(Event::from_json(r#"{"event":"work"}"#)?);
    }
    let ledger = pool.drain(Duration::MAX);
    let total = &ledger.snapshot.total;
    let wait = total.wait().ok_or("no job was started")?;
    println!(
        "{workers:>7} {:>9} {:>9} {:>9} {:>10}",
        millis(wait.p50),
        millis(wait.p99),
        millis(wait.max),
        millis(begin.elapsed())
    );
    Ok(())
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{EVENTS} events at once, {} each", millis(WORK));
    println!("{:>7} {:>9} {:>9} {:>9} {:>10}", "workers", "wait p50", "p99", "max", "in all");
    [1, 2, 4, 8, 16].into_iter().try_for_each(try_out)
}
