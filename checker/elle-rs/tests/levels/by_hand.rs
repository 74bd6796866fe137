//! What random histories found, by hand.

use elle_rs::levels::Level;
use elle_rs::transactions::{Model, check_from};
use elle_rs::verify::verify;

use crate::random::reader;

/// An intermediate write that was met after another's: the step of the cycle to it has its reason.
#[test]
fn an_order_with_an_intermediate_write_is_told() {
    let text = "\
{:type :invoke, :process 0, :f :txn, :value [[:r 1 nil][:w 1 1][:w 1 2]]}
{:type :ok, :process 0, :f :txn, :value [[:r 1 nil][:w 1 1][:w 1 2]]}
{:type :invoke, :process 0, :f :txn, :value [[:w 1 4]]}
{:type :ok, :process 0, :f :txn, :value [[:w 1 4]]}
{:type :invoke, :process 0, :f :txn, :value [[:r 1 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:r 1 1]]}
";
    for level in [
        Level::StrictSerializable,
        Level::StrongSessionSerializable,
        Level::StrongSnapshotIsolation,
        Level::StrongSessionSnapshotIsolation,
    ] {
        let report = check_from(reader(text), Model::RwRegister, level).unwrap();
        let certificate = report.certificate.unwrap();
        assert_eq!(certificate.verdict, "violated");
        verify(&certificate, reader(text)).unwrap();
        for hop in certificate.cycle.iter().flatten() {
            let in_data = ["ww", "wr", "rw"].contains(&hop.kind.as_str());
            assert_eq!(hop.key.is_some(), in_data, "{level}: {hop:?}");
        }
    }
}
