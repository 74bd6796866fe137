//! The suite's own events as transactions.

use super::builder::{Builder, Head, Seen};
use super::malformed::Malformed;
use super::store::Store;
use crate::history::{Action, Event, Kind, Op, Step};

/// Reads the list-append transactions of a history; other operations are passed over.
pub fn from_events(events: &[Event]) -> Result<Store, Malformed> {
    let mut builder = Builder::new(true);
    for event in events {
        let Event::Op(op) = event else { continue };
        let Action::Txn { steps } = &op.action else {
            continue;
        };
        for step in steps {
            match step {
                Step::Append { key, value } => builder.write(*key as i64, *value as i64),
                Step::Read {
                    key,
                    list: Some(list),
                } if op.kind == Kind::Ok => {
                    builder.read_list(*key as i64, list.iter().map(|&value| value as i64));
                }
                Step::Read { key, .. } => builder.read(*key as i64, Seen::Unknown),
            }
        }
        builder.event(head(op))?;
    }
    builder.finish()
}

fn head(op: &Op) -> Head {
    Head {
        index: op.index,
        time_ns: op.time_ns,
        process: i64::from(op.process),
        kind: op.kind,
        node: op.node,
    }
}
