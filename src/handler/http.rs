//! Handlers that are web services: one request for each event, with the event's exact bytes as its body, or one for each
//! batch, with a line for each event.
//!
//! What hookpool knows beside the event is in `Hookpool-*` headers; what of it comes from the event is percent-encoded,
//! so that no event can add a header. The client in `http` does the work; this module says what to send, and what the
//! answer means:
//!
//! - A 2xx status is success, everything else failure, redirects included. Most of 4xx says no, as exit status 2 does.
//! - No connection: not started. After the deadline: timed out, however far it came.
//! - A 2xx body that is an answer (`{"ok":…}`) speaks for its event; in a batch the lines of it do, as those of a process.
//!
//! Invariant: nothing that was filled in from the environment is in a reason or a message, also if the server repeats it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::{Batch, run_or_split};
use super::command::nested_too_deep;
use super::lines::answers::{LONGEST, Reader, read_verdict};
use super::{Surroundings, Task, more_time};
use crate::hook::{Hook, HttpSpec, Secret};
use crate::http::{Answer as HttpAnswer, Client, Fault, Patience, Phase, escaped};
use crate::outcome::{Answer, Ending, OutcomeKind};
use crate::telemetry::{self, Limiter};
use crate::time::Clock;

/// Bytes kept of a body that is no answer.
const KEPT: usize = 4096;
/// The longest value of a header that comes from an event. A longer one is left out: it is in the body.
const LONGEST_VALUE: usize = 1024;
/// What is shorter is no secret, and may be part of any word.
const SHORTEST_SECRET: usize = 6;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct HttpHandler {
    client: Result<Arc<Client>, String>,
    /// The headers that are the same for every request, each with its line's end.
    head: Secret,
    secrets: Vec<Secret>,
    takes_lines: bool,
    depth: u32,
    clock: Clock,
    complaints: Limiter,
}

impl HttpHandler {
    pub(super) fn prepare(spec: &HttpSpec, surroundings: &Surroundings) -> Self {
        let client = Client::new(spec.url.clone(), spec.ca.as_deref()).map(Arc::new);
        if let Ok(client) = &client {
            surroundings.residents.add_client(client);
        }
        let secrets =
            spec.secrets.iter().filter(|secret| secret.0.len() >= SHORTEST_SECRET).cloned().collect();
        Self {
            client,
            head: Secret(fixed_head(spec)),
            secrets,
            takes_lines: spec.lines,
            depth: surroundings.depth,
            clock: surroundings.clock,
            complaints: Limiter::default(),
        }
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.client.as_ref().err().cloned()
    }

    pub(super) fn takes_many(&self) -> bool {
        self.takes_lines
    }

    pub(super) fn run(&self, tasks: &[Task<'_>], done: &mut dyn FnMut(usize, Ending)) {
        if self.takes_lines {
            run_or_split(tasks, done, &|members, done| self.run_batch(tasks, members, done));
        } else {
            for (index, task) in tasks.iter().enumerate() {
                done(index, self.run_single(task));
            }
        }
    }

    fn run_single(&self, task: &Task<'_>) -> Ending {
        let begun = Instant::now();
        let until = crate::process::later(begun, task.hook.timeout);
        let client = match self.begin(task) {
            Ok(client) => client,
            Err(ending) => return ending,
        };
        let head = || {
            let mut head = self.head.0.clone();
            let mut add = |name: &str, value: &str| push_header(&mut head, name, value);
            add("Kind", task.event.kind().name());
            add("Event", task.event.name());
            add("Session", task.event.session().unwrap_or_default());
            add("Attempt", &task.attempt.to_string());
            finish_head(head, task, until, task.event.payload().len())
        };
        let mut body = Vec::new();
        let patience = Patience { cancel: task.stop, until };
        let answer = client.request(&head, task.event.payload(), &patience, &mut |status, part| {
            keep(&mut body, part, is_success(status));
        });
        let ending = match answer {
            Ok(answer) if is_success(answer.status) => said(&body).map_or_else(
                || Ending::new(OutcomeKind::Succeeded, ""),
                |said| match said {
                    Ok(answer) => answer.into(),
                    Err(why) => Ending::broken(&why, begun.elapsed()),
                },
            ),
            Ok(answer) => self.refused(task.hook, &answer, &body),
            Err(fault) => of_fault(fault, task.hook, task.hook.timeout),
        };
        self.told(ending, begun)
    }

    /// Sends one request with the tasks of these positions. `done` is also told whether the service said it itself.
    fn run_batch(
        &self,
        tasks: &[Task<'_>],
        members: VecDeque<usize>,
        done: &mut dyn FnMut(usize, Ending, bool),
    ) {
        let mut done = |index, ending: Ending, said| done(index, self.without_secrets(ending), said);
        let mut batch = Batch::new(tasks, members, &mut done);
        let Some(first) = batch.first() else { return };
        let client = match self.begin(&first) {
            Ok(client) => client,
            Err(ending) => return batch.end_rest(ending),
        };
        let timeout = first.hook.timeout_for(batch.open.len());
        let (begun, until) = (batch.begun, crate::process::later(batch.begun, timeout));
        let lines = batch.lines(timeout);
        let head = || finish_head(self.head.0.clone(), &first, until, lines.len());
        let mut reader = Reader::of_service();
        let mut body = Vec::new();
        let complain = |what: &str| telemetry::misspoke(first.hook, what, &self.complaints, self.clock.now());
        let patience = Patience { cancel: first.stop, until };
        let answer = client.request(&head, &lines, &patience, &mut |status, part| {
            if is_success(status) {
                let _ = reader.push(part, |item| {
                    batch.take(item, complain);
                    ControlFlow::Continue(())
                });
            } else {
                keep(&mut body, part, false);
            }
        });
        if answer.as_ref().is_ok_and(|answer| is_success(answer.status))
            && let Some(item) = reader.finish()
        {
            batch.take(item, complain);
        }
        let ending = match answer {
            Ok(answer) if is_success(answer.status) && batch.answered > 0 => {
                let reason = format!("the service ended without an answer to it (HTTP {})", answer.status);
                Ending::new(OutcomeKind::Failed, reason)
            }
            Ok(answer) if is_success(answer.status) => Ending::new(OutcomeKind::Succeeded, ""),
            Ok(answer) => self.refused(first.hook, &answer, &body),
            Err(fault) => of_fault(fault, first.hook, timeout),
        };
        let ending = self.told(ending, begun);
        batch.end_rest(ending);
    }

    /// The client, unless there is no need to ask it.
    fn begin(&self, task: &Task<'_>) -> Result<&Client, Ending> {
        if task.stop.is_cancelled() {
            return Err(Ending::not_wanted());
        }
        if let Some(ending) = nested_too_deep(self.depth) {
            return Err(ending);
        }
        self.client.as_deref().map_err(|why| Ending::not_started(why.clone()))
    }

    fn refused(&self, hook: &Hook, answer: &HttpAnswer, body: &[u8]) -> Ending {
        let status = answer.status;
        let reason = match &answer.location {
            Some(location) if (300..400).contains(&status) => format!(
                "HTTP {status}: it redirects to {}, and redirects are not followed; `url` must name the place itself",
                self.hidden(location)
            ),
            // Before it is cut: half a secret is one, too.
            _ => match escaped(hook.redactor.text(&self.hidden(&String::from_utf8_lossy(body))).as_bytes()) {
                text if text.is_empty() => format!("HTTP {status}"),
                text => format!("HTTP {status}: {text}"),
            },
        };
        // Those four mean: later, or in another way.
        let says_no = (400..500).contains(&status) && !matches!(status, 408 | 421 | 425 | 429);
        Ending { says_no, ..Ending::new(OutcomeKind::Failed, reason) }
    }

    fn told(&self, ending: Ending, begun: Instant) -> Ending {
        let run = (ending.kind != OutcomeKind::NotStarted).then(|| begun.elapsed());
        self.without_secrets(Ending { run, ..ending })
    }

    fn without_secrets(&self, ending: Ending) -> Ending {
        let reason = self.hidden(&ending.reason);
        let message = ending.message.as_deref().map(|message| self.hidden(message));
        Ending { reason, message, ..ending }
    }

    /// The text without secrets, and without beginnings of them, such as a cut leaves.
    fn hidden(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let common =
                |secret: &Secret| rest.bytes().zip(secret.0.bytes()).take_while(|(a, b)| a == b).count();
            let longest = self.secrets.iter().map(common).max().unwrap_or(0);
            if longest >= SHORTEST_SECRET {
                shown.push_str("[secret]");
                rest = rest.get(rest.ceil_char_boundary(longest)..).unwrap_or_default();
            } else {
                shown.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
        shown
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Keeps what may be an answer, and the beginning of all else.
fn keep(body: &mut Vec<u8>, part: &[u8], may_be_answer: bool) {
    let first = body.iter().chain(part).find(|byte| !byte.is_ascii_whitespace());
    let most = if may_be_answer && first == Some(&b'{') { LONGEST + 1 } else { KEPT };
    let room = most.saturating_sub(body.len());
    body.extend_from_slice(part.get(..room).unwrap_or(part));
}

/// The members of an answer to one event. Services have answers of their own that look alike: what is none is left alone.
#[derive(Deserialize)]
struct Said<'a> {
    ok: bool,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    verdict: Option<&'a RawValue>,
}

/// What a body says of its event. `None`: it is no answer. A verdict that cannot be read is an error.
fn said(body: &[u8]) -> Option<Result<Answer, String>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.len() > LONGEST {
        return None;
    }
    let Said { ok, message, verdict } = serde_json::from_slice(body).ok()?;
    let message =
        message.and_then(|message| serde_json::from_str::<String>(message.get()).ok()).unwrap_or_default();
    let answer = if ok { Answer::ok().with_message(message) } else { Answer::failed(message) };
    Some(match verdict.map(|verdict| read_verdict(verdict.get())) {
        Some(Ok(verdict)) => Ok(answer.with_verdict(verdict)),
        Some(Err(why)) => Err(why),
        None => Ok(answer),
    })
}

fn of_fault(fault: Fault, hook: &Hook, timeout: Duration) -> Ending {
    match fault {
        Fault::Late(phase) => {
            let how_far = match phase {
                Phase::Connecting => "there was no connection yet".to_owned(),
                Phase::Sent => "no answer had come".to_owned(),
                Phase::Answer(status) => format!("its answer (HTTP {status}) had not ended"),
            };
            let reason = format!("it ran longer than its timeout of {timeout:?}: {how_far}");
            Ending { hint: Some(more_time(hook)), ..Ending::new(OutcomeKind::TimedOut, reason) }
        }
        Fault::Cancelled => {
            Ending::new(OutcomeKind::Cancelled, "it was cancelled while its request was under way")
        }
        Fault::NotStarted(why) => Ending::not_started(why),
        Fault::Failed(why) => Ending::new(OutcomeKind::Failed, why),
    }
}

/// The request line and the headers that are always the same. The hook's own ones stand in for ours.
fn fixed_head(spec: &HttpSpec) -> String {
    let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n", spec.url.target(), spec.url.authority());
    let content = if spec.lines { "application/x-ndjson" } else { "application/json" };
    let ours = [
        ("User-Agent", concat!("hookpool/", env!("CARGO_PKG_VERSION"))),
        ("Accept", content),
        ("Accept-Encoding", "identity"),
        ("Content-Type", content),
    ];
    for (name, value) in ours {
        if !spec.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    for (name, Secret(value)) in &spec.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head
}

fn finish_head(mut head: String, task: &Task<'_>, until: Instant, length: usize) -> Vec<u8> {
    let left = until.saturating_duration_since(Instant::now());
    push_header(&mut head, "Hook", task.hook.name.as_str());
    push_header(&mut head, "Job", &task.job.to_string());
    push_header(&mut head, "Deadline-Ms", &left.as_millis().to_string());
    let _ = write!(head, "Content-Length: {length}\r\n\r\n");
    head.into_bytes()
}

/// Adds one of our headers, unless it is empty or without measure.
fn push_header(head: &mut String, name: &str, value: &str) {
    if value.is_empty() || value.len() > LONGEST_VALUE {
        return;
    }
    let _ = write!(head, "Hookpool-{name}: ");
    for byte in value.bytes() {
        // A blank in the middle is plain; at an end it would be lost.
        if byte.is_ascii_graphic() && byte != b'%' {
            head.push(char::from(byte));
        } else {
            let _ = write!(head, "%{byte:02X}");
        }
    }
    head.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(secrets: &[&str]) -> HttpHandler {
        let spec = HttpSpec {
            url: "http://a/".parse().unwrap(),
            headers: vec![("accept".into(), Secret("text/plain".into()))],
            secrets: Vec::new(),
            ca: None,
            lines: false,
        };
        HttpHandler {
            client: Err("none".into()),
            head: Secret(fixed_head(&spec)),
            secrets: secrets.iter().map(|secret| Secret((*secret).to_owned())).collect(),
            takes_lines: false,
            depth: 1,
            clock: Clock::start(),
            complaints: Limiter::default(),
        }
    }

    #[test]
    fn no_secret_is_repeated_and_no_half_of_one() {
        let handler = handler(&["hunter2-and-more", "ünïcödé"]);
        for (text, shown) in [
            ("token hunter2-and-more is bad", "token [secret] is bad"),
            ("hunter2-and-morehunter2-and-more", "[secret][secret]"),
            ("cut: hunter2-a", "cut: [secret]"),
            ("a hunter", "a [secret]"),
            ("a hunt", "a hunt"),
            ("ünïcödé", "[secret]"),
        ] {
            assert_eq!(handler.hidden(text), shown, "{text}");
        }
    }

    #[test]
    fn the_hooks_own_headers_stand_in_for_ours() {
        let head = &handler(&[]).head.0;
        assert!(head.contains("\r\naccept: text/plain\r\n") && !head.contains("Accept: "), "{head}");
    }

    #[test]
    fn nothing_of_an_event_can_add_a_header_or_make_one_without_measure() {
        let mut head = String::new();
        push_header(&mut head, "Event", "a\r\nX: y\u{e9}% b");
        assert_eq!(head, "Hookpool-Event: a%0D%0AX:%20y%C3%A9%25%20b\r\n");
        push_header(&mut head, "Session", "");
        push_header(&mut head, "Session", &"x".repeat(LONGEST_VALUE + 1));
        assert_eq!(head.lines().count(), 1);
    }

    #[test]
    fn a_body_is_an_answer_only_if_it_says_how_it_went() {
        let answer = |body: &str| said(body.as_bytes());
        assert_eq!(answer(r#" {"ok":true} "#), Some(Ok(Answer::ok())));
        assert_eq!(answer("{\n  \"ok\": false,\n  \"message\": \"no\"\n}"), Some(Ok(Answer::failed("no"))));
        assert_eq!(answer(r#"{"ok":true,"id":7,"message":{"text":"x"}}"#), Some(Ok(Answer::ok())));
        let with_verdict = Answer::ok().with_verdict(r#"{"allow": 1}"#.parse().unwrap());
        assert_eq!(answer(r#"{"verdict":{"allow": 1},"ok":true}"#), Some(Ok(with_verdict)));
        for other in ["", "ok", "{}", "[]", r#"{"ok":"yes"}"#, r#"{"status":"ok"}"#, r#"{"ok":true"#, "true"]
        {
            assert_eq!(answer(other), None, "{other}");
        }
        assert!(matches!(answer(r#"{"ok":true,"verdict":1e999}"#), Some(Err(_))));
    }

    #[test]
    fn little_is_kept_of_a_body_that_is_no_answer() {
        let mut body = Vec::new();
        (0..1000).for_each(|_| keep(&mut body, &[b'x'; 10_000], true));
        assert_eq!(body.len(), KEPT);
        let mut body = b" ".to_vec();
        keep(&mut body, b"{", true);
        (0..1000).for_each(|_| keep(&mut body, &[b'x'; 10_000], true));
        assert_eq!(body.len(), LONGEST + 1);
    }
}
