//! Text from outside on its way to somebody's eyes: what of it must not be shown as it is.
//!
//! Invariant: what [`is_unsafe`] lets pass neither moves a cursor nor changes the lines or the direction of what stands
//! around it; the rest is shown as escapes, since to hide it would hide what somebody did.

use std::borrow::Cow;

/// True for control characters, for marks and overrides of direction, line and paragraph separators, characters without
/// width that hide, and tags.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with each unsafe character as its escape.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut clean = String::new();
    for c in text.chars() {
        if is_unsafe(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean.into()
}

/// [`escape`], of not more than so many characters.
pub(crate) fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", escape(text.get(..end).unwrap_or_default())).into(),
        None => escape(text),
    }
}

/// [`escape`], of not more than what fits a line.
pub(crate) fn shown(text: &str) -> String {
    const LIMIT: usize = 80;
    shortened(text, LIMIT).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_forge_a_line_or_move_a_cursor() {
        assert_eq!(escape("grüße, 世界"), "grüße, 世界");
        assert_eq!(escape("a\n  WARN b\u{202e}\u{1b}[2J"), "a\\n  WARN b\\u{202e}\\u{1b}[2J");
        let all: String = (0..0x11_0000).filter_map(char::from_u32).collect();
        assert!(!escape(&all).chars().any(is_unsafe));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü\0", 3), "äöü…");
        assert_eq!(shortened("ä\n\nü", 2), "ä\\n…");
    }
}
