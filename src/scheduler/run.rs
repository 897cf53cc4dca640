//! Runs: what holds a seat, from the start to the completion, and on to a retry.
//!
//! A job that starts is no longer the core's: its body goes out with the [`Dispatch`], and the core keeps the seat, the
//! hook's place and the chains until the run completes. A job that is to be retried comes back with its old arrival
//! number: it stands where it stood, it counts as waiting, though nobody admits it again, and its chain waits for it.
//! It neither expires nor is displaced: it was started.

use std::cmp::Reverse;
use std::time::Duration;

use super::wait::Tally;
use super::{
    BatchSlot, Core, Dispatch, HookSlot, JobKey, JobSlot, Picked, Place, Retry, Run, RunJob, RunKey, Timer,
    Unit, Waiting, Waits, list,
};
use crate::class::PriorityClass;
use crate::time::Time;

impl<T> Core<T> {
    /// Frees the seat of a run. Its chains go on, except for jobs that are to be retried: those wait again, in their
    /// old place, beside what the queue has room for. Answers with their keys, the oldest first.
    pub(crate) fn complete(
        &mut self,
        run: RunKey,
        elapsed: Duration,
        retries: Vec<Retry<T>>,
        now: Time,
    ) -> Vec<JobKey> {
        self.tick(now);
        let run = self.runs.try_remove(run.index()).expect("a run completes once");
        self.free_seat(&run, elapsed);
        self.hook(run.hook).running -= 1;
        self.set_hook_clocks(run.hook);
        let delayed = if retries.is_empty() { Vec::new() } else { self.delay_all(run.hook, retries) };
        for job in run.jobs() {
            if let Some(of) = job.chain {
                self.leave_chain(of, now);
            }
        }
        self.unpark(run.hook);
        self.relieve();
        if !delayed.is_empty() {
            // Some of them may not be delayed at all.
            self.tick(now);
        }
        delayed
    }

    /// Has them wait for their next attempts. Answers with their keys, the oldest first.
    fn delay_all(&mut self, hook: HookSlot, mut retries: Vec<Retry<T>>) -> Vec<JobKey> {
        // Each goes to the front of its chain, so the oldest goes last.
        retries.sort_by_key(|retry| Reverse(retry.job.key));
        let mut delayed: Vec<_> =
            retries.into_iter().map(|retry| (retry.at, self.delay(hook, retry.job))).collect();
        delayed.reverse();
        for (at, key) in &delayed {
            self.set_timer(Timer::Retry(key.slot), *at);
        }
        delayed.into_iter().map(|(_, key)| key).collect()
    }

    /// Starts a unit that was taken out of its queue and has a seat.
    #[inline]
    pub(super) fn start(&mut self, unit: Unit, class: PriorityClass, expected: u64) -> Dispatch<T> {
        match unit {
            Unit::Job(slot) => self.start_job(slot, class, expected),
            Unit::Batch(slot) => self.start_batch(slot, class, expected),
        }
    }

    #[inline]
    fn start_job(&mut self, slot: JobSlot, class: PriorityClass, expected: u64) -> Dispatch<T> {
        let hook = self.job(slot).hook;
        let (first, picked) = self.take_out(slot);
        self.seat(Run { hook, class, expected, first, rest: Vec::new() }, picked, Vec::new())
    }

    fn start_batch(&mut self, slot: BatchSlot, class: PriorityClass, expected: u64) -> Dispatch<T> {
        let batch = self.take_batch(slot);
        let mut members =
            batch.members.into_iter().map(|member| self.take_out(member)).collect::<Vec<_>>().into_iter();
        let (first, picked) = members.next().expect("a batch has a member");
        let (rest, others) = members.unzip();
        self.seat(Run { hook: batch.key.hook, class, expected, first, rest }, picked, others)
    }

    /// Takes a job that starts out of its lists; its chain is running from now on.
    #[inline]
    fn take_out(&mut self, slot: JobSlot) -> (RunJob, Picked<T>) {
        let waited = self.end_wait(slot);
        self.forget(slot);
        if let Some(of) = self.job(slot).chain {
            self.unlink(slot, of);
            self.chain(of).running += 1;
        }
        let job = self.jobs.remove(slot.index());
        self.waiting[job.class] -= 1;
        let run_job = RunJob { chain: job.chain };
        let picked = Picked {
            key: job.seq,
            class: job.class,
            chain: job.chain,
            batching: job.batching,
            admitted: job.admitted,
            waited,
            body: job.body,
        };
        (run_job, picked)
    }

    #[inline]
    fn seat(&mut self, run: Run, first: Picked<T>, rest: Vec<Picked<T>>) -> Dispatch<T> {
        let (hook, class) = (run.hook, run.class);
        self.hook(hook).running += 1;
        self.set_hook_clocks(hook);
        let run = RunKey::from_index(self.runs.insert(run));
        self.unpark(hook);
        Dispatch { run, hook, class, first, rest }
    }

    /// Puts a job that has run back where it was: at the front of its chain. The caller sets the timer of its delay.
    fn delay(&mut self, hook: HookSlot, job: Picked<T>) -> JobKey {
        let (class, chain) = (job.class, job.chain);
        let slot = JobSlot::from_index(self.jobs.insert(Waiting {
            seq: job.key,
            hook,
            class,
            chain,
            batching: job.batching,
            admitted: job.admitted,
            place: Place::Delayed,
            group: None,
            paused_before: 0,
            started: true,
            links: list::Links::default(),
            tally: Tally::default(),
            waits: Waits::Not,
            body: job.body,
        }));
        self.waiting[class] += 1;
        if let Some(of) = chain {
            self.rejoin_chain(slot, of);
        }
        JobKey::of(slot, job.key)
    }
}
