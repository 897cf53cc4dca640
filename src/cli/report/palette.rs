//! The colours of reports: few, and each with one meaning.
//!
//! Nothing is told by colour alone. Whoever prints does it through `anstream`, which takes the colours out where they
//! are not wanted.

use anstyle::{AnsiColor, Effects, Style};

/// The styles of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// Titles and heads of columns.
    pub(crate) title: Style,
    /// What is there for completeness: zeros, rules.
    pub(crate) faint: Style,
    /// Failures, and whatever is wrong.
    pub(crate) bad: Style,
    /// What was not done, on purpose or for want of room.
    pub(crate) warning: Style,
    /// What is as it should be.
    pub(crate) good: Style,
}

impl Palette {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        title: Style::new(),
        faint: Style::new(),
        bad: Style::new(),
        warning: Style::new(),
        good: Style::new(),
    };

    /// The colours, of the sixteen that every terminal lets its user choose.
    pub(crate) const COLOURED: Self = Self {
        title: Style::new().effects(Effects::BOLD),
        faint: Style::new().effects(Effects::DIMMED),
        bad: AnsiColor::Red.on_default().effects(Effects::BOLD),
        warning: AnsiColor::Yellow.on_default(),
        good: AnsiColor::Green.on_default(),
    };
}

/// The text in the style. An empty style adds nothing.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
