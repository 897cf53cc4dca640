//! Metrics of a run as others read them: by a parser that is not ours.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::{MetricNumber, OpenMetricsValue};

use crate::env::{Live, TestEnv, lone, repeat, until};
use crate::ledger::{OUTCOMES, REFUSED, Report, SKIPPED, WAITED};

const HOOKS: &str = "
    [hook.good]
    on = ['A', 'stop']
    run = 'true'
    [hook.bad]
    on = ['A', 'B']
    run = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 3'
    priority = 'low'
    retry = { attempts = 2, backoff = '1ms' }
    [hook.off]
    on = ['A']
    run = 'true'
    enabled = false
    [hook.many]
    on = ['C']
    run = 'cat > /dev/null'
    mode = 'lines'
    batch = { size = 5, linger = '1h' }
";

/// Every sample by its name and its labels, histograms by their `_count`, `_sum` and `_bucket`.
struct Metrics(Vec<(String, BTreeMap<String, String>, f64)>);

impl Metrics {
    fn parse(text: &str) -> Self {
        // The parser knows no units of histograms, which the format has.
        let is_kept = |line: &&str| {
            let unit = line.strip_prefix("# UNIT ").and_then(|unit| unit.split_once(' '));
            unit.is_none_or(|(name, _)| !text.contains(&format!("# TYPE {name} histogram\n")))
        };
        let known: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        let parsed = parse_openmetrics(&known).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut all = Vec::new();
        for family in parsed.families.values() {
            assert!(!family.help.is_empty(), "{} says what it is", family.family_name);
            let name = &family.family_name;
            for unit in ["seconds", "bytes"].iter().filter(|unit| name.ends_with(&format!("_{unit}"))) {
                assert!(text.contains(&format!("# UNIT {name} {unit}\n")), "{name} has its unit");
            }
            for sample in family.iter_samples() {
                let labels = sample
                    .get_labelset()
                    .map(|labels| labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
                let labels: BTreeMap<_, _> = labels.unwrap_or_default();
                let mut add = |suffix: &str, value, le: Option<f64>| {
                    let bound = le.map(|le| ("le".to_owned(), le.to_string()));
                    let labels = labels.clone().into_iter().chain(bound).collect();
                    all.push((format!("{name}{suffix}"), labels, value));
                };
                match &sample.value {
                    OpenMetricsValue::Counter(counter) => add("_total", counter.value.as_f64(), None),
                    OpenMetricsValue::Gauge(gauge) => add("", gauge.as_f64(), None),
                    OpenMetricsValue::Histogram(histogram) => {
                        let count = MetricNumber::Int(histogram.count.unwrap().try_into().unwrap()).as_f64();
                        let counts: Vec<_> =
                            histogram.buckets.iter().map(|bucket| bucket.count.as_f64()).collect();
                        assert!(counts.is_sorted() && counts.last() == Some(&count), "{counts:?}");
                        for bucket in &histogram.buckets {
                            add("_bucket", bucket.count.as_f64(), Some(bucket.upper_bound));
                        }
                        add("_count", count, None);
                        add("_sum", histogram.sum.unwrap().as_f64(), None);
                    }
                    other => panic!("{other:?} is nothing that we write"),
                }
            }
        }
        Self(all)
    }

    /// The sum of the samples that have these labels. There must be one.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has_all = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let mut found = self.0.iter().filter(|(of, its, _)| of == name && has_all(its)).peekable();
        assert!(found.peek().is_some(), "{name} with {labels:?} is missing");
        found.map(|(.., value)| value).sum()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small and whole")]
    fn n(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.sum(name, labels);
        assert!(sum.fract() == 0.0 && sum >= 0.0, "{name} {sum}");
        sum as u64
    }

    /// The upper bounds of a hook's buckets, and how many are at most that, all its classes and kinds together.
    fn buckets(&self, name: &str, hook: &str) -> Vec<(f64, u64)> {
        let of_hook = |(of, labels, _): &&(String, BTreeMap<String, String>, f64)| {
            *of == format!("{name}_bucket") && labels["hook"] == hook
        };
        let mut bounds: Vec<f64> =
            self.0.iter().filter(of_hook).map(|(_, labels, _)| labels["le"].parse().unwrap()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let at_most =
            |le: &f64| self.n(&format!("{name}_bucket"), &[("hook", hook), ("le", &le.to_string())]);
        bounds.iter().map(|le| (*le, at_most(le))).collect()
    }

    /// The buckets of a hook's times fit to the quantiles of the report, which are within one per cent.
    fn assert_times_agree(&self, name: &str, report: &Report, path: &str, hook: &str) {
        let buckets = self.buckets(name, hook);
        let all = self.n(&format!("{name}_count"), &[("hook", hook)]);
        #[expect(clippy::cast_precision_loss, reason = "times are short")]
        let seconds = |quantile: &str| report.n(&format!("{path}.{quantile}")) as f64 / 1e6;
        for (bound, at_most) in buckets {
            let what = format!("{name} of {hook}: {at_most} of {all} at most {bound}");
            let (p50, max) = (seconds("p50"), seconds("max"));
            if bound >= max {
                assert_eq!(at_most, all, "{what}, max {max}");
            } else if bound < max * 0.98 {
                assert!(at_most < all, "{what}, max {max}");
            }
            if bound > p50 * 1.02 {
                assert!(2 * at_most >= all, "{what}, p50 {p50}");
            } else if bound < p50 * 0.98 {
                assert!(2 * at_most < all, "{what}, p50 {p50}");
            }
        }
    }

    /// What is counted for each job is the same here and in the report.
    fn assert_agrees(&self, report: &Report, path: &str, labels: &[(&str, &str)]) {
        for (name, member) in [
            ("hookpool_jobs_submitted_total", "submitted"),
            ("hookpool_jobs_admitted_total", "admitted"),
            ("hookpool_retries_total", "retries"),
            ("hookpool_jobs_queued", "queued"),
            ("hookpool_jobs_running", "running"),
        ] {
            assert_eq!(self.n(name, labels), report.n(&format!("{path}.{member}")), "{name} {labels:?}");
        }
        let of_hooks = SKIPPED.iter().filter(|why| **why != "no_match").copied().collect::<Vec<_>>();
        for (name, label, member, all) in [
            ("hookpool_outcomes_total", "outcome", "outcomes", &OUTCOMES[..]),
            ("hookpool_jobs_refused_total", "reason", "refused", &REFUSED),
            ("hookpool_jobs_skipped_total", "reason", "skipped", &of_hooks),
        ] {
            for one in all {
                let labels = [labels, &[(label, *one)]].concat();
                assert_eq!(
                    self.n(name, &labels),
                    report.n(&format!("{path}.{member}.{one}")),
                    "{name} {labels:?}"
                );
            }
        }
        for cause in WAITED {
            let micros =
                self.sum("hookpool_waited_seconds_total", &[labels, &[("cause", cause)]].concat()) * 1e6;
            #[expect(clippy::cast_precision_loss, reason = "times are short")]
            let reported = report.n(&format!("{path}.wait_split_us.{cause}")) as f64;
            // The report has whole ones.
            assert!((reported - 0.01..reported + 1.01).contains(&micros), "{cause} {micros} {reported}");
        }
    }
}

#[test]
fn every_count_of_the_file_is_that_of_the_report() {
    let env = TestEnv::with_hooks(HOOKS);
    let events =
        [repeat(&lone("A"), 3), lone("B"), repeat(&lone("Stop"), 2), repeat(&lone("C"), 7), lone("D")]
            .concat();
    let report = env.report(&["--metrics", "out"], &events);
    let text = env.read("out");
    assert!(text.ends_with("# EOF\n"));
    let metrics = Metrics::parse(&text);
    for hook in ["good", "bad", "off", "many"] {
        metrics.assert_agrees(&report, &format!("hooks.{hook}"), &[("hook", hook)]);
    }
    for class in ["normal", "low"] {
        metrics.assert_agrees(&report, &format!("classes.{class}"), &[("class", class)]);
    }
    let outcomes = |labels: &[(&str, &str)]| metrics.n("hookpool_outcomes_total", labels);
    assert_eq!(outcomes(&[("hook", "good"), ("kind", "stop"), ("outcome", "succeeded")]), 2);
    assert_eq!(outcomes(&[("hook", "good"), ("kind", "other"), ("outcome", "succeeded")]), 3);
    assert_eq!(metrics.n("hookpool_events_unmatched_total", &[("kind", "other")]), 1);
    assert_eq!(metrics.n("hookpool_wait_seconds_count", &[("hook", "bad")]), 4);
    assert_eq!(metrics.n("hookpool_run_seconds_count", &[("hook", "bad")]), 8, "one for each attempt");
    assert!(metrics.sum("hookpool_run_seconds_sum", &[("hook", "bad")]) > 0.0);

    assert_eq!(metrics.n("hookpool_processes_started_total", &[("hook", "bad")]), 8);
    assert_eq!(metrics.n("hookpool_spawn_seconds_count", &[("hook", "bad")]), 8);
    assert!(metrics.sum("hookpool_processes_cpu_seconds_total", &[("hook", "bad")]) > 0.0);
    assert_eq!(metrics.n("hookpool_processes_started_total", &[("hook", "off")]), 0);
    assert_eq!(
        metrics.n("hookpool_batch_jobs_count", &[("hook", "many")]),
        2,
        "five, and the rest at the end"
    );
    assert_eq!(metrics.n("hookpool_batch_jobs_sum", &[("hook", "many")]), 7);
    let of_sizes = metrics.buckets("hookpool_batch_jobs", "many");
    let up_to: Vec<_> = of_sizes.iter().take(4).copied().collect();
    assert_eq!(up_to, [(1.0, 0), (2.0, 1), (5.0, 2), (10.0, 2)], "one of five and one of two");
    assert_eq!(of_sizes.last(), Some(&(f64::INFINITY, 2)));
    for hook in ["good", "bad", "many"] {
        metrics.assert_times_agree("hookpool_wait_seconds", &report, &format!("hooks.{hook}.wait_us"), hook);
        metrics.assert_times_agree("hookpool_run_seconds", &report, &format!("hooks.{hook}.run_us"), hook);
    }
    assert!(metrics.sum("hookpool_waited_seconds_total", &[("hook", "bad")]) > 0.0);

    assert_eq!(metrics.n("hookpool_queue_capacity", &[]), 1000);
    assert_eq!(metrics.n("hookpool_events_bytes", &[]), 0, "nothing is held at the end");
    assert_eq!(metrics.n("hookpool_lane_jobs", &[("class", "low")]), 0);
    assert_eq!(metrics.n("hookpool_reloads_total", &[]), 0);
}

#[test]
fn the_state_of_a_breaker_is_one_of_three() {
    let env = TestEnv::with_hooks(
        "[hook.a]\non = ['A']\nrun = 'exit 1'\nbreaker = { failures = 2, cooldown = '1h', max_cooldown = '1h' }\n",
    );
    env.write("e", repeat(&lone("A"), 2));
    assert_eq!(env.run(&["run", "e", "--metrics", "out"]).code, Some(0));
    let metrics = Metrics::parse(&env.read("out"));
    let state = |state| metrics.n("hookpool_breaker_state", &[("hook", "a"), ("state", state)]);
    assert_eq!(["closed", "open", "half_open"].map(state), [0, 1, 0]);
    assert_eq!(metrics.n("hookpool_breaker_opened_total", &[("hook", "a")]), 1);
}

#[test]
fn the_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
    let env = TestEnv::with_hooks("");
    env.write("metrics/real", "old");
    std::os::unix::fs::symlink("real", env.path("metrics/link")).unwrap();
    let before = fs::File::open(env.path("metrics/real")).unwrap();
    env.report(&["--metrics", "metrics/link"], &lone("A"));
    assert!(env.read("metrics/real").ends_with("# EOF\n"));
    assert!(env.path("metrics/link").is_symlink(), "a link stays");
    let mut old = String::new();
    (&before).read_to_string(&mut old).unwrap();
    assert_eq!(old, "old", "who reads the old one goes on reading it");
    assert_eq!(fs::read_dir(env.path("metrics")).unwrap().count(), 2);
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_any_hook_runs() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['A']\nrun = 'touch ran'\n");
    env.write("e", lone("A"));
    for (file, code, words) in [
        ("-", 2, "standard output is for the report"),
        ("none/out", 70, "there is no such folder"),
        (".", 70, "no file"),
    ] {
        let done = env.run(&["run", "e", "--metrics", file]);
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains(words) && done.stdout.is_empty(), "{done:?}");
    }
    assert!(!env.exists("ran"));
}

/// A run that listens on a free port, and where.
fn listening(env: &TestEnv) -> (Live, String) {
    let live = env.spawn(&["run", "-", "--report", "json", "--metrics-listen", "127.0.0.1:0"]);
    live.wait_for_stderr("/metrics\n");
    let said = live.stderr();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    (live, address)
}

fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    (head.to_owned(), body.to_owned())
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn who_asks_while_it_runs_gets_the_counts_of_that_moment() {
    let env = TestEnv::with_hooks(
        "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['A']\nrun = 'until [ -e go ]; do sleep 0.01; done'\n",
    );
    let (mut live, address) = listening(&env);
    let get = || {
        let (head, body) = ask(&address, GET);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
            "{head}"
        );
        Metrics::parse(&body)
    };
    until("its worker sleeps", || get().n("hookpool_threads_asleep", &[]) == 1);
    live.send(repeat(&lone("A"), 3));
    until("one runs and two wait", || {
        let metrics = get();
        // There are none before the first is submitted.
        let is_there = metrics.0.iter().any(|(name, ..)| name == "hookpool_jobs_running");
        is_there
            && metrics.n("hookpool_jobs_running", &[("hook", "a")]) == 1
            && metrics.n("hookpool_lane_jobs", &[("class", "normal")]) == 2
    });
    let metrics = get();
    assert_eq!(metrics.n("hookpool_jobs_admitted_total", &[]), 3);
    assert_eq!(metrics.n("hookpool_jobs_queued", &[]), 2);
    assert_eq!(metrics.n("hookpool_seats_busy", &[("class", "normal")]), 1);
    assert!(metrics.n("hookpool_events_bytes", &[]) > 0);
    assert!(metrics.sum("hookpool_lane_oldest_seconds", &[("class", "normal")]) > 0.0);
    assert!(metrics.sum("hookpool_lane_oldest_seconds", &[("class", "low")]) <= 0.0);
    env.write("go", "");
    assert_eq!(live.finish().report().happened(), "succeeded 3");
}

#[test]
fn other_requests_get_a_word_and_rude_ones_hold_nobody_up_for_long() {
    let env = TestEnv::with_hooks("");
    let (live, address) = listening(&env);
    let large = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 "),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 "),
        ("nonsense\r\n\r\n", "400 "),
        (&large, "431 "),
        ("GET /metrics?a=b HTTP/1.0\r\n\r\n", "200 "),
    ] {
        let (head, _) = ask(&address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    let (head, body) = ask(&address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty());
    // One that says nothing, one that does not go on, and one that has gone.
    let silent = TcpStream::connect(&address).unwrap();
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(b"GET /metr").unwrap();
    TcpStream::connect(&address).unwrap().shutdown(Shutdown::Both).unwrap();
    Metrics::parse(&ask(&address, GET).1);
    drop((silent, slow));
    assert_eq!(live.finish().code, Some(0));
}

#[test]
fn it_listens_on_this_machine_alone() {
    let env = TestEnv::with_hooks("");
    for (address, words) in [
        ("0.0.0.0:0", "for this machine alone"),
        ("9464", "such as 127.0.0.1:9464"),
        ("[::]:1", "for this machine alone"),
    ] {
        let done = env.run(&["run", "-", "--metrics-listen", address]);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
    }
    let (live, taken) = listening(&env);
    let done = env.run(&["run", "-", "--metrics-listen", &taken]);
    assert_eq!(done.code, Some(70), "{done:?}");
    assert!(done.stderr.contains("port 0 takes any free one"), "{done:?}");
    assert_eq!(live.finish().code, Some(0));
}

/// As the kernel counts: how often each thread of the program has got a processor.
fn switches(live: &Live) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", live.number())).unwrap();
    let one = |path: std::path::PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        (path.display().to_string(), counts.collect::<Vec<_>>().join(" "))
    };
    tasks.map(|task| one(task.unwrap().path())).collect()
}

/// The window is short, and proves all the same: what polls is never at rest, so the window never begins.
#[test]
fn a_program_that_has_nothing_to_do_is_not_woken_by_its_metrics() {
    stays_at_rest(Duration::from_millis(150));
}

#[test]
#[ignore = "takes ten seconds; tests/long.sh runs it"]
fn a_program_that_has_nothing_to_do_is_not_woken_in_ten_seconds() {
    stays_at_rest(Duration::from_secs(10));
}

fn stays_at_rest(window: Duration) {
    let env = TestEnv::with_hooks("[hook.a]\non = ['A']\nrun = 'true'\n");
    let (mut live, address) = listening(&env);
    live.send(repeat(&lone("A"), 5));
    until("all have ended", || ask(&address, GET).1.contains("outcome=\"succeeded\"} 5\n"));
    let pass = std::thread::park_timeout;
    until("its threads are at rest", || {
        let before = switches(&live);
        // Longer than it takes until the files are watched, once.
        pass(Duration::from_millis(600));
        before == switches(&live)
    });
    let before = switches(&live);
    assert!(before.len() > 4, "workers and the one that answers are there");
    pass(window);
    assert_eq!(before, switches(&live));
    assert_eq!(live.finish().report().happened(), "succeeded 5");
}
