//! The pools that are compared, each with two threads that run the jobs, behind one face.
//!
//! A job is always the same: an event, and a no-op that notes when it ran. Typed queues carry the event itself; pools
//! that take closures get one that owns it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hookpool::bench_door::BarePool;
use hookpool::{Call, Config, Event, HookPool};

pub(crate) const WORKERS: usize = 2;
/// Places of every pool that has a bound.
pub(crate) const CAPACITY: usize = 32_767;

/// What the jobs share.
pub(crate) struct Noted {
    origin: Instant,
    pub(crate) done: AtomicU64,
    /// When the last job ran, in nanoseconds since the origin; noted only if somebody wants to know.
    pub(crate) ran_at: AtomicU64,
    pub(crate) wants_time: AtomicBool,
    held: AtomicBool,
    /// Jobs that have begun.
    pub(crate) begun: AtomicU64,
}

impl Noted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            done: AtomicU64::new(0),
            ran_at: AtomicU64::new(0),
            wants_time: AtomicBool::new(false),
            held: AtomicBool::new(false),
            begun: AtomicU64::new(0),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn run(&self) {
        if self.held.load(Ordering::Acquire) {
            self.begun.fetch_add(1, Ordering::Release);
        }
        while self.held.load(Ordering::Acquire) {
            std::thread::park_timeout(Duration::from_micros(200));
        }
        if self.wants_time.load(Ordering::Relaxed) {
            self.ran_at.store(self.now(), Ordering::Release);
        }
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Keeps the jobs that start from ending, so that the queue fills.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }
}

/// A pool under measurement. Dropping it ends its threads.
pub(crate) trait Peer: Send + Sync {
    /// False: it was refused.
    fn submit(&self, event: &Event) -> bool;
}

/// A way to make one.
pub(crate) struct Maker {
    pub(crate) name: &'static str,
    /// It refuses when it is full.
    pub(crate) is_bounded: bool,
    pub(crate) make: fn(&Arc<Noted>) -> Box<dyn Peer>,
}

/// The first is what the others are compared with.
pub(crate) const MAKERS: &[Maker] = &[
    Maker { name: "crossbeam-channel", is_bounded: true, make: |noted| Box::new(Channel::start(noted)) },
    Maker { name: "HookPool", is_bounded: true, make: |noted| Box::new(Hooks::start(noted)) },
    Maker { name: "its bare pool", is_bounded: true, make: |noted| Box::new(bare(noted)) },
    Maker { name: "its one-mutex shell", is_bounded: true, make: |noted| Box::new(one_mutex(noted)) },
    Maker { name: "mutex and condvar", is_bounded: true, make: |noted| Box::new(Condvars::start(noted)) },
    Maker { name: "threadpool", is_bounded: false, make: |noted| Box::new(Threads::start(noted)) },
    Maker { name: "rayon spawn", is_bounded: false, make: |noted| Box::new(Rayon::start(noted)) },
    Maker { name: "tokio spawn_blocking", is_bounded: false, make: |noted| Box::new(Tokio::start(noted)) },
];

struct Channel {
    sender: Option<crossbeam_channel::Sender<Event>>,
    threads: Vec<JoinHandle<()>>,
}

impl Channel {
    fn start(noted: &Arc<Noted>) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded::<Event>(CAPACITY);
        let start = |_| {
            let (receiver, noted) = (receiver.clone(), Arc::clone(noted));
            std::thread::spawn(move || receiver.iter().for_each(|_event| noted.run()))
        };
        Self { sender: Some(sender), threads: (0..WORKERS).map(start).collect() }
    }
}

impl Peer for Channel {
    fn submit(&self, event: &Event) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.try_send(event.clone()).is_ok())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.sender = None;
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

struct Hooks(HookPool);

impl Hooks {
    /// With everything that is on by default: counters, histograms, deadlines, expiry, order, a watched handler.
    fn start(noted: &Arc<Noted>) -> Self {
        let config = format!(
            "[pool]\nworkers = {WORKERS}\nstandby = 0\n[queue]\ncapacity = {CAPACITY}\n[hook.a]\non = ['pre_tool']\n"
        );
        let noted = Arc::clone(noted);
        let pool = HookPool::builder()
            .config(Config::from_toml(&config).unwrap())
            .register("a", move |_: &Call| noted.run())
            .build();
        Self(pool.unwrap())
    }
}

impl Peer for Hooks {
    fn submit(&self, event: &Event) -> bool {
        self.0.submit(event.clone()).admitted().next().is_some()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        assert!(self.0.drain(Duration::MAX).is_balanced());
    }
}

impl Peer for BarePool<Event> {
    fn submit(&self, event: &Event) -> bool {
        self.submit(|| event.clone())
    }
}

fn bare(noted: &Arc<Noted>) -> BarePool<Event> {
    let noted = Arc::clone(noted);
    BarePool::new(u32::try_from(WORKERS).unwrap(), u32::try_from(CAPACITY).unwrap(), move |_| noted.run())
        .unwrap()
}

fn one_mutex(noted: &Arc<Noted>) -> BarePool<Event> {
    let noted = Arc::clone(noted);
    let (workers, capacity) = (u32::try_from(WORKERS).unwrap(), u32::try_from(CAPACITY).unwrap());
    BarePool::one_mutex(workers, capacity, move |_| noted.run())
}

type Queue = (Mutex<(VecDeque<Event>, bool)>, Condvar);

struct Condvars {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Condvars {
    fn start(noted: &Arc<Noted>) -> Self {
        let queue: Arc<Queue> = Arc::default();
        let start = |_| {
            let (queue, noted) = (Arc::clone(&queue), Arc::clone(noted));
            std::thread::spawn(move || {
                let (queue, changed) = &*queue;
                let mut state = queue.lock().unwrap();
                loop {
                    if let Some(_event) = state.0.pop_front() {
                        drop(state);
                        noted.run();
                        state = queue.lock().unwrap();
                    } else if state.1 {
                        return;
                    } else {
                        state = changed.wait(state).unwrap();
                    }
                }
            })
        };
        let threads = (0..WORKERS).map(start).collect();
        Self { queue, threads }
    }
}

impl Peer for Condvars {
    fn submit(&self, event: &Event) -> bool {
        let mut state = self.queue.0.lock().unwrap();
        if state.0.len() >= CAPACITY {
            return false;
        }
        state.0.push_back(event.clone());
        drop(state);
        self.queue.1.notify_one();
        true
    }
}

impl Drop for Condvars {
    fn drop(&mut self) {
        self.queue.0.lock().unwrap().1 = true;
        self.queue.1.notify_all();
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

struct Threads {
    pool: threadpool::ThreadPool,
    noted: Arc<Noted>,
}

impl Threads {
    fn start(noted: &Arc<Noted>) -> Self {
        Self { pool: threadpool::ThreadPool::new(WORKERS), noted: Arc::clone(noted) }
    }
}

impl Peer for Threads {
    fn submit(&self, event: &Event) -> bool {
        let (event, noted) = (event.clone(), Arc::clone(&self.noted));
        self.pool.execute(move || {
            noted.run();
            drop(event);
        });
        true
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.pool.join();
    }
}

struct Rayon {
    pool: rayon::ThreadPool,
    noted: Arc<Noted>,
}

impl Rayon {
    fn start(noted: &Arc<Noted>) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().unwrap();
        Self { pool, noted: Arc::clone(noted) }
    }
}

impl Peer for Rayon {
    fn submit(&self, event: &Event) -> bool {
        let (event, noted) = (event.clone(), Arc::clone(&self.noted));
        self.pool.spawn(move || {
            noted.run();
            drop(event);
        });
        true
    }
}

struct Tokio {
    runtime: tokio::runtime::Runtime,
    noted: Arc<Noted>,
}

impl Tokio {
    fn start(noted: &Arc<Noted>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(WORKERS).build();
        Self { runtime: runtime.unwrap(), noted: Arc::clone(noted) }
    }
}

impl Peer for Tokio {
    fn submit(&self, event: &Event) -> bool {
        let (event, noted) = (event.clone(), Arc::clone(&self.noted));
        drop(self.runtime.spawn_blocking(move || {
            noted.run();
            drop(event);
        }));
        true
    }
}
