//! Text from outside on its way to somebody's eyes: what of it must not be shown as it is.
//!
//! Invariant: what [`is_unsafe`] lets pass neither moves a cursor nor changes the lines or the direction of what stands
//! around it. How the rest is shown is for whoever shows it.

/// True for control characters, for marks and overrides of direction, line and paragraph separators, characters without
/// width that hide, and tags.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Text for a message: each unsafe character as its escape, and not longer than a line.
pub(crate) fn shown(text: &str) -> String {
    const LIMIT: usize = 80;
    let mut clean = String::new();
    for c in text.chars().take(LIMIT) {
        if is_unsafe(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    if text.chars().nth(LIMIT).is_some() {
        clean.push('…');
    }
    clean
}
