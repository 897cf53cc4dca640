//! One dead letter as a line: `{"dead_letter":{…},"event":{…}}`, what happened and then the event.
//!
//! The event is last and as it was sent, but for its secrets and for line breaks between its members, so that it can be
//! read back without reading the rest.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{Event, EventError};
use crate::outcome::Outcome;
use crate::process::End;
use crate::redact::Redactor;

/// Most bytes of a handler's output that are in a line.
const OUTPUT: usize = 2048;

/// The form that this version writes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Head<'a> {
    v: u32,
    time: String,
    hook: &'a str,
    class: &'a str,
    job: u64,
    event_name: &'a str,
    outcome: &'a str,
    reason: &'a str,
    exit: Option<i32>,
    signal: Option<i32>,
    attempts: usize,
    wait_us: u128,
    run_us: Option<u128>,
    message: Option<&'a str>,
    verdict: Option<Box<RawValue>>,
    output: &'a str,
}

/// The line of an outcome, with its end. The event, its name and the verdict are redacted here, the rest has been.
pub(crate) fn written(outcome: &Outcome, redactor: &Redactor) -> Vec<u8> {
    let process = outcome.process.as_ref();
    let output = process.map(|process| {
        let errors = process.stderr.text();
        if errors.trim().is_empty() { process.stdout.text() } else { errors }
    });
    let output = output.as_deref().unwrap_or_default().trim_end();
    let cut = output.len().saturating_sub(OUTPUT);
    let cut = (cut..=output.len()).find(|at| output.is_char_boundary(*at)).unwrap_or_default();
    let (exit, signal) = match process.map(|process| &process.end) {
        Some(End::Exited(status)) => (Some(*status), None),
        Some(End::Signalled(signal)) => (None, Some(*signal)),
        _ => (None, None),
    };
    let verdict = outcome.verdict.as_ref().map(|verdict| redactor.json(verdict.as_str().as_bytes()));
    let verdict = verdict.and_then(|text| serde_json::from_slice(&text).ok());
    let head = Head {
        v: VERSION,
        time: jiff::Timestamp::now().to_string(),
        hook: outcome.hook.as_str(),
        class: outcome.class.name(),
        job: outcome.job.0,
        event_name: &redactor.text(outcome.event.name()),
        outcome: outcome.kind.name(),
        reason: &outcome.reason,
        exit,
        signal,
        attempts: outcome.attempts.len() + usize::from(outcome.kind.has_run()),
        wait_us: outcome.wait.as_micros(),
        run_us: outcome.run.map(|run| run.as_micros()),
        message: outcome.message.as_deref(),
        verdict,
        output: output.get(cut..).unwrap_or_default(),
    };
    let mut line = br#"{"dead_letter":"#.to_vec();
    let head = serde_json::to_vec(&head).expect("text, numbers and JSON can be written");
    line.extend(head.into_iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    line.extend_from_slice(br#","event":"#);
    let event = redactor.json(outcome.event.object());
    line.extend(event.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    line.extend_from_slice(b"}\n");
    line
}

/// A dead letter that was read back: an event, and the hook that it failed for.
///
/// ```
/// use hookpool::DeadLetter;
///
/// let line = br#"{"dead_letter":{"v":1,"hook":"audit"},"event":{"event":"x"}}"#;
/// let letter = DeadLetter::from_json(line)?.unwrap();
/// assert_eq!((letter.hook(), letter.event().name()), ("audit", "x"));
/// assert!(DeadLetter::from_json(br#"{"event":"x"}"#)?.is_none());
/// # Ok::<(), hookpool::DeadLetterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeadLetter {
    hook: String,
    event: Event,
}

/// Why a dead letter cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// Another version wrote it.
    #[error("a dead letter of version {0}; this is version {VERSION}")]
    Version(u32),
    /// There is no event in it, or none alone.
    #[error("a dead letter is {{\"dead_letter\":…,\"event\":…}}, and this has no event")]
    NoEvent,
    /// Its event is none.
    #[error("the event of a dead letter: {0}")]
    Event(#[source] EventError),
}

impl DeadLetter {
    /// Reads one JSON object. `None`: it is no dead letter, and may be an event.
    ///
    /// # Errors
    /// [`DeadLetterError`]: it is one, and cannot be used.
    pub fn from_json(text: &[u8]) -> Result<Option<Self>, DeadLetterError> {
        #[derive(Deserialize)]
        struct Read {
            v: u32,
            hook: String,
            event_name: Option<String>,
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let Some(rest) = after(text, &[b"{", b"\"dead_letter\"", b":"]) else { return Ok(None) };
        let mut heads = serde_json::Deserializer::from_slice(rest).into_iter::<Read>();
        let Some(Ok(head)) = heads.next() else { return Ok(None) };
        if head.v != VERSION {
            return Err(DeadLetterError::Version(head.v));
        }
        let rest = rest.get(heads.byte_offset()..).unwrap_or_default();
        let event = after(rest, &[b",", b"\"event\"", b":"])
            .and_then(|event| event.trim_ascii_end().strip_suffix(b"}"));
        let event = event.ok_or(DeadLetterError::NoEvent)?;
        let event =
            Event::from_json_named(event, head.event_name.as_deref()).map_err(DeadLetterError::Event)?;
        Ok(Some(Self { hook: head.hook, event }))
    }

    /// The hook that it failed for.
    #[must_use]
    pub fn hook(&self) -> &str {
        &self.hook
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The hook and the event.
    #[must_use]
    pub fn into_parts(self) -> (String, Event) {
        (self.hook, self.event)
    }
}

/// What follows these tokens, with white space before each of them.
fn after<'t>(mut text: &'t [u8], tokens: &[&[u8]]) -> Option<&'t [u8]> {
    for token in tokens {
        text = text.trim_ascii_start().strip_prefix(*token)?;
    }
    Some(text)
}
