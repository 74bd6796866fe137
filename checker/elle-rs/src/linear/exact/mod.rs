//! Objects whose histories are decided in polynomial time: an order, or the few operations that
//! allow none. Where an algorithm is not complete it has no answer, says why, and the search decides.
//!
//! Each value is put in once, or each addition adds the same: that is what makes these exact. The
//! patterns are in [`crate::certificate`]; the verifier has its own code for each.

mod counter;
mod cover;
mod fifo;
mod items;
mod mutex;
mod priority;
mod set;

use super::models::SetModel;
use super::names::ModelName;
use super::operations::Part;
use super::values::Values;
use super::words::Story;

/// No operation.
const NONE: u32 = u32::MAX;

/// What was decided.
pub(super) enum Decision {
    Order(Vec<u32>),
    Broken(Broken),
    /// Nothing, for this reason.
    Nothing(String),
}

/// Why there is no order.
pub(super) struct Broken {
    /// The pattern, by its name in certificates.
    pub pattern: &'static str,
    /// What it is called in the field.
    pub anomaly: &'static str,
    /// The operations in it; `None` is the beginning.
    pub ids: Vec<Option<u32>>,
    /// In words.
    pub explanation: String,
}

fn broken(
    pattern: &'static str,
    anomaly: &'static str,
    ids: impl IntoIterator<Item = u32>,
    explanation: String,
) -> Decision {
    Decision::Broken(Broken {
        pattern,
        anomaly,
        ids: ids.into_iter().map(Some).collect(),
        explanation,
    })
}

/// Decides a part, if its model has an algorithm.
pub(super) fn decide(
    model: ModelName,
    part: &Part,
    values: &Values,
    set: Option<&SetModel>,
    story: &Story<'_>,
) -> Option<Decision> {
    Some(match model {
        ModelName::FifoQueue => fifo::decide(part, story),
        ModelName::PriorityQueue => priority::decide(part, values, story),
        ModelName::UnorderedQueue => priority::decide_unordered(part, story),
        ModelName::Set => set::decide(part, set?, story),
        ModelName::Counter => counter::decide(part, values, story),
        ModelName::Mutex => mutex::decide(part, story),
        ModelName::Register
        | ModelName::CasRegister
        | ModelName::KvMap
        | ModelName::MultiRegister => return None,
    })
}

/// Some operations in words, the first few.
fn told(story: &Story<'_>, ids: &[u32]) -> String {
    const SHOWN: usize = 4;
    let mut words: Vec<String> = ids.iter().take(SHOWN).map(|&id| story.what(id)).collect();
    if ids.len() > SHOWN {
        words.push(format!("{} more", ids.len() - SHOWN));
    }
    words.join("; ")
}
