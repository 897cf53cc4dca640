//! Recordings there and back, what is no recording, and a recorder whose file fails.

use std::fs;
use std::io::ErrorKind;

use super::*;
use crate::outcome::JobId;

fn job(at: u64, fate: Fate) -> RecordedJob {
    RecordedJob {
        at: Duration::from_nanos(at),
        hook: HookName::new("audit").unwrap(),
        class: PriorityClass::Low,
        session: Some(7),
        batch: None,
        bytes: 812,
        waits: false,
        fate,
        runs: Vec::new(),
    }
}

fn read_text(text: &str) -> Result<Recording, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    fs::write(&path, text).unwrap();
    Recording::read(path).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read_back() {
    let run = |end, ns| RecordedRun { end, time: Duration::from_nanos(ns) };
    let mut jobs = vec![job(1, Fate::Admitted(None))];
    for kind in OutcomeKind::ALL {
        jobs.push(job(5, Fate::Admitted(Some(*kind))));
    }
    jobs.extend(Refusal::ALL.iter().map(|why| job(6, Fate::Refused(*why))));
    jobs.extend(Skip::ALL.iter().map(|why| job(7, Fate::Skipped(*why))));
    jobs[1].runs = vec![run(RunEnd::Failed, 50), run(RunEnd::TimedOut, u64::MAX), run(RunEnd::Succeeded, 0)];
    jobs[2].runs = vec![run(RunEnd::NotStarted, 0), run(RunEnd::Panicked, 3), run(RunEnd::SaidNo, 4)];
    jobs[3] = RecordedJob { session: None, batch: Some(3), waits: true, ..jobs[3].clone() };
    let recording = Recording { jobs, replay: true, lost: 3, is_whole: true };
    let mut text = Vec::new();
    recording.write(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(read_text(&text).unwrap(), recording);
    // Cut off within a line: what was there before it.
    let cut = text.rsplit_once("end_of").unwrap().0;
    assert_eq!(read_text(cut).unwrap(), Recording { lost: 0, is_whole: false, ..recording });
}

#[test]
fn what_is_no_recording_is_told_with_its_line() {
    let first = "{\"hookpool_recording\":1}\n";
    let after = |line: &str| format!("{first}{line}\n");
    let job = "{\"job\":1,\"at_ns\":1,\"hook\":\"a\",\"class\":\"low\",\"bytes\":1}";
    for (text, expected) in [
        (String::new(), "r.jsonl: error: the file is empty"),
        ("{}\n".to_owned(), "r.jsonl:1:1: error: no recording: its first line has no `hookpool_recording`"),
        ("{\"hookpool_recording\":2}\n".to_owned(), "version 2; this hookpool reads 1"),
        (after("nothing"), "r.jsonl:2:1: error: no line of a recording"),
        (after("{}"), "neither `at_ns` nor `job` and `end`"),
        (
            after(&job.replace("\"low\"", "\"urgent\"")),
            "`class` is `urgent`; it can be critical, high, normal, low",
        ),
        (after(&job.replace("\"a\"", "\"A\"")), "no hook name"),
        (after(&job.replace("\"job\":1,", "")), "one of `job`, `refused` and `skipped`"),
        (after(&job.replace(",\"bytes\":1", "")), "has no `bytes`"),
        (after(&format!("{job}\n{job}")), "r.jsonl:3:1: error: a second job of the number 1"),
        (
            after(&format!("{job}\n{{\"job\":1,\"end\":\"won\",\"runs\":[]}}")),
            "`end` is `won`; it can be succeeded",
        ),
        (after("{\"end_of_recording\":true}\n{}"), "ended in the line before"),
        (after(&format!("{{\"x\":\"{}\"}}", "y".repeat(70_000))), "no line of a recording"),
    ] {
        let error = read_text(&text).unwrap_err();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn a_file_has_its_name_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    fs::write(&path, "older").unwrap();
    let recorder = Recorder::create(&path).unwrap();
    recorder.begin(false);
    recorder.arrived(job(5, Fate::Admitted(None)), Some(JobId(4)));
    recorder.ended(JobId(4), OutcomeKind::Succeeded, Vec::new());
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(recorder.finish().unwrap().lost, 0);
    let found = Recording::read(&path).unwrap();
    assert_eq!((found.jobs.len(), found.is_whole), (1, true));
    assert_eq!(found.jobs[0].fate, Fate::Admitted(Some(OutcomeKind::Succeeded)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(recorder.finish().is_ok(), "once more does nothing");
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let recorder = Recorder::create("/dev/full").unwrap();
    recorder.begin(false);
    for n in 0..50_000 {
        recorder.arrived(job(n, Fate::Admitted(None)), Some(JobId(n)));
    }
    assert_eq!(recorder.finish().unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(fs::metadata("/dev/full").is_ok(), "a device stays what it is");
}

#[test]
fn what_comes_too_fast_is_counted() {
    // A pipe that nobody reads holds some 64 kB, so the writer stands still.
    let (reader, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    let recorder = Recorder::create(path).unwrap();
    drop(writer);
    recorder.begin(false);
    for n in 0..60_000 {
        recorder.arrived(job(n, Fate::Refused(Refusal::Full)), None);
    }
    let text = std::thread::spawn(move || io::read_to_string(reader).unwrap());
    let lost = recorder.finish().unwrap().lost;
    drop(recorder);
    let found = read_text(&text.join().unwrap()).unwrap();
    assert!(lost > 10_000, "{lost}");
    assert_eq!((found.jobs.len() as u64 + found.lost, found.lost), (60_000, lost));
}
