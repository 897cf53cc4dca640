//! Finds and kills what left a handler's process group, and reaps what we adopt.
//!
//! A descendant that calls `setsid` is out of reach of a group signal. What it cannot shed by that is its place in our
//! family and the environment it was started with. So the program adopts orphans (child sub-reaper), handlers get
//! markers in their environment, and a sweep kills the descendants that carry them.
//!
//! Invariant: nothing is killed that does not carry our marker at the moment of the kill: the pidfd is opened first and
//! the marker read after that, so neither can belong to a later process of the same number. Nothing is reaped that a run
//! waits for.
//!
//! Promised: after [`Sweeper::sweep_job`] no descendant with the job's marker is alive, unless `remaining` says so. Not
//! promised: a process that wipes its own environment *and* leaves the group. When this program is itself killed with
//! KILL, its handlers live on (telling them at once would take code between fork and exec); [`sweep_dead_pools`]
//! finds them by the dead pool's marker at the next start.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, getuid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};

use super::Runner;
use super::children::Children;
use super::marker::{INSTANCE_VARIABLE, JOB_VARIABLE, Origin, POOL_VARIABLE};
use super::pipes::pause;
use super::usage::{Stat, children, processes};

/// Looks at the process table at most so often in one sweep: a process may fork while it is being killed.
const ROUNDS: usize = 8;
/// How long one round waits for the death of what it killed.
const DEATH: Duration = Duration::from_millis(200);
/// How long a process is given that is within `exec`, or on the way to its death. Either takes less than a millisecond
/// where it gets a processor.
const CHANGE: Duration = Duration::from_millis(200);
/// More environment than the kernel lets a process start with by default is not read.
const MAX_ENVIRON: u64 = 8 * 1024 * 1024;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes that were killed.
    pub killed: usize,
    /// Adopted processes that were reaped.
    pub reaped: usize,
    /// Some were still found at the end.
    pub remaining: bool,
}

/// Sweeps the escapees of one pool's handlers. A clone sweeps the same.
#[derive(Clone, Debug)]
pub struct Sweeper {
    children: Arc<Children>,
    pool: String,
}

impl Sweeper {
    /// Makes this process adopt its orphaned descendants. For programs: it is a property of the whole process, and from
    /// then on every child that `runner` did not start counts as adopted and is reaped by the sweeps.
    ///
    /// Handlers must be started with [`POOL_VARIABLE`] set to `pool`, and [`JOB_VARIABLE`] to their job.
    ///
    /// # Errors
    /// The system's, when it refuses.
    pub fn adopt(runner: &Runner, pool: &str) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { children: Arc::clone(runner.children()), pool: pool.to_owned() })
    }

    /// One that sweeps what carries another pool's marker.
    #[must_use]
    pub fn for_pool(&self, pool: &str) -> Self {
        Self { children: Arc::clone(&self.children), pool: pool.to_owned() }
    }

    /// Whether this process has adopted a living process of the job; adopted ones that are dead are reaped. Reads one
    /// short file when nothing is adopted, so it can be asked after every run.
    ///
    /// The kernel gives orphans to a process's first thread, and workers are others: the children of the first thread
    /// are the adopted ones, and those that the program started there itself. A kernel without that file says no.
    pub fn has_adopted(&self, job: &str) -> bool {
        let marks = [mark(POOL_VARIABLE, &self.pool), mark(JOB_VARIABLE, job)];
        self.adopted().into_iter().any(|number| carries(number, &marks))
    }

    /// The same for a process that stayed, by its number in the pool.
    pub fn has_adopted_of_instance(&self, instance: &str) -> bool {
        let marks = [mark(POOL_VARIABLE, &self.pool), mark(INSTANCE_VARIABLE, instance)];
        self.adopted().into_iter().any(|number| carries(number, &marks))
    }

    /// Reaps the adopted processes that are dead, at the price of [`Sweeper::has_adopted`].
    pub fn reap_adopted(&self) {
        self.adopted();
    }

    /// The living children of the first thread. The dead ones are reaped.
    fn adopted(&self) -> Vec<i32> {
        let listed = children(getpid().as_raw_pid());
        let (dead, alive): (Vec<i32>, Vec<i32>) =
            listed.into_iter().partition(|&number| Stat::read(number).is_none_or(|stat| stat.dead));
        self.reap_these(&dead);
        alive
    }

    /// Kills the descendants that carry the marker of a job whose run has ended, and reaps. Takes some milliseconds: for
    /// runs that were stopped, or left something behind.
    pub fn sweep_job(&self, job: &str) -> Swept {
        self.sweep(&[mark(POOL_VARIABLE, &self.pool), mark(JOB_VARIABLE, job)])
    }

    /// The same for a process that stayed and has ended, by its number in the pool.
    pub fn sweep_instance(&self, instance: &str) -> Swept {
        self.sweep(&[mark(POOL_VARIABLE, &self.pool), mark(INSTANCE_VARIABLE, instance)])
    }

    /// Kills all descendants that carry the pool's marker, and reaps. For the end, when no run goes on. Who has no child
    /// has no descendants: then it costs microseconds.
    pub fn sweep_all(&self) -> Swept {
        if has_no_child() {
            return Swept::default();
        }
        self.sweep(&[mark(POOL_VARIABLE, &self.pool)])
    }

    /// Reaps the adopted processes that are dead. Gives back how many.
    pub fn reap(&self) -> usize {
        let own = getpid().as_raw_pid();
        let dead = processes().filter_map(Stat::read).filter(|stat| stat.parent == own && stat.dead);
        self.reap_these(&dead.map(|stat| stat.number).collect::<Vec<_>>())
    }

    fn reap_these(&self, dead: &[i32]) -> usize {
        if dead.is_empty() {
            return 0;
        }
        // The table was read before the register is closed, so starts wait for microseconds only. A number that went
        // to a new handler in between is in the register by now.
        self.children.while_none_starts(|waited_for| {
            let reap = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            dead.iter()
                .filter(|number| !waited_for.contains(&number.unsigned_abs()))
                .filter_map(|&number| Pid::from_raw(number))
                .filter(|&number| matches!(waitid(WaitId::Pid(number), reap), Ok(Some(_))))
                .count()
        })
    }

    fn sweep(&self, marks: &[Vec<u8>]) -> Swept {
        let (killed, remaining) = kill_marked(marks, || {
            let found = descendants();
            // A run's own child is that run's business, whatever it carries.
            let spared = self.children.while_none_starts(HashSet::clone);
            found.into_iter().filter(|number| !spared.contains(&number.unsigned_abs())).collect()
        });
        Swept { killed, reaped: self.reap(), remaining }
    }
}

/// Kills the processes of this user that carry the marker of a pool that is known to be dead, wherever they are in the
/// process table. This process and its ancestors are spared.
pub fn sweep_strays(dead_pool: &str) -> Swept {
    let spared = ancestors();
    let (killed, remaining) = kill_marked(&[mark(POOL_VARIABLE, dead_pool)], || {
        processes().filter(|number| !spared.contains(number) && is_own_user(*number)).collect()
    });
    Swept { killed, reaped: 0, remaining }
}

/// Finds the handlers of pools whose process is dead, by their markers, and kills them as [`sweep_strays`] does. Markers
/// of other namespaces are left alone: whether their pools live cannot be seen from here.
pub fn sweep_dead_pools() -> Swept {
    let spared = ancestors();
    let candidates = processes().filter(|number| !spared.contains(number) && is_own_user(*number));
    let carried: HashSet<String> = candidates.filter_map(|number| pool_of(&environ(number)?)).collect();
    let dead = carried.into_iter().filter(|pool| Origin::read(pool).is_some_and(is_dead));
    dead.map(|pool| sweep_strays(&pool)).fold(Swept::default(), |sum, one| Swept {
        killed: sum.killed + one.killed,
        reaped: 0,
        remaining: sum.remaining || one.remaining,
    })
}

/// Whether the process is dead. One that was just killed has a moment for that: its threads do not die at once.
fn is_dead(origin: Origin) -> bool {
    let until = Instant::now() + CHANGE;
    while origin.is_half_dead() && Instant::now() < until {
        pause(Duration::from_millis(1));
    }
    origin.is_dead()
}

fn pool_of(environ: &[u8]) -> Option<String> {
    let start = mark(POOL_VARIABLE, "");
    let value = environ.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(&*start))?;
    String::from_utf8(value.to_vec()).ok()
}

fn mark(name: &str, value: &str) -> Vec<u8> {
    format!("{name}={value}").into_bytes()
}

/// Kills what carries all marks, until a look finds nothing. Gives back how many, and whether some are left.
fn kill_marked(marks: &[Vec<u8>], candidates: impl Fn() -> Vec<i32>) -> (usize, bool) {
    let mut killed = HashSet::new();
    // An orphan is between two parents for a moment, and a look then misses it: one empty look is not enough.
    let mut looks_in_vain = 0;
    for _ in 0..ROUNDS {
        let dying: Vec<_> = candidates()
            .into_iter()
            .filter(|&number| carries(number, marks))
            .filter_map(|number| Some((number, kill(number, marks)?)))
            .collect();
        if dying.is_empty() {
            looks_in_vain += 1;
            if looks_in_vain == 2 {
                return (killed.len(), false);
            }
            continue;
        }
        looks_in_vain = 0;
        let until = Instant::now() + DEATH;
        for (number, pidfd) in dying {
            await_death(&pidfd, until);
            killed.insert(number);
        }
    }
    (killed.len(), true)
}

fn kill(number: i32, marks: &[Vec<u8>]) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    // The number may have changed hands before the descriptor was opened, but not since.
    carries(number, marks).then_some(())?;
    pidfd_send_signal(&pidfd, Signal::KILL).ok()?;
    Some(pidfd)
}

fn await_death(pidfd: &OwnedFd, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&left));
}

/// Whether a process was started with all these variables. A dead one carries nothing.
fn carries(number: i32, marks: &[Vec<u8>]) -> bool {
    let Some(environ) = environ(number) else { return false };
    let has = |mark: &Vec<u8>| environ.split(|&byte| byte == 0).any(|variable| variable == mark.as_slice());
    marks.iter().all(has)
}

/// A process's environment; the dead have none. Within `exec`, and while it dies, a process has none for a moment
/// either: then this waits until it is one or the other, so that nobody is overlooked, and what somebody else has killed
/// is dead.
fn environ(number: i32) -> Option<Vec<u8>> {
    let until = Instant::now() + CHANGE;
    let mut environ = Vec::new();
    loop {
        let file = File::open(format!("/proc/{number}/environ")).ok()?;
        file.take(MAX_ENVIRON).read_to_end(&mut environ).ok()?;
        if !environ.is_empty() || Stat::read(number).is_none_or(is_without_environment) {
            return Some(environ);
        }
        if Instant::now() > until {
            return Some(environ);
        }
        pause(Duration::from_millis(1));
    }
}

/// Whether a process whose environment reads as empty stays so: it was started with none, is dead, or is a thread of
/// the kernel.
fn is_without_environment(stat: Stat) -> bool {
    stat.has_environment || stat.dead || stat.is_kernel
}

/// Whether no thread of this process has a child. False when it cannot be told.
fn has_no_child() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return false };
    // Listed before the first look: what a thread leaves when it ends goes to another one, which was looked at already
    // perhaps, but then the ended one's file cannot be read.
    let threads: Result<Vec<_>, _> = threads.collect();
    let has_none = |thread: &fs::DirEntry| {
        fs::read(thread.path().join("children")).is_ok_and(|children| children.is_empty())
    };
    threads.is_ok_and(|threads| threads.iter().all(has_none))
}

/// All living descendants of this process.
fn descendants() -> Vec<i32> {
    let mut children_of: HashMap<i32, Vec<i32>> = HashMap::new();
    for stat in processes().filter_map(Stat::read) {
        children_of.entry(stat.parent).or_default().push(stat.number);
    }
    let mut found = Vec::new();
    let mut next = vec![getpid().as_raw_pid()];
    while let Some(parent) = next.pop() {
        // Removed, so that a table that changes while it is read cannot lead in a circle.
        for child in children_of.remove(&parent).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}

/// This process, its parent, and so on.
fn ancestors() -> HashSet<i32> {
    let mut found = HashSet::new();
    let mut next = Some(getpid().as_raw_pid());
    while let Some(number) = next.filter(|&number| number > 0 && found.insert(number)) {
        next = Stat::read(number).map(|stat| stat.parent);
    }
    found
}

fn is_own_user(number: i32) -> bool {
    fs::metadata(format!("/proc/{number}")).is_ok_and(|meta| meta.uid() == getuid().as_raw())
}
