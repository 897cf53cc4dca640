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

/// The same characters, each unsafe one as its escape.
pub(crate) fn escaped(c: char) -> impl Iterator<Item = char> {
    let escape = is_unsafe(c).then(|| c.escape_default());
    let plain = escape.is_none().then_some(c);
    escape.into_iter().flatten().chain(plain)
}
