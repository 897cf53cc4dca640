//! The older variables, each with every odd value: what it sets, or how it is refused.

use serde_json::{Value as Json, json};

use super::super::registry::LEGACY;
use super::load_with;

/// What a variable takes.
#[derive(Clone, Copy, Debug)]
enum Sort {
    Switch,
    Count,
    Seconds,
    Milliseconds,
}

const VARIABLES: [(&str, &str, Sort, &str); 11] = [
    ("CLAUDE_MPM_PERFORMANCE_MODE", "performance_mode", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOKS_PRE_TOOL", "kinds.pre_tool", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOKS_POST_TOOL", "kinds.post_tool", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOKS_USER_PROMPT", "kinds.user_prompt", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOKS_DELEGATION", "kinds.delegation", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOK_BATCHING", "batching.enabled", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOK_DEBUG", "debug", Sort::Switch, YES_OR_NO),
    ("CLAUDE_MPM_HOOK_QUEUE_SIZE", "queue.capacity", Sort::Count, "a whole number from 1 to 1000000"),
    ("CLAUDE_MPM_HOOK_BATCH_SIZE", "batching.size", Sort::Count, "a whole number from 1 to 10000"),
    ("CLAUDE_MPM_HOOK_BG_TIMEOUT", "defaults.timeout", Sort::Seconds, ABOVE_0),
    ("CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", "batching.linger", Sort::Milliseconds, NOT_NEGATIVE),
];

const YES_OR_NO: &str = "true or false";
const ABOVE_0: &str = "a duration such as \"2s\" or \"500ms\", above 0 and at most 30 days";
const NOT_NEGATIVE: &str = "a duration such as \"2s\" or \"500ms\", not negative and at most 30 days";

const NO: Option<u64> = None;
const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

/// The text, and what it means as a switch, a count, nanoseconds out of seconds and out of milliseconds.
type Row = (&'static str, Option<bool>, Option<u64>, Option<u64>, Option<u64>);

const VALUES: &[Row] = &[
    ("abc", None, NO, NO, NO),
    ("-5", None, NO, NO, NO),
    ("-0", None, NO, NO, NO),
    ("", None, NO, NO, NO),
    (" ", None, NO, NO, NO),
    ("nan", None, NO, NO, NO),
    ("NaN", None, NO, NO, NO),
    ("1e400", None, NO, NO, NO),
    ("inf", None, NO, NO, NO),
    ("-inf", None, NO, NO, NO),
    ("0", Some(false), NO, NO, Some(0)),
    ("1", Some(true), Some(1), Some(S), Some(MS)),
    (" 5 ", None, Some(5), Some(5 * S), Some(5 * MS)),
    ("1_000", None, Some(1000), Some(1000 * S), Some(S)),
    ("1__000", None, NO, NO, NO),
    ("2.5", None, NO, Some(2500 * MS), Some(2_500_000)),
    ("5s", None, NO, Some(5 * S), Some(5 * S)),
    ("true", Some(true), NO, NO, NO),
    ("TRUE", Some(true), NO, NO, NO),
    ("FALSE", Some(false), NO, NO, NO),
    ("false", Some(false), NO, NO, NO),
    ("yes", Some(true), NO, NO, NO),
    ("Yes", Some(true), NO, NO, NO),
    ("no", Some(false), NO, NO, NO),
    ("NO", Some(false), NO, NO, NO),
    ("on", Some(true), NO, NO, NO),
    ("ON", Some(true), NO, NO, NO),
    ("off", Some(false), NO, NO, NO),
    ("oFF", Some(false), NO, NO, NO),
];

fn expected(sort: Sort, row: Row) -> Option<Json> {
    let (_, switch, count, seconds, milliseconds) = row;
    match sort {
        Sort::Switch => switch.map(Json::from),
        Sort::Count => count.map(Json::from),
        Sort::Seconds => seconds.map(Json::from),
        Sort::Milliseconds => milliseconds.map(Json::from),
    }
}

#[test]
fn every_older_variable_has_one_outcome_for_every_odd_value() {
    for (name, key, sort, allowed) in VARIABLES {
        for row in VALUES {
            let value = row.0;
            let outcome = load_with("", &[(name, value)]);
            if let Some(expected) = expected(sort, *row) {
                let loaded = outcome.unwrap_or_else(|error| panic!("{name}={value:?}: {error}"));
                assert_eq!(loaded.effective.values[key].value, expected, "{name}={value:?}");
                assert_eq!(loaded.origin(key).unwrap().to_string(), format!("{name}={value}"));
            } else {
                let error = outcome.map(|loaded| loaded.effective.values[key].value.clone());
                let error = error.expect_err(&format!("{name}={value:?} is refused"));
                let found = match (sort, value.trim()) {
                    (_, "") => "empty".to_owned(),
                    (Sort::Count, "0") => "0".to_owned(),
                    // Blanks around a value mean nothing, but are shown where it is not understood.
                    (Sort::Switch, _) => format!("\"{value}\""),
                    (_, trimmed) => format!("\"{trimmed}\""),
                };
                let hint = match sort {
                    Sort::Switch if !value.trim().is_empty() => {
                        "\n  hint: 1, yes and on are true; 0, no and off are false"
                    }
                    _ => "",
                };
                let text = format!("{name}={value}: error: `{key}` must be {allowed}, not {found}{hint}");
                assert_eq!(error.to_string(), text, "{name}={value:?}");
            }
        }
    }
}

#[test]
fn the_table_has_every_older_variable() {
    let ours: Vec<_> = VARIABLES.iter().map(|(name, key, ..)| json!([name, key])).collect();
    assert_eq!(ours.len(), LEGACY.len());
    for legacy in LEGACY {
        assert!(ours.contains(&json!([legacy.variable, legacy.key])), "{}", legacy.variable);
    }
}
