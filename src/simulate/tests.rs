//! The simulation against what can be computed, and against itself.

use std::time::Duration;

use super::{Load, Simulation, SimulationReport};
use crate::class::PriorityClass;
use crate::config::Config;
use crate::outcome::{OutcomeKind, Refusal, Skip};
use crate::recording::RunEnd;

fn config(text: &str) -> Config {
    Config::from_toml(text).unwrap()
}

fn simulate(config_text: &str, load: &str) -> SimulationReport {
    let (config, load) = (config(config_text), Load::from_toml(load).unwrap());
    let report = Simulation::new(&config, &load).unwrap().seed(7).run();
    assert!(report.ledger.is_balanced());
    report
}

/// Mean wait, in mean run times, of M/M/c at this utilisation; and the share of jobs that wait.
fn erlang_c(servers: u32, utilisation: f64) -> (f64, f64) {
    let offered = f64::from(servers) * utilisation;
    let mut blocked = 1.0;
    for n in 1..=servers {
        blocked = offered * blocked / (f64::from(n) + offered * blocked);
    }
    let waits = blocked / (1.0 - utilisation * (1.0 - blocked));
    (waits / (f64::from(servers) * (1.0 - utilisation)), waits)
}

#[test]
fn at_the_end_of_all_time_every_job_still_ends() {
    // 584 years: the run ends beyond what a clock of nanoseconds can hold, and the last job never comes.
    let text = "{\"hookpool_recording\":1}\n\
        {\"job\":1,\"at_ns\":18446744073709551000,\"hook\":\"class_low\",\"class\":\"low\",\"bytes\":1}\n\
        {\"job\":1,\"end\":\"succeeded\",\"runs\":[[\"succeeded\",1000000]]}\n\
        {\"job\":2,\"at_ns\":18446744073709551615,\"hook\":\"class_low\",\"class\":\"low\",\"bytes\":1}\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    std::fs::write(&path, text).unwrap();
    let (config, load) = (Config::default(), Load::read(path).unwrap());
    let ledger = Simulation::new(&config, &load).unwrap().run().ledger;
    assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 1);
    assert!(ledger.is_balanced() && ledger.still_admitted == 0, "{ledger:?}");
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "a test of statistics")]
fn waits_are_those_of_the_theory_of_queues() {
    for (workers, utilisation) in [(1, 0.5), (2, 0.7), (4, 0.8), (8, 0.9)] {
        let config = format!(
            "pool.workers = {workers}\npool.standby = 0\nqueue = {{ capacity = 32767, max_wait = 'off' }}\n\
             defaults.timeout = '1h'\n"
        );
        let rate = f64::from(workers) * utilisation * 100.0;
        let load = format!(
            "jobs = 400_000\n[class.normal]\nsessions = 0\narrivals = {{ poisson = '{rate}/s' }}\n\
             run_time = {{ exponential = '10ms' }}\n"
        );
        let report = simulate(&config, &load);
        let (wait, share) = erlang_c(workers, utilisation);
        let found = report.mean_wait[PriorityClass::Normal].as_secs_f64() / 0.01;
        let waited = report.waited[PriorityClass::Normal] as f64 / 400_000.0;
        assert!((found / wait - 1.0).abs() < 0.05, "{workers} workers wait {found}, not {wait}");
        assert!((waited / share - 1.0).abs() < 0.02, "{workers} workers: {waited} wait, not {share}");
        assert!((report.utilisation / utilisation - 1.0).abs() < 0.01, "{}", report.utilisation);
    }
}

const MIXED: &str = "
    jobs = 30_000
    overhead = '1ms'
    [hook.track]
    arrivals = [{ poisson = '20/s' }, { burst = 30, every = '2s' }]
    failures = 0.1
    [hook.audit]
    class = 'low'
    arrivals = { poisson = '40/s' }
    run_time = { median = '40ms', p99 = '4s' }
    sessions = 3
    [hook.lines]
    arrivals = { every = '10ms' }
    run_time = { from = '5ms', to = '15ms' }
    per_event = '2ms'
    bytes = 3000
    [class.low]
    arrivals = { poisson = '60/s' }
";

const HOOKS: &str = "
    queue = { capacity = 60, max_wait = '900ms', on_full = 'displace', max_bytes = '95kB' }
    [class.low]
    guarantee = 5
    ceiling = 40
    [hook.track]
    on = ['delegation']
    run = 'true'
    priority = 'high'
    [hook.audit]
    on = ['*']
    run = 'true'
    max_concurrency = 2
    [hook.lines]
    on = ['*']
    run = 'true'
    mode = 'lines'
    batch = { size = 10, linger = '50ms' }
    priority = 'critical'
";

const KINDS: [OutcomeKind; 5] = [
    OutcomeKind::Succeeded,
    OutcomeKind::Failed,
    OutcomeKind::TimedOut,
    OutcomeKind::Displaced,
    OutcomeKind::Expired,
];

#[test]
fn a_seed_is_a_run_and_every_rule_is_reached() {
    let report = simulate(HOOKS, MIXED);
    assert!(format!("{report:?}") == format!("{:?}", simulate(HOOKS, MIXED)), "the same run");
    let total = &report.ledger.snapshot.total;
    assert_eq!(total.submitted(), 30_000);
    for kind in KINDS {
        assert!(total.outcome(kind) > 10, "{kind}: {}", total.outcome(kind));
    }
    for why in [Refusal::Full, Refusal::ClassFull, Refusal::BytesFull] {
        assert!(total.refused(why) > 10, "{why}: {}", total.refused(why));
    }
    let (config, load) = (config(HOOKS), Load::from_toml(MIXED).unwrap());
    let other = Simulation::new(&config, &load).unwrap().seed(8).run();
    assert_ne!(other.elapsed, report.elapsed, "another seed is another run");
}

#[test]
fn a_more_important_class_waits_less_and_strictly_first() {
    let load = "
        jobs = 40_000
        class.critical = { sessions = 0, arrivals = { poisson = '30/s' }, run_time = '10ms' }
        class.high = { sessions = 0, arrivals = { poisson = '30/s' }, run_time = '10ms' }
        class.normal = { sessions = 0, arrivals = { poisson = '30/s' }, run_time = '10ms' }
        class.low = { sessions = 0, arrivals = { poisson = '30/s' }, run_time = '10ms' }
    ";
    let report = simulate(
        "pool = { workers = 1, standby = 0 }\nscheduler.bypass = 'off'\nqueue = { capacity = 1000, max_wait = '2s' }\n",
        load,
    );
    let waits = PriorityClass::ALL.map(|class| report.mean_wait[class]);
    assert!(waits.is_sorted() && waits[3] > waits[2] * 3, "{waits:?}");
    // What is offered is more than a worker can do: the least important pays for all.
    let expired =
        PriorityClass::ALL.map(|class| report.ledger.snapshot.classes[class].outcome(OutcomeKind::Expired));
    assert_eq!(expired[..3], [0, 0, 0]);
    assert!(expired[3] > 1000, "{expired:?}");
}

#[test]
fn a_standby_seat_spares_important_jobs_the_wait_for_somebodys_end() {
    let load = "
        duration = '200s'
        class.low = { arrivals = { every = '9ms' }, run_time = '50ms', sessions = 0 }
        class.high = { arrivals = { poisson = '2/s' }, run_time = '5ms', sessions = 0 }
    ";
    let wait = |standby| {
        let config = format!("pool = {{ workers = 4, standby = {standby} }}\n");
        simulate(&config, load).ledger.snapshot.classes[PriorityClass::High].wait().unwrap()
    };
    assert!(wait(0).p50 > Duration::from_millis(1), "{:?}", wait(0));
    assert_eq!(wait(1).p50, Duration::ZERO);
}

#[test]
fn jobs_of_one_session_are_handled_one_after_the_other() {
    let load = "jobs = 10\nclass.low = { sessions = 1, arrivals = { every = '1ms' }, run_time = '1s' }\n";
    assert_eq!(simulate("", load).elapsed, Duration::from_millis(10_001));
    let load = load.replace("sessions = 1", "sessions = 0");
    assert!(simulate("", &load).elapsed < Duration::from_secs(4));
}

#[test]
fn a_batch_runs_as_one_and_a_resident_process_one_after_the_other() {
    let hooks =
        |mode| format!("pool.standby = 0\n[hook.a]\non = ['*']\nrun = 'true'\norder = 'none'\n{mode}\n");
    let load = "jobs = 10\n[hook.a]\narrivals = { burst = 10, every = '1s' }\nrun_time = '100ms'\nper_event = '1ms'\n";
    let lines = simulate(&hooks("mode = 'lines'\nbatch = { size = 10, linger = '1s' }"), load);
    assert_eq!(lines.elapsed, Duration::from_millis(1000 + 100 + 9));
    let resident = simulate(&hooks("mode = 'resident'\ninstances = 1\nwindow = 4"), load);
    assert_eq!(resident.elapsed, Duration::from_secs(2));
}

#[test]
fn overhead_takes_the_seat_and_not_the_run() {
    let load = "jobs = 4\noverhead = '10ms'\nclass.low = { sessions = 1, arrivals = { burst = 4, every = '1s' }, run_time = '100ms' }\n";
    let report = simulate("", load);
    assert_eq!(report.elapsed, Duration::from_millis(1000 + 4 * 110));
    assert_eq!(report.ledger.snapshot.total.run().unwrap().max, Duration::from_millis(100));
}

#[test]
fn what_fails_is_tried_again_as_the_hook_says() {
    let hook = "[hook.a]\non = ['*']\nrun = 'true'\nretry = { attempts = 3, backoff = '1s' }\n";
    let load = |failures| {
        let stream = "jobs = 1000\n[hook.a]\nsessions = 0\narrivals = { every = '1s' }\nrun_time = '100ms'\n";
        format!("{stream}failures = {failures}\n")
    };
    let all = simulate(hook, &load("1"));
    let total = &all.ledger.snapshot.total;
    assert_eq!((total.outcome(OutcomeKind::Failed), total.run().unwrap().samples), (1000, 3000));
    // The last one comes at 1000 s and runs three times, with waits of one and two seconds between.
    assert_eq!(all.elapsed, Duration::from_millis(1000 * 1000 + 3 * 100 + 3000));
    let half = simulate(hook, &load("0.5"));
    let failed = half.ledger.snapshot.total.outcome(OutcomeKind::Failed);
    assert!((90..160).contains(&failed), "about an eighth fails three times: {failed}");
}

#[test]
fn what_is_switched_off_is_skipped() {
    let load = "jobs = 5\n[hook.a]\narrivals = { every = '1s' }\n";
    let hook = "[hook.a]\non = ['*']\nrun = 'true'\n";
    let skipped = |text: &str, why| assert_eq!(simulate(text, load).ledger.snapshot.total.skipped(why), 5);
    skipped(&format!("{hook}enabled = false\n"), Skip::HookDisabled);
    skipped(&format!("performance_mode = true\n{hook}"), Skip::PerformanceMode);
}

#[test]
fn what_was_not_started_was_not_in_time() {
    // One worker that needs 100 ms for each, and as many as ten a second: the tenth of two hundred is refused.
    let run = |capacity: u32, target_ms| {
        let config = config(&format!("pool = {{ workers = 1, standby = 0 }}\nqueue.capacity = {capacity}\n"));
        let load = "jobs = 200\nclass.low = { sessions = 0, arrivals = { burst = 2, every = '1s' }, run_time = '100ms' }\n";
        let load = Load::from_toml(load).unwrap();
        let simulation = Simulation::new(&config, &load).unwrap().target(Duration::from_millis(target_ms));
        simulation.run().is_in_time(&[PriorityClass::Low])
    };
    assert!(run(10, 100) && !run(10, 99), "every second job waits for 100 ms");
    let burst = |capacity| {
        let config = config(&format!("pool = {{ workers = 1, standby = 0 }}\nqueue.capacity = {capacity}\n"));
        let load = "jobs = 300\nclass.low = { sessions = 0, arrivals = { burst = 3, every = '1s' }, run_time = '100ms' }\n";
        let load = Load::from_toml(load).unwrap();
        Simulation::new(&config, &load).unwrap().target(Duration::from_secs(1)).run()
    };
    assert!(burst(2).is_in_time(&PriorityClass::ALL));
    assert!(!burst(1).is_in_time(&PriorityClass::ALL), "a third is refused");
}

#[test]
fn problems_of_a_load_are_told_at_their_place() {
    for (text, expected) in [
        (
            "jbos = 3\n",
            "load:1:1: error: unknown key `jbos`\n  1 | jbos = 3\n    | ^\n  hint: did you mean `jobs`?",
        ),
        ("", "nothing arrives"),
        ("[hook.a]\n", "load:1:7: error: `hook.a` has no `arrivals`"),
        ("[class.urgent]\n", "load:1:8: error: `urgent` is no class"),
        (
            "[class.low]\narrivals = { poisson = '5' }\n",
            "load:2:24: error: `class.low.arrivals.poisson` must be a rate",
        ),
        ("[class.low]\narrivals = { poisson = '-5/s' }\n", "not the text \"-5/s\""),
        ("[class.low]\narrivals = { burst = 5 }\n", "must be one of"),
        ("[class.low]\narrivals = { every = '0s' }\n", "a time above zero"),
        ("[class.low]\narrivals = { burst = 0, every = 1 }\n", "from 1 to"),
        (
            "class.low.run_time = { median = '1s', p99 = '1ms' }\n",
            "`class.low.run_time.p99` must not be below `median`",
        ),
        ("class.low.run_time = { mean = '1s' }\n", "unknown key `class.low.run_time.mean`"),
        ("class.low.failures = 1.5\n", "a number from 0 to 1, not the number 1.5"),
        ("class.low.sessions = -1\n", "whole number from 0"),
        ("class.low.class = 'hgih'\n", "critical, high, normal or low"),
        ("jobs = \n", "no valid TOML"),
        ("duration = '31d'\n", "at most 30 days"),
    ] {
        let error = Load::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
    let both = Load::from_toml("jobs = 0\n[class.low]\nbytes = 'x'\n").unwrap_err();
    assert_eq!(both.problems.len(), 3, "{both}");
}

#[test]
fn a_load_has_to_fit_the_configuration() {
    let config = config("[hook.audit]\non = ['*']\nrun = 'true'\npriority = 'low'\n");
    for (text, expected) in [
        ("[hook.audits]\narrivals = { every = 1 }\n", "did you mean `audit`?"),
        (
            "[hook.audit]\narrivals = { every = 1 }\nclass = 'high'\n",
            "load:3:1: error: `hook.audit.class` has no use",
        ),
    ] {
        let load = Load::from_toml(text).unwrap();
        let error = Simulation::new(&config, &load).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_recorded_run_happens_again_to_the_nanosecond() {
    let hooks = "
        [hook.res]
        on = ['*']
        run = 'true'
        mode = 'resident'
        instances = 2
        window = 4
        breaker = { failures = 3, cooldown = '3s' }
        retry = { attempts = 3, backoff = '100ms' }
    ";
    let load = "[hook.res]\narrivals = { poisson = '20/s' }\nfailures = 0.3\nrun_time = '30ms'\n";
    let (config, load) = (config(&format!("{HOOKS}{hooks}")), format!("{MIXED}{load}"));
    let load = Load::from_toml(&load.replace("overhead = '1ms'", "")).unwrap();
    let (first, recording) = Simulation::new(&config, &load).unwrap().run_recorded();
    let total = &first.ledger.snapshot.total;
    for kind in KINDS.into_iter().chain([OutcomeKind::NotStarted]) {
        assert!(total.outcome(kind) > 10, "{kind}: {}", total.outcome(kind));
    }
    assert!(total.skipped(Skip::BreakerOpen) > 100 && total.retries() > 100);
    let mut text = Vec::new();
    recording.write(&mut text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    std::fs::write(&path, text).unwrap();
    let read = Load::read(&path).unwrap();
    assert_eq!(read.recording().unwrap(), &recording);
    let (again, tape) = Simulation::new(&config, &read).unwrap().seed(99).run_recorded();
    assert_eq!(format!("{:?}", SimulationReport { seed: first.seed, ..again }), format!("{first:?}"));
    assert_eq!(tape, recording);
}

#[test]
fn a_recording_is_a_load_for_other_configurations() {
    let hook = "[hook.a]\non = ['*']\nrun = 'true'\n";
    let load = "jobs = 2000\n[hook.a]\nsessions = 0\narrivals = { every = '100ms' }\nrun_time = '250ms'\n";
    let recorded = |config: &Config| {
        let load = Load::from_toml(load).unwrap();
        Load::from(Simulation::new(config, &load).unwrap().run_recorded().1)
    };
    let pool = |workers, capacity| {
        config(&format!("pool = {{ workers = {workers}, standby = 0 }}\nqueue.capacity = {capacity}\n{hook}"))
    };
    // Most were refused; those have the runs of the others.
    let load = recorded(&pool(1, 1));
    let found = Simulation::new(&pool(3, 100), &load).unwrap().run();
    assert_eq!(found.ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 2000);
    assert_eq!(found.mean_wait[PriorityClass::Normal], Duration::ZERO);
    assert_eq!(found.ledger.snapshot.total.run().unwrap().p50, Duration::from_millis(250));
    assert_eq!(
        Simulation::new(&pool(3, 100), &load).unwrap().jobs(70).run().ledger.snapshot.total.submitted(),
        70
    );
    let disabled = config(&format!("{hook}enabled = false\n"));
    let found = Simulation::new(&disabled, &load).unwrap().run();
    assert_eq!(found.ledger.snapshot.total.skipped(Skip::HookDisabled), 2000);
    let error = Simulation::new(&config(""), &load).unwrap_err().to_string();
    assert!(error.contains("`hook.a`: the configuration has no hook of that name"), "{error}");
    assert!(error.contains("enabled = false"), "{error}");
}

#[test]
fn who_waited_for_room_waits_for_it() {
    let hook =
        "queue.capacity = 3\npool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\nrun = 'true'\n";
    let load =
        "jobs = 40\n[hook.a]\nsessions = 0\narrivals = { burst = 20, every = '1ms' }\nrun_time = '1s'\n";
    let load = Load::from_toml(load).unwrap();
    let config = config(&format!("queue.max_wait = '2s'\n{hook}"));
    let (first, mut recording) = Simulation::new(&config, &load).unwrap().run_recorded();
    assert!(first.ledger.snapshot.total.refused(Refusal::Full) > 30);
    for job in &mut recording.jobs {
        job.waits = true;
    }
    let found = Simulation::new(&config, &recording.into()).unwrap().run();
    let total = &found.ledger.snapshot.total;
    assert_eq!((total.all_refused(), total.resolved()), (0, 40));
    assert!(total.outcome(OutcomeKind::Expired) > 0, "a full queue of one worker's seconds");
}

#[test]
fn a_handler_that_fails_and_fails_is_left_alone() {
    let hook = "[hook.a]\non = ['*']\nrun = 'true'\nbreaker = { failures = 5, cooldown = '30s', max_cooldown = '1m' }\n";
    let load = "jobs = 1000\n[hook.a]\nsessions = 0\narrivals = { every = '1s' }\nrun_time = '100ms'\nfailures = 1\n";
    let report = simulate(hook, load);
    let total = &report.ledger.snapshot.total;
    // Five, a probe in the 36th second, and after each minute from then on.
    let failed = 5 + 1 + (1000 - 36) / 61;
    assert_eq!(total.outcome(OutcomeKind::Failed), failed);
    assert_eq!(total.skipped(Skip::BreakerOpen), 1000 - failed);
    let status = report.ledger.snapshot.hooks[0].breaker.unwrap();
    assert_eq!(status.opened, failed - 4);
}

#[test]
fn breakers_count_what_those_of_the_pool_count() {
    let hook = "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\nrun = 'true'\norder = 'none'\n";
    let load = "[hook.a]\nsessions = 0\narrivals = { burst = 20, every = '1h' }\nrun_time = '1s'\n";
    // The first one waits for its retry when the second one opens it.
    let keys = "retry = { attempts = 3, backoff = '2s' }\nbreaker = { failures = 2 }\n";
    let report = simulate(&format!("{hook}{keys}"), &format!("jobs = 2\n{load}failures = 1\n"));
    let total = &report.ledger.snapshot.total;
    assert_eq!((total.outcome(OutcomeKind::Failed), total.retries()), (2, 1));
    // Two batches that are late as a whole.
    let keys = "timeout = '100ms'\nmode = 'lines'\nbatch = { size = 5 }\nbreaker = { failures = 3 }\n";
    let report = simulate(&format!("{hook}{keys}"), &format!("jobs = 10\n{load}"));
    assert_eq!(report.ledger.snapshot.total.outcome(OutcomeKind::TimedOut), 10);
    assert_eq!(report.ledger.snapshot.hooks[0].breaker.unwrap().failures_in_a_row, 2);
    // A handler that says no works.
    let load = Load::from_toml(&format!("jobs = 5\n{load}")).unwrap();
    let (_, mut recording) = Simulation::new(&config(hook), &load).unwrap().run_recorded();
    for run in recording.jobs.iter_mut().flat_map(|job| &mut job.runs) {
        run.end = RunEnd::SaidNo;
    }
    let config = config(&format!("{hook}breaker = {{ failures = 2 }}\n"));
    let report = Simulation::new(&config, &recording.into()).unwrap().run();
    assert_eq!(report.ledger.snapshot.total.outcome(OutcomeKind::Failed), 5);
}
