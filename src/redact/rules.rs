//! The built-in rules: secrets by the name before them, and secrets by their form.
//!
//! All rules are one alternation, so a text is searched once. A rule that goes by the name alone may ask for more of the
//! value (`Check`): prose and program text have names of secrets everywhere, followed by anything but one.
//!
//! Invariant: a match moves the search on, by at least the name when the value turns out to be none. So the time is
//! linear in the text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::until::Until;

/// What a secret is called, at the end of its name: `DB_PASSWORD`, `clientSecret`, `X-Api-Key`, …
const NAME: &str = concat!(
    r"(?i:pass(?:word|wd|phrase|code)|_pass|pwd|token",
    r"|secret(?:[_-]?(?:access[_-]?)?key)?",
    r"|(?:api|access|private|signing|encryption|account|auth|master|secret|ssh|deploy|subscription|webhook)[_-]?key",
    r"|credentials?|connection[_-]?string)(?:[_-]?[0-9]{1,3})?",
);
/// The same, as the name of a variable.
const VARIABLE: &str = concat!(
    r"[A-Z0-9_]*(?:PASS(?:WORD|WD|PHRASE|CODE)?|PWD|TOKEN|SECRET|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY",
    r"|SECRET_?KEY|SIGNING_?KEY|ENCRYPTION_?KEY|ACCOUNT_?KEY|AUTH_?KEY|MASTER_?KEY|CONNECTION_STRING)(?:_?[0-9]{1,3})?",
);
/// Between a name and its value, spaces allowed.
const IS: &str = r"[ \t]*(?::=|=>|:|=)[ \t]*";
/// The end of a name in quotes, perhaps in text that is quoted itself.
const END: &str = r#"(?:\\*["'])?"#;

/// What a value must be beside what the rule's expression says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Nothing more.
    None,
    /// It has a digit: words have none.
    Digit,
    /// It has more than digits: two numbers may be an owner and a group.
    NoNumber,
    /// It is no placeholder, no reference to a variable, no folder.
    Value,
    /// It is not one of the words that follow such a name in prose; and behind a name that has other meanings too, it
    /// looks as if it came from a machine.
    Bare,
}

/// The rules, the more particular ones first. Where an expression has a group, that is where the secret begins; else
/// all of it is one.
fn rules() -> Vec<(String, Until, Check)> {
    use Check::{Bare, Digit, NoNumber, None, Value};
    use Until::{Any, Key, Match, Quote, Sign};
    const LINE: Until = Any(b"\r\n");
    const WORD: Until = Any(b" \t\r\n\x0b\x0c");
    const PLAIN_WORD: Until = Any(b" \t\r\n\x0b\x0c\"'");
    const DOUBLE: Until = Any(b"\"\n");
    const SINGLE: Until = Any(b"'\n");
    let header =
        |rest: &str| format!(r#"(?i:authorization)(?:\\*["'])?[ \t]*(?:=>|:|=)[ \t]*\\*["']?{rest}"#);
    let user = |rest: &str| format!(r"[ \t](?:-u|--user|--proxy-user)(?:[ \t]+|=){rest}");
    let schemes = r"[ \t]*(?i:bearer|basic|token|negotiate|apikey|key|hawk|ntlm|aws4-hmac-sha256)[ \t]+";
    let by_name = [
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----()".to_owned(), Key, None),
        (format!(r"(?m:^)[ \t]*(?:(?:export|declare -x|set|\+)[ \t]+)?{VARIABLE}=([^\r\n])"), LINE, Value),
        (header(r"[ \t]*(?i:digest)[ \t]+([^\r\n])"), LINE, None),
        (header(&format!(r#"{schemes}([^\r\n"'\\])"#)), Any(b"\r\n\"'\\"), None),
        (header(r#"([^\s"'\\,]{8})"#), Any(b" \t\r\n\x0b\x0c\"'\\,"), Digit),
        (
            r#"(?i:\b(?:set-)?cookie)(?:\\*["'])?[ \t]*:[ \t]*\\*["']?([^\s"'=]+=[^\r\n"'])"#.to_owned(),
            Any(b"\r\n\"'"),
            None,
        ),
        (r#"://[^\s/:@"'<>]*:([^\s/"'<>]+)@"#.to_owned(), Match, Value),
        (r"://([A-Za-z0-9_-]{20,})@".to_owned(), Match, Digit),
        (user(r#""[^\s:"/]+:([^"\n])"#), DOUBLE, NoNumber),
        (user(r"'[^\s:'/]+:([^'\n])"), SINGLE, NoNumber),
        (user(r#"[^\s:"'/]+:([^\s"'])"#), PLAIN_WORD, NoNumber),
        (r"sshpass[ \t]+-p[ \t]*([^\s])".to_owned(), WORD, None),
        (r"(?i:\blogin[ \t]+[^\s]+[ \t]+password)[ \t]+([^\s])".to_owned(), WORD, None),
        (format!(r#"--?(?:[A-Za-z0-9]+[_-])*{NAME}[ \t]+"([^"\n])"#), DOUBLE, Value),
        (format!(r"--?(?:[A-Za-z0-9]+[_-])*{NAME}[ \t]+'([^'\n])"), SINGLE, Value),
        (format!(r#"--(?:[A-Za-z0-9]+[_-])*{NAME}[ \t]+([^\s"'=:|<>-])"#), PLAIN_WORD, Value),
        (format!(r"<[A-Za-z0-9_:.-]*{NAME}>([^<])"), Any(b"<"), Value),
        (format!(r#"{NAME}{END}{IS}(?:[bfru]{{0,2}})"([^"\\\n]|\\[^\n])"#), Quote(b'"'), Value),
        (format!(r"{NAME}{END}{IS}(?:[bfru]{{0,2}})'([^'\\\n]|\\[^\n])"), Quote(b'\''), Value),
        (format!(r#"{NAME}{END}{IS}\\+"([^"\n])"#), DOUBLE, Value),
        (format!(r#"{NAME}{END}{IS}([^\s"'`&;,<\\]|\\[^\snrt"'\\])"#), Sign, Bare),
    ];
    let by_form = [
        (r"\b(?i:bearer)[ \t]+([A-Za-z0-9._~+/=-]{16,})", Digit),
        (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", None),
        (r"\bgh[pousr]_[A-Za-z0-9]{20,}", None),
        (r"\bgithub_pat_[A-Za-z0-9_]{20,}", None),
        (r"\bgl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas)-[A-Za-z0-9_.-]{20,}", None),
        (r"\bxox[a-z]-[A-Za-z0-9-]{10,}", None),
        (r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}", None),
        (r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{20,})", None),
        (r"discord(?:app)?\.com/api/webhooks/([0-9]{10,}/[A-Za-z0-9_-]{20,})", None),
        (r"\bsk-[A-Za-z0-9_-]{20,}", Digit),
        (r"\b(?:gsk|[rsp]k_live|[rsp]k_test|whsec|rk)_[A-Za-z0-9]{16,}", Digit),
        (r"\bxai-[A-Za-z0-9]{40,}", None),
        (r"\bpplx-[A-Za-z0-9]{32,}", None),
        (r"\bAIza[A-Za-z0-9_-]{35}", None),
        (r"\bya29\.[A-Za-z0-9_-]{20,}", None),
        (r"\bGOCSPX-[A-Za-z0-9_-]{20,}", None),
        (r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]{8,})(?:\.[A-Za-z0-9_-]*)*", None),
        (r"\bnpm_[A-Za-z0-9]{30,}", None),
        (r"\bpypi-[A-Za-z0-9_-]{40,}", None),
        (r"\bcio[A-Za-z0-9]{32}\b", Digit),
        (r"\bhf_[A-Za-z0-9]{30,}", None),
        (r"\br8_[A-Za-z0-9]{30,}", None),
        (r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", None),
        (r"\bSK[0-9a-f]{32}\b", None),
        (r"\bkey-[0-9a-f]{32}\b", None),
        (r"\bdapi[0-9a-f]{32}\b", None),
        (r"\bdo[opr]_v1_[a-f0-9]{32,}", None),
        (r"\bshp(?:at|ca|pa|ss)_[A-Za-z0-9]{20,}", None),
        (r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}", None),
        (r"\bAGE-SECRET-KEY-1[0-9A-Z]{30,}", None),
        (r"\blin_(?:api|oauth)_[A-Za-z0-9]{20,}", None),
        (r"\bntn_[A-Za-z0-9]{30,}", None),
        (r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", None),
        (r"\bATATT3x[A-Za-z0-9_=-]{20,}", None),
        (r"\bfigd_[A-Za-z0-9_-]{20,}", None),
        (r"\bsbp_[a-f0-9]{40}", None),
        (r"\btskey-[a-z]+-[A-Za-z0-9-]{10,}", None),
        (r"\bglsa_[A-Za-z0-9_]{20,}", None),
        (r"\bNRAK-[A-Z0-9]{20,}", None),
        (r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{20,}", None),
        (r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{20,}", None),
        (r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33}", None),
        (r"\b[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}", Digit),
    ];
    let by_form = by_form.map(|(rule, check)| (rule.to_owned(), Match, check));
    by_name.into_iter().chain(by_form).collect()
}

/// The rules as one expression. The group of a rule says where the secret begins, and which rule it was.
struct Rules {
    regex: Regex,
    ends: Vec<(Until, Check)>,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let (rules, ends): (Vec<_>, Vec<_>) =
        rules().into_iter().map(|(rule, until, check)| (rule, (until, check))).unzip();
    let has_group = |rule: &str| {
        let opens = rule.match_indices('(').filter(|(at, _)| !rule[..*at].ends_with('\\'));
        opens.into_iter().any(|(at, _)| !rule[at..].starts_with("(?"))
    };
    let rules =
        rules.iter().map(|rule| if has_group(rule) { format!("(?:{rule})") } else { format!("({rule})") });
    let regex = bytes_only(&rules.collect::<Vec<_>>().join("|"));
    Rules { regex, ends }
});

/// The last line of a private key.
pub(super) static KEY_END: LazyLock<Regex> =
    LazyLock::new(|| bytes_only(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));

/// A name that says that its value is a secret.
static SECRET_NAME: LazyLock<Regex> =
    LazyLock::new(|| bytes_only(&format!(r"(?:{NAME}|(?i:authorization|cookie|password_?hash))\z")));

fn bytes_only(expression: &str) -> Regex {
    let mut builder = RegexBuilder::new(expression);
    builder.unicode(false).dfa_size_limit(8 << 20).build().expect("the built-in rules are valid")
}

/// A value that is refused is searched for other secrets if the match is not longer than this; that bounds the work.
const LOOK_AGAIN: usize = 512;

/// Adds the secrets that the built-in rules find, in order, without overlap; those of `KEY_END` come last.
pub(super) fn find(text: &[u8], spans: &mut Vec<Range<usize>>) {
    let Rules { regex, ends } = &*RULES;
    let mut groups: CaptureLocations = regex.capture_locations();
    let mut at = 0;
    while let Some(found) = regex.captures_read_at(&mut groups, text, at) {
        let group = (1..groups.len()).find_map(|group| Some((group, groups.get(group)?)));
        let Some((group, (start, end))) = group else { break };
        let (until, check) = ends.get(group - 1).copied().unwrap_or((Until::Match, Check::None));
        let value_end = until.end(text, start).unwrap_or(end);
        let found_end = value_end.max(found.end());
        let value = text.get(start..value_end).unwrap_or_default();
        // In quoted text the quote at the end is quoted too.
        let quotes = value.iter().rev().take_while(|byte| **byte == b'\\').count();
        let value = value.get(..value.len() - quotes).unwrap_or_default();
        let before = text.get(found.start()..start).unwrap_or_default();
        if !value.is_empty() && accepts(check, before, value) {
            spans.push(start..start + value.len());
            at = found_end;
        } else {
            let is_short = found_end - found.start() <= LOOK_AGAIN;
            at = if is_short { start.max(found.start() + 1) } else { found_end };
        }
    }
    let mut done = 0;
    for end in KEY_END.find_iter(text) {
        let start = key_start(text, done, end.start());
        done = end.end();
        if start < end.start() {
            spans.push(start..end.start());
        }
    }
}

/// Where the lines of a key begin that end at `end`: not before `from`.
fn key_start(text: &[u8], from: usize, end: usize) -> usize {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let mut start = end;
    loop {
        let before = text.get(from..start).unwrap_or_default();
        // Between two lines there is a line break, or what stands for one in quoted text.
        let breaks = [&b"\r\n"[..], b"\n", b"\\r\\n", b"\\n", b"\\\\n"];
        let gap = breaks.iter().find(|gap| before.ends_with(gap)).map_or(0, |gap| gap.len());
        let line = before.get(..before.len() - gap).unwrap_or_default();
        let mut length = line.iter().rev().take_while(|byte| is_key(byte)).count();
        // The `n` of a quoted line break is none of the line's letters.
        if line.get(..line.len() - length).is_some_and(|rest| rest.ends_with(b"\\"))
            && line.get(line.len() - length) == Some(&b'n')
        {
            length -= 1;
        }
        if length == 0 || (gap == 0 && start != end) {
            return start;
        }
        start -= gap + length;
    }
}

fn accepts(check: Check, before: &[u8], value: &[u8]) -> bool {
    let has_digit = value.iter().any(u8::is_ascii_digit);
    match check {
        Check::None => true,
        Check::Digit => has_digit,
        Check::NoNumber => !value.iter().all(u8::is_ascii_digit),
        Check::Value => is_value(before, value),
        Check::Bare if !is_value(before, value) => false,
        Check::Bare => {
            let word = value.to_ascii_lowercase();
            let word = word.trim_ascii_end();
            let word = word.strip_suffix(b".").unwrap_or(word);
            let is_tight = before.ends_with(b"=") && !before.ends_with(b" =") && !before.ends_with(b":=");
            if is_tight {
                // `token=next(…)` is program text.
                return !value.ends_with(b"()") && !PROSE.contains(&word);
            }
            if has_plain_name(before) {
                return !PROSE.contains(&word);
            }
            has_digit && value.len() >= 8 && !value.contains(&b'(')
        }
    }
}

/// Whether the name has no other meaning than that of a secret.
fn has_plain_name(before: &[u8]) -> bool {
    let name = before.to_ascii_lowercase();
    let contains = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    [
        &b"passw"[..],
        b"passphrase",
        b"api_key",
        b"api-key",
        b"apikey",
        b"secret_key",
        b"secret-key",
        b"access_key",
        b"private_key",
    ]
    .into_iter()
    .any(contains)
}

/// What follows the name of a secret where no secret does.
const PROSE: &[&[u8]] = &[
    b"required",
    b"missing",
    b"invalid",
    b"incorrect",
    b"wrong",
    b"expected",
    b"expired",
    b"unset",
    b"empty",
    b"not",
    b"the",
    b"is",
    b"set",
    b"must",
    b"cannot",
    b"can't",
    b"should",
    b"string",
    b"str",
    b"&str",
    b"optional",
    b"option",
    b"none",
    b"null",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"yes",
    b"no",
    b"ok",
    b"changed",
    b"reset",
    b"enter",
    b"please",
    b"your",
    b"a",
    b"an",
    b"at",
    b"for",
    b"too",
    b"unexpected",
    b"any",
    b"number",
    b"type",
    b"failed",
    b"denied",
    b"accepted",
    b"updated",
    b"received",
    b"prompt",
    b"unknown",
    b"(none)",
    b"-",
    b"{",
    b"[",
    b"(",
    b"*",
    b"|",
    b">",
    b"?",
];

fn is_value(before: &[u8], value: &[u8]) -> bool {
    if value.windows(10).any(|part| part == b"-----BEGIN") {
        // The key's own rule keeps its first line, and knows its end.
        return false;
    }
    let trimmed = value.trim_ascii();
    let lower = trimmed.to_ascii_lowercase();
    let is_word = [&b"null"[..], b"none", b"nil", b"true", b"false", b"undefined"].contains(&&*lower);
    let is_directory = before.to_ascii_lowercase().windows(3).any(|part| part == b"pwd")
        && (trimmed.starts_with(b"/") || trimmed.starts_with(b"~") || trimmed.get(1..3) == Some(b":\\"));
    !(trimmed.is_empty() || is_word || is_directory || is_reference(trimmed))
}

/// `$NAME`, `${NAME}`, `${{ … }}`, `%NAME%`: the name of a value.
fn is_reference(value: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_' || byte.is_ascii_digit())
    };
    let between =
        |open: &[u8], close: &[u8]| value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let is_template = value.starts_with(b"${{") || value.starts_with(b"{{");
    let in_braces = between(b"${", b"}")
        .is_some_and(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.:".contains(byte)));
    is_template
        || in_braces
        || value.strip_prefix(b"$").is_some_and(is_name)
        || between(b"%", b"%").is_some_and(is_name)
}

/// Whether a member of that name is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    SECRET_NAME.is_match(name.as_bytes())
}

/// The part of the value of such a member that stays: the scheme of an authorization; all of what is no secret. `None`:
/// nothing stays.
pub(super) fn kept_of_member(name: &str, value: &str) -> Option<usize> {
    if !is_value(name.as_bytes(), value.as_bytes()) {
        return Some(value.len());
    }
    let (scheme, _) = value.split_once(' ')?;
    let is_scheme = ["bearer", "basic", "token", "digest", "negotiate", "apikey", "ntlm"]
        .contains(&&*scheme.to_ascii_lowercase());
    (is_scheme && name.to_ascii_lowercase().ends_with("authorization")).then_some(scheme.len() + 1)
}

/// Whether a number of that name is a secret as well.
pub(super) fn is_secret_number(name: &str) -> bool {
    has_plain_name(name.as_bytes()) || name.to_ascii_lowercase().ends_with("passcode")
}
