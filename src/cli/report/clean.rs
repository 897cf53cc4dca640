//! Text of handlers made safe to print.
//!
//! Invariant: what comes out has no control character, and nothing that changes the direction or the lines of the
//! text around it, so a handler can neither move the cursor nor imitate the report. Colours of handlers are taken out;
//! everything else that is unprintable is shown as an escape, because hiding it would hide what the handler did.

use hookpool::text::is_unsafe;

/// One line, shortened to at most `limit` characters. Line breaks and tabs become spaces.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut clean = String::new();
    // `cut`: the length, in bytes, of what can stay if the mark of a shortened line must follow it.
    let (mut shown, mut cut) = (0, 0);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' | '\t' | '\r' => {
                clean.push(' ');
                shown += 1;
            }
            c if is_unsafe(c) => {
                clean.extend(c.escape_unicode());
                shown += c.escape_unicode().count();
            }
            c => {
                clean.push(c);
                shown += 1;
            }
        }
        if shown < limit {
            cut = clean.len();
        } else if shown > limit {
            clean.truncate(cut);
            clean.push('…');
            break;
        }
    }
    clean
}

/// The last `count` lines that are not empty, each as [`line`] gives it, and whether there were more. A lone carriage
/// return ends a line too: progress displays are made of them.
pub(super) fn last_lines(text: &str, count: usize, limit: usize) -> (Vec<String>, bool) {
    let mut lines = text.split(['\n', '\r']).map(str::trim_end).filter(|text| !text.is_empty()).rev();
    let mut last: Vec<String> = lines.by_ref().take(count).map(|text| line(text, limit)).collect();
    last.reverse();
    (last, lines.next().is_some())
}

/// What follows a complete colour sequence (`ESC [ digits and semicolons m`) at the start of the text.
fn after_colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    parameters.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').strip_prefix('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_other_controls_are_shown_as_escapes() {
        assert_eq!(line("\u{1b}[1;31mred\u{1b}[0m and \u{1b}[mplain", 80), "red and plain");
        assert_eq!(line("a\u{1b}[2Jb\u{7}\u{8}", 80), "a\\u{1b}[2Jb\\u{7}\\u{8}");
        assert_eq!(line("\u{1b}[31", 80), "\\u{1b}[31");
        assert_eq!(line("\u{9b}2J\u{202e}x\u{2028}y", 80), "\\u{9b}2J\\u{202e}x\\u{2028}y");
        assert_eq!(line("one\ttwo\r\nthree", 80), "one two  three");
        assert_eq!(line("grüße, 世界", 80), "grüße, 世界");
    }

    #[test]
    fn no_control_character_passes() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!line(&all, usize::MAX).chars().any(char::is_control));
    }

    #[test]
    fn long_lines_end_with_a_mark_and_keep_to_the_limit() {
        assert_eq!(line("abcde", 5), "abcde");
        assert_eq!(line("abcdef", 5), "abcd…");
        assert_eq!(line("abc\u{7}", 5), "abc…");
        for limit in 1..20 {
            let shown = line("ab\u{1b}cd\u{1b}[0mefghij", limit);
            assert!(shown.chars().count() <= limit, "{shown} is longer than {limit}");
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_empty_ones_do_not_count() {
        let text = "first\n\nsecond\r\n10%\r20%\r30%\n   \n";
        assert_eq!(last_lines(text, 2, 80), (vec!["20%".to_owned(), "30%".to_owned()], true));
        assert_eq!(last_lines("only", 2, 80), (vec!["only".to_owned()], false));
        assert_eq!(last_lines(" \n\n", 2, 80), (Vec::new(), false));
    }
}
