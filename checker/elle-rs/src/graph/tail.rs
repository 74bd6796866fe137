//! Edges from the many to the many, through a helper between them.

use super::Kinds;
use crate::txn::store::{Id, NONE};

/// Each of `whole`, which are in order, missed what each of `unread` wrote; `helper` stands between
/// them if it is one.
pub(crate) fn tail(
    helper: u32,
    whole: &[Id],
    unread: &[Id],
    give: &mut impl FnMut(u32, u32, Kinds),
) {
    if helper == NONE {
        for &reader in whole {
            for &writer in unread {
                give(reader, writer, Kinds::RW);
            }
        }
        return;
    }
    // Through the helper one that did both would lead to itself: these get edges of their own.
    // Two of them are a lost update; then a circle among them says all there is.
    let mut writers: Vec<Id> = unread.to_vec();
    writers.sort_unstable();
    let writes = |id: &Id| writers.binary_search(id).is_ok();
    let both: Vec<Id> = whole.iter().copied().filter(writes).collect();
    for &reader in whole.iter().filter(|id| !writes(id)) {
        give(reader, helper, Kinds::RW);
    }
    for &writer in unread {
        give(helper, writer, Kinds::TAIL);
    }
    if let Some(&first) = both.first() {
        for &writer in unread
            .iter()
            .filter(|id| both[1..].binary_search(id).is_err())
        {
            give(first, writer, Kinds::RW);
        }
    }
    for pair in both.windows(2) {
        give(pair[0], pair[1], Kinds::RW);
        give(pair[1], pair[0], Kinds::RW);
    }
}
