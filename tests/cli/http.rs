//! Secrets of web services: whatever goes wrong, no output has them.

#![cfg(feature = "http")]

use crate::env::{TestEnv, lone};
use crate::server::{Server, answer};

/// A service that repeats all that it gets: at full length, and where the message will be cut.
fn echo(status: u16, lead: usize) -> Server {
    Server::answering(move |request| {
        let all = format!("{}{} {:?}", "x".repeat(lead), request.first, request.headers);
        let said =
            if status == 200 { serde_json::json!({ "ok": false, "message": all }).to_string() } else { all };
        answer(status, &said)
    })
}

#[test]
fn no_output_has_a_secret() {
    let secrets =
        ["hunter2-of-the-address", "hunter3-of-the-header", "hunter4-of-the-variable", "hunter5-of-the-file"];
    for (status, lead) in [(200, 0), (500, 0), (500, 170), (500, 190)] {
        let server = echo(status, lead);
        let env = TestEnv::with_hooks(
            "[hook.a]\non = ['*']\nurl = '${env:ADDRESS}'\nheaders.Authorization = 'Bearer ${env:TOKEN}'\n\
             headers.X-Key = 'Key hunter5-of-the-file'\n\
             retry = { attempts = 2, backoff = '1ms' }\n",
        )
        .variable("ADDRESS", &format!("{}?key={}", server.url(), secrets[0]))
        .variable("TOKEN", secrets[1])
        .variable("HOOKPOOL_HOOK__A__HEADERS__X_Own", secrets[2])
        .variable("HOOKPOOL_DEBUG", "1");
        env.write("events.jsonl", lone("X"));
        for args in [
            &["run", "-vv", "--show-output", "--report", "json", "events.jsonl"][..],
            &["run", "--report", "text", "events.jsonl"],
            &["check"],
            &["config", "--origins"],
            &["run", "--dry-run", "events.jsonl"],
        ] {
            let done = env.run(args);
            // `config` shows what files say.
            let secrets = &secrets[..if args[0] == "config" { 3 } else { 4 }];
            for secret in secrets {
                for begin in 8..=secret.len() {
                    assert!(!done.stdout.contains(&secret[..begin]), "{args:?}: {}", done.stdout);
                    assert!(!done.stderr.contains(&secret[..begin]), "{args:?}: {}", done.stderr);
                }
            }
        }
        let requests = server.requests();
        assert!(requests.len() >= 2, "the service was asked");
        assert!(requests[0].first.contains(secrets[0]), "{:?}", requests[0]);
        assert_eq!(requests[0].header("Authorization"), Some(&*format!("Bearer {}", secrets[1])));
        assert_eq!(requests[0].header("X_Own"), Some(secrets[2]));
    }
}

#[test]
fn what_is_wrong_with_a_secret_does_not_tell_it() {
    let env =
        TestEnv::with_hooks("[hook.a]\non = ['*']\nurl = '${env:ADDRESS}'\nheaders.A = '${env:TOKEN}'\n")
            .variable("ADDRESS", "http://user:hunter2@example.com/")
            .variable("TOKEN", "hunter3\nX-Evil: 1")
            .variable("HOOKPOOL_HOOK__A__HEADERS__B", "hunter4\n")
            .variable("HOOKPOOL_HOOK__A__HEADERS", "Bearer hunter5");
    for args in [&["check"][..], &["check", "--report", "json"], &["config", "--origins"]] {
        let done = env.run(args);
        assert_eq!(done.code, Some(3), "{args:?}");
        let said = format!("{}{}", done.stdout, done.stderr);
        for key in ["hook.a.url", "hook.a.headers`", "hook.a.headers.A", "hook.a.headers.B"] {
            assert!(said.contains(key), "{args:?}: {said}");
        }
        assert!(!said.contains("hunter"), "{args:?}: {said}");
    }
}

#[test]
fn what_looks_like_a_secret_in_a_refusal_is_taken_out_before_it_is_cut() {
    let secret = format!("ghp_{}", "a1B2".repeat(9));
    for lead in [0, 170, 185] {
        let said = format!("{} {secret}", "x".repeat(lead));
        let server = Server::answering(move |_| answer(500, &said));
        let env = TestEnv::with_hooks(&format!("[hook.a]\non = ['*']\nurl = '{}'\n", server.url()));
        env.write("events.jsonl", lone("X"));
        let done = env.run(&["run", "-vv", "--report", "text", "events.jsonl"]);
        assert!(done.stdout.contains("HTTP 500"), "{}", done.stdout);
        for text in [&done.stdout, &done.stderr] {
            assert!(!text.contains(&secret[..8]), "{text}");
        }
    }
}
