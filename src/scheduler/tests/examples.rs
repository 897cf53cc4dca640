//! Each rule in one short story, told to the core and the model at once.

use std::time::Duration;

use super::script::{Again, MS, Setup, Step, per_class};
use super::world::World;
use crate::class::PriorityClass::{self, Critical, High, Low, Normal};
use crate::outcome::{OutcomeKind, WaitCause, WaitSplit};
use crate::scheduler::{Arrival, BatchParams, Batching, Core, HookParams, HookSlot, JobKey};
use crate::time::Time;

fn job(class: PriorityClass) -> Step {
    Step::Offer { hook: 0, class, session: None, key: 0, bytes: 1, max_wait_ms: None }
}

fn chained(class: PriorityClass, session: u64) -> Step {
    Step::Offer { hook: 0, class, session: Some(session), key: 0, bytes: 1, max_wait_ms: None }
}

fn of_hook(hook: usize, class: PriorityClass) -> Step {
    Step::Offer { hook, class, session: None, key: 0, bytes: 1, max_wait_ms: None }
}

fn expiring(class: PriorityClass, max_wait_ms: u64) -> Step {
    Step::Offer { hook: 0, class, session: None, key: 0, bytes: 1, max_wait_ms: Some(max_wait_ms) }
}

fn done() -> Step {
    Step::Complete { nth: 0, retry: None }
}

fn after(setup: Setup, steps: &[Step]) -> World {
    let mut world = World::new(setup);
    for step in steps {
        world.step(*step);
    }
    world
}

/// The order in which one seat serves what waits.
fn served(mut world: World) -> Vec<usize> {
    let mut order = Vec::new();
    loop {
        let jobs = world.pick_all();
        if jobs.is_empty() {
            return order;
        }
        order.extend(jobs);
        world.step(done());
    }
}

fn lines(size: u32, linger_ms: u64) -> Setup {
    let mut setup = Setup::plain(1);
    setup.hooks[0].batch =
        Some(BatchParams { size, bytes: 100, linger: Duration::from_nanos(linger_ms * MS) });
    setup
}

#[test]
fn the_most_important_go_first_and_equals_in_order() {
    let world = after(Setup::plain(1), &[job(Low), job(Normal), job(Critical), job(Normal), job(High)]);
    assert_eq!(served(world), [2, 4, 1, 3, 0]);
}

#[test]
fn a_high_job_takes_the_standby_seat_of_a_pool_that_low_jobs_saturate() {
    let mut setup = Setup::plain(4);
    setup.core.seats.standby = 1;
    let mut world = after(setup, &[job(Low); 9]);
    assert_eq!(world.pick_all(), [0, 1, 2, 3], "the standby seat is not for low jobs");
    world.step(job(High));
    assert_eq!(world.pick_all(), [9], "it is the next to start, and nothing has to end first");
    world.step(done());
    assert_eq!(world.pick_all(), [4], "a low job follows a low job");
}

#[test]
fn the_head_of_a_chain_stands_as_high_as_the_job_behind_it_and_no_earlier() {
    let steps = [job(High), chained(Low, 1), chained(Low, 1), chained(High, 1), job(High), job(Low)];
    assert_eq!(served(after(Setup::plain(1), &steps)), [0, 1, 2, 3, 4, 5]);
    let steps = [chained(Low, 1), job(High), job(Normal), chained(High, 1), job(High)];
    assert_eq!(
        served(after(Setup::plain(1), &steps)),
        [1, 0, 3, 4, 2],
        "after the high job that came before"
    );
}

#[test]
fn the_head_stands_in_its_own_place_again_when_the_lender_has_gone() {
    let mut world = after(Setup::plain(1), &[chained(Low, 1), chained(High, 1), job(Normal)]);
    world.step(Step::Cancel { nth: 1 });
    assert_eq!(served(world), [2, 0]);
}

#[test]
fn a_paused_class_lends_nothing() {
    let steps = [Step::PauseClass(High), chained(Low, 1), chained(High, 1), job(Normal)];
    let mut world = after(Setup::plain(1), &steps);
    assert_eq!(world.pick_all(), [2], "the low job stands in its own class");
    world.step(done());
    assert_eq!(world.pick_all(), [0], "and is not held up by the pause of the job behind it");
    world.step(done());
    assert!(world.pick_all().is_empty());
    world.step(Step::ResumeClass(High));
    assert_eq!(world.pick_all(), [1]);
}

#[test]
fn a_saturated_hook_holds_up_nobody_else() {
    let setup = Setup::plain(4).hook(Some(1), None);
    let steps = [of_hook(1, High), of_hook(1, High), of_hook(1, High), job(Low)];
    assert_eq!(after(setup, &steps).pick_all(), [0, 3]);
}

#[test]
fn the_job_of_a_saturated_hook_that_can_run_is_not_hidden_by_one_that_cannot() {
    let setup = Setup::plain(4).hook(Some(1), None);
    let steps = [of_hook(1, Normal), Step::Pick, of_hook(1, High), of_hook(1, Low)];
    let mut world = after(setup, &steps);
    assert!(world.pick_all().is_empty(), "both are parked");
    world.step(Step::PauseClass(High));
    world.step(done());
    assert_eq!(world.pick_all(), [2], "the high one is paused, so the low one goes");
}

#[test]
fn a_saturated_hook_gives_its_room_to_the_job_that_became_the_most_important() {
    let setup = Setup::plain(2).hook(Some(1), None);
    let in_chain =
        |class| Step::Offer { hook: 1, class, session: Some(1), key: 0, bytes: 1, max_wait_ms: None };
    let steps = [of_hook(1, Normal), Step::Pick, of_hook(1, Low), in_chain(Low), job(Critical), Step::Pick];
    let mut world = after(setup, &steps);
    assert!(world.pick_all().is_empty());
    world.step(done());
    world.step(in_chain(High));
    assert_eq!(world.pick_all(), [2], "the head that inherits, not the older low job");
}

#[test]
fn a_displaced_job_is_the_oldest_of_the_least_important_class_above_its_guarantee() {
    let mut setup = Setup::plain(1);
    setup.core.displace = true;
    setup.core.rule.capacity = 4;
    setup.core.rule.guarantee = per_class([0, 0, 0, 1]);
    let mut world = after(setup, &[job(Low), job(Low), job(Normal), job(Normal)]);
    world.step(job(High));
    assert_eq!(world.end_of(0), Some(OutcomeKind::Displaced));
    world.step(job(High));
    assert_eq!(world.end_of(2), Some(OutcomeKind::Displaced), "the last low job has its guarantee");
    world.step(job(Normal));
    world.step(job(Low));
    assert_eq!(world.model.waiting(), [1, 3, 4, 5], "nothing displaces its equals");
}

fn until_5(body: u64, admitted: u64) -> Arrival<u64> {
    let max_wait = Some(Duration::from_nanos(5));
    let (hook, admitted) = (HookSlot(0), Time(admitted));
    Arrival { hook, class: Normal, session: None, batching: None, bytes: 1, admitted, max_wait, body }
}

/// A core with a job that waits until 5, at most.
fn soon_over(capacity: u32) -> (Core<u64>, JobKey) {
    let mut setup = Setup::plain(1);
    setup.core.rule.capacity = capacity;
    let mut core = Core::new(setup.core);
    core.add_hook(setup.hooks[0].params());
    let key = core.offer(until_5(0, 0), Time(0)).unwrap();
    (core, key)
}

fn expired(core: &mut Core<u64>) -> Vec<u64> {
    let ends = core.take_resolved().into_iter();
    ends.map(|end| {
        assert_eq!(end.outcome, OutcomeKind::Expired);
        end.body
    })
    .collect()
}

#[test]
fn a_job_whose_time_is_over_takes_no_place_from_an_arrival() {
    let (mut core, _) = soon_over(1);
    core.offer(until_5(1, 4), Time(4)).unwrap_err();
    core.offer(until_5(2, 5), Time(5)).unwrap();
    assert_eq!(expired(&mut core), [0]);
}

/// Nobody calls between the linger's end at 10 and the time 100, and between the first expiry at 120 and 200.
#[test]
fn what_was_due_counts_from_when_it_was_due_however_late_somebody_calls() {
    let bounds = BatchParams { size: 9, bytes: 100, linger: Duration::from_nanos(10) };
    let lines = Batching { definition: 0, key: 0, bounds };
    let mut core = Core::new(Setup::plain(1).core);
    let [plain, batch] = [0; 2].map(|_| core.add_hook(HookParams { max_concurrency: None }));
    let arrival = |hook, max_wait, body| {
        let max_wait = Some(Duration::from_nanos(max_wait));
        let batching = (hook == batch).then_some(lines);
        Arrival { hook, class: Low, session: None, batching, bytes: 1, admitted: Time(0), max_wait, body }
    };
    core.arrive(arrival(plain, 1000, 0), Time(0));
    let run = core.pick(Time(0)).unwrap().run;
    core.arrive(arrival(batch, 1000, 1), Time(0));
    core.arrive(arrival(plain, 120, 2), Time(0));
    core.arrive(arrival(plain, 130, 3), Time(0));
    core.tick(Time(100));
    core.complete(run, Duration::from_nanos(200), Vec::new(), Time(200));
    let nanos = |waited: &WaitSplit| {
        WaitCause::ALL.iter().map(|cause| waited.of(*cause).as_nanos()).collect::<Vec<_>>()
    };
    let expired: Vec<_> = core.take_resolved().iter().map(|job| (job.body, nanos(&job.waited))).collect();
    // In the order of `WaitCause::ALL`: the third is the seat, the fourth the linger.
    assert_eq!(expired, [(2, vec![0, 0, 120, 0, 0, 0, 0]), (3, vec![0, 0, 130, 0, 0, 0, 0])]);
    let picked = core.pick(Time(205)).unwrap().first;
    assert_eq!((picked.body, nanos(&picked.waited)), (1, vec![0, 0, 190, 10, 0, 0, 5]));
}

/// The submitter's clock may be a little ahead of the time at which the core takes the job in.
#[test]
fn a_job_has_waited_since_the_core_knows_of_it_at_the_earliest() {
    let (mut core, _) = soon_over(9);
    let run = core.pick(Time(0)).unwrap().run;
    core.arrive(Arrival { max_wait: None, ..until_5(1, 5) }, Time(3));
    core.complete(run, Duration::ZERO, Vec::new(), Time(10));
    let waited = core.pick(Time(10)).unwrap().first.waited;
    assert_eq!((waited.total(), waited.of(WaitCause::NoSeat)), (Duration::from_nanos(7), waited.total()));
}

#[test]
fn each_job_expires_at_its_own_nanosecond() {
    let (mut core, _) = soon_over(9);
    core.offer(until_5(1, 1), Time(1)).unwrap();
    core.tick(Time(5));
    assert_eq!(expired(&mut core), [0]);
    assert_eq!(core.next_deadline(), Some(Time(6)));
    core.tick(Time(6));
    assert_eq!(expired(&mut core), [1]);
}

#[test]
fn time_stands_still_while_hook_or_class_is_paused() {
    let steps = [
        expiring(Low, 10),
        Step::Advance { ms: 4 },
        Step::PauseHook(0),
        Step::Advance { ms: 100 },
        Step::PauseClass(Low),
        Step::ResumeHook(0),
        Step::Advance { ms: 100 },
        Step::ResumeClass(Low),
        Step::Advance { ms: 5 },
    ];
    let mut world = after(Setup::plain(1), &steps);
    assert_eq!(world.end_of(0), None, "nine milliseconds have counted");
    world.step(Step::Advance { ms: 1 });
    assert_eq!(world.end_of(0), Some(OutcomeKind::Expired));
}

#[test]
fn a_job_that_was_started_never_expires() {
    let again = Some(Again { members: 1, after_ms: 100 });
    let steps =
        [expiring(Low, 10), Step::Pick, Step::Complete { nth: 0, retry: again }, Step::Advance { ms: 99 }];
    let mut world = after(Setup::plain(1), &steps);
    assert!(world.pick_all().is_empty());
    world.step(Step::Advance { ms: 1 });
    assert_eq!(world.pick_all(), [0]);
}

#[test]
fn a_retry_keeps_its_place_its_chain_waits_and_it_counts_as_waiting() {
    let again = Some(Again { members: 1, after_ms: 5 });
    let steps =
        [chained(Low, 1), chained(Low, 1), job(Low), Step::Pick, Step::Complete { nth: 0, retry: again }];
    let mut world = after(Setup::plain(1), &steps);
    assert_eq!(world.core.waiting()[Low], 3);
    assert_eq!(world.pick_all(), [2], "the chain waits for the retry, others do not");
    world.step(done());
    assert!(world.pick_all().is_empty());
    world.step(job(Low));
    world.step(Step::Advance { ms: 5 });
    assert_eq!(served(world), [0, 1, 3], "it is the oldest again");
}

#[test]
fn a_batch_is_closed_by_size_bytes_or_the_linger_of_its_first_member() {
    let mut world = after(lines(3, 10), &[job(Low), job(Low)]);
    assert!(world.pick_all().is_empty(), "it lingers");
    world.step(job(Low));
    assert_eq!(world.pick_all(), [0, 1, 2], "it is full");
    world.step(done());
    world.step(job(Low));
    world.step(Step::Advance { ms: 9 });
    world.step(job(Low));
    assert!(world.pick_all().is_empty());
    world.step(Step::Advance { ms: 1 });
    assert_eq!(world.pick_all(), [3, 4], "ten milliseconds since the first");
    world.step(done());
    let big = Step::Offer { hook: 0, class: Low, session: None, key: 0, bytes: 1000, max_wait_ms: None };
    world.step(job(Low));
    world.step(big);
    assert_eq!(served(world), [5, 6], "an event larger than the limit is a batch by itself");
}

#[test]
fn a_batch_takes_a_chain_in_order_and_the_next_of_it_waits() {
    let mut world = after(lines(2, 0), &[job(High), Step::Pick]);
    for step in [chained(Low, 1), chained(Low, 1), chained(Low, 1), chained(Low, 2)] {
        world.step(step);
    }
    world.step(done());
    assert_eq!(world.pick_all(), [1, 2]);
    world.step(done());
    assert_eq!(
        world.pick_all(),
        [4, 3],
        "it was open for the other session, and its place is the older job's"
    );
}

#[test]
fn a_batch_refills_from_its_chain_when_a_member_goes() {
    let with =
        |bytes| Step::Offer { hook: 0, class: Low, session: Some(1), key: 0, bytes, max_wait_ms: None };
    let mut world = after(lines(9, 10), &[with(60), with(30), with(30)]);
    world.step(Step::Cancel { nth: 1 });
    world.step(Step::Advance { ms: 10 });
    assert_eq!(world.pick_all(), [0, 2]);
}

#[test]
fn an_important_job_behind_a_lingering_batch_ends_the_linger() {
    let mut world = after(lines(9, 1000), &[chained(Low, 1), chained(High, 1)]);
    assert_eq!(world.pick_all(), [0]);
}

#[test]
fn another_definition_of_a_hook_ends_the_linger_of_its_own_batches_alone() {
    let bounds = BatchParams { size: 9, bytes: 100, linger: Duration::from_nanos(10) };
    let batching = Some(Batching { definition: 0, key: 0, bounds });
    let mut core = Core::new(Setup::plain(9).core);
    let hooks = [0; 2].map(|_| core.add_hook(HookParams::default()));
    for (body, hook) in (0..).zip(hooks) {
        core.arrive(Arrival { hook, batching, max_wait: None, ..until_5(body, 0) }, Time(0));
    }
    core.set_hook(hooks[1], HookParams::default(), Time(1));
    assert_eq!(core.pick(Time(1)).unwrap().first.body, 1);
    assert!(core.pick(Time(9)).is_none(), "the other one lingers on");
    assert_eq!(core.pick(Time(10)).unwrap().first.body, 0);
}

#[test]
fn a_key_finds_its_own_job_and_never_the_next_one_in_its_slot() {
    let (mut core, key) = soon_over(9);
    assert_eq!(core.body(key), Some(&0));
    core.tick(Time(5));
    let next = core.offer(until_5(1, 5), Time(5)).unwrap();
    assert_eq!((next.slot, core.body(next)), (key.slot, Some(&1)));
    assert!(core.body(key).is_none() && !core.cancel(key, Time(5)));
    for key in [key, next] {
        assert_eq!(JobKey::from_bits(key.to_bits()), Some(key));
    }
    assert_eq!(JobKey::from_bits(JobKey::NONE), None);
}

#[test]
fn pressure_and_the_end_of_input_end_every_linger() {
    let mut setup = lines(9, 1000);
    setup.core.pressure = 3;
    let mut world = after(setup, &[job(Low), job(Low)]);
    assert!(world.pick_all().is_empty());
    world.step(job(Normal));
    assert_eq!(world.pick_all(), [2]);
    let mut world = after(lines(9, 1000), &[job(Low)]);
    world.step(Step::Close);
    assert_eq!(world.pick_all(), [0]);
}

#[test]
fn slots_are_used_again_and_maps_keep_nothing_dead() {
    let mut setup = lines(2, 0);
    setup.hooks[0].max_concurrency = Some(1);
    let mut world = World::new(setup);
    for session in 0..200 {
        world.step(Step::Offer {
            hook: 0,
            class: Low,
            session: Some(session),
            key: session,
            bytes: 1,
            max_wait_ms: Some(50),
        });
        world.step(Step::Pick);
        world.step(done());
    }
    let core = &world.core;
    assert!(core.chains.is_empty() && core.open.is_empty() && core.batches.is_empty());
    assert!(core.jobs.capacity() <= 8 && core.runs.capacity() <= 8, "{}", core.jobs.capacity());
    assert_eq!(core.groups.len(), 1);
}
