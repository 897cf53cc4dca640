//! `run --dry-run`: which hooks each event would run, in which class, without running any.

use std::io::Write;
use std::process::ExitCode;

use hookpool::{Config, Event, HookPool, Preview};
use serde::Serialize;

use super::source::{Found, Sources};
use crate::cli::args::{ReportFormat, RunArgs};
use crate::cli::error::{CliError, complain};
use crate::cli::report::printable;
use crate::cli::signals::Stop;

/// Longest name that is shown, in characters.
const WIDTH: usize = 100;

/// One event of the input, as `--report json` shows it: one object a line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    event: &'a str,
    kind: &'a str,
    session: Option<&'a str>,
    tool: Option<&'a str>,
    hooks: Vec<Choice<'a>>,
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    hook: &'a str,
    class: &'a str,
    /// Why it would be skipped; null: it would run.
    skipped: Option<&'a str>,
}

pub(super) fn run(args: &RunArgs, config: Config) -> Result<ExitCode, CliError> {
    let limit = config.queue.max_event_bytes;
    let pool = HookPool::builder().config(config).build()?;
    let mut sources = Sources::new(args, limit, &Stop::never().map_err(CliError::Signals)?);
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let mut show = |event: &Event, hooks: &[Preview]| {
        let text = match args.report {
            ReportFormat::Text => as_text(event, hooks),
            ReportFormat::Json => as_json(event, hooks)?,
        };
        writeln!(out, "{text}").map_err(CliError::output)
    };
    while let Some(found) = sources.next()? {
        match found {
            Found::Invalid(complaint) => complain(&complaint),
            Found::Event(event) => show(&event, &pool.preview(&event))?,
            Found::DeadLetter(hook, event) => {
                let mut hooks = pool.preview(&event);
                hooks.retain(|preview| preview.hook.as_str() == hook);
                show(&event, &hooks)?;
            }
        }
    }
    out.flush().map_err(CliError::output)?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(event: &Event, hooks: &[Preview]) -> String {
    let mut text = format!("{} ({})", printable(event.name(), WIDTH), event.kind());
    if let Some(tool) = event.tool() {
        text.push(' ');
        text.push_str(&printable(tool, WIDTH));
    }
    text.push_str(" ->");
    if hooks.is_empty() {
        text.push_str(" no hook");
    }
    for (n, preview) in hooks.iter().enumerate() {
        text.push_str(if n == 0 { " " } else { ", " });
        text.push_str(preview.hook.as_str());
        match preview.skip {
            Some(why) => text.extend([" (skipped: ", why.name(), ")"]),
            None => text.extend([" (", preview.class.name(), ")"]),
        }
    }
    text
}

fn as_json(event: &Event, hooks: &[Preview]) -> Result<String, CliError> {
    let hooks = hooks.iter().map(|preview| Choice {
        hook: preview.hook.as_str(),
        class: preview.class.name(),
        skipped: preview.skip.map(hookpool::Skip::name),
    });
    let line = Line {
        event: event.name(),
        kind: event.kind().name(),
        session: event.session(),
        tool: event.tool(),
        hooks: hooks.collect(),
    };
    serde_json::to_string(&line).map_err(|error| CliError::Internal(error.to_string()))
}
