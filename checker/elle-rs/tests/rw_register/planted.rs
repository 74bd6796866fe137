//! Each anomaly of registers, by its name.

use elle_rs::levels::Level::{
    ReadUncommitted, SnapshotIsolation, StrongReadUncommitted, StrongSessionReadUncommitted,
};
use elle_rs::transactions::Model;

use crate::planted_common::{PLANTS, Plant, found};

const OF_REGISTERS: [Plant; 2] = [
    (
        "internal",
        SnapshotIsolation,
        "0 invoke [[:w 1 1] [:r 1 nil]]\n0 ok [[:w 1 1] [:r 1 2]]",
    ),
    (
        "cyclic-versions",
        ReadUncommitted,
        "0 invoke [[:r 1 nil] [:w 1 1]]\n1 invoke [[:r 1 nil] [:w 1 2]]
         0 ok [[:r 1 2] [:w 1 1]]\n1 ok [[:r 1 1] [:w 1 2]]",
    ),
];

/// Writes behind writes are known where values only grow.
const OF_COUNTERS: [Plant; 3] = [
    (
        "G0",
        ReadUncommitted,
        "0 invoke [[:w 1 1] [:w 2 2]]\n1 invoke [[:w 1 2] [:w 2 1]]
         0 ok [[:w 1 1] [:w 2 2]]\n1 ok [[:w 1 2] [:w 2 1]]",
    ),
    (
        "G0-process",
        StrongSessionReadUncommitted,
        "0 invoke [[:w 1 2]]\n0 ok [[:w 1 2]]\n0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]",
    ),
    (
        "G0-realtime",
        StrongReadUncommitted,
        "0 invoke [[:w 1 2]]\n0 ok [[:w 1 2]]\n1 invoke [[:w 1 1]]\n1 ok [[:w 1 1]]",
    ),
];

/// A plant of lists as one of registers.
fn of_registers(events: &str) -> String {
    events
        .replace(":append", ":w")
        .replace("[1]", "1")
        .replace("[]", "nil")
}

#[test]
fn each_is_found_by_its_name() {
    for (name, level, events) in PLANTS {
        found((name, level, &of_registers(events)), Model::RwRegister);
    }
    for plant in OF_REGISTERS {
        found(plant, Model::RwRegister);
    }
    for plant in OF_COUNTERS {
        found(plant, Model::Monotonic);
    }
}
