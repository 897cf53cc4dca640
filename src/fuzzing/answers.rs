//! What a handler that speaks lines writes: it is understood the same however it comes in pieces, and each event has one
//! ending, of the first answer that names it.

use std::collections::VecDeque;

use super::check_text;
use crate::handler::door::{self, Heard};
use crate::outcome::OutcomeKind;

/// The events that the handler has been given: 1, 2, and so on.
const EVENTS: usize = 4;

/// A byte that says how the rest is cut, and what the handler wrote.
pub fn answers(bytes: &[u8]) {
    let Some((seed, output)) = bytes.split_first() else { return };
    let pieces = cut(output, *seed);
    let (heard, noise) = door::read(&pieces);
    assert_eq!((&heard, &noise), (&door::read(&[output]).0, &door::read(&[output]).1), "{seed}");
    assert!(noise.len() <= output.len());
    for item in &heard {
        if let Heard::Broken(why) = item {
            check_text(why, 1200);
        }
    }

    let mut open: VecDeque<usize> = (0..EVENTS).collect();
    let (mut batch, mut resident) = (vec![None; EVENTS], vec![None; EVENTS]);
    let mut is_broken = false;
    for item in &heard {
        let (at, kind) = match item {
            Heard::Broken(_) => (0, OutcomeKind::Failed),
            Heard::Answer { id, ok, .. } => {
                let Some(at) = open.iter().position(|event| *id == (event + 1).to_string()) else { continue };
                (at, if *ok { OutcomeKind::Succeeded } else { OutcomeKind::Failed })
            }
        };
        let ended = open.remove(at);
        // A resident process that broke the protocol is heard no more.
        is_broken |= matches!(item, Heard::Broken(_)) && ended.is_some();
        set(&mut batch, ended, kind);
        if !is_broken {
            set(&mut resident, ended, kind);
        }
    }
    assert_eq!(door::batch(EVENTS, &pieces), batch);
    assert_eq!(door::resident(EVENTS, &pieces), resident);
}

fn set(endings: &mut [Option<OutcomeKind>], event: Option<usize>, kind: OutcomeKind) {
    if let Some(ending) = event.and_then(|event| endings.get_mut(event)) {
        *ending = Some(kind);
    }
}

/// In pieces of up to 16 bytes, of lengths that follow from the seed; the seed 0 leaves it whole.
pub(super) fn cut(mut rest: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let length = if seed == 0 { rest.len() } else { (state >> 16) as usize % 16 + 1 };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
