//! Aligned columns: the first ones say what a row is about, the others are numbers under a common head.
//!
//! Invariant: no line is wider than the limit unless a single column is, and nothing is left out for it. A table that
//! is too wide continues below, with its first columns repeated; a name that is too long for its column stands on a
//! line of its own, above its numbers.

use std::iter::repeat_n;

use anstyle::Style;

use super::palette::{Palette, paint};

/// Columns that are laid out together.
#[derive(Debug)]
pub(crate) struct Table {
    /// What a row is about: left-aligned, and repeated when the table continues below. The first may overflow.
    keys: Vec<Column>,
    /// Right-aligned.
    values: Vec<Column>,
}

/// A column with its cells from top to bottom.
#[derive(Debug)]
pub(crate) struct Column {
    /// Stands above neighbours of the same group, which are kept together. Empty: none.
    group: &'static str,
    name: &'static str,
    cells: Vec<Cell>,
}

/// One text, which holds no line break, and its style.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl Column {
    pub(crate) fn new(group: &'static str, name: &'static str, cells: Vec<Cell>) -> Self {
        Self { group, name, cells }
    }

    /// At least the width of its heads, and of its widest cell that is not longer than `longest`.
    fn width(&self, longest: usize) -> usize {
        let cells = self.cells.iter().map(Cell::width).filter(|width| *width <= longest);
        cells.chain([self.group.len(), self.name.len()]).max().unwrap_or_default()
    }
}

impl Table {
    /// Longest text of the first column that has its numbers beside it.
    const LONGEST_KEY: usize = 24;
    const GAP: usize = 2;

    pub(crate) fn new(keys: Vec<Column>, values: Vec<Column>) -> Self {
        Self { keys, values }
    }

    /// The lines of the table, each with its line break; nothing for a table without rows.
    pub(crate) fn render(&self, limit: usize, palette: &Palette) -> String {
        let rows = self.keys.first().map_or(0, |key| key.cells.len());
        if rows == 0 {
            return String::new();
        }
        let bands = self.bands(limit);
        let bands: Vec<String> = bands.iter().map(|band| self.band(band, rows, palette)).collect();
        bands.join("\n")
    }

    fn key_width(&self) -> usize {
        let widths = self.keys.iter().map(|key| key.width(Self::LONGEST_KEY));
        widths.sum::<usize>() + Self::GAP * self.keys.len().saturating_sub(1)
    }

    /// Parts of the values that fit beside the keys. Groups stay whole where they fit at all.
    fn bands(&self, limit: usize) -> Vec<Vec<&Column>> {
        let room = limit.saturating_sub(self.key_width());
        let width = |columns: &[Column]| -> usize {
            columns.iter().map(|column| Self::GAP + column.width(usize::MAX)).sum()
        };
        let groups = self.values.chunk_by(|one, next| one.group == next.group && !one.group.is_empty());
        let parts = groups.flat_map(|group| group.chunks(if width(group) <= room { group.len() } else { 1 }));
        let mut bands: Vec<Vec<&Column>> = Vec::new();
        let mut left = 0;
        for part in parts {
            match bands.last_mut() {
                Some(band) if width(part) <= left => band.extend(part),
                _ => {
                    bands.push(part.iter().collect());
                    left = room;
                }
            }
            left = left.saturating_sub(width(part));
        }
        bands
    }

    fn band(&self, values: &[&Column], rows: usize, palette: &Palette) -> String {
        let mut text = String::new();
        if values.iter().any(|column| !column.group.is_empty()) {
            text.push_str(&self.group_line(values, palette));
        }
        let heads = |column: &Column| Cell::new(column.name, palette.title);
        let keys: Vec<Cell> = self.keys.iter().map(heads).collect();
        let heads: Vec<Cell> = values.iter().map(|column| heads(column)).collect();
        text.push_str(&self.line(keys.iter(), values, heads.iter()));
        for row in 0..rows {
            let keys = self.keys.iter().filter_map(|column| column.cells.get(row));
            let cells = values.iter().filter_map(|column| column.cells.get(row));
            text.push_str(&self.line(keys, values, cells));
        }
        text
    }

    /// `──── wait ────` over the columns of each group.
    fn group_line(&self, values: &[&Column], palette: &Palette) -> String {
        let mut text = String::new();
        // Spaces are owed until something follows them, so no line ends with them.
        let mut owed = self.key_width();
        for group in values.chunk_by(|one, next| one.group == next.group) {
            let span = group.iter().map(|column| Self::GAP + column.width(usize::MAX)).sum::<usize>();
            let label = group.first().map_or("", |column| column.group);
            if label.is_empty() {
                owed += span;
                continue;
            }
            text.extend(repeat_n(' ', owed + Self::GAP));
            owed = 0;
            let rule = span - Self::GAP - label.len();
            let centred = if rule < 4 {
                format!("{label:>width$}", width = span - Self::GAP)
            } else {
                let left = (rule - 2) / 2;
                let rule = |width| -> String { repeat_n('─', width).collect() };
                format!("{} {label} {}", rule(left), rule(span - Self::GAP - label.len() - 2 - left))
            };
            text.push_str(&paint(palette.faint, &centred));
        }
        text.push('\n');
        text
    }

    fn line<'a>(
        &self,
        keys: impl Iterator<Item = &'a Cell>,
        values: &[&Column],
        cells: impl Iterator<Item = &'a Cell>,
    ) -> String {
        let mut text = String::new();
        for (at, (column, cell)) in self.keys.iter().zip(keys).enumerate() {
            if at > 0 {
                text.extend(repeat_n(' ', Self::GAP));
            }
            text.push_str(&paint(cell.style, &cell.text));
            let width = column.width(Self::LONGEST_KEY);
            let padding = if cell.width() > width {
                text.push('\n');
                width
            } else {
                width - cell.width()
            };
            text.extend(repeat_n(' ', padding));
        }
        for (column, cell) in values.iter().zip(cells) {
            let width = column.width(usize::MAX);
            text.extend(repeat_n(' ', Self::GAP + width.saturating_sub(cell.width())));
            text.push_str(&paint(cell.style, &cell.text));
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(group: &'static str, name: &'static str, cells: &[&str]) -> Column {
        Column::new(group, name, cells.iter().map(|text| Cell::new(*text, Style::new())).collect())
    }

    fn table(names: [&str; 2]) -> Table {
        Table::new(
            vec![column("", "hook", &names), column("", "class", &["low", "normal"])],
            vec![
                column("", "succeeded", &["12", "3"]),
                column("", "failed", &["0", "1234567"]),
                column("refused", "full", &["0", "1"]),
                column("wait", "p50", &["12µs", "-"]),
                column("wait", "p99", &["1.25ms", "-"]),
                column("wait", "max", &["31.0s", "-"]),
            ],
        )
    }

    /// Begins with a line break, so that an expected text can begin on a line of its own.
    fn shown(table: Table, limit: usize) -> String {
        format!("\n{}", table.render(limit, &Palette::PLAIN))
    }

    #[test]
    fn numbers_are_right_aligned_under_their_heads() {
        let expected = "
                                    refused  ────── wait ───────
hook    class   succeeded   failed     full   p50     p99    max
audit   low            12        0        0  12µs  1.25ms  31.0s
tracer  normal          3  1234567        1     -       -      -
";
        assert_eq!(shown(table(["audit", "tracer"]), 100), expected);
    }

    #[test]
    fn a_table_that_is_too_wide_continues_below_and_keeps_its_groups_whole() {
        let expected = "
                                    refused
hook    class   succeeded   failed     full
audit   low            12        0        0
tracer  normal          3  1234567        1

                ────── wait ───────
hook    class    p50     p99    max
audit   low     12µs  1.25ms  31.0s
tracer  normal     -       -      -
";
        assert_eq!(shown(table(["audit", "tracer"]), 50), expected);
    }

    #[test]
    fn a_long_name_stands_above_its_numbers() {
        let name = "n".repeat(64);
        let expected = format!(
            "
                                  refused  ────── wait ───────
hook  class   succeeded   failed     full   p50     p99    max
a     low            12        0        0  12µs  1.25ms  31.0s
{name}
      normal          3  1234567        1     -       -      -
"
        );
        assert_eq!(shown(table(["a", &name]), 100), expected);
    }

    #[test]
    fn no_width_loses_a_cell() {
        for limit in 0..120 {
            let text = table(["audit", "tracer"]).render(limit, &Palette::PLAIN);
            for cell in ["succeeded", "1234567", "full", "12µs", "1.25ms", "31.0s"] {
                assert!(text.contains(cell), "{cell} is missing at {limit}:\n{text}");
            }
            assert!(limit < 45 || text.lines().all(|line| line.chars().count() <= limit), "{limit}:\n{text}");
            assert!(text.lines().all(|line| !line.ends_with(' ')), "{limit}:\n{text}");
        }
    }

    #[test]
    fn without_rows_there_is_no_table() {
        assert_eq!(Table::new(vec![column("", "hook", &[])], Vec::new()).render(80, &Palette::PLAIN), "");
    }
}
