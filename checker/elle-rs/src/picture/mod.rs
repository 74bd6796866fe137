//! Pictures of counterexamples: SVG without scripts, of the operations that a certificate names and no
//! others, read again from the history.
//!
//! Of linearizability, a lane per process with a bar for each operation, from its invocation to its
//! completion; of a cycle, its transactions one below the other with the reason of each step between
//! them; of other anomalies, the operations that show them.

mod boxes;
mod lanes;
mod scene;
mod svg;

use crate::certificate::{Certificate, LINEARIZABILITY};
use crate::history::stream::{ReadError, Reader};

/// Operations that are drawn; of more, only the first named are, and how many are left out is said.
pub const DRAWN_MAX: usize = 400;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The history can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no counterexample.
    #[error("the verdict is {verdict}: there is no counterexample to draw")]
    Nothing {
        /// The verdict.
        verdict: String,
    },
    /// The history is another one.
    #[error("entry {place} of the history invokes nothing: the certificate is about another one")]
    Missing {
        /// Where nothing is invoked.
        place: u64,
    },
}

/// Draws the counterexample of a certificate; `reader` reads the history that it is about.
pub fn draw(certificate: &Certificate, reader: Reader) -> Result<String, PictureError> {
    let mut wanted = certificate.counterexample();
    if certificate.verdict != "violated" || wanted.is_empty() {
        return Err(PictureError::Nothing {
            verdict: certificate.verdict.clone(),
        });
    }
    let left_out = wanted.len().saturating_sub(DRAWN_MAX);
    if left_out > 0 {
        wanted = named_first(certificate);
    }
    let scene = scene::read(reader, &wanted)?;
    if let Some(&place) = wanted.iter().find(|place| !scene.contains_key(place)) {
        return Err(PictureError::Missing { place });
    }
    Ok(if certificate.kind == LINEARIZABILITY {
        lanes::draw(certificate, &scene, left_out)
    } else {
        boxes::draw(certificate, &scene, left_out)
    })
}

/// As many operations as are drawn, those first that the certificate names first.
fn named_first(certificate: &Certificate) -> Vec<u64> {
    let proofs = certificate
        .parts
        .iter()
        .filter_map(|part| part.proof.as_ref());
    let proven = proofs.flat_map(|proof| proof.ops.iter().copied().flatten());
    let round = certificate.cycle.iter().flatten().map(|hop| hop.before);
    let mut wanted: Vec<u64> = Vec::new();
    for place in proven.chain(round) {
        if wanted.len() < DRAWN_MAX && !wanted.contains(&place) {
            wanted.push(place);
        }
    }
    wanted
}
