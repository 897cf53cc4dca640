//! Where the members of one name stand in an object: for who writes an event anew without them.
//!
//! Like all lookups here, on an object that is known to be valid.

use std::ops::Range;

use super::scan::{Scan, decode};

/// The parts of the object's inside that are left when its members of that name are taken out, each with the commas
/// between what is left. Nothing is left of an object without others.
pub(super) fn inside_without<'a>(object: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let members = members(object);
    let part = |range: Range<usize>| object.get(range).unwrap_or_default();
    if !members.iter().any(|member| member.is(name, object)) {
        let inside = object.len().saturating_sub(1);
        return if members.is_empty() { Vec::new() } else { vec![part(1..inside)] };
    }
    let left: Vec<_> = members.iter().filter(|member| !member.is(name, object)).collect();
    let mut parts = Vec::with_capacity(2 * left.len());
    for member in left {
        if !parts.is_empty() {
            parts.push(&b","[..]);
        }
        parts.push(part(member.key.start..member.end));
    }
    parts
}

struct Member {
    /// With its quotes.
    key: Range<usize>,
    end: usize,
}

impl Member {
    fn is(&self, name: &str, object: &[u8]) -> bool {
        decode(object.get(self.key.clone()).unwrap_or_default()).is_some_and(|key| key == name)
    }
}

fn members(object: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut scan = Scan::new(object);
    scan.bump();
    while scan.peek() == Some(b'"') {
        let start = object.len() - scan.left();
        if scan.string().is_none() {
            break;
        }
        let key = start..object.len() - scan.left();
        scan.peek();
        scan.bump();
        if scan.skip().is_none() {
            break;
        }
        members.push(Member { key, end: object.len() - scan.left() });
        scan.peek();
        scan.bump();
        scan.peek();
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(object: &str) -> String {
        let parts = inside_without(object.as_bytes(), "x");
        String::from_utf8(parts.concat()).unwrap()
    }

    #[test]
    fn members_of_one_name_are_taken_out_and_all_else_stays_as_it_is() {
        for (object, left) in [
            ("{}", ""),
            ("{ }", ""),
            (r#"{ "a" : 1 , "b":[{"x":2}] }"#, r#" "a" : 1 , "b":[{"x":2}] "#),
            (r#"{"x":1}"#, ""),
            (r#"{"x":1,"a":{"x":1}}"#, r#""a":{"x":1}"#),
            (r#"{"a":"x" , "x" : {"y":[1,2]} }"#, r#""a":"x""#),
            (r#"{"a":1,"\u0078":2,"b":"\"x\":1","x":null}"#, r#""a":1,"b":"\"x\":1""#),
        ] {
            assert_eq!(without(object), left, "{object}");
        }
    }
}
