//! The same bytes in every run and on any number of threads.

use elle_rs::levels::Level;
use elle_rs::transactions::{Model, check_from};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::list_store::Store;
use crate::lists::{drawn, edn};
use crate::reader;
use crate::store::{Guarantee, simulate};

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut certified = 0;
    for _ in 0..8 {
        let lists = edn(&drawn(&mut rng, Store::Careless, 300));
        let snapshots = edn(&drawn(&mut rng, Store::Snapshot, 300));
        let registers = crate::edn(&simulate(&mut rng, Guarantee::Careless, 60, false, 10));
        let serial = crate::edn(&simulate(&mut rng, Guarantee::Strict, 60, false, 0));
        for (text, model) in [
            (&lists, Model::ListAppend),
            (&snapshots, Model::ListAppend),
            (&registers, Model::RwRegister),
            (&serial, Model::RwRegister),
        ] {
            for level in [
                Level::StrictSerializable,
                Level::SnapshotIsolation,
                Level::ReadCommitted,
            ] {
                let on = |threads: usize| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    pool.build().unwrap().install(|| {
                        let report = check_from(reader(text), model, level).unwrap();
                        let certificate = report.certificate.as_ref().map(|c| c.text());
                        (format!("{report:?}"), certificate)
                    })
                };
                let alone = on(1);
                certified += u32::from(alone.1.is_some());
                for threads in [1, 2, 7] {
                    assert_eq!(on(threads), alone, "{threads} threads");
                }
            }
        }
    }
    assert!(certified > 50, "{certified}");
}
