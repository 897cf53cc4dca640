//! What the submitters do: events of every sort, and whatever can be done with a handle.

use std::time::{Duration, Instant};

use hookpool::{Event, HookPool, JobHandle};

use crate::AMPLE;
use crate::dice::Dice;
use crate::plan::HOOKS;
use crate::witness::Witness;

const KINDS: [&str; 6] = ["Stop", "Stop", "UserPromptSubmit", "UserPromptSubmit", "Notification", "nobody"];
const DEEDS: [&str; 12] =
    ["ok", "ok", "ok", "ok", "ok", "ok", "fail", "fail", "wait", "wait", "echo", "panic"];

/// One of `who`, whose sessions are nobody else's, so that their order is that of its numbers.
fn event(who: u64, n: u64, dice: &mut Dice) -> Event {
    let session = if dice.below(8) == 0 {
        String::new()
    } else {
        format!(r#","session_id":"{who}-{}""#, dice.below(5))
    };
    let padding = "x".repeat(usize::try_from(dice.below(400)).unwrap());
    let (kind, deed) = (dice.of(&KINDS), dice.of(&DEEDS));
    let text =
        format!(r#"{{"hook_event_name":"{kind}"{session},"n":{n},"do":"{deed}","padding":"{padding}"}}"#);
    Event::from_json(text).unwrap()
}

/// Submits everything, and gives back handles of the jobs.
pub(crate) fn submit(pool: &HookPool, witness: &Witness, who: u64) -> Vec<JobHandle> {
    let mut dice = witness.plan.dice(who);
    let mut handles: Vec<JobHandle> = Vec::new();
    for n in 1..=witness.plan.events {
        let event = event(who, n, &mut dice);
        let (hook, when_room) = (dice.of(&HOOKS), dice.below(if who == 0 { 2 } else { 5 }) == 0);
        let submission = witness.submit(|| match dice.below(20) {
            0 => pool.submit_to(hook, event, when_room),
            _ if when_room => pool.submit_when_room(event),
            _ => pool.submit(event),
        });
        // Some are dropped at once: nobody waits for them.
        handles.extend(submission.admitted().filter(|_| dice.below(4) > 0).cloned());
        let Some(last) = handles.len().checked_sub(1) else { continue };
        let handle = &handles[last - usize::try_from(dice.below(last as u64 + 1)).unwrap()];
        match dice.below(60) {
            0..8 => witness.cancel(handle),
            8 => drop(handle.wait(Duration::ZERO)),
            9 | 10 => wait(witness, handle),
            _ => {}
        }
    }
    handles
}

/// Whoever pauses and holds up resumes and lets go.
fn wait(witness: &Witness, handle: &JobHandle) {
    let begun = Instant::now();
    let outcome = handle.wait(AMPLE);
    // An outcome that was there and not told of is found when the time is up.
    if outcome.is_none() || begun.elapsed() >= AMPLE {
        witness.fault(format!("job {}: no outcome in {AMPLE:?}, or nobody told of it", handle.id()));
    } else if witness.plan.heard && !witness.seen().ends.contains_key(&handle.id()) {
        witness.fault(format!("job {}: its outcome was told before the observer saw it", handle.id()));
    }
}
