//! Problems for people: each with its line and a caret, and one line at the end that sums up.

use std::fmt::Write;
use std::path::Path;

use hookpool::config::{Checked, Origin, Problem, Severity};
use hookpool::text::escape;

use crate::cli::report::units::some as count;
use crate::cli::report::{Palette, paint};

/// Most places that the last line names.
const PLACES: usize = 3;

/// The whole text, with a line break at its end.
pub(super) fn render(checked: &Checked, palette: &Palette) -> String {
    let mut text = String::new();
    for problem in &checked.problems {
        let _ = writeln!(text, "{}\n", shown(problem, palette));
    }
    text + &summary(checked, palette) + "\n"
}

/// As the problem shows itself, in colours.
fn shown(problem: &Problem, palette: &Palette) -> String {
    let style = match problem.severity {
        Severity::Error => palette.bad,
        Severity::Warning => palette.warning,
    };
    let plain = problem.to_string();
    let place = problem.origin.to_string();
    let severity = problem.severity.to_string();
    let head = format!("{place}: {severity}: ");
    let Some(rest) = plain.strip_prefix(&head) else { return plain };
    let head = format!("{}: {}: ", paint(palette.title, &place), paint(style, &severity));
    let lines = rest.lines().map(|line| match line.split_once(" | ") {
        // The caret stands alone behind the bar.
        Some((bar, caret)) if bar.trim().is_empty() && caret.trim_start() == "^" => {
            let (blank, caret) = caret.split_at(caret.len() - 1);
            format!("{bar} | {blank}{}", paint(style, caret))
        }
        _ => line.to_owned(),
    });
    head + &lines.collect::<Vec<_>>().join("\n")
}

fn summary(checked: &Checked, palette: &Palette) -> String {
    let (errors, warnings) = (checked.errors(), checked.warnings());
    if errors + warnings > 0 {
        let counts = [(errors, "error", palette.bad), (warnings, "warning", palette.warning)];
        let counts = counts.iter().filter(|(n, ..)| *n > 0);
        let counts = counts.map(|(n, what, style)| paint(*style, &count(*n as u64, what)));
        return format!("{}: {}", places(checked), counts.collect::<Vec<_>>().join(", "));
    }
    let good = paint(palette.good, "no problems");
    if checked.files.is_empty() {
        return format!("{good}: {}", no_file(checked));
    }
    let disabled = match checked.disabled {
        0 => String::new(),
        disabled => format!(" ({disabled} more switched off)"),
    };
    let files: Vec<_> = checked.files.iter().map(|file| name(file)).collect();
    format!("{good}: {}{disabled} from {}", count(checked.hooks as u64, "hook"), files.join(" and "))
}

/// Where the problems are.
fn places(checked: &Checked) -> String {
    let mut places = Vec::new();
    for problem in &checked.problems {
        let place = match &problem.origin {
            Origin::File { path, .. } => name(path),
            Origin::Variable { name, .. } => name.clone(),
            other => other.to_string(),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let more = places.len().saturating_sub(PLACES);
    places.truncate(PLACES);
    let places = places.join(", ");
    if more > 0 { format!("{places} and {more} more") } else { places }
}

/// A file's name, which may hold anything.
fn name(file: &Path) -> String {
    escape(&file.to_string_lossy()).into_owned()
}

/// Which files could have been there.
pub(super) fn no_file(checked: &Checked) -> String {
    let missing: Vec<_> = checked.missing.iter().map(|file| name(file)).collect();
    format!("there is no configuration file (looked for {})", missing.join(", "))
}
