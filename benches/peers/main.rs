//! The way in beside that of other pools: what a submit costs its caller, by load, and how soon and how fast jobs run.
//!
//!     cargo bench --bench peers [ROW]…
//!
//! One process; in each alternation every pool is measured once, in turn, so that a busy machine is busy for all. A
//! figure is the median over the alternations, and so is each ratio, which is taken within one alternation. Every call
//! is timed by itself; what reading the clock takes (the median of empty calls) is subtracted. Queues have room for all
//! jobs of a row, so nothing is refused but where that is measured. Threads that submit with gaps spin in between.
//!
//! On fewer processors than threads, p99.9 and the maximum are mostly the time slices of the kernel.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::format_collect,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

mod pools;

use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hookpool::Event;
use pools::{CAPACITY, MAKERS, Maker, Noted, Peer, WORKERS};

/// Sessions that the events belong to.
const SESSIONS: usize = 64;

struct Plan {
    alternations: usize,
    /// Jobs of one alternation, by all submitters together.
    jobs: usize,
    events: Vec<Event>,
    /// What reading the clock twice takes, in nanoseconds.
    clock: u64,
}

/// The figures of one pool in one alternation.
type Figures = Vec<f64>;
type Measured = dyn Fn(&Plan, &Maker) -> Figures;
type Measure = fn(&Plan, &Maker) -> Figures;

struct Row {
    name: String,
    columns: &'static [&'static str],
    /// Only for pools that refuse when they are full.
    bounded_only: bool,
    measure: Box<Measured>,
}

const TAILS: &[&str] = &["p50 ns", "p99 ns", "p99.9 ns", "max ns"];

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in [1, 8] {
        for gap in [0, 1, 5] {
            let when = if gap == 0 { "back to back".to_owned() } else { format!("gaps of {gap} µs") };
            let gap = Duration::from_micros(gap);
            rows.push(Row {
                name: format!("submit, {threads} submitting, {when}"),
                columns: TAILS,
                bounded_only: false,
                measure: Box::new(move |plan, maker| submit(plan, maker, threads, gap)),
            });
        }
    }
    let more: [(&str, &'static [&'static str], bool, Measure); 4] = [
        ("refused by a full queue", TAILS, true, refuse),
        ("depth: p50 of a submit, nothing running", &["at 100", "at 30,000", "ratio"], false, depth),
        ("no-op jobs per second", &["thousands"], false, rate),
        ("wake: submit to start, worker parked", TAILS, false, wake),
    ];
    for (name, columns, bounded_only, measure) in more {
        rows.push(Row { name: name.to_owned(), columns, bounded_only, measure: Box::new(measure) });
    }
    rows
}

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let is_real = std::env::args().any(|arg| arg == "--bench");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let event = |n: usize| {
        let json = format!(
            r#"{{"session_id":"session-{n:04}","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{{"command":"cargo test"}}}}"#
        );
        Event::from_json(json).unwrap()
    };
    let plan = Plan {
        alternations: if is_real { 11 } else { 1 },
        jobs: if is_real { 20_000 } else { 400 },
        events: (0..SESSIONS).map(event).collect(),
        clock: median((0..10_001).map(|_| time(|| ()) as f64).collect()) as u64,
    };
    println!(
        "{} alternations; two threads run the jobs; {} ns for reading the clock are subtracted",
        plan.alternations, plan.clock
    );
    for row in rows() {
        if wanted.is_empty() || wanted.iter().any(|part| row.name.contains(part.as_str())) {
            show(&plan, &row);
        }
    }
}

fn show(plan: &Plan, row: &Row) {
    let makers: Vec<_> = MAKERS.iter().filter(|maker| maker.is_bounded || !row.bounded_only).collect();
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); makers.len()];
    for alternation in 0..plan.alternations {
        for n in 0..makers.len() {
            // Each goes first as often as any other.
            let n = (n + alternation) % makers.len();
            figures[n].push((row.measure)(plan, makers[n]));
        }
    }
    println!("\n{}", row.name);
    let heads: String = row.columns.iter().map(|column| format!("{column:>12}")).collect();
    let ratios: String =
        row.columns.iter().map(|column| format!("{:>11} ×", column.replace(" ns", ""))).collect();
    println!("{:<22}{heads}  |{ratios}", "");
    for (maker, own) in makers.iter().zip(&figures) {
        let column = |at: usize| median(own.iter().map(|one| one[at]).collect());
        // A figure below one nanosecond is noise.
        let ratio = |at: usize| {
            median(own.iter().zip(&figures[0]).map(|(one, first)| one[at] / first[at].max(1.0)).collect())
        };
        let at = 0..row.columns.len();
        let heads: String =
            at.clone().map(|at| format!("{:>12.*}", usize::from(column(at) < 20.0), column(at))).collect();
        let ratios: String = at.map(|at| format!("{:>13.2}", ratio(at))).collect();
        println!("{:<22}{heads}  |{ratios}", maker.name);
    }
}

fn time(call: impl FnOnce()) -> u64 {
    let begun = Instant::now();
    call();
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The times of some calls, with gaps between their beginnings.
fn times(plan: &Plan, peer: &dyn Peer, calls: usize, gap: Duration, admitted: bool) -> Vec<u64> {
    let mut times = Vec::with_capacity(calls);
    let mut next = Instant::now();
    for n in 0..calls {
        if !gap.is_zero() {
            next += gap;
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
        let event = &plan.events[n % SESSIONS];
        times.push(time(|| assert_eq!(peer.submit(event), admitted)).saturating_sub(plan.clock));
    }
    times
}

fn tails(mut times: Vec<u64>) -> Figures {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)] as f64;
    vec![at(0.5), at(0.99), at(0.999), at(1.0)]
}

fn await_done(noted: &Noted, jobs: usize) {
    while noted.done.load(Ordering::Acquire) < jobs as u64 {
        std::thread::yield_now();
    }
}

fn submit(plan: &Plan, maker: &Maker, threads: usize, gap: Duration) -> Figures {
    let noted = Noted::new();
    let peer = (maker.make)(&noted);
    let each = plan.jobs / threads;
    // Its threads are there, and its memory is warm.
    times(plan, &*peer, 200, Duration::ZERO, true);
    await_done(&noted, 200);
    let barrier = Barrier::new(threads);
    let all = std::thread::scope(|scope| {
        let submitters: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    times(plan, &*peer, each, gap, true)
                })
            })
            .collect();
        submitters.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    await_done(&noted, 200 + each * threads);
    tails(all)
}

fn refuse(plan: &Plan, maker: &Maker) -> Figures {
    let noted = Noted::new();
    let peer = (maker.make)(&noted);
    noted.hold(true);
    let mut admitted = 0;
    // The threads hold one job each; only then it stays full.
    while noted.begun.load(Ordering::Acquire) < WORKERS as u64 {
        admitted += usize::from(admitted < WORKERS && peer.submit(&plan.events[admitted % SESSIONS]));
        std::thread::yield_now();
    }
    while peer.submit(&plan.events[admitted % SESSIONS]) {
        admitted += 1;
    }
    let all = times(plan, &*peer, plan.jobs, Duration::ZERO, false);
    noted.hold(false);
    await_done(&noted, admitted);
    tails(all)
}

fn depth(plan: &Plan, maker: &Maker) -> Figures {
    let noted = Noted::new();
    let peer = (maker.make)(&noted);
    noted.hold(true);
    let calls = plan.jobs.min(1_000);
    let fill = |upto: usize, from: usize| {
        for n in from..upto {
            assert!(peer.submit(&plan.events[n % SESSIONS]));
        }
    };
    fill(100, 0);
    let shallow = tails(times(plan, &*peer, calls, Duration::ZERO, true))[0];
    fill(30_000, 100 + calls);
    let deep = tails(times(plan, &*peer, calls, Duration::ZERO, true))[0];
    noted.hold(false);
    await_done(&noted, 30_000 + calls);
    assert!(30_000 + calls <= CAPACITY);
    vec![shallow, deep, deep / shallow.max(1.0)]
}

fn rate(plan: &Plan, maker: &Maker) -> Figures {
    let noted = Noted::new();
    let peer = (maker.make)(&noted);
    let took = time(|| {
        for n in 0..plan.jobs {
            assert!(peer.submit(&plan.events[n % SESSIONS]));
        }
        await_done(&noted, plan.jobs);
    });
    vec![plan.jobs as f64 / took as f64 * 1e6]
}

fn wake(plan: &Plan, maker: &Maker) -> Figures {
    let noted = Noted::new();
    let peer = (maker.make)(&noted);
    noted.wants_time.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for n in 0..plan.jobs / 40 {
        // Long enough for every thread to fall asleep.
        std::thread::park_timeout(Duration::from_micros(500));
        let begun = noted.now();
        assert!(peer.submit(&plan.events[n % SESSIONS]));
        await_done(&noted, n + 1);
        all.push(noted.ran_at.load(Ordering::Acquire).saturating_sub(begun));
    }
    tails(all)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
