//! Secrets: handlers get them, and nothing that is written down has them.

use crate::env::TestEnv;

const EVENT: &str = r#"{"type":"X","session_id":"s","command":"curl -u me:Zq1secret","password":"Zq2secret","note":"badge-Zq3"}"#;

const HOOKS: &str = "[redact]\npatterns = ['badge-(?<secret>\\w+)']\n[hook.tells]\non = ['X']\n\
     run = 'cat; env; echo \"token=Zq4secret $OWN badge-Zq6\" >&2; exit 3'\nenv = { OWN = 'password: Zq5secret' }\n\
     [hook.says]\non = ['X']\nmode = 'lines'\n\
     run = '''read line; id=${line#*id?:?}; echo \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"ok\\\":false,\\\"message\\\":\\\"password=Zq7secret\\\"}\"'''\n\
     [hook.breaks]\non = ['X']\nmode = 'lines'\nrun = 'echo \"{password=Zq8secret\"; exit 1'\n\
     [hook.keeps]\non = ['X']\nrun = 'cat > kept'\n";

#[test]
fn no_report_and_no_log_line_has_a_secret_and_handlers_have_them_all() {
    for format in [&["--log-format", "json"][..], &[]] {
        for report in ["json", "text"] {
            let env = TestEnv::with_hooks(HOOKS)
                .variable("SERVICE_TOKEN", "Zq9secret")
                .variable("UNNAMED", "ghp_Zq0secretZq0secretZq0secretZq0se");
            let args = [&["-vvv", "run", "e", "--show-output", "--report", report], format].concat();
            env.write("e", EVENT);
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

/// The configuration's own text is shown by who asks for it; the environment never is.
#[test]
fn the_environment_is_in_no_log_line_and_in_no_listing() {
    let env = TestEnv::with_hooks(
        "[hook.a]\non = ['X']\nrun = ['echo', '${env:PLAIN}']\nenv = { B = '${env:PLAIN}' }\n",
    )
    .variable("PLAIN", "Zq-no-form-at-all");
    env.write("e", "{\"type\":\"X\"}");
    for args in [&["-vvv", "run", "e"][..], &["-vvv", "config", "--origins"], &["-vvv", "check"]] {
        let done = env.run(args);
        assert!(!done.stdout.contains("Zq-no") && !done.stderr.contains("Zq-no"), "{args:?}: {done:?}");
    }
}
