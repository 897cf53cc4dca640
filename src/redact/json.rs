//! Secrets in JSON: string by string, so that the document stays one.
//!
//! One pass over the text, whatever its depth. What is not a secret is copied as it was written: white space, the order
//! of members, names that occur twice, numbers of any size. A document that is broken is treated as text from there on.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, Visitor};

use super::{PLACEHOLDER, Redactor, rules};

/// Where the scan is in an object or array.
struct Level {
    is_object: bool,
    /// The next string of an object is a name.
    wants_name: bool,
    /// The last name, if it says that its value is a secret; in an array, that of the array.
    secret: Option<String>,
}

pub(super) fn redact<'t>(redactor: &Redactor, text: &'t [u8]) -> Cow<'t, [u8]> {
    if serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        return strings(redactor, text);
    }
    match redactor.bytes(text) {
        Cow::Borrowed(text) => strings(redactor, text),
        Cow::Owned(plain) => Cow::Owned(strings(redactor, &plain).into_owned()),
    }
}

/// The document without the secrets of its strings and numbers.
fn strings<'t>(redactor: &Redactor, text: &'t [u8]) -> Cow<'t, [u8]> {
    let mut out = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    // Up to here everything has been copied.
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let end = match byte {
            b'"' => string_end(text, at),
            b'-' | b'0'..=b'9' => number_end(text, at),
            _ => at + 1,
        };
        let token = text.get(at..end).unwrap_or_default();
        let new = match byte {
            b'{' | b'[' => {
                let is_object = byte == b'{';
                let inherited = levels.last().and_then(|level| level.secret.clone()).filter(|_| !is_object);
                levels.push(Level { is_object, wants_name: is_object, secret: inherited });
                None
            }
            b'}' | b']' => {
                levels.pop();
                None
            }
            b',' => {
                if let Some(level) = levels.last_mut().filter(|level| level.is_object) {
                    (level.wants_name, level.secret) = (true, None);
                }
                None
            }
            b'"' => {
                let content = unquoted(token);
                match levels.last_mut().filter(|level| level.wants_name) {
                    Some(level) => {
                        level.wants_name = false;
                        let is_secret = redactor.has_defaults() && rules::is_secret_name(&content);
                        level.secret = is_secret.then(|| content.clone().into_owned());
                        changed(redactor.text(&content))
                    }
                    None => {
                        value(redactor, levels.last().and_then(|level| level.secret.as_deref()), &content)
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                number(redactor, levels.last().and_then(|level| level.secret.as_deref()), token)
            }
            _ => None,
        };
        if let Some(new) = new {
            out.extend_from_slice(text.get(copied..at).unwrap_or_default());
            out.extend_from_slice(quoted(&new).as_bytes());
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn value(redactor: &Redactor, secret: Option<&str>, content: &str) -> Option<String> {
    let Some(name) = secret else { return changed(redactor.text(content)) };
    match rules::kept_of_member(name, content) {
        Some(kept) if kept == content.len() => changed(redactor.text(content)),
        kept => {
            let kept = content.get(..kept.unwrap_or_default()).unwrap_or_default();
            Some(format!("{kept}{PLACEHOLDER}")).filter(|new| new != content)
        }
    }
}

fn number(redactor: &Redactor, secret: Option<&str>, token: &[u8]) -> Option<String> {
    if secret.is_some_and(rules::is_secret_number) {
        return Some(PLACEHOLDER.to_owned());
    }
    changed(redactor.text(std::str::from_utf8(token).ok()?))
}

fn changed(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

/// What the string says. Bytes that are no UTF-8, and escaped halves of a surrogate pair, are replaced; with escapes that
/// are none it is taken as it stands.
fn unquoted(token: &[u8]) -> Cow<'_, str> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    let inside = token.get(1..).unwrap_or_default();
    let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
    if !inside.contains(&b'\\') {
        return String::from_utf8_lossy(inside);
    }
    // As bytes: half a pair, which whoever cuts text leaves behind, must not keep the rest from being read.
    let whole = [b"\"", inside, b"\""].concat();
    let content = serde_json::Deserializer::from_slice(&whole).deserialize_bytes(Bytes);
    content.map_or_else(|_| String::from_utf8_lossy(inside), Cow::Owned)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Behind the string that begins here.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count()
}
