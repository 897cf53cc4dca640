//! Tables of what is a secret and what is none, and what holds for any text.

use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::*;

fn redacted(text: &str) -> String {
    Redactor::default().text(text).into_owned()
}

/// A made-up secret of that form: put together here, so that no file has one in it.
fn form(prefix: &str, length: usize) -> String {
    let letters = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6";
    prefix.to_owned() + &letters.chars().cycle().take(length).collect::<String>()
}

fn pem(kind: &str) -> String {
    let line = form("", 64);
    format!("-----BEGIN {kind}PRIVATE KEY-----\n{line}\n{line}\nAAAA==\n-----END {kind}PRIVATE KEY-----\n")
}

/// Text with the secret between braces `«»`, and what is left of it.
const NAMED: &[&str] = &[
    "password=«hunter2»",
    "password: «hunter2»",
    "Password:  «correct-horse»",
    "passwd=«x»",
    "db_passwd = «x1y2z3w4»",
    "DB_PASSWORD=«correct horse; battery & staple»",
    "export GITHUB_TOKEN=«abc»",
    "  AWS_SECRET_ACCESS_KEY=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»",
    "+ API_KEY=«abc» ",
    "MYSQL_PWD=«geheim»",
    "https://example.org/?token=«abc»&page=2",
    "https://example.org/?a=1&access_token=«ya-29»",
    "postgres://app:«s3cr3t»@db:5432/app",
    "redis://:«p@ss»@cache:6379",
    "https://«abcdefghij0123456789abcd»@github.com/x/y.git",
    "Authorization: Bearer «abc.def-123»",
    "authorization: Basic «dXNlcjpwYXNz»",
    "Authorization: token «0123456789abcdef»",
    "Proxy-Authorization: Digest «username=\"u\", response=\"6629fae4\"»",
    "Authorization: «0123456789abcdef»",
    "-H 'Authorization: Bearer «xyz»' https://example.org",
    "got header bearer «abcdefghijklmnop0123»",
    "Cookie: «session=abcdef; other=1»",
    "< Set-Cookie: «sid=31d4d96e407aad42; Path=/; HttpOnly»",
    "X-Api-Key: «abcd1234»",
    "x-api-key: «abcdefgh»",
    "{\"api_key\":\"«abc»\"}",
    "{\"apiKey\" : \"«abc def»\", \"b\": 1}",
    "{\"client_secret\": \"«with \\\" quote»\"}",
    "{'password': '«it\\'s»'}",
    "\"{\\\"password\\\":\\\"«abc»\\\"}\"",
    "password => \"«abc»\"",
    "token := \"«abc»\"",
    "let secret = b\"«abc»\";",
    "mytool --password «hunter2» --verbose",
    "mytool --api-key \"«a b c»\" run",
    "mytool --client-secret '«a b»'",
    "mytool --auth-token=«abc»",
    "mysql -uroot --password=«abc» db",
    "curl -u admin:«hunter2» https://example.org",
    "curl --user 'admin:«hunter 2»'",
    "sshpass -p «hunter2» ssh host",
    "machine example.org login me password «abc»",
    "<db:password>«abc»</db:password>",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«abc+/12==»;EndpointSuffix=core",
    "passphrase=«open-sesame»",
    "token: «9f86d081884c7d65»",
    "secret_key_2=«abc»",
    "https://hooks.slack.com/services/«T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX»",
];

fn formed() -> Vec<String> {
    [
        ("AKIA", 16),
        ("ASIA", 16),
        ("ghp_", 36),
        ("gho_", 36),
        ("ghs_", 36),
        ("github_pat_", 40),
        ("glpat-", 20),
        ("xoxb-", 40),
        ("xoxp-", 40),
        ("xapp-1-", 40),
        ("sk-", 48),
        ("sk-ant-api03-", 90),
        ("sk-proj-", 60),
        ("sk_live_", 24),
        ("rk_live_", 24),
        ("whsec_", 32),
        ("gsk_", 50),
        ("xai-", 80),
        ("pplx-", 48),
        ("AIza", 35),
        ("ya29.", 60),
        ("GOCSPX-", 28),
        ("npm_", 36),
        ("pypi-", 80),
        ("cio", 32),
        ("hf_", 34),
        ("r8_", 37),
        ("shpat_", 32),
        ("hvs.", 40),
        ("lin_api_", 40),
        ("ntn_", 46),
        ("dckr_pat_", 27),
        ("ATATT3x", 100),
        ("figd_", 40),
        ("tskey-auth-", 30),
        ("glsa_", 40),
        ("dp.pt.", 43),
        ("pscale_tkn_", 43),
        ("123456789:AA", 33),
    ]
    .into_iter()
    .map(|(prefix, length)| {
        let token = form(prefix, length);
        if matches!(prefix, "AKIA" | "ASIA") { token.to_ascii_uppercase() } else { token }
    })
    .chain([
        form("eyJ", 20) + "." + &form("eyJ", 40) + "." + &form("", 43),
        form("SG.", 22) + "." + &form("", 43),
        "SK".to_owned() + &"0a1b2c3d".repeat(4),
        "key-".to_owned() + &"0a1b2c3d".repeat(4),
        "dapi".to_owned() + &"0a1b2c3d".repeat(4),
        "dop_v1_".to_owned() + &"0a1b2c3d".repeat(8),
        "sbp_".to_owned() + &"0a1b2c3d".repeat(5),
        "AGE-SECRET-KEY-1".to_owned() + &"QPZRY9X8".repeat(7),
        "NRAK-".to_owned() + &"QPZRY9X8".repeat(3),
    ])
    .collect()
}

#[test]
fn secrets_with_a_name_go_and_the_name_stays() {
    for case in NAMED {
        let text = case.replace(['«', '»'], "");
        let (before, rest) = case.split_once('«').unwrap();
        let (_, after) = rest.split_once('»').unwrap();
        let after = if case.starts_with('+') { "" } else { after };
        assert_eq!(redacted(&text), format!("{before}[redacted]{after}"), "{case}");
    }
}

#[test]
fn secrets_go_by_their_form_wherever_they_stand() {
    for secret in formed() {
        for around in ["", "x: ", "(", "\"", "error in '", "a=", "https://example.org/", "\n"] {
            let text = format!("{around}{secret} then more");
            let new = redacted(&text);
            assert!(!new.contains(&secret[secret.len() - 8..]), "{text}: {new}");
            assert!(new.ends_with(" then more"), "{text}: {new}");
        }
    }
}

#[test]
fn private_keys_go_also_without_their_first_or_their_last_line() {
    for kind in ["", "RSA ", "OPENSSH ", "EC ", "ENCRYPTED "] {
        let key = pem(kind);
        let expected =
            format!("a\n-----BEGIN {kind}PRIVATE KEY-----[redacted]-----END {kind}PRIVATE KEY-----\nb");
        assert_eq!(redacted(&format!("a\n{key}b")), expected);
        assert_eq!(redacted(&format!("private_key={key}")).matches("A1b2").count(), 0);
        assert_eq!(redacted(&format!("PRIVATE_KEY={key}")).matches("A1b2").count(), 0);
        for cut in 40..key.len() - 40 {
            for part in [&key[..cut], &key[cut..]] {
                let new = redacted(part);
                assert!(!new.contains("A1b2") && !new.contains("C3d4"), "{part} became {new}");
            }
        }
        let in_json = serde_json::json!({ "key": key, "other": "kept" }).to_string();
        for new in [
            redacted(&in_json),
            String::from_utf8_lossy(&Redactor::default().json(in_json.as_bytes())).into_owned(),
        ] {
            assert!(!new.contains("A1b2") && new.contains("kept"), "{new}");
            assert!(serde_json::from_str::<serde_json::Value>(&new).is_ok(), "{new}");
        }
        let tail = in_json.split_once("KEY-----").unwrap().1;
        assert!(!redacted(&tail[10..]).contains("A1b2"), "{}", redacted(&tail[10..]));
    }
}

/// What looks as if it were a secret to a careless eye.
const INNOCENT: &[&str] = &[
    "the password reset page",
    "tokenizer: loaded 32000 tokens",
    "input_tokens: 1234, output_tokens: 5678901234",
    "max_tokens=4096",
    "{\"usage\":{\"input_tokens\":12,\"cache_read_input_tokens\":123456789}}",
    "SyntaxError: Unexpected token: <",
    "error: expected one of `;`, found token: identifier",
    "unexpected token `}` in src/lib.rs:12:3",
    "commit ab1bb1e4c0ffee00deadbeef0123456789abcdef",
    "HEAD is now at ab1bb1e Test builds link faster",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "id: 123e4567-e89b-12d3-a456-426614174000",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
    "PWD=/home/me/project",
    "OLDPWD=/tmp",
    "pwd: /home/me",
    "password: required",
    "Password: ",
    "password=$DB_PASSWORD",
    "password: ${{ secrets.PASSWORD }}",
    "TOKEN=${GITHUB_TOKEN}",
    "password: null",
    "\"password\": \"\"",
    "secret: none",
    "fn token(&self) -> Token { self.token }",
    "let token = parser.next();",
    "token = stream.peek()",
    "docker run -u 1000:1000 image",
    "http://localhost:3000/@scope/package",
    "see https://example.org/docs/password-reset?page=2",
    "git clone git@github.com:owner/name.git",
    "user@example.org wrote: hello",
    "primary_key: id, foreign_key: user_id",
    "sort_key=name",
    "key: value",
    "keyboard=qwerty",
    "task-list-with-a-rather-long-name-of-words",
    "sk-loading-spinner-container-element",
    "the bearer of bad news arrived",
    "bearer authentication-required",
    "author: Jane Doe",
    "authorize: true",
    "authorization: required",
    "cookie: chocolate chip",
    "secretary: Bob",
    "compass=north",
    "3 passed; 0 failed",
    "pass: 5",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@host",
    "eyJhbGciOiJub25lIn0",
    "AKIA is the prefix of a key's id",
    "ghp_ is a prefix",
    "xoxb-1 is too short",
    "/usr/lib/python3/secrets.py",
    "import secrets; secrets.token_hex()",
    "error[E0308]: mismatched types",
    "thread 'main' panicked at src/main.rs:10:5",
    "npm_config_registry=https://example.org",
    "next_token_id",
    "see RFC 6749 section 4.1",
    "12:34:56 INFO token bucket refilled",
    "{\"tool_name\":\"Bash\",\"tool_input\":{\"command\":\"ls -la\"},\"session_id\":\"abc123\"}",
    "[redacted]",
    "password=[redacted]",
    "",
];

#[test]
fn what_is_no_secret_stays() {
    for text in INNOCENT {
        assert_eq!(redacted(text), *text);
        let json = serde_json::json!({ "text": text }).to_string();
        assert!(matches!(Redactor::default().json(json.as_bytes()), Cow::Borrowed(_)), "{json}");
    }
}

#[test]
fn json_keeps_its_form_and_loses_what_a_name_or_a_form_gives_away() {
    let token = form("ghp_", 36);
    for (document, expected) in [
        (
            r#"{ "password" : "a\"b\nc" , "n" : 1e999 }"#.to_owned(),
            r#"{ "password" : "[redacted]" , "n" : 1e999 }"#,
        ),
        (
            r#"{"token":["a","b",{"c":"d"}],"c":"d"}"#.to_owned(),
            r#"{"token":["[redacted]","[redacted]",{"c":"d"}],"c":"d"}"#,
        ),
        (
            r#"{"password":1234,"tokens":5,"token":6}"#.to_owned(),
            r#"{"password":"[redacted]","tokens":5,"token":6}"#,
        ),
        (r#"{"Authorization":"Bearer abc"}"#.to_owned(), r#"{"Authorization":"Bearer [redacted]"}"#),
        (
            r#"{"password":null,"secret":true,"pwd":"/home"}"#.to_owned(),
            r#"{"password":null,"secret":true,"pwd":"/home"}"#,
        ),
        (
            r#"{"a":{"command":"curl -H \"Authorization: Bearer abc\" -u a:b \\ \u00e4"}}"#.to_owned(),
            r#"{"a":{"command":"curl -H \"Authorization: Bearer [redacted]\" -u a:[redacted] \\ ä"}}"#,
        ),
        (format!(r#"{{"{token}":"\u0067{}"}}"#, &token[1..]), r#"{"[redacted]":"[redacted]"}"#),
        (
            r#"{"\u0070assword":"a","password":"b"}"#.to_owned(),
            r#"{"\u0070assword":"[redacted]","password":"[redacted]"}"#,
        ),
    ] {
        let new = Redactor::default().json(document.as_bytes()).into_owned();
        assert_eq!(String::from_utf8(new).unwrap(), expected);
    }
    let broken = b"{\"password\":\"a\xff\",\"b\":\"c\xff\"}";
    assert_eq!(&*Redactor::default().json(broken), b"{\"password\":\"[redacted]\",\"b\":\"c\xff\"}");
}

#[test]
fn what_is_no_json_hides_nothing() {
    let redactor = Redactor::default().with_known([&b"tangerine"[..]]);
    for (document, expected) in [
        ("password=hunter2", "password=[redacted]"),
        (r#"{"a": tangerine, "password": "b"}"#, r#"{"a": [redacted], "password": "[redacted]"}"#),
        (r#"{"password": hunter2 }"#, r#"{"password": [redacted] }"#),
        (r#"["\q tangerine", true, null]"#, r#"["\q [redacted]", true, null]"#),
        // Half a pair, which is JSON, and what a text cut between two letters ends with.
        (r#"{"a":"tangerin\u0065 \ud83d"}"#, "{\"a\":\"[redacted] \u{fffd}\u{fffd}\u{fffd}\"}"),
        (r#"{"a":"\ud83d","b":"c"}"#, r#"{"a":"\ud83d","b":"c"}"#),
    ] {
        assert_eq!(redactor.json(document.as_bytes()).as_ref(), expected.as_bytes(), "{document}");
    }
}

#[test]
fn own_patterns_replace_their_group_or_all_of_it() {
    let own = |patterns: &[&str]| Redactor::new(false, patterns).unwrap();
    assert_eq!(
        own(&["id-[0-9]+", "b(?<secret>c*)d"]).text("id-7 bccd bd password=x"),
        "[redacted] b[redacted]d bd password=x"
    );
    assert_eq!(own(&["b(?<secret>c)?d"]).text("bd bcd"), "bd b[redacted]d");
    assert_eq!(own(&["abc", "bcd", "cde"]).text("xabcdex"), "x[redacted]x");
    assert_eq!(Redactor::new(true, &["x+"]).unwrap().text("xx password=y"), "[redacted] password=[redacted]");
    assert_eq!(Redactor::off().text("password=x"), "password=x");
    assert_eq!(
        &*own(&["[0-9]{16}"]).json(br#"{"a":4111111111111111,"b":"4111111111111111"}"#),
        br#"{"a":"[redacted]","b":"[redacted]"}"#
    );
    for (pattern, says) in [
        ("a(b", "unclosed group"),
        ("x*", "empty text"),
        (r"(?-u:\xc3)", "invalid UTF-8"),
        ("[a-z]{1000}{1000}", "too large"),
        (&"x".repeat(5000), "longer than"),
    ] {
        let errors = Redactor::new(true, &["fine", pattern]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].index == 1 && errors[0].message.contains(says), "{errors:?}");
    }
    let errors = Redactor::new(true, &["a"; 70]).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn what_is_known_goes_wherever_it_stands_and_nobody_is_shown_it() {
    let secrets: [&[u8]; 4] = [b"tangerine", b"short", b"a.b*c(d)e", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"];
    let redactor = Redactor::new(false, &["x-[0-9]+"]).unwrap().with_known(secrets);
    assert_eq!(redactor.text("xtangerines x-1 short a.b*c(d)e"), "x[redacted]s [redacted] short [redacted]");
    assert_eq!(redactor.bytes(b"<\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8>").as_ref(), b"<[redacted]>");
    assert_eq!(redactor.json(br#"["tangerin\u0065"]"#).as_ref(), br#"["[redacted]"]"#);
    assert!(!format!("{redactor:?}").contains("74"), "{redactor:?}");
    assert_eq!(redactor, Redactor::new(false, &["x-[0-9]+"]).unwrap().with_known(secrets.into_iter().rev()));
    assert_ne!(redactor, Redactor::new(false, &["x-[0-9]+"]).unwrap());
    assert_eq!(Redactor::off().with_known(secrets).text("tangerine"), "tangerine");
    let long = "y".repeat(128 * 1024);
    let of_long = Redactor::default().with_known([long.as_bytes()]);
    assert_eq!(of_long.text(&format!("x{long}")), "x[redacted]");
    assert_eq!(of_long.text(&long[..100]), "[redacted]", "so much of it that it can be nothing else");
    assert_eq!(redactor.starred("é tangerine é"), "é ********* é");
}

fn planted() -> impl Strategy<Value = String> {
    let formed = formed();
    (0..formed.len()).prop_map(move |at| formed[at].clone())
}

proptest! {
    #[test]
    fn any_bytes_are_redacted_once(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let redactor = Redactor::default();
        let once = redactor.bytes(&text).into_owned();
        prop_assert_eq!(redactor.bytes(&once).into_owned(), once);
    }

    #[test]
    fn text_made_of_names_and_signs_is_redacted_once(
        parts in prop::collection::vec(prop::sample::select(vec![
            "password", "token", "=", ":", " ", "\"", "'", "\\", "\n", "a", "1", "bearer ", "Authorization: ", "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----", "abc", "00000000", "://", "@", "[redacted]", "$", "{", "}", "--", "<", ">", "Cookie: ", "-u ", ",", "(", "\\n",
        ]), 0..24),
    ) {
        let text = parts.concat();
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once);
    }

    #[test]
    fn a_planted_secret_is_gone_whatever_stands_around_it(before in "(.|\n){0,40}[ \n\"'=:(]", secret in planted(), after in "[ \n\"',;)](.|\n){0,40}") {
        let new = redacted(&format!("{before}{secret}{after}"));
        prop_assert!(!new.contains(&secret[secret.len() - 12..]), "{}", new);
    }

    #[test]
    fn json_stays_json(document in any::<i64>(), texts in prop::collection::vec(("(.|\n){0,12}|password|token", "(.|\n){0,20}|password=x1"), 0..6)) {
        let mut members: serde_json::Map<_, _> = texts.into_iter().map(|(k, v)| (k, v.into())).collect();
        members.insert("n".to_owned(), document.into());
        let text = serde_json::to_vec(&members).unwrap();
        let new = Redactor::default().json(&text).into_owned();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&new).unwrap();
        prop_assert!(read.len() <= members.len());
        prop_assert_eq!(Redactor::default().json(&new).into_owned(), new);
    }
}

/// Eight times the text is about eight times the work, and not sixty-four times: in processor time, which a busy machine
/// does not change, of the fastest of a few looks.
#[test]
fn hostile_texts_are_no_more_work_than_their_length() {
    let redactor = Redactor::new(true, &["badge-(?<secret>[0-9]+)", "(?:x+x+)+y"]).unwrap();
    for part in [
        "token:",
        "password=",
        "\"token\":\"",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "MIIEvQ\n",
        "A1",
        "A_TOKEN",
        "token: a",
        "token=() ",
        "://a:",
        "--a-",
        " -u a:",
        "<token>",
        "eyJ",
        "eyJaaaaaaaa.",
        "Authorization: digest ",
        "export ",
        "badge-",
        "xx",
        "\\",
        "[redacted]",
    ] {
        let time = |bytes: usize, document: bool| {
            let text = part.repeat(bytes / part.len());
            let text = if document { serde_json::to_vec(&[text]).unwrap() } else { text.into_bytes() };
            let look = || {
                let begun = clock_gettime(ClockId::ThreadCPUTime);
                let _ = if document { redactor.json(&text) } else { redactor.bytes(&text) };
                clock_gettime(ClockId::ThreadCPUTime) - begun
            };
            let fastest = (0..5).map(|_| look()).min().unwrap();
            Duration::try_from(fastest).unwrap()
        };
        for document in [false, true] {
            let (short, long) = (time(16 * 1024, document), time(128 * 1024, document));
            assert!(long < short * 24, "{part:?} {document}: {short:?} and {long:?}");
        }
    }
}
