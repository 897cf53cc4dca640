//! The known name that a mistyped one probably means.
//!
//! The distance counts insertions, deletions, replacements and swaps of neighbours. Long names are not compared: the
//! work is bounded whatever the user wrote.

/// Longest name that is compared, in characters.
const MAX_LENGTH: usize = 80;

/// The candidate that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(MAX_LENGTH + 1).flat_map(char::to_lowercase).collect();
    let allowed = match name.len() {
        0..=1 => return None,
        2..=4 => 1,
        5..=8 => 2,
        9..=MAX_LENGTH => 3,
        _ => return None,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    // Rows of the usual table: the one before the last, the last, and the one that is being filled.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut previous_b = None;
        for (j, &cb) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&last, j) + usize::from(ca != cb)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if previous_a == Some(cb) && previous_b == Some(ca) {
                best = best.min(at(&before, j.wrapping_sub(1)) + 1);
            }
            row.push(best);
            previous_b = Some(cb);
        }
        previous_a = Some(ca);
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["workers", "standby", "standby_for"];
        assert_eq!(nearest("worker", names), Some("workers"));
        assert_eq!(nearest("wrokers", names), Some("workers"));
        assert_eq!(nearest("STANDBY", names), Some("standby"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"w".repeat(1_000_000), names), None);
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance(&['a', 'b', 'c'], "acb"), 1);
        assert_eq!(distance(&['a', 'b', 'c'], "cab"), 2);
        assert_eq!(distance(&[], "abc"), 3);
    }
}
