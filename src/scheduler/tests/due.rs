//! What is due comes first: whatever the core is asked, and however late, that has happened when it was due.

use std::time::Duration;

use crate::class::PriorityClass::{self, High, Low};
use crate::outcome::{OutcomeKind, WaitCause};
use crate::scheduler::{Arrival, Core, CoreParams, HookParams, HookSlot, JobKey, RunKey};
use crate::time::Time;

const HOOK: HookSlot = HookSlot(0);
const LATE: Time = Time(10_000_000);

fn arrival(class: PriorityClass, max_wait_ms: Option<u64>) -> Arrival<()> {
    arrival_of((), class, max_wait_ms)
}

fn arrival_of<T>(body: T, class: PriorityClass, max_wait_ms: Option<u64>) -> Arrival<T> {
    Arrival {
        hook: HOOK,
        class,
        session: None,
        batching: None,
        bytes: 1,
        admitted: Time(0),
        max_wait: max_wait_ms.map(Duration::from_millis),
        body,
    }
}

/// One seat, which a run holds, and one place.
fn core() -> (Core<()>, RunKey) {
    let mut core = Core::new(CoreParams { displace: true, ..CoreParams::plain(1, 1) });
    core.add_hook(HookParams::default());
    core.arrive(arrival(Low, None), Time(0));
    let run = core.pick(Time(0)).unwrap().run;
    (core, run)
}

#[test]
fn whatever_is_asked_comes_after_what_was_due() {
    type Ask = fn(&mut Core<()>, RunKey, JobKey);
    let questions: [(&str, Ask); 15] = [
        ("tick", |core, _, _| core.tick(LATE)),
        ("arrive", |core, _, _| _ = core.arrive(arrival(Low, None), LATE)),
        ("offer", |core, _, _| _ = core.offer(arrival(Low, None), LATE).expect("its place is free")),
        ("displace", |core, _, _| assert_eq!(core.displace_for(High, LATE), None)),
        ("pick", |core, _, _| assert!(core.pick(LATE).is_none())),
        ("complete", |core, run, _| drop(core.complete(run, Duration::ZERO, Vec::new(), LATE))),
        ("cancel", |core, _, key| assert!(!core.cancel(key, LATE))),
        ("close", |core, _, _| core.close(LATE)),
        ("abandon", |core, _, _| core.abandon_waiting(LATE)),
        ("set_hook", |core, _, _| core.set_hook(HOOK, HookParams { max_concurrency: Some(1) }, LATE)),
        ("set_params", |core, _, _| core.set_params(CoreParams::plain(2, 1), LATE)),
        ("pause_hook", |core, _, _| core.pause_hook(HOOK, LATE)),
        ("resume_hook", |core, _, _| core.resume_hook(HOOK, LATE)),
        ("pause_class", |core, _, _| core.pause_class(Low, LATE)),
        ("resume_class", |core, _, _| core.resume_class(Low, LATE)),
    ];
    for (what, ask) in questions {
        let (mut core, run) = core();
        let key = core.arrive(arrival(Low, Some(5)), Time(0));
        ask(&mut core, run, key);
        let left = core.take_resolved();
        assert_eq!(left.len(), 1, "{what}");
        assert_eq!(left[0].outcome, OutcomeKind::Expired, "{what}");
        let waited = left[0].waited;
        assert_eq!(waited.of(WaitCause::NoSeat), Duration::from_millis(5), "{what}");
        assert_eq!(waited.total(), Duration::from_millis(5), "{what}");
    }
}

/// As the pool does it: it has done what was due before, and has not moved the clocks since.
#[test]
fn what_a_displaced_job_waited_for_goes_up_to_its_displacement() {
    let (mut core, _) = core();
    core.arrive(arrival(Low, None), Time(0));
    core.displace_oldest(Low, LATE);
    let left = core.take_resolved();
    assert_eq!(left[0].outcome, OutcomeKind::Displaced);
    assert_eq!(left[0].waited.of(WaitCause::NoSeat), Duration::from_millis(10));
}

#[test]
fn the_oldest_of_a_class_is_displaced_and_it_is_the_one_that_is_asked_for() {
    let mut core = Core::new(CoreParams::plain(1, 9));
    core.add_hook(HookParams::default());
    for n in 0..3_u64 {
        core.arrive(Arrival { admitted: Time(n), ..arrival_of(n, Low, None) }, Time(n));
    }
    assert_eq!((core.oldest(Low), core.oldest(High)), (Some(Time(0)), None));
    core.displace_oldest(High, LATE);
    assert!(core.take_resolved().is_empty(), "none waits there");
    core.displace_oldest(Low, LATE);
    assert_eq!(core.take_resolved().iter().map(|left| left.body).collect::<Vec<_>>(), [0]);
    assert_eq!(core.oldest(Low), Some(Time(1)));
}

/// A limit for waiting that no job has any more leaves nothing behind, its timer least of all.
#[test]
fn groups_of_jobs_that_expire_are_used_again() {
    let (mut core, mut run) = core();
    for max_wait in (1..50).rev() {
        core.arrive(arrival(Low, Some(max_wait)), Time(0));
        assert_eq!(core.next_deadline(), Some(Time(max_wait * 1_000_000)));
        core.complete(run, Duration::ZERO, Vec::new(), Time(0));
        run = core.pick(Time(0)).unwrap().run;
    }
    assert_eq!(core.groups.len(), 1);
    core.arrive(arrival(High, Some(1)), Time(0));
    assert_eq!(core.groups.len(), 2, "of another class");
}
