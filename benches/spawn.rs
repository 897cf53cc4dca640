//! What the runner adds to a start: `/bin/true` with 600 bytes of input and its output captured, against a bare loop
//! of the standard library that starts, feeds, reads and reaps. Once as it is, once with 1 GiB of touched memory.
//!
//! Rounds alternate, so that both sides see the same machine. `cargo bench --bench spawn`.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hookpool::process::{Cancel, Limits, Prepared, Runner};
use hookpool::{CommandLine, CommandSpec, InheritEnv, Leftovers, PerClass, ResourceLimits};

const ROUNDS: usize = 11;
const STARTS: usize = 400;
const INPUT: [u8; 600] = [b'x'; 600];

#[expect(clippy::print_stdout, reason = "the result of a bench is its output")]
fn main() {
    for threads in [1, 2] {
        println!("{}", compare("small process", threads));
    }
    let memory = vec![1_u8; 1 << 30];
    for threads in [1, 2] {
        println!("{}", compare("1 GiB touched", threads));
    }
    assert!(std::hint::black_box(memory).iter().step_by(4096).all(|&byte| byte == 1));
}

fn compare(what: &str, threads: usize) -> String {
    let spec = CommandSpec {
        line: CommandLine::Exec { program: "/bin/true".into(), args: Vec::new() },
        cwd: "/".into(),
        env: [("PATH".into(), "/usr/bin:/bin".into())].into(),
        inherit: InheritEnv::Only(Vec::new()),
        leftovers: Leftovers::Kill,
        limits: ResourceLimits::default(),
        nice: PerClass::default(),
    };
    let prepared = Prepared::new(&spec, &[]);
    let runner = Runner::default();
    let limits = Limits {
        timeout: Duration::from_secs(10),
        grace: Duration::from_secs(1),
        max_output: 64 * 1024,
        nice: 0,
    };
    let cancel = Cancel::new();
    let ours =
        || assert!(runner.run(&prepared, &INPUT, [("HOOKPOOL_JOB", "1")], &limits, &cancel).succeeded());
    let (mut theirs_all, mut ours_all) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (theirs, ours) = (starts_per_second(threads, bare), starts_per_second(threads, ours));
        // The first round warms up.
        if round > 0 {
            theirs_all.push(theirs);
            ours_all.push(ours);
        }
    }
    let ratios = theirs_all.iter().zip(&ours_all).map(|(theirs, ours)| ours / theirs).collect();
    format!(
        "{what}, {threads} thread(s): bare {:.0}/s, runner {:.0}/s, ratio {:.3}",
        median(theirs_all),
        median(ours_all),
        median(ratios)
    )
}

fn bare() {
    let mut child = Command::new("/bin/true")
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("/bin/true starts");
    // The program may be gone before it is fed.
    let _ = child.stdin.take().expect("it is a pipe").write_all(&INPUT);
    let mut output = Vec::new();
    child.stdout.take().expect("it is a pipe").read_to_end(&mut output).expect("it can be read");
    child.stderr.take().expect("it is a pipe").read_to_end(&mut output).expect("it can be read");
    assert!(child.wait().expect("it can be waited for").success());
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn starts_per_second(threads: usize, start: impl Fn() + Sync) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..STARTS / threads).for_each(|_| start()));
        }
    });
    STARTS as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
