//! Waits that `simulate` foretells beside those of the real pool, under the very same arrivals and run times.
//!
//!     cargo bench --bench simulate_real
//!
//! Three loads of some seconds each: steady ones of two classes, bursts with a standby seat, and chains with batches and
//! a limit of concurrency. A simulation draws the jobs; then they are submitted to a pool when they came there, and its
//! handlers, closures, sleep for as long as they ran there. What a seat loses between two runs is measured first, and
//! given to the simulation as `overhead`.

#![expect(
    clippy::disallowed_methods,
    reason = "arrivals come at their time, and handlers that sleep are what is measured"
)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use hookpool::{
    Call, Config, Event, HookPool, Load, PriorityClass, RecordedJob, Recording, Simulation, Snapshot, Timing,
};

/// Below this a wait is a wake-up, and a share of it says nothing.
const SHORT: Duration = Duration::from_millis(1);

struct Case {
    name: &'static str,
    config: &'static str,
    load: &'static str,
    /// Hooks whose handlers take one event, and many.
    single: &'static [&'static str],
    batched: &'static [&'static str],
}

const CASES: [Case; 3] = [
    Case {
        name: "steady, 70 % busy",
        config: "pool = { workers = 2, standby = 0 }\n\
                 [hook.more]\non = ['more']\npriority = 'normal'\norder = 'none'\n\
                 [hook.less]\non = ['less']\npriority = 'low'\norder = 'none'\n",
        load: "duration = '18s'\n\
               [hook.more]\narrivals = { poisson = '35/s' }\nrun_time = { exponential = '15ms' }\n\
               [hook.less]\narrivals = { poisson = '30/s' }\nrun_time = { median = '25ms', p99 = '90ms' }\n",
        single: &["more", "less"],
        batched: &[],
    },
    Case {
        name: "bursts, standby seat",
        config: "pool = { workers = 4, standby = 1 }\n\
                 [hook.track]\non = ['track']\npriority = 'high'\norder = 'none'\n\
                 [hook.audit]\non = ['audit']\npriority = 'low'\norder = 'none'\n",
        load: "duration = '18s'\n\
               [hook.track]\narrivals = [{ poisson = '10/s' }, { burst = 6, every = '300ms' }]\nrun_time = { from = '5ms', to = '25ms' }\n\
               [hook.audit]\narrivals = { burst = 40, every = '1s' }\nrun_time = { exponential = '50ms' }\n",
        single: &["track", "audit"],
        batched: &[],
    },
    Case {
        name: "chains, batches, limits",
        config: "pool = { workers = 4, standby = 0 }\ndefaults.timeout = '5s'\n\
                 [hook.chain]\non = ['chain']\npriority = 'high'\nmax_concurrency = 2\n\
                 [hook.store]\non = ['store']\npriority = 'low'\nbatch = { size = 8, linger = '40ms', key = 'session' }\n",
        load: "duration = '18s'\n\
               [hook.chain]\narrivals = { poisson = '60/s' }\nrun_time = { median = '20ms', p99 = '60ms' }\nsessions = 6\n\
               [hook.store]\narrivals = { poisson = '150/s' }\nrun_time = { from = '10ms', to = '30ms' }\nper_event = '2ms'\nsessions = 4\n",
        single: &["chain"],
        batched: &["store"],
    },
];

fn main() {
    let overhead = overhead();
    println!("overhead {overhead:?} between two runs");
    println!(
        "{:<24} {:<8} {:>6} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8}",
        "", "class", "jobs", "p50 sim", "p50 real", "error", "p99 sim", "p99 real", "error"
    );
    for case in CASES {
        eprintln!("{} …", case.name);
        let config = Config::from_toml(case.config).unwrap();
        let load =
            Load::from_toml(&format!("overhead = '{}us'\n{}", overhead.as_micros(), case.load)).unwrap();
        let (simulated, recording) = Simulation::new(&config, &load).unwrap().seed(3).run_recorded();
        let real = run(&case, config, &recording);
        for class in PriorityClass::ALL {
            let waits = simulated.ledger.snapshot.classes[class].wait().zip(real.classes[class].wait());
            let Some((sim, real)) = waits else { continue };
            let of = |quantile: fn(&Timing) -> Duration| (quantile(&sim), quantile(&real));
            let (p50, p99) = (of(|timing| timing.p50), of(|timing| timing.p99));
            println!(
                "{:<24} {:<8} {:>6} {:>10.1?} {:>10.1?} {:>8} {:>10.1?} {:>10.1?} {:>8}",
                case.name,
                class.name(),
                real.samples,
                p50.0,
                p50.1,
                error(p50),
                p99.0,
                p99.1,
                error(p99)
            );
        }
    }
}

fn error((sim, real): (Duration, Duration)) -> String {
    if sim < SHORT && real < SHORT {
        return "short".to_owned();
    }
    format!("{:+.1} %", (sim.as_secs_f64() / real.as_secs_f64() - 1.0) * 100.0)
}

/// Feeds the pool what the simulation has drawn, when it came there.
fn run(case: &Case, config: Config, recording: &Recording) -> Snapshot {
    let mut builder = HookPool::builder().config(config);
    for name in case.single {
        builder = builder.register(*name, |call: &Call| sleep(length(call)));
    }
    for name in case.batched {
        builder = builder.register_batch(*name, |calls: &[Call]| {
            // In the simulation each event of a batch runs as long as the batch.
            sleep(calls.iter().map(length).max().unwrap());
        });
    }
    let pool = builder.build().unwrap();
    let events: Vec<Event> = recording.jobs.iter().map(event).collect();
    let begun = Instant::now();
    for (job, event) in recording.jobs.iter().zip(events) {
        sleep(job.at.saturating_sub(begun.elapsed()));
        assert_eq!(pool.submit(event).admitted().count(), 1);
    }
    let ledger = pool.drain(Duration::from_mins(1));
    assert!(ledger.is_balanced());
    ledger.snapshot
}

/// An event that says how long its handler sleeps.
fn event(job: &RecordedJob) -> Event {
    let [run] = &*job.runs else { panic!("{job:?} ran more or less than once") };
    let text = serde_json::json!({
        "event": job.hook.as_str(),
        "session_id": job.session.map(|session| session.to_string()),
        "sleep_us": u64::try_from(run.time.as_micros()).unwrap(),
    });
    Event::from_json(text.to_string()).unwrap()
}

fn length(call: &Call) -> Duration {
    let event: serde_json::Value = serde_json::from_slice(call.event().payload()).unwrap();
    Duration::from_micros(event.get("sleep_us").unwrap().as_u64().unwrap())
}

/// What one seat loses from the end of a sleep that was asked for to the beginning of the next.
fn overhead() -> Duration {
    const JOBS: u32 = 500;
    const RUN: Duration = Duration::from_millis(2);
    let config =
        Config::from_toml("pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['a']\norder = 'none'\n");
    let pool =
        HookPool::builder().config(config.unwrap()).register("a", |_: &Call| sleep(RUN)).build().unwrap();
    let begun = Instant::now();
    for _ in 0..JOBS {
        pool.submit(Event::from_json(r#"{"event":"a"}"#).unwrap());
    }
    pool.drain(Duration::from_mins(1));
    (begun.elapsed() / JOBS).saturating_sub(RUN)
}
