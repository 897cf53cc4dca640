//! A hook whose handler is a web service: `url`, `headers` and `tls`.
//!
//! No message repeats what was filled in, nor an address: either may be a secret.

use super::super::layer::Key;
use super::super::problem::{Problems, Severity, shown};
use super::super::raw::RawHook;
use super::expand::Reader;
use super::hook::HookCompiler;
use super::mode::of_residents;
use crate::hook::{HandlerSpec, HttpSpec, HttpUrl, Secret};

/// Headers that hookpool sets itself, beside those that begin with `hookpool-`.
const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers whose values are no secrets, unless they are filled in.
const PLAIN: &[&str] = &["accept", "accept-language", "content-type", "user-agent"];

/// A path that is so long may hold a key.
const LONG_TARGET: usize = 24;

/// The longest value of a header, in bytes.
const LONGEST_VALUE: usize = 8192;

impl HookCompiler<'_> {
    /// The web service of a hook that has a `url`.
    pub(super) fn http(
        &self,
        name: &str,
        raw: &RawHook,
        url: &str,
        problems: &mut Problems,
    ) -> Option<HandlerSpec> {
        let key = Key::new(&["hook", name, "url"]);
        if raw.run.is_some() {
            let message = format!("hook `{name}` has both `run` and `url`: it must have one of them");
            problems.error(self.merged.spot(&key).origin(), &key, message);
        }
        let mut secrets = Vec::new();
        let url = self.filled(name, &key, url, &mut secrets, problems).and_then(|url| {
            let wrong = |why| format!("`{key}` {why}");
            url.parse::<HttpUrl>()
                .map_err(|why| problems.error(self.merged.spot(&key).origin(), &key, wrong(why)))
                .ok()
        });
        // Many services hand out addresses that nobody else may know.
        let target = url.as_ref().map(HttpUrl::target).filter(|target| target.len() >= LONG_TARGET);
        secrets.extend(target.map(|target| Secret(target.to_owned())));
        let headers = self.headers(name, raw, &mut secrets, problems);
        let ca = match &raw.tls.ca {
            Some(file) => {
                let key = Key::new(&["hook", name, "tls", "ca"]);
                let file = self.expand(name, &key, file, Reader::Plain, problems)?;
                Some(self.dir(name, &key).join(file))
            }
            None => None,
        };
        let mode = raw.mode.as_deref().unwrap_or("single");
        if mode == "resident" {
            let key = Key::new(&["hook", name, "mode"]);
            let message = format!("`{key}` must not be \"resident\" with `url`: a service stays without it");
            let hint = Some("\"lines\" sends batches".to_owned());
            problems.push(self.merged.spot(&key).origin(), &key, Severity::Error, message, hint);
            return None;
        }
        let of_programs = [
            ("cwd", raw.cwd.is_some()),
            ("env", !raw.env.is_empty()),
            ("env_clear", raw.env_clear.is_some()),
            ("leftovers", raw.leftovers.is_some()),
            ("limits", raw.limits.is_some()),
        ];
        let of_programs = of_programs.into_iter().filter_map(|(key, is_set)| is_set.then_some(key));
        let why = "the hook has no program, but a `url`";
        self.no_effect(name, of_programs.chain(of_residents(raw)), why, problems);
        let (url, headers) = (url?, headers?);
        raw.run
            .is_none()
            .then(|| HandlerSpec::Http(HttpSpec { url, headers, secrets, ca, lines: mode == "lines" }))
    }

    /// Says of a hook without a web service that nothing comes of what concerns one.
    pub(super) fn has_no_service(&self, name: &str, raw: &RawHook, problems: &mut Problems) {
        let keys = [("headers", !raw.headers.is_empty()), ("tls", raw.tls.ca.is_some())];
        let keys = keys.into_iter().filter_map(|(key, is_set)| is_set.then_some(key));
        self.no_effect(name, keys, "the hook has no `url`", problems);
    }

    fn headers(
        &self,
        name: &str,
        raw: &RawHook,
        secrets: &mut Vec<Secret>,
        problems: &mut Problems,
    ) -> Option<Vec<(String, Secret)>> {
        let mut headers: Vec<(String, Secret)> = Vec::new();
        let mut is_good = true;
        for (header, value) in &raw.headers {
            let key = Key::new(&["hook", name, "headers", header]);
            let mut wrong = |message: String, problems: &mut Problems| {
                problems.error(self.merged.spot(&key).origin(), &key, message);
                is_good = false;
            };
            let lower = header.to_ascii_lowercase();
            if header.is_empty() || !header.bytes().all(is_token) {
                let message =
                    format!("`{}` is no name of a header: it takes letters, digits and -", shown(header));
                wrong(message, problems);
            } else if OURS.contains(&&*lower) || lower.starts_with("hookpool-") {
                wrong(format!("`{key}` cannot be set: hookpool sets it for each request"), problems);
            } else if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(header)) {
                wrong(format!("`{key}` is there twice, in another spelling"), problems);
            }
            match self.filled(name, &key, value, secrets, problems) {
                Some(value) if value.len() <= LONGEST_VALUE && value.bytes().all(is_value) => {
                    let value = value.trim();
                    if !PLAIN.contains(&&*lower) {
                        // Behind a word such as `Bearer`.
                        let rest = value.split_once(' ').map_or(value, |(_, rest)| rest);
                        secrets.extend([value, rest].map(|secret| Secret(secret.to_owned())));
                    }
                    headers.push((header.clone(), Secret(value.to_owned())));
                }
                Some(_) => {
                    let message = format!(
                        "`{key}` must be one line of plain ASCII, of at most {LONGEST_VALUE} bytes, when its names are filled in"
                    );
                    problems.error(self.merged.spot(&key).origin(), &key, message);
                    is_good = false;
                }
                None => is_good = false,
            }
        }
        is_good.then_some(headers)
    }

    /// The text with its names filled in. What was filled in from the environment is added to the secrets.
    fn filled(
        &self,
        name: &str,
        key: &Key,
        text: &str,
        secrets: &mut Vec<Secret>,
        problems: &mut Problems,
    ) -> Option<String> {
        let (expanded, used) = self.expand_noting(name, key, text, Reader::Plain, problems)?;
        secrets.extend(used.into_iter().filter_map(|value| value.into_string().ok()).map(Secret));
        let text = expanded.into_string();
        text.map_err(|_| {
            let message = format!("`{key}` must be plain ASCII when its names are filled in");
            problems.error(self.merged.spot(key).origin(), key, message);
        })
        .ok()
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t')
}
