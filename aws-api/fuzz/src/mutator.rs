//! Changes documents by whole elements: what a mutation of bytes seldom does without breaking the document.

use libfuzzer_sys::fuzzer_mutate;

use crate::pieces::{Kind, pieces};

/// libFuzzer's own mutation, or (three times of four) one of a document's elements.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice(seed.into());
    if dice.below(4) > 0
        && let Ok(text) = std::str::from_utf8(&data[..size])
        && let Some(changed) = change(text, &mut dice)
        && changed.len() <= max_size
    {
        data[..changed.len()].copy_from_slice(changed.as_bytes());
        return changed.len();
    }
    fuzzer_mutate(data, size, max_size)
}

/// A linear congruential generator: the seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn change(text: &str, dice: &mut Dice) -> Option<String> {
    let (pieces, _) = pieces(text);
    let elements = elements(&pieces);
    if elements.is_empty() {
        return None;
    }
    let (start, end) = elements[dice.below(elements.len())];
    let (other, other_end) = elements[dice.below(elements.len())];
    let put = |range: &[(Kind, &str)]| range.iter().map(|(_, piece)| *piece).collect::<String>();
    let (before, element, after) = (put(&pieces[..start]), put(&pieces[start..end]), put(&pieces[end..]));
    let inside = put(pieces.get(start + 1..end - 1).unwrap_or_default());
    Some(match dice.below(7) {
        // Left out.
        0 => before + &after,
        // Once more.
        1 => before + &element + &element + &after,
        // Many times.
        2 => before + &element.repeat(2 + dice.below(60)) + &after,
        // In place of another.
        3 => before + &put(&pieces[other..other_end]) + &after,
        // With another beside it.
        4 => before + &element + &put(&pieces[other..other_end]) + &after,
        // Without its tags.
        5 => before + &inside + &after,
        // Empty.
        _ => format!("{before}{}{}{after}", pieces[start].1, if end - start > 1 { pieces[end - 1].1 } else { "" }),
    })
}

/// The first piece of each element, and the one after its last.
fn elements(pieces: &[(Kind, &str)]) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    for (place, (kind, _)) in pieces.iter().enumerate() {
        match kind {
            Kind::Start => open.push(place),
            Kind::End => found.extend(open.pop().map(|start| (start, place + 1))),
            Kind::Empty => found.push((place, place + 1)),
            _ => {}
        }
    }
    found
}
