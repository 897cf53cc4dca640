//! Secrets: handlers get them, and nothing that is written down has them.

use crate::env::TestEnv;

const EVENT: &str = r#"{"type":"X","session_id":"badge-ZqS","command":"curl -u me:Zq1secret","password":"Zq2secret","note":"badge-Zq3"}"#;

const HOOKS: &str = "[redact]\npatterns = ['badge-(?<secret>\\w+)']\n[hook.tells]\non = ['X']\n\
     run = 'cat; env; echo \"token=Zq4secret $OWN badge-Zq6\" >&2; exit 3'\nenv = { OWN = 'password: Zq5secret' }\n\
     [hook.says]\non = ['X']\nmode = 'lines'\n\
     run = '''read line; id=${line#*id?:?}; echo \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"ok\\\":false,\\\"message\\\":\\\"password=Zq7secret\\\"}\"'''\n\
     [hook.breaks]\non = ['X']\nmode = 'lines'\nrun = 'echo \"{password=Zq8secret\"; exit 1'\n\
     [hook.keeps]\non = ['X']\nrun = 'cat > kept'\n[hook.any]\non = '*'\nrun = 'true'\n";

/// The name of an event is its agent's, too.
const NAMED: &str = r#"{"type":"badge-ZqN","session_id":"s"}"#;

#[test]
fn no_report_and_no_log_line_has_a_secret_and_handlers_have_them_all() {
    for format in [&["--log-format", "json"][..], &[]] {
        for report in ["json", "text"] {
            let env = TestEnv::with_hooks(HOOKS)
                .variable("SERVICE_TOKEN", "Zq9secret")
                .variable("UNNAMED", "ghp_Zq0secretZq0secretZq0secretZq0se");
            let args = [&["-vvv", "run", "e", "--show-output", "--report", report], format].concat();
            env.write("e", format!("{EVENT}\n{NAMED}\n"));
            let done = env.run(&args);
            assert_eq!(done.code, Some(0), "{done:?}");
            let written = format!("{}{}", done.stdout, done.stderr);
            assert!(!written.contains("Zq"), "{written}");
            for kept in
                ["SERVICE_TOKEN=[redacted]", "password=[redacted]", "badge-[redacted]", "-u me:[redacted]"]
            {
                assert!(written.contains(kept), "{kept}: {written}");
            }
            assert_eq!(env.read("kept"), EVENT);
        }
    }
}

#[test]
fn who_switches_it_off_sees_everything() {
    let env = TestEnv::with_hooks(&format!("{HOOKS}\n[redact]\nenabled = false\n").replacen(
        "[redact]\npatterns",
        "#",
        1,
    ));
    env.write("e", EVENT);
    let done = env.run(&["run", "e", "--show-output"]);
    for secret in ["Zq1", "Zq2", "Zq3", "Zq4", "Zq5", "Zq6"] {
        assert!(done.stderr.contains(secret), "{done:?}");
    }
}

/// Secrets of no known form, wherever a hook can get one from: none is in anything that is said, whatever goes wrong. What
/// stands in a file is shown by who asks for that file's configuration, and by nobody else.
#[test]
fn the_environment_is_in_no_log_line_no_report_and_no_listing() {
    const FILLED: &str = "[hook.fine]\non = ['X']\nrun = ['sh', '-c', 'test \"$1\" = \"$PLAIN\" && test \"$B\" = \"at $PLAIN\"', '-', '${env:PLAIN}']\n\
         env = { B = 'at ${env:PLAIN}' }\nenv_clear = ['PATH', 'PLAIN']\n\
         [hook.tells]\non = ['X']\nrun = 'env >&2; echo \"it is ${env:PLAIN}, $OWN_TOKEN and $B\" >&2; exit 3'\n\
         env = { OWN_TOKEN = '5tangerine', B = '${env:PLAIN}' }\nenv_clear = true\n\
         [hook.missing]\non = ['X']\nrun = ['/no/such/${env:PLAIN}']\n\
         [hook.nowhere]\non = ['X']\nrun = 'true'\ncwd = '/no/such/${env:PLAIN}'\n\
         [hook.unfound]\non = ['X']\nrun = 'exec ${env:PLAIN}'\n\
         [hook.set]\non = ['X']\nrun = 'test ${#GIVEN} = 11'\n";
    let world = || {
        let env = TestEnv::with_hooks(FILLED)
            .variable("PLAIN", "Zq1-plain-1")
            .variable("UNUSED", "Zq2-unused-2")
            .variable("HOOKPOOL_HOOK__SET__ENV__GIVEN", "Zq3-set-333");
        env.write("e", "{\"type\":\"X\"}");
        env
    };
    let commands: [&[&str]; 9] = [
        &["run", "e", "--show-output"],
        &["run", "e", "--report", "json", "--log-format", "json"],
        &["run", "e", "--dry-run"],
        &["run", "e", "--record", "recording"],
        &["config"],
        &["config", "--origins"],
        &["check"],
        &["check", "--report", "json"],
        &["simulate", "--jobs", "10"],
    ];
    for args in commands {
        let env = world();
        let done = env.run(&[&["-vv"], args].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        let said = format!("{}{}{}", done.stdout, done.stderr, env.read("recording"));
        assert!(!said.contains("Zq"), "{args:?}: {said}");
        let is_listing = args.first() == Some(&"config");
        assert_eq!(said.contains("5tangerine"), is_listing, "{args:?}: {said}");
    }
    let env = world();
    let done = env.run(&["-vv", "run", "e", "--show-output", "--report", "json"]);
    assert_eq!(done.report().happened(), "succeeded 2, failed 2, not_started 2", "{done:?}");
    assert!(done.stderr.contains("it is [redacted], [redacted] and [redacted]"), "{done:?}");
    // What is listed means the same, in the same environment.
    let listed = env.run(&["config"]).stdout;
    assert!(listed.contains("env.GIVEN = \"${env:HOOKPOOL_HOOK__SET__ENV__GIVEN}\""), "{listed}");
    // Where it is wrong, too.
    for (name, value) in [
        ("HOOKPOOL_HOOK__SET__ENV", "Zq4"),
        ("HOOKPOOL_HOOK__SET__ENV__A", "${env:NONE}Zq4"),
        ("HOOKPOOL_POOL__WORKERS", "password=Zq4"),
    ] {
        let done = world().variable(name, value).run(&["-vv", "run", "e"]);
        assert!(done.code == Some(3) && !format!("{done:?}").contains("Zq"), "{done:?}");
    }
    env.write("hooks.toml", "[hook.a]\non = ['X']\nrun = 'x'\nenv = { TOKEN = 'Zq5secret', B = 3 }\n");
    let done = env.run(&["check"]);
    assert!(done.stdout.contains("TOKEN = '*********', B = 3"), "{done:?}");
}
