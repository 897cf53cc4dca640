//! What a seed stands for: the sort of life, its configurations, and every change that may be made to them.

use std::fmt::Write as _;
use std::time::Duration;

use hookpool::PriorityClass;

use crate::dice::Dice;

pub(crate) const SUBMITTERS: u64 = 3;
/// The others that take part in a life, with the choices that are theirs.
pub(crate) const CHANGER: u64 = SUBMITTERS;
pub(crate) const HOLDER: u64 = SUBMITTERS + 1;
pub(crate) const OWNER: u64 = SUBMITTERS + 2;
/// Each with a handler in Rust. Not alike, so that none is taken for another one that is not configured.
pub(crate) const HOOKS: [&str; 8] = ["urgent", "ordered", SINGLE, FREE, BATCH, "breaks", "gated", RUDE];
/// One at a time, whatever else changes.
pub(crate) const SINGLE: &str = "single";
const FREE: &str = "anyhow";
pub(crate) const BATCH: &str = "many";
/// It does not stop when it is told to, and has little time.
pub(crate) const RUDE: &str = "rude";
/// Those that keep no order.
pub(crate) const UNORDERED: [&str; 2] = [SINGLE, FREE];
/// The class that may have few places only.
pub(crate) const BOUNDED: PriorityClass = PriorityClass::Low;

/// How a pool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Drain,
    CloseAndDrain,
    TwoDrains,
    StopAndDrain,
    KillAndDrain,
    KillInDrain,
    /// The last of its handles goes.
    Drop,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Drain,
        Self::CloseAndDrain,
        Self::TwoDrains,
        Self::StopAndDrain,
        Self::KillAndDrain,
        Self::KillInDrain,
        Self::Drop,
    ];
}

/// One life.
#[expect(clippy::struct_excessive_bools, reason = "each is a side of a life by itself")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Events of each submitter.
    pub(crate) events: u64,
    /// How many events come before the end begins; it comes in any case when all have come.
    pub(crate) ends_at: u64,
    pub(crate) way: Way,
    pub(crate) deadline: Duration,
    /// There is a handler that does not stop, and nobody has the time to wait for any.
    pub(crate) rude: bool,
    /// Jobs are tried again and guarantees change, so that more may wait than there are places.
    pub(crate) loose: bool,
    /// A full queue may displace.
    pub(crate) displaces: bool,
    /// Most places, and most places of `BOUNDED`, that there ever are.
    pub(crate) capacity: u64,
    pub(crate) ceiling: u64,
    /// Most bytes that there ever are.
    pub(crate) bytes: u64,
    /// Most workers and standby seats that there ever are.
    pub(crate) workers: u64,
    pub(crate) standby: u64,
    pub(crate) most_seats: usize,
    /// Outcomes are observed and subscribed to. Otherwise only handles tell of them, and many have none.
    pub(crate) heard: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (workers, standby) = (1 + dice.below(6), dice.below(3));
        let events = 20 + dice.below(200);
        Self {
            seed,
            events,
            ends_at: dice.below(2 * SUBMITTERS * events),
            way: dice.of(&Way::ALL),
            deadline: dice.of(&[Duration::ZERO, Duration::from_millis(3), Duration::MAX, Duration::MAX]),
            rude: dice.below(4) == 0,
            loose: dice.below(2) == 0,
            displaces: dice.below(3) > 0,
            capacity: 1 + dice.below(60),
            ceiling: 1 + dice.below(30),
            bytes: dice.of(&[2_000, 10_000, 1_000_000]),
            workers,
            standby,
            most_seats: usize::try_from(workers + standby).expect("it is small"),
            heard: dice.below(3) > 0,
        }
    }

    /// Of one who takes part: the submitters come first.
    pub(crate) fn dice(&self, part: u64) -> Dice {
        Dice(self.seed.wrapping_mul(16) + part)
    }

    /// Until nothing waits and nothing runs.
    pub(crate) fn ends_by_itself(&self) -> bool {
        matches!(self.way, Way::Drain | Way::CloseAndDrain | Way::TwoDrains) && self.deadline == Duration::MAX
    }

    /// No handler has its time, since it has none or a kill takes it: what it is given last it may get too late.
    pub(crate) fn is_hasty(&self) -> bool {
        self.rude || matches!(self.way, Way::KillAndDrain | Way::KillInDrain)
    }

    fn up_to(dice: &mut Dice, most: u64) -> u64 {
        if dice.below(2) == 0 { most } else { 1 + dice.below(most) }
    }

    fn on_full(&self, dice: &mut Dice) -> &'static str {
        if self.displaces { dice.of(&["drop_new", "displace"]) } else { "drop_new" }
    }

    /// A whole configuration. `all`: with every hook.
    pub(crate) fn config(&self, dice: &mut Dice, all: bool) -> String {
        let grace = if self.rude { "3ms" } else { "1m" };
        let drain = dice.of(&["0s", "3ms", "1m"]);
        let mut text = format!(
            "pool.workers = {}\npool.standby = {}\npool.max_overrun = {}\nqueue.capacity = {}\n\
             queue.max_bytes = {}\nqueue.on_full = '{}'\nclass.low.ceiling = {}\n\
             defaults.timeout = '5m'\ndefaults.grace = '{grace}'\nshutdown.drain = '{drain}'\n",
            Self::up_to(dice, self.workers),
            dice.below(self.standby + 1),
            dice.below(3),
            Self::up_to(dice, self.capacity),
            Self::up_to(dice, self.bytes),
            self.on_full(dice),
            self.ceiling,
        );
        for hook in HOOKS {
            if (hook == RUDE && !self.rude) || (!all && dice.below(4) == 0) {
                continue;
            }
            let on = dice.of(&["'stop'", "'user_prompt'", "'stop', 'user_prompt'", "'*'"]);
            let _ = writeln!(text, "[hook.{hook}]\non = [{on}]");
            let _ = match hook {
                "urgent" => writeln!(text, "priority = '{}'", dice.of(&["critical", "high"])),
                "ordered" if self.loose => writeln!(text, "retry = {{ attempts = 3, backoff = '0.2ms' }}"),
                SINGLE => writeln!(text, "order = 'none'\nmax_concurrency = 1\npriority = 'low'"),
                FREE => writeln!(text, "order = 'none'\nmax_wait = '0.3ms'"),
                BATCH => {
                    let (size, linger) = (1 + dice.below(9), dice.of(&["0s", "0.3ms", "2ms"]));
                    writeln!(text, "batch = {{ size = {size}, linger = '{linger}' }}")
                }
                "breaks" => writeln!(text, "breaker = {{ failures = 2, cooldown = '1ms' }}"),
                RUDE => writeln!(text, "timeout = '3ms'"),
                _ => Ok(()),
            };
        }
        text
    }

    /// A key that is live, and a value that it takes.
    pub(crate) fn setting(&self, dice: &mut Dice) -> (String, String) {
        let class = dice.of(&PriorityClass::ALL);
        let hook = format!("hook.{}", dice.of(&HOOKS));
        match dice.below(18) {
            0 => ("pool.workers".into(), Self::up_to(dice, self.workers).to_string()),
            1 => ("pool.standby".into(), dice.below(self.standby + 1).to_string()),
            2 => ("pool.standby_for".into(), class.to_string()),
            3 | 4 => ("queue.capacity".into(), Self::up_to(dice, self.capacity).to_string()),
            5 => ("queue.max_bytes".into(), Self::up_to(dice, self.bytes).to_string()),
            6 => ("queue.on_full".into(), self.on_full(dice).into()),
            7 => ("queue.max_wait".into(), format!("{}ms", 1 + dice.below(50))),
            8 => ("scheduler.mode".into(), dice.of(&["strict", "weighted"]).into()),
            9 => ("scheduler.bypass".into(), format!("{{ low = {} }}", 1 + dice.below(64))),
            10 => (format!("class.{class}.seats"), (1 + dice.below(6)).to_string()),
            11 if self.loose => (format!("class.{class}.guarantee"), dice.below(4).to_string()),
            11 => ("hook.ordered.timeout".into(), "6m".into()),
            12 => ("priority.stop".into(), class.to_string()),
            13 => (format!("{hook}.priority"), class.to_string()),
            14 => (format!("{hook}.enabled"), (dice.below(4) > 0).to_string()),
            15 => ("hook.many.batch.size".into(), (1 + dice.below(9)).to_string()),
            16 => ("kinds.stop".into(), (dice.below(4) > 0).to_string()),
            _ => ("performance_mode".into(), (dice.below(8) == 0).to_string()),
        }
    }
}
