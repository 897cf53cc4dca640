//! Problems for editors: a list of objects that all have the same members, `null` where there is nothing.

use hookpool::config::{Checked, Problem};
use serde::Serialize;

/// One problem. `line` and `column` count from 1, columns in characters.
#[derive(Serialize)]
struct Row<'a> {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    key: Option<&'a str>,
    severity: String,
    /// Begins with the place when that is no file, so that it can be shown alone.
    message: String,
    hint: Option<&'a str>,
    /// The environment variable, when it stands in one.
    variable: Option<&'a str>,
}

/// The list, with a line break at its end.
pub(super) fn render(checked: &Checked, indented: bool) -> String {
    let rows: Vec<Row<'_>> = checked.problems.iter().map(row).collect();
    let text = if indented { serde_json::to_string_pretty(&rows) } else { serde_json::to_string(&rows) };
    text.expect("text and numbers always serialise") + "\n"
}

fn row(problem: &Problem) -> Row<'_> {
    let message = match problem.file() {
        Some(_) => problem.message.clone(),
        None => format!("{}: {}", problem.origin, problem.message),
    };
    Row {
        file: problem.file().map(|file| file.display().to_string()),
        line: problem.line(),
        column: problem.column(),
        key: Some(problem.key.as_str()).filter(|key| !key.is_empty()),
        severity: problem.severity.to_string(),
        message,
        hint: problem.hint.as_deref(),
        variable: problem.variable(),
    }
}
