//! Dead letters: any line is a letter with an event, none, or refused in words; what was written reads back the same.

use std::time::Duration;

use super::check_text;
use super::event::{is_json, same_facts};
use crate::class::PriorityClass;
use crate::dead_letters::{DeadLetter, DeadLetterError, written};
use crate::event::{Event, EventError};
use crate::hook::HookName;
use crate::outcome::{JobId, Outcome, OutcomeKind, WaitSplit};
use crate::redact::Redactor;

/// The bytes are a line of a file, and an event that has failed.
pub fn dead_letters(bytes: &[u8]) {
    match DeadLetter::from_json(bytes) {
        Ok(Some(letter)) => {
            assert!(is_json(letter.event().object()));
            failed(letter.event(), bytes);
        }
        Ok(None) => {}
        Err(error) => check_text(&error.to_string(), 600),
    }
    if let Ok(event) = Event::from_json_named(bytes, Some("Fallback")) {
        failed(&event, bytes);
    }
}

/// Writes that it failed, for reasons that are bytes from outside too, and reads that.
fn failed(event: &Event, said: &[u8]) {
    let text = String::from_utf8_lossy(said);
    let hook = HookName::new("audit").expect("it is a name");
    let outcome = Outcome {
        job: JobId(said.len() as u64),
        hook: hook.clone(),
        event: event.clone(),
        class: PriorityClass::Low,
        kind: OutcomeKind::Failed,
        wait: Duration::from_micros(7),
        waited_for: WaitSplit::default(),
        attempts: Vec::new(),
        run: Some(Duration::MAX),
        reason: text.clone().into_owned(),
        hint: None,
        message: Some(text.clone().into_owned()),
        verdict: text.parse().ok(),
        process: None,
    };
    let line = written(&outcome, &Redactor::off());
    let letter = read(&line).expect("it was written").expect("it is a letter");
    assert_eq!(letter.hook(), hook.as_str());
    let one_line: Vec<u8> = event.object().iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    assert_eq!(letter.event().object(), one_line, "all of the event");
    same_facts(letter.event(), event.object(), Some(event.name()));

    let redacted = written(&outcome, &Redactor::default());
    match read(&redacted) {
        Ok(letter) => assert_eq!(letter.map(|letter| letter.hook().to_owned()), Some(hook.to_string())),
        // What stands for a short secret is longer.
        Err(DeadLetterError::Event(EventError::TooLong { .. })) => {}
        Err(error) => panic!("{error}: {}", redacted.escape_ascii()),
    }
}

fn read(line: &[u8]) -> Result<Option<DeadLetter>, DeadLetterError> {
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    assert_eq!(end, Some(line.len() - 1), "a letter is one line");
    assert!(is_json(line));
    DeadLetter::from_json(line)
}
