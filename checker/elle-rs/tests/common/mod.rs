//! Histories for tests, from operations with their moments.

use elle_rs::history::{Action, Event, Kind, Op};

/// One operation with the moments it begins and ends at; moments need only be in order.
#[derive(Clone, Debug)]
pub struct Timed {
    pub start: u64,
    /// `None`: never answered.
    pub finish: Option<(u64, Kind)>,
    /// What came back; the invocation is made from it by forgetting that.
    pub action: Action,
}

/// A history of these operations, each by a process of its own.
pub fn history(operations: &[Timed]) -> Vec<Event> {
    let mut moments: Vec<(u64, usize, Kind)> = Vec::new();
    for (process, operation) in operations.iter().enumerate() {
        moments.push((operation.start, process, Kind::Invoke));
        if let Some((finish, kind)) = operation.finish {
            moments.push((finish, process, kind));
        }
    }
    moments.sort_by_key(|&(moment, _, kind)| (moment, kind != Kind::Invoke));
    (0..)
        .zip(moments)
        .map(|(index, (moment, process, kind))| {
            let action = &operations[process].action;
            Event::Op(Op {
                index,
                time_ns: moment * 1_000_000,
                process: process as u32,
                kind,
                action: if kind == Kind::Ok {
                    action.clone()
                } else {
                    asked(action)
                },
                node: Some((process % 3) as u16),
                error: None,
            })
        })
        .collect()
}

/// An action before it was answered.
pub fn asked(action: &Action) -> Action {
    match action.clone() {
        Action::Read { key, .. } => Action::Read { key, value: None },
        Action::Swap { key, value, .. } => Action::Swap {
            key,
            value,
            old: None,
        },
        Action::Cas {
            key,
            expected,
            value,
            ..
        } => Action::Cas {
            key,
            expected,
            value,
            swapped: false,
        },
        other => other,
    }
}
