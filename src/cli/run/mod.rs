//! The command `run`: events from files, a stream or the bundled demo, through a pool, to a report.

mod demo;
mod dry;
mod output;
mod source;

use std::io::{IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hookpool::config::ConfigLoader;
use hookpool::{Config, DeadLetterCounts, Event, HookPool, Ledger, OutcomeKind, Recorder, Redactor};

use self::source::{Found, Sources};
use super::args::{LogArgs, ReportFormat, RunArgs, WhenFull};
use super::error::{CliError, HOOKS_FAILED, complain};
use super::input::Pace;
use super::logging::{self, Level};
#[cfg(feature = "metrics-http")]
use super::metrics;
use super::metrics::MetricsFile;
use super::progress::{Progress, ProgressCounts};
use super::reload::Reloads;
use super::report::json::{self, Layout};
use super::report::{EventCounts, Failures, Palette, RunReport, text};
use super::signals::{Signals, Stop};

/// Runs the command, and answers with the exit code.
pub(super) fn run(args: &RunArgs, log: &LogArgs) -> Result<ExitCode, CliError> {
    let begun = Instant::now();
    let progress = Arc::new(if args.dry_run { Progress::hidden() } else { Progress::on_stderr() });
    let (config, level) = load(args, log, &progress)?;
    if args.dry_run {
        return dry::run(args, config);
    }
    let metrics = args.metrics.as_deref().map(MetricsFile::at).transpose()?;
    let record = |source| CliError::Record { path: args.record.clone().unwrap_or_default(), source };
    let recorder = args.record.as_ref().map(Recorder::create).transpose().map_err(record)?;
    let reloads = is_stream(args);
    let signals = Signals::watch(reloads).map_err(CliError::Signals)?;
    let failures = Arc::new(Mutex::new(Failures::default()));
    let (noted, show_output, line) = (Arc::clone(&failures), args.show_output, Arc::clone(&progress));
    // Of the pool, before which there is no outcome.
    let redactor = Arc::new(OnceLock::<Redactor>::new());
    let shown_by = Arc::clone(&redactor);
    let limit = config.queue.max_event_bytes;
    let is_live = args.rate.is_some() || args.realtime;
    let mut builder = HookPool::builder();
    if let Some(recorder) = &recorder {
        builder = builder.record(recorder);
    }
    let pool = builder
        .config(config)
        .replay(!is_live)
        .sweep_escapees(true)
        .on_outcome(move |outcome| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).record(outcome);
            if show_output {
                line.clear();
                output::show(outcome, shown_by.get());
            }
        })
        .build()?;
    let _ = redactor.set(pool.redactor());
    let stop = signals.serve(&pool, reloads.then(|| Reloads::new(level))).map_err(CliError::Signals)?;
    #[cfg(feature = "metrics-http")]
    if let Some(address) = args.metrics_listen {
        let address = metrics::serve(address, &pool)?;
        complain(&format!("hookpool: metrics are at http://{address}/metrics"));
    }
    let strays = sweep_strays();

    let mut replay = Replay {
        pool: &pool,
        pace: pace(args),
        waits: args.when_full.map_or(!is_live, |what| what == WhenFull::Wait),
        stop: &stop,
        begun,
        counts: EventCounts::default(),
        progress: &progress,
    };
    let mut sources = Sources::new(args, limit, &stop);
    let read = replay.feed(&mut sources);
    let ledger = replay.drain();
    let counts = replay.counts;
    if let Some(strays) = strays {
        let _ = strays.join();
    }

    let DeadLetterCounts { written, dropped, failed, .. } = pool.dead_letters();
    if dropped + failed > 0 {
        complain(&format!(
            "hookpool: {written} dead letters were written; {failed} could not be, and {dropped} came too fast"
        ));
    }
    let failures = std::mem::take(&mut *failures.lock().unwrap_or_else(PoisonError::into_inner));
    let report =
        RunReport { events: counts, ledger, elapsed: begun.elapsed(), failures: failures.into_notes() };
    let lost = recorder.map_or(Ok(0), |recorder| recorder.finish().map(|done| done.lost));
    // Before the report, as whoever reads that may have had enough.
    let written = metrics.map_or(Ok(()), |file| file.write(report.ledger.snapshot.clone()));
    print(args, &report)?;
    written?;
    read?;
    if !report.ledger.is_balanced() {
        return Err(CliError::Internal("the ledger does not balance".to_owned()));
    }
    let lost = lost.map_err(record)?;
    if lost > 0 {
        complain(&format!(
            "hookpool: {lost} lines of the recording came too fast for its file, and are missing"
        ));
    }
    let total = &report.ledger.snapshot.total;
    let failed = OutcomeKind::ALL.iter().any(|kind| kind.is_failure() && total.outcome(*kind) > 0);
    Ok(match stop.signal() {
        Some(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        None if failed && args.strict => ExitCode::from(HOOKS_FAILED),
        None => ExitCode::SUCCESS,
    })
}

/// Looks for handlers of a hookpool that was killed, beside everything else.
fn sweep_strays() -> Option<JoinHandle<()>> {
    let sweep = || {
        let killed = HookPool::sweep_strays();
        if killed > 0 {
            tracing::warn!(killed, "killed handlers that a killed hookpool had left");
        }
    };
    // Without a thread to spare it is left to the next start.
    std::thread::Builder::new().name("hookpool-strays".to_owned()).spawn(sweep).ok()
}

/// The configuration of the demo, or that of the user; logging is on from here.
fn load(args: &RunArgs, log: &LogArgs, progress: &Arc<Progress>) -> Result<(Config, Level), CliError> {
    // An option, so that it stands above whatever is loaded later.
    let with_options = |loader: ConfigLoader| match args.drain_timeout {
        Some(drain) => loader.overrides("shutdown.drain", format!("{}ns", drain.as_nanos())),
        None => loader,
    };
    if args.files.is_empty() {
        let level = logging::start(log, false, progress);
        return Ok((with_options(demo::config()?).load()?.config, level));
    }
    let loaded = with_options(ConfigLoader::standard(args.config.as_deref())).load()?;
    let level = logging::start(log, loaded.config.debug, progress);
    if loaded.config.files.is_empty() {
        tracing::info!("no configuration file was found");
    }
    for file in &loaded.config.files {
        tracing::info!(file = %file.display(), "configuration file");
    }
    for warning in &loaded.warnings {
        complain(&warning.to_string());
    }
    if loaded.config.hooks.is_empty() {
        complain(
            "hookpool: no hooks are configured, so nothing will run: write some into hooks.toml, or name a file with \
             --config",
        );
    }
    Ok((loaded.config, level))
}

/// The events come as they happen, so that a change of the configuration can matter to later ones.
fn is_stream(args: &RunArgs) -> bool {
    let is_pipe = |path: &PathBuf| {
        path == Path::new("-") || std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo())
    };
    args.rate.is_some() || args.realtime || args.files.iter().any(is_pipe)
}

fn pace(args: &RunArgs) -> Pace {
    match args.rate {
        Some(rate) => Pace::rate(rate),
        None if args.realtime => Pace::realtime(),
        None => Pace::full_speed(),
    }
}

/// The way of the events from the input to the pool.
struct Replay<'a> {
    pool: &'a HookPool,
    pace: Pace,
    /// A full queue is waited for.
    waits: bool,
    stop: &'a Stop,
    begun: Instant,
    counts: EventCounts,
    progress: &'a Progress,
}

impl Replay<'_> {
    /// Submits every event of the input, until its end or a signal.
    fn feed(&mut self, sources: &mut Sources) -> Result<(), CliError> {
        while self.stop.signal().is_none()
            && let Some(found) = sources.next()?
        {
            self.counts.read += 1;
            match found {
                Found::Event(event) => {
                    if !self.hand_over(None, event) {
                        break;
                    }
                }
                Found::DeadLetter(hook, event) => {
                    if !self.hand_over(Some(&hook), event) {
                        break;
                    }
                }
                // Cut off by the signal, not by whoever wrote it.
                Found::Invalid(_) if self.stop.signal().is_some() => {
                    self.counts.read -= 1;
                    break;
                }
                Found::Invalid(complaint) => {
                    self.counts.invalid += 1;
                    self.progress.clear();
                    complain(&complaint);
                }
            }
            self.tick();
        }
        Ok(())
    }

    /// Submits the event when it is its turn, to one hook alone if one is named. False: a signal came first.
    fn hand_over(&mut self, only: Option<&str>, event: Event) -> bool {
        if self.wait_for_turn(&event) {
            // It was read, and not submitted.
            self.counts.read -= 1;
            return false;
        }
        let submission = match only {
            Some(hook) => self.pool.submit_to(hook, event, self.waits),
            None if self.waits => self.pool.submit_when_room(event),
            None => self.pool.submit(event),
        };
        if !submission.is_unmatched() {
            self.counts.matched += 1;
        }
        true
    }

    /// Waits until the event is due. True: a signal came first.
    fn wait_for_turn(&mut self, event: &Event) -> bool {
        let now = self.begun.elapsed();
        let left = self.pace.due(event.timestamp_ms(), now).saturating_sub(now);
        !left.is_zero() && self.stop.wait(left)
    }

    fn tick(&self) {
        self.progress.tick(Instant::now(), || {
            let total = self.pool.status().total;
            ProgressCounts {
                read: self.counts.read,
                done: total.resolved(),
                queued: total.queued(),
                running: total.running(),
            }
        });
    }

    /// Waits until everything has its outcome. A signal cuts this short, the end of the input does not.
    fn drain(&self) -> Ledger {
        const REFRESH: Duration = Duration::from_millis(100);
        let (done, is_done) = mpsc::channel();
        let pool = self.pool;
        std::thread::scope(|scope| {
            let draining = std::thread::Builder::new().spawn_scoped(scope, move || {
                // Whoever waits is there until it has come.
                let _ = done.send(pool.drain(Duration::MAX));
            });
            if draining.is_err() {
                // No thread is left for it: then without progress.
                return pool.drain(Duration::MAX);
            }
            loop {
                match is_done.recv_timeout(REFRESH) {
                    Ok(ledger) => {
                        self.progress.clear();
                        return ledger;
                    }
                    Err(_) => self.tick(),
                }
            }
        })
    }
}

/// Prints the report: the only thing that goes to standard output.
fn print(args: &RunArgs, report: &RunReport) -> Result<(), CliError> {
    let text = match args.report {
        ReportFormat::Json if std::io::stdout().is_terminal() => json::render(report, Layout::Indented),
        ReportFormat::Json => json::render(report, Layout::Line),
        ReportFormat::Text => text::render(report, &Palette::COLOURED),
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)
}
