//! What handlers write, and what they are given, without a process: for `fuzzing`.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use super::Task;
use super::batch;
use super::lines::answers::{Item, Reader};
use super::lines::splice::{Head, push_line};
use super::resident;
use crate::config::Config;
use crate::event::Event;
use crate::hook::Hook;
use crate::outcome::{Ending, JobId, OutcomeKind};
use crate::process::Cancel;

/// A thing that a handler has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Answer { id: String, ok: bool, message: Option<String>, verdict: Option<String> },
    Broken(String),
}

/// What a handler says in these pieces, and the noise between.
pub(crate) fn read(pieces: &[&[u8]]) -> (Vec<Heard>, Vec<u8>) {
    let (mut heard, mut noise) = (Vec::new(), Vec::new());
    let mut reader = Reader::default();
    let mut sink = |item: Item<'_>| {
        match item {
            Item::Noise(piece) => noise.extend_from_slice(piece),
            Item::Broken(why) => heard.push(Heard::Broken(why)),
            Item::Answer(line) => heard.push(Heard::Answer {
                id: line.id,
                ok: line.ok,
                message: line.message,
                verdict: line.verdict.map(|verdict| verdict.as_str().to_owned()),
            }),
        }
        ControlFlow::Continue(())
    };
    for piece in pieces {
        let _ = reader.push(piece, &mut sink);
    }
    if let Some(item) = reader.finish() {
        let _ = sink(item);
    }
    (heard, noise)
}

/// How the events 1, 2, … end that a batch was given. `None`: not by what it wrote.
pub(crate) fn batch(events: usize, pieces: &[&[u8]]) -> Vec<Option<OutcomeKind>> {
    endings(events, |tasks, done| batch::hear(tasks, pieces, done))
}

/// How they end if a resident process was given them. It is heard until it breaks the protocol.
pub(crate) fn resident(events: usize, pieces: &[&[u8]]) -> Vec<Option<OutcomeKind>> {
    endings(events, |tasks, done| resident::hear(tasks, pieces, done))
}

/// The line of an event whose job has the number 17.
pub(crate) fn line(event: &Event) -> Vec<u8> {
    let mut line = Vec::new();
    let head = Head { id: "17", hook: &hook().name, attempt: 1, deadline_ms: 2000 };
    push_line(&mut line, head, event);
    line
}

fn hook() -> &'static Hook {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        Config::from_toml("[hook.audit]\non = ['*']\nrun = 'x'\n").expect("a valid configuration")
    });
    config.hooks.first().expect("it has one hook")
}

fn endings(
    events: usize,
    hear: impl FnOnce(&[Task<'_>], &mut dyn FnMut(usize, Ending)),
) -> Vec<Option<OutcomeKind>> {
    let event = Event::from_json(r#"{"event":"x"}"#).expect("a valid event");
    let cancel = Cancel::new();
    let task = |job| Task {
        hook: hook(),
        event: &event,
        job: JobId(job),
        class: crate::PriorityClass::Normal,
        attempt: 1,
        cancel: None,
        stop: &cancel,
    };
    let tasks: Vec<_> = (1..).map(task).take(events).collect();
    let mut endings = vec![None; events];
    hear(&tasks, &mut |index, ending| {
        let before = endings.get_mut(index).expect("an event that was given").replace(ending.kind);
        assert_eq!(before, None, "event {index} has ended before");
    });
    endings
}
