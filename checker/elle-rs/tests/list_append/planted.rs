//! Each anomaly of lists, by its name.

use elle_rs::levels::Level::{
    ReadCommitted, ReadUncommitted, SnapshotIsolation, StrongReadUncommitted,
    StrongSessionReadUncommitted,
};
use elle_rs::transactions::Model;

use crate::planted_common::{PLANTS, Plant, found};

/// Those that take a list of several elements.
const OF_LISTS: [Plant; 7] = [
    (
        "G0",
        ReadUncommitted,
        "0 invoke [[:append 1 1] [:append 2 1]]\n1 invoke [[:append 1 2] [:append 2 2]]
         0 ok [[:append 1 1] [:append 2 1]]\n1 ok [[:append 1 2] [:append 2 2]]
         2 invoke [[:r 1 nil] [:r 2 nil]]\n2 ok [[:r 1 [1 2]] [:r 2 [2 1]]]",
    ),
    (
        "G0-process",
        StrongSessionReadUncommitted,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n0 invoke [[:append 1 2]]\n0 ok [[:append 1 2]]
         2 invoke [[:r 1 nil]]\n2 ok [[:r 1 [2 1]]]",
    ),
    (
        "G0-realtime",
        StrongReadUncommitted,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n1 invoke [[:append 1 2]]\n1 ok [[:append 1 2]]
         2 invoke [[:r 1 nil]]\n2 ok [[:r 1 [2 1]]]",
    ),
    (
        "dirty-update",
        ReadCommitted,
        "0 invoke [[:append 1 1]]\n0 fail [[:append 1 1]]\n1 invoke [[:append 1 2]]\n1 ok [[:append 1 2]]
         2 invoke [[:r 1 nil]]\n2 ok [[:r 1 [1 2]]]",
    ),
    (
        "duplicate-elements",
        ReadUncommitted,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n2 invoke [[:r 1 nil]]\n2 ok [[:r 1 [1 1]]]",
    ),
    (
        "incompatible-order",
        ReadCommitted,
        "0 invoke [[:append 1 1]]\n0 ok [[:append 1 1]]\n1 invoke [[:append 1 2]]\n1 ok [[:append 1 2]]
         2 invoke [[:r 1 nil]]\n2 ok [[:r 1 [1 2]]]\n3 invoke [[:r 1 nil]]\n3 ok [[:r 1 [2 1]]]",
    ),
    (
        "internal",
        SnapshotIsolation,
        "0 invoke [[:append 1 1] [:r 1 nil]]\n0 ok [[:append 1 1] [:r 1 []]]",
    ),
];

#[test]
fn each_is_found_by_its_name() {
    for plant in PLANTS.into_iter().chain(OF_LISTS) {
        found(plant, Model::ListAppend);
    }
}
