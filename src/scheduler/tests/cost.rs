//! What an operation costs beside thirty thousand waiting jobs, printed for somebody to look at: no test depends on
//! the speed of a machine.
//!
//! Everything is O(log n) amortised, but for: a unit that enters or leaves a ready queue in its middle (moves at most
//! half of it, 16 bytes a unit), a member that leaves a batch (looks at its other members), and pausing or resuming a
//! class (looks at every chain).

use std::time::{Duration, Instant};

use super::script::Setup;
use crate::class::PriorityClass::{self, High, Low};
use crate::scheduler::{Arrival, BatchParams, Batching, Core, HookSlot, JobKey};
use crate::time::Time;

const JOBS: u64 = 30_000;

fn core(pressure: u32) -> Core<u64> {
    let mut setup = Setup::plain(1);
    setup.core.rule.capacity = u32::MAX;
    setup.core.rule.ceiling = crate::class::PerClass::from_fn(|_| u32::MAX);
    setup.core.pressure = pressure;
    let mut core = Core::new(setup.core);
    core.add_hook(setup.hooks[0].params());
    core
}

fn offer(core: &mut Core<u64>, class: PriorityClass, session: Option<u64>, body: u64) -> JobKey {
    offer_batched(core, class, session, body, None)
}

fn offer_line(core: &mut Core<u64>, key: u64) -> JobKey {
    let bounds = BatchParams { size: 50, bytes: 1 << 20, linger: Duration::from_millis(10) };
    offer_batched(core, Low, None, key, Some(Batching { definition: 0, key, bounds }))
}

fn offer_batched(
    core: &mut Core<u64>,
    class: PriorityClass,
    session: Option<u64>,
    body: u64,
    batching: Option<Batching>,
) -> JobKey {
    let hook = HookSlot(0);
    let max_wait = Some(Duration::from_secs(1));
    let admitted = Time(0);
    let arrival = Arrival { hook, class, session, batching, bytes: 1, admitted, max_wait, body };
    core.offer(arrival, admitted).unwrap()
}

fn serve(core: &mut Core<u64>) {
    let run = core.pick(Time(0)).unwrap().run;
    core.complete(run, Duration::from_millis(1), Vec::new(), Time(0));
}

fn time(what: &str, operations: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(operations));
}

#[test]
#[ignore = "prints times"]
fn cost_beside_thirty_thousand_jobs() {
    let mut core_1 = core(u32::MAX);
    time("offer", JOBS, || {
        for _ in 0..JOBS {
            offer(&mut core_1, Low, None, 0);
        }
    });
    time("offer, pick and complete", JOBS, || {
        for _ in 0..JOBS {
            offer(&mut core_1, Low, None, 0);
            serve(&mut core_1);
        }
    });
    time("expire all", JOBS, || core_1.tick(Time(u64::MAX)));

    let mut core_2 = core(u32::MAX);
    let keys: Vec<_> = (0..JOBS).map(|_| offer(&mut core_2, Low, None, 0)).collect();
    time("cancel from the middle", JOBS, || {
        for step in 0..JOBS {
            let index = (step * 7919 + JOBS / 2) % JOBS;
            assert!(core_2.cancel(keys[usize::try_from(index).unwrap()], Time(0)));
        }
    });

    let mut core_3 = core(u32::MAX);
    time("offer to one chain", JOBS, || {
        for _ in 0..JOBS {
            offer(&mut core_3, Low, Some(1), 0);
        }
    });
    time("a lender that comes and goes", JOBS, || {
        for _ in 0..JOBS {
            let key = offer(&mut core_3, High, Some(1), 0);
            assert!(core_3.cancel(key, Time(0)));
        }
    });
    time("pick and complete in one chain", JOBS, || (0..JOBS).for_each(|_| serve(&mut core_3)));

    let mut core_4 = core(u32::MAX);
    for n in 0..JOBS {
        offer(&mut core_4, Low, Some(n), 0);
    }
    time("a chain's head that moves from class to class", JOBS, || {
        for n in 0..JOBS {
            let key = offer(&mut core_4, High, Some((n * 7919) % JOBS), 0);
            assert!(core_4.cancel(key, Time(0)));
        }
    });
    time("pause and resume a class, each chain", JOBS, || {
        core_4.pause_class(High, Time(0));
        core_4.resume_class(High, Time(0));
    });

    let mut core_5 = core(u32::try_from(JOBS).unwrap());
    for n in 0..JOBS - 1 {
        offer_line(&mut core_5, n);
    }
    time("a batch at the edge of pressure", JOBS, || {
        for n in 0..JOBS {
            let key = offer_line(&mut core_5, JOBS + n);
            assert!(core_5.cancel(key, Time(0)));
        }
    });
    let mut core_6 = core(u32::MAX);
    time("offer to batches of fifty", JOBS, || {
        for _ in 0..JOBS {
            offer_line(&mut core_6, 0);
        }
    });
    time("pick and complete them, each job", JOBS, || (0..JOBS / 50).for_each(|_| serve(&mut core_6)));
    let mut core_7 = core(u32::MAX);
    for _ in 0..JOBS {
        offer_line(&mut core_7, 0);
    }
    time("abandon them", JOBS, || core_7.abandon_waiting(Time(0)));
}
