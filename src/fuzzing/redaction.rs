//! Redaction: no byte of a known secret is written down, whole, in JSON, or in output that was cut wherever it is cut.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::answers::cut;
use super::event::is_json;
use crate::process::{Captured, Keeper};
use crate::redact::Redactor;

/// The letter that is in secrets and nowhere else. In the bytes that come it becomes a small one.
const MARK: u8 = b'Q';

/// The bytes 1 to 5 stand for these: with signs of expressions; with what JSON escapes; no text; longer than any margin,
/// in lines and in one word.
fn secrets() -> &'static [Vec<u8>] {
    static SECRETS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SECRETS.get_or_init(|| {
        let numbered =
            |end: &str| (0..1000).flat_map(|n| format!("Q{n:05}{end}").into_bytes()).collect::<Vec<_>>();
        vec![
            b"Qx.Q*y(Q".to_vec(),
            b"Q\"Q\\n Q\nQ".to_vec(),
            b"Q\xff\xfeQ\x80\xfd\xfcQ".to_vec(),
            numbered(" Q\n"),
            numbered("Q"),
        ]
    })
}

fn redactor() -> &'static Redactor {
    static REDACTOR: OnceLock<Redactor> = OnceLock::new();
    REDACTOR.get_or_init(|| {
        let own = Redactor::new(true, &["badge-(?<secret>[0-9]+)", "(?i)x{3,9}"]).expect("they are patterns");
        own.with_known(secrets().iter().map(Vec::as_slice))
    })
}

/// A byte that says how the rest is cut, one for how much of it is kept, and the text, with a byte for each secret.
pub fn redaction(bytes: &[u8]) {
    let Some(([seed, kept], text)) = bytes.split_first_chunk() else { return };
    let plain = planted(text, <[u8]>::to_vec);
    whole(&plain);
    captured(&plain, *seed, usize::from(*kept).pow(2) / 4);
    document(&plain, true);
    let escaped = planted(text, |secret| {
        let quoted = serde_json::Value::from(String::from_utf8_lossy(secret)).to_string();
        quoted.as_bytes().get(1..quoted.len() - 1).unwrap_or_default().to_vec()
    });
    document(&escaped, false);
}

/// At most two of the long secrets are put in: time is for what differs.
fn planted(text: &[u8], form: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut long = 0;
    for byte in text {
        let secret = usize::from(*byte).checked_sub(1).and_then(|at| secrets().get(at));
        long += usize::from(secret.is_some_and(|secret| secret.len() > 64));
        match secret.filter(|secret| secret.len() <= 64 || long <= 2) {
            Some(secret) => out.extend(form(secret)),
            None => out.push(if *byte == MARK { MARK.to_ascii_lowercase() } else { *byte }),
        }
    }
    out
}

fn is_free(text: &[u8]) {
    assert!(!text.contains(&MARK), "a secret is left in {}", text.escape_ascii());
}

fn whole(text: &[u8]) {
    let once = redactor().bytes(text);
    is_free(&once);
    // A secret has a byte at least, and its place takes ten.
    assert!(once.len() <= text.len() * 10);
    assert!(matches!(Redactor::off().bytes(text), Cow::Borrowed(same) if same == text));
    if let Ok(text) = std::str::from_utf8(text) {
        assert_eq!(redactor().text(text).as_bytes(), &*once);
        let starred = redactor().starred(text);
        is_free(starred.as_bytes());
        assert_eq!(starred.chars().count(), text.chars().count(), "columns stay what they are");
    }
}

fn kept(pieces: &[&[u8]], limit: usize) -> Captured {
    let mut keeper = Keeper::new(limit);
    for piece in pieces {
        keeper.push(piece);
    }
    keeper.finish()
}

fn captured(text: &[u8], seed: u8, limit: usize) {
    let all = kept(&cut(text, seed), limit);
    assert_eq!(all, kept(&[text], limit), "in pieces it is the same");
    assert!(all.head().len() + all.tail().len() <= limit);
    let clean = all.clone().redacted(redactor());
    is_free(clean.head());
    is_free(clean.tail());
    assert!(clean.head().len() + clean.tail().len() <= (limit + 2) * 10);
    assert_eq!((clean.total(), clean.left_out()), (text.len() as u64, all.left_out()));
    if all.truncated() {
        // What is shown once is not taken for more than it is when it is shown again.
        is_free(&redactor().bytes(&clean.bytes()));
    } else {
        assert_eq!(clean.bytes(), redactor().bytes(text), "nothing was cut");
    }
}

/// `is_plain`: secrets stand in it as they are, so they are found whether it is JSON or not.
fn document(text: &[u8], is_plain: bool) {
    let once = redactor().json(text);
    let is_document = is_json(text);
    if is_document {
        assert!(is_json(&once), "JSON stays JSON: {}", once.escape_ascii());
    }
    // An escape may be the letter itself.
    if (is_plain || is_document) && !text.windows(4).any(|part| part == b"0051") {
        is_free(&once);
    }
}
