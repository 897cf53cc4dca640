//! Settings of one hook of which one must not be below the other.
//!
//! It looks at the merged values, so it also holds for settings that nothing uses yet.

use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::problem::Problems;
use super::super::value::written;

/// Reports the pairs that are the wrong way round.
pub(super) fn check(hook: &str, merged: &Merged<'_>, problems: &mut Problems) {
    let own = |path: &[&str]| Key(["hook", hook].iter().chain(path).map(|part| (*part).to_owned()).collect());
    let longest = own(&["batch", "timeout_max"]);
    if merged.has(&longest) {
        let timeout = Some(own(&["timeout"])).filter(|own| merged.has(own));
        let timeout = timeout.unwrap_or_else(|| Key::new(&["defaults", "timeout"]));
        not_below(&longest, &timeout, merged, problems);
    }
    not_below(&own(&["breaker", "max_cooldown"]), &own(&["breaker", "cooldown"]), merged, problems);
}

fn not_below(high: &Key, low: &Key, merged: &Merged<'_>, problems: &mut Problems) {
    let (Some(most), Some(least)) = (merged.number(high), merged.number(low)) else { return };
    if most < least && !merged.was_refused(low) {
        let message = format!(
            "`{high}` must not be below `{low}`, which is {} ({})",
            written::duration(least),
            merged.spot(low).origin(),
        );
        problems.error(merged.spot(high).origin(), high, message);
    }
}
