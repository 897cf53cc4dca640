//! `[dead_letters]`: its file in its folder, its outcomes by their names.

use std::path::Path;

use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::raw::RawDeadLetters;
use super::super::settings::DeadLetterSettings;
use crate::outcome::OutcomeKind;

/// `None`: no file is named. `dir` stands in for the folder of a file where the name comes from none.
pub(super) fn settings(raw: &RawDeadLetters, merged: &Merged<'_>, dir: &Path) -> Option<DeadLetterSettings> {
    let file = raw.file.as_ref()?;
    let spot = merged.spot(&Key::new(&["dead_letters", "file"]));
    let named = |name: &String| OutcomeKind::ALL.iter().copied().find(|kind| kind.name() == name);
    Some(DeadLetterSettings {
        file: spot.dir().unwrap_or(dir).join(file),
        max_bytes: raw.max_bytes,
        keep: raw.keep,
        on: raw.on.iter().filter_map(named).collect(),
        redact: raw.redact,
    })
}
