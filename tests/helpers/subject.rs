//! A pool with one hook whose handler is `lines.py` and does what its events say, and one hook that is none of its
//! business.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and a test may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookpool::{Config, Event, HookPool, JobHandle, Outcome, OutcomeKind};

/// Far more than anything here needs, so that no test depends on the machine's speed.
pub(crate) const AMPLE: Duration = Duration::from_mins(1);

pub(crate) struct Subject {
    pub(crate) pool: HookPool,
    notes: tempfile::TempDir,
}

impl Subject {
    pub(crate) fn new(mode: &str, keys: &str) -> Self {
        Self::build(mode, keys, false)
    }

    /// One that kills what leaves its processes' groups.
    pub(crate) fn sweeping(mode: &str, keys: &str) -> Self {
        Self::build(mode, keys, true)
    }

    fn build(mode: &str, keys: &str, sweeps: bool) -> Self {
        let notes = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/lines.py");
        let text = format!(
            "[hook.subject]\non = ['*']\nwhere = {{ to = 'subject' }}\nrun = ['/usr/bin/env', 'python3', '{script}']\n\
             mode = '{mode}'\nenv.PATH = '/usr/bin:/bin'\nenv.NOTES = '{}'\n{keys}\n\
             [hook.other]\non = ['*']\nwhere = {{ to = 'other' }}\nrun = 'cat > /dev/null'\ntimeout = '60s'\n",
            notes.path().display()
        );
        let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
        let pool = HookPool::builder().config(config).sweep_escapees(sweeps).build().unwrap();
        Self { pool, notes }
    }

    pub(crate) fn submit(&self, to: &str, rest: &str) -> JobHandle {
        let event = Event::from_json(format!(r#"{{"event":"x","to":"{to}"{rest}}}"#)).unwrap();
        let submission = self.pool.submit(event);
        let mut admitted = submission.admitted();
        admitted.next().expect("the queue has room").clone()
    }

    pub(crate) fn send(&self, what: &str) -> JobHandle {
        self.submit("subject", &format!(r#","do":"{what}""#))
    }

    pub(crate) fn run(&self, what: &str) -> Arc<Outcome> {
        outcome(&self.send(what))
    }

    /// Admits all before the first of them starts.
    pub(crate) fn together(&self, what: &[&str]) -> Vec<Arc<Outcome>> {
        self.pool.pause("subject");
        let jobs: Vec<_> = what.iter().map(|what| self.send(what)).collect();
        self.pool.resume("subject");
        jobs.iter().map(outcome).collect()
    }

    pub(crate) fn who(&self) -> String {
        let outcome = self.run("who");
        assert_eq!(outcome.kind, OutcomeKind::Failed, "{outcome}");
        assert!(outcome.reason.parse::<u32>().is_ok(), "{outcome}");
        outcome.reason.clone()
    }

    pub(crate) fn notes(&self) -> String {
        fs::read_to_string(self.notes.path().join("notes")).unwrap_or_default()
    }

    /// Lets the handler go on.
    pub(crate) fn sign(&self, name: &str) {
        fs::write(self.notes.path().join(name), "").unwrap();
    }

    pub(crate) fn unsign(&self, name: &str) {
        fs::remove_file(self.notes.path().join(name)).unwrap();
    }

    /// What the handler's notes say behind that word.
    pub(crate) fn noted(&self, word: &str) -> Vec<String> {
        self.notes().lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
    }

    /// Ends it: the ledger balances, and every process is gone.
    pub(crate) fn end(self, jobs: u64) {
        let ledger = self.pool.drain(AMPLE);
        assert!(ledger.is_balanced() && ledger.leaked == 0, "{ledger:?}");
        assert_eq!(ledger.snapshot.total.admitted(), jobs);
        for number in self.noted("start ").iter().chain(&self.noted("escaped ")) {
            assert!(!is_alive(number), "process {number} is gone");
        }
    }
}

pub(crate) fn outcome(job: &JobHandle) -> Arc<Outcome> {
    job.wait(AMPLE).expect("it has an outcome")
}

pub(crate) fn kinds(outcomes: &[Arc<Outcome>]) -> Vec<OutcomeKind> {
    outcomes.iter().map(|outcome| outcome.kind).collect()
}

pub(crate) fn is_alive(number: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(number).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn until(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "never came true: {what}");
        std::thread::yield_now();
    }
}
