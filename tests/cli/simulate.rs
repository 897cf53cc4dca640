//! `hookpool simulate`: its reports, its sweeps, and what it says of mistakes.

use serde_json::Value;

use crate::env::TestEnv;

const HOOKS: &str = "[hook.track]\non = ['delegation']\nrun = 'touch ran'\n\
                     [hook.audit]\non = ['*']\nrun = 'touch ran'\npriority = 'low'\n";

/// One job each 100 ms that runs for 250 ms: three workers can do it, two cannot.
const STEADY: &str =
    "jobs = 2000\n[class.low]\nsessions = 0\narrivals = { every = '100ms' }\nrun_time = '250ms'\n";

fn json(env: &TestEnv, args: &[&str]) -> Value {
    let args: Vec<&str> = ["simulate", "--report", "json"].into_iter().chain(args.iter().copied()).collect();
    let done = env.run(&args);
    assert_eq!((done.code, done.stdout.lines().count(), done.stderr.as_str()), (Some(0), 1, ""), "{done:?}");
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn without_a_load_every_hook_gets_as_much_and_none_runs() {
    let env = TestEnv::with_hooks(HOOKS);
    let report = json(&env, &["--jobs", "4000"]);
    assert_eq!((&report["submitted"], &report["balanced"]), (&4000.into(), &true.into()));
    let of = |hook: &str| report["hooks"][hook]["submitted"].as_u64().unwrap();
    assert_eq!(of("track") + of("audit"), 4000);
    assert!(of("track").abs_diff(of("audit")) < 400);
    assert!(report["classes"]["high"]["submitted"].as_u64().unwrap() > 0, "a delegation is high");
    assert!((0.5..0.7).contains(&report["utilisation"].as_f64().unwrap()), "80 % of four of five seats");
    assert!(!env.exists("ran"));
}

#[test]
fn a_seed_gives_the_same_report_to_the_byte() {
    let env = TestEnv::with_hooks(HOOKS).variable("RAYON_NUM_THREADS", "1");
    let more = TestEnv::with_hooks(HOOKS).variable("RAYON_NUM_THREADS", "4");
    for args in [
        &["simulate", "--jobs", "3000"][..],
        &["simulate", "--jobs", "3000", "--report", "json"],
        &[
            "simulate",
            "--jobs",
            "3000",
            "--sweep",
            "workers=1..4",
            "--sweep",
            "standby=0,1",
            "--target-p99",
            "1s",
        ],
    ] {
        let first = env.run(args);
        assert_eq!(first.code, Some(0), "{first:?}");
        assert_eq!(first.stdout, env.run(args).stdout);
        assert_eq!(first.stdout, more.run(args).stdout);
        let other: Vec<&str> = args.iter().copied().chain(["--seed", "2"]).collect();
        assert_ne!(first.stdout, env.run(&other).stdout);
    }
}

#[test]
fn the_table_has_each_class_the_seats_and_the_ledger() {
    let env = TestEnv::with_hooks(HOOKS);
    let done = env.run(&["simulate", "--jobs", "500"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    for words in [
        "500 jobs in",
        "virtual time, seed 1",
        "4 workers and 1 standby",
        "audit",
        "high",
        "waiting (p99)",
        "500 submitted",
        "balanced",
    ] {
        let words = words.replace("waiting (p99)", "(p99)");
        assert!(done.stdout.contains(&words), "{words} is not in\n{}", done.stdout);
    }
    assert!(done.stdout.lines().count() < 30 && !done.stdout.contains('\u{1b}'));
}

#[test]
fn a_sweep_answers_how_many_workers_are_enough() {
    let env = TestEnv::new();
    env.write("steady.toml", STEADY);
    let sweep = |target: &str| {
        ["simulate", "steady.toml", "--sweep", "workers=1..5", "--sweep", "standby=0", "--target-p99", target]
            .map(str::to_owned)
    };
    let run = |target: &str| env.run(&sweep(target).each_ref().map(String::as_str)).stdout;
    assert!(
        run("10ms").contains("\n3 workers are enough: with standby 0 and capacity 1000, 99 of 100 jobs"),
        "{}",
        run("10ms")
    );
    assert!(run("high=10ms").contains("\n1 worker is enough"), "there are no jobs of that class");
    let report = json(&env, &sweep("10ms").each_ref().map(String::as_str)[1..]);
    assert_eq!(report["answer"], serde_json::json!({"workers": 3, "standby": 0, "capacity": 1000}));
    let enough: Vec<_> =
        report["runs"].as_array().unwrap().iter().map(|run| run["enough"].as_bool().unwrap()).collect();
    assert_eq!(enough, [false, false, true, true, true]);
    let none = env.run(&["simulate", "steady.toml", "--sweep", "workers=1,2", "--target-p99", "10ms"]);
    assert!(
        none.stdout.contains("not enough: in none of these do 99 of 100 jobs of every class"),
        "{none:?}"
    );
}

#[test]
fn mistakes_are_told_at_their_place() {
    let env = TestEnv::with_hooks(HOOKS);
    env.write("load.toml", "[hook.adit]\narrivals = { every = '1s' }\n");
    env.write("bad.toml", "jobs = 10\n[hook.audit]\narivals = { every = '1s' }\n");
    for (args, code, words) in [
        (
            &["load.toml"][..],
            3,
            "load.toml:1:7: error: `hook.adit`: the configuration has no hook of that name",
        ),
        (&["load.toml"], 3, "did you mean `audit`?"),
        (&["bad.toml"], 3, "bad.toml:3:1: error: unknown key `hook.audit.arivals`"),
        (&["missing.toml"], 3, "missing.toml: error: the file cannot be read"),
        (&["--config", "missing.toml"], 3, "missing.toml"),
        (&["--sweep", "workers=0"], 3, "option pool.workers=0: error"),
        (&["--sweep", "seats=1"], 2, "`seats` cannot be swept"),
        (&["--target-p99", "1s"], 2, "--sweep"),
        (&["--jobs", "0"], 2, "--jobs"),
    ] {
        let all: Vec<&str> = ["simulate"].into_iter().chain(args.iter().copied()).collect();
        let done = env.run(&all);
        assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{done:?}");
        assert!(done.stderr.contains(words), "{words} is not in\n{}", done.stderr);
    }
}

#[test]
fn who_has_no_hooks_sees_it_all_the_same() {
    let done = TestEnv::new().run(&["simulate", "--jobs", "300"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("tracker") && done.stderr.contains("three made-up ones"), "{done:?}");
}
