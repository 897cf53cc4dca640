//! More outcomes at once than can be written: how many wait, and what is said of the others.

use std::fs::{self, File};
use std::path::Path;

use super::*;
use crate::class::PriorityClass;
use crate::event::Event;
use crate::hook::HookName;
use crate::outcome::{JobId, OutcomeKind, WaitSplit};

fn failure(number: u64, bytes: usize) -> Arc<Outcome> {
    let event = format!(r#"{{"event":"x","blob":"{}"}}"#, "y".repeat(bytes));
    Arc::new(Outcome {
        job: JobId(number),
        hook: HookName::new("a").unwrap(),
        event: Event::from_json(event).unwrap(),
        class: PriorityClass::Normal,
        kind: OutcomeKind::Failed,
        wait: Duration::ZERO,
        waited_for: WaitSplit::default(),
        attempts: Vec::new(),
        run: None,
        reason: String::new(),
        hint: None,
        message: None,
        verdict: None,
        process: None,
    })
}

fn settings(file: &Path) -> DeadLetterSettings {
    let on = vec![OutcomeKind::Failed];
    DeadLetterSettings { file: file.to_owned(), max_bytes: 1 << 30, keep: 0, on, redact: true }
}

/// Offers so many while somebody holds the file's lock, which makes each line take a quarter of a second.
fn offered(count: u64, bytes: usize) -> (DeadLetterCounts, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dead.jsonl");
    let held = File::create(&file).unwrap();
    held.lock().unwrap();
    let letters = DeadLetters::default();
    letters.prepare(Some(&settings(&file))).unwrap();
    letters.set(Some(&settings(&file)));
    for number in 0..count {
        letters.offer(&failure(number, bytes), &Redactor::default());
    }
    held.unlock().unwrap();
    letters.close();
    assert_eq!(letters.counts.waiting.load(Ordering::Relaxed), 0);
    let lines = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    (letters.counts(), lines)
}

#[test]
fn what_comes_too_fast_is_counted_and_what_is_counted_as_written_is_there() {
    let most = MOST_WAITING as u64;
    let (counts, lines) = offered(3 * most, 10);
    assert_eq!((counts.written + counts.dropped, counts.failed), (3 * most, 0));
    // Beside what waits, a few are written meanwhile; and at first the file waits to be opened.
    assert!((most - 1..2 * most).contains(&counts.written), "{counts:?}");
    assert_eq!(lines.len() as u64, counts.written);
    assert!(lines.iter().all(|line| DeadLetter::from_json(line.as_bytes()).unwrap().is_some()));
}

#[test]
fn what_waits_is_bounded_in_bytes_too_but_one_may_always() {
    let (counts, lines) = offered(30, 1 << 20);
    assert_eq!((counts.written + counts.dropped, counts.failed), (30, 0));
    assert!((10..25).contains(&counts.written), "{counts:?}");
    assert_eq!(lines.len() as u64, counts.written);
    let (counts, _) = offered(1, 20 << 20);
    assert_eq!((counts.written, counts.dropped), (1, 0));
}

#[test]
fn the_name_of_an_event_is_written_without_its_secrets_too() {
    let mut outcome = Arc::into_inner(failure(1, 10)).unwrap();
    outcome.event = Event::from_json(r#"{"event":"password=hunter2"}"#).unwrap();
    let line = String::from_utf8(written(&outcome, &Redactor::default())).unwrap();
    assert!(line.contains(r#""event_name":"password=[redacted]""#) && !line.contains("hunter2"), "{line}");
    let letter = DeadLetter::from_json(line.as_bytes()).unwrap().unwrap();
    assert_eq!(letter.event().name(), "password=[redacted]");
}
