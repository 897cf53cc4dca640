//! The arithmetic with a scripted counter and clock, and the real ones on real threads.

use std::cell::Cell;
use std::time::Instant;

use proptest::prelude::*;

use super::anchor::{Anchor, CLOSE, LONGEST, Look, Rate};
use super::*;

/// What a look takes, in nanoseconds, half of it before the clock is read.
const LOOK: u64 = 30;

/// A clock, and a counter that is to run at one and the same rate.
struct World {
    /// Nanoseconds since the start.
    passed: Cell<u64>,
    /// Picoseconds of a tick.
    tick: u64,
    /// By how much the clock and the counter are not where they should be: nanoseconds, and ticks.
    slewed: Cell<i64>,
    jumped: Cell<u64>,
    /// How long the thread loses its processor while it reads the clock.
    lost: Cell<u64>,
}

impl World {
    fn with_tick(tick: u64) -> Self {
        Self {
            passed: Cell::new(77),
            tick,
            slewed: Cell::new(0),
            jumped: Cell::new(123_456_789),
            lost: Cell::new(0),
        }
    }

    fn clock(&self) -> u64 {
        self.passed.get().strict_add_signed(self.slewed.get())
    }

    fn counter(&self) -> u64 {
        (self.passed.get() * 1000 / self.tick).wrapping_add(self.jumped.get())
    }

    fn pass(&self, nanos: u64) {
        self.passed.set(self.passed.get() + nanos);
    }

    /// The counter alone goes on, or back.
    fn jump(&self, nanos: i64) {
        let ticks = nanos * 1000 / self.tick.cast_signed();
        self.jumped.set(self.jumped.get().wrapping_add_signed(ticks));
    }

    fn jump_to(&self, count: u64) {
        self.jumped.set(self.jumped.get().wrapping_add(count.wrapping_sub(self.counter())));
    }

    fn slew(&self, nanos: i64) {
        self.slewed.set(self.slewed.get() + nanos);
    }

    fn read_clock(&self) -> u64 {
        self.pass(LOOK / 2 + self.lost.get() / 2);
        let clock = self.clock();
        self.pass(LOOK / 2 + self.lost.get() / 2);
        clock
    }

    fn look(&self) -> Look {
        Look::take(|| self.counter(), || self.read_clock())
    }

    fn rate(&self) -> Rate {
        let looks = [(); 3].map(|()| {
            self.pass(5_000_000);
            self.look()
        });
        Rate::from_looks(&looks).expect("the counter is even")
    }

    fn read(&self, anchor: &mut Anchor, rate: &Rate) -> u64 {
        anchor.read(rate, || self.counter(), || self.read_clock())
    }

    /// The time that is read, less that of the clock.
    fn error(&self, anchor: &mut Anchor, rate: &Rate) -> i64 {
        self.read(anchor, rate).cast_signed() - self.clock().cast_signed()
    }

    /// A thread that has looked once, with its rate.
    fn thread(&self) -> (Anchor, Rate) {
        let (mut anchor, rate) = (Anchor::NONE, self.rate());
        self.read(&mut anchor, &rate);
        (anchor, rate)
    }
}

/// What a reading may be wrong by when nothing has happened.
const USUAL: i64 = LOOK.cast_signed() + 50;

#[test]
fn a_counter_of_any_speed_gives_the_time_between_two_looks() {
    // 4 GHz, 2.6 GHz, 1 GHz, 24 MHz.
    for tick in [250, 385, 1000, 41_667] {
        let world = World::with_tick(tick);
        let (mut anchor, rate) = world.thread();
        let looks = Cell::new(0);
        for step in 0..100_000 {
            world.pass(step % 211);
            let clock = || {
                looks.set(looks.get() + 1);
                world.read_clock()
            };
            let error = anchor.read(&rate, || world.counter(), clock).abs_diff(world.clock());
            assert!(error.cast_signed() <= USUAL, "{error} ns at {tick} ps a tick");
        }
        let millis = world.clock() / LONGEST;
        assert!((5..=millis).contains(&looks.get()), "{} looks in {millis} ms", looks.get());
    }
}

#[test]
fn the_first_reading_of_a_thread_is_the_clocks_wherever_the_counter_stands() {
    for count in [0, 1, 1000, u64::MAX] {
        let world = World::with_tick(385);
        let rate = world.rate();
        world.jump_to(count);
        let mut anchor = Anchor::NONE;
        assert!(world.error(&mut anchor, &rate).abs() <= USUAL, "at {count}");
    }
}

#[test]
fn a_counter_that_jumps_ahead_is_wrong_by_a_millisecond_at_most_and_for_no_longer() {
    for ahead in [10_000, 400_000, 999_000, 1_001_000, 60_000_000_000] {
        let world = World::with_tick(385);
        let (mut anchor, rate) = world.thread();
        world.jump(ahead);
        assert!(world.error(&mut anchor, &rate) <= LONGEST.cast_signed());
        world.pass(LONGEST);
        assert!(world.error(&mut anchor, &rate).abs() <= USUAL, "{ahead} ahead");
    }
}

#[test]
fn a_counter_that_goes_back_is_noticed_at_once() {
    for back in [500_000, 1_000_000, 60_000_000, 300_000_000] {
        let world = World::with_tick(385);
        let (mut anchor, rate) = world.thread();
        world.pass(100_000);
        world.jump(-back);
        assert!(world.error(&mut anchor, &rate).abs() <= USUAL, "{back} back");
        // And it does not go by the old anchor again when it comes past it.
        world.pass(10 * LONGEST);
        assert!(world.error(&mut anchor, &rate).abs() <= USUAL, "{back} back");
    }
}

#[test]
fn time_stands_still_rather_than_go_back() {
    let world = World::with_tick(385);
    let (mut anchor, rate) = world.thread();
    world.pass(500_000);
    let before = world.read(&mut anchor, &rate);
    // Not behind the anchor: another core, a little behind.
    world.jump(-300);
    assert_eq!(world.read(&mut anchor, &rate), before);
    // Nor when a look shows that the time before was ahead.
    world.jump(200_000);
    let ahead = world.read(&mut anchor, &rate);
    world.jump(400_000_000);
    assert_eq!(world.read(&mut anchor, &rate), ahead);
    world.pass(LONGEST);
    assert!(world.error(&mut anchor, &rate).abs() <= USUAL);
}

#[test]
fn a_look_in_which_the_thread_lost_its_processor_answers_and_is_forgotten() {
    for lost in [2 * CLOSE, 50_000, 900_000, 3_000_000] {
        let world = World::with_tick(385);
        let (mut anchor, rate) = world.thread();
        world.pass(LONGEST);
        world.lost.set(lost);
        let after = world.error(&mut anchor, &rate);
        assert_eq!(after, -(LOOK / 2 + lost / 2).cast_signed(), "the clock's own answer");
        world.lost.set(0);
        assert!(world.error(&mut anchor, &rate).abs() <= USUAL, "{lost} ns were lost");
    }
}

#[test]
fn an_anchor_that_could_not_be_renewed_is_not_gone_by_later() {
    let world = World::with_tick(385);
    let (mut anchor, rate) = world.thread();
    world.jump(-700_000);
    world.lost.set(2 * CLOSE);
    world.read(&mut anchor, &rate);
    // The counter is past the anchor again, and the clock far ahead.
    world.lost.set(0);
    world.pass(1_000_000);
    assert!(world.error(&mut anchor, &rate).abs() <= USUAL);
}

#[test]
fn a_clock_that_is_slewed_costs_its_share_of_a_millisecond() {
    for slew in [-1_i64, 1] {
        let world = World::with_tick(385);
        let (mut anchor, rate) = world.thread();
        for _ in 0..10_000 {
            // One part in a thousand.
            world.pass(1000);
            world.slew(slew);
            let error = world.error(&mut anchor, &rate);
            assert!(error.abs() <= USUAL + 1000, "{error} ns");
        }
    }
}

#[test]
fn a_rate_is_believed_if_looks_agree_and_were_quick() {
    let looks = |between: &dyn Fn(&World)| {
        let world = World::with_tick(385);
        let first = world.look();
        world.pass(5_000_000);
        let middle = world.look();
        world.pass(5_000_000);
        between(&world);
        Rate::from_looks(&[first, middle, world.look()])
    };
    assert!(looks(&|_| ()).is_some());
    assert!(looks(&|world| world.jump(2000)).is_some(), "less than a thousandth");
    assert_eq!(looks(&|world| world.jump(30_000)), None);
    assert_eq!(looks(&|world| world.jump(-30_000)), None);
    assert_eq!(looks(&|world| world.jump(-60_000_000)), None, "it is behind the first look");
    assert_eq!(looks(&|world| world.slew(-10_000_000)), None);
    assert_eq!(looks(&|world| world.lost.set(2 * CLOSE)), None);
    let still = World::with_tick(385).look();
    assert_eq!(Rate::from_looks(&[still; 3]), None, "nothing has passed");
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Jump(i64),
    Lose(u64),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u64, 0..700_000_u64).prop_map(|(few, nanos)| Step::Pass(few * nanos)),
        1 => (-3_000_000..3_000_000_i64).prop_map(Step::Jump),
        1 => (-3_000..3_000_i64).prop_map(Step::Jump),
        1 => prop_oneof![Just(0), 0..2_000_000_u64].prop_map(Step::Lose),
        6 => Just(Step::Read),
    ]
}

proptest! {
    #[test]
    fn whatever_the_counter_does_time_goes_on_and_is_soon_right(
        tick in 200..50_000_u64,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let world = World::with_tick(tick);
        let (mut anchor, rate) = world.thread();
        let mut latest = 0;
        for step in steps {
            match step {
                Step::Pass(nanos) => world.pass(nanos),
                Step::Jump(nanos) => world.jump(nanos),
                Step::Lose(nanos) => world.lost.set(nanos),
                Step::Read => {
                    let read = world.read(&mut anchor, &rate);
                    prop_assert!(read >= latest, "{read} after {latest}");
                    prop_assert!(read <= world.clock() + LONGEST, "{read} at {}", world.clock());
                    latest = read;
                }
            }
        }
        world.lost.set(0);
        for _ in 0..2 {
            world.pass(LONGEST + 50_000);
            world.read(&mut anchor, &rate);
        }
        prop_assert!(world.error(&mut anchor, &rate).abs() <= USUAL + tick.cast_signed() / 1000);
    }
}

#[test]
fn a_worker_is_quick_if_so_many_runs_take_less_than_a_second() {
    let mut pace = Pace::default();
    // Jobs of a microsecond, and the first of them long after the pool's start.
    let mut run = |at: u64| pace.is_quick(|| Time(at));
    let mut quick = |from: u64, each: u64| (0..4096).map(|n| run(from + n * each)).collect::<Vec<_>>();
    let hour = 3600 * 1_000_000_000;
    assert!(!quick(hour, 1000).contains(&true), "not known when the first began");
    let second = quick(hour + 4_096_000, 1000);
    assert_eq!(second.iter().position(|quick| *quick), Some(4095), "told once, by the last of so many");
    assert!(!quick(2 * hour, 250_000).contains(&true));
    assert!(!quick(2 * hour + 4096 * 250_000, 250_000).contains(&true), "a millisecond more than a second");
}

#[test]
fn a_counter_is_found_where_the_kernel_goes_by_one() {
    let of_kernel =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let is_there = of_kernel.is_ok_and(|name| name == "tsc\n");
    // One search may fail: it has to get the processor for a few looks in a row.
    let found = (0..20).any(|_| counter::can_be_found());
    assert_eq!(found, is_there && cfg!(target_arch = "x86_64"));
}

#[test]
fn real_threads_read_what_the_system_does_up_to_a_millisecond() {
    const THREADS: usize = 4;
    const SLACK: Duration = Duration::from_nanos(LONGEST);
    let clock = Clock::start();
    let (earlier, start, later) = (Instant::now(), clock.now(), Instant::now());
    counter::find();
    assert!(clock.now() >= start, "another way to read the clock is no other time");
    let compare = || {
        let mut latest = start;
        for _ in 0..200_000 {
            let at_least = later.elapsed();
            let now = clock.now();
            let at_most = earlier.elapsed();
            assert!(now >= latest, "{now:?} after {latest:?}");
            let passed = now.since(start);
            assert!(
                passed + SLACK >= at_least && passed <= at_most + SLACK,
                "{passed:?}: {at_least:?} to {at_most:?}"
            );
            latest = now;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(compare);
        }
    });
}
