//! What a node says of its keys, as the bytes that it says: evidence, to be looked through for
//! what must not be said.

use std::time::Duration;

use prost::Message;
use tokio::time::timeout;

use super::{Asking, Given};

/// How long each answer may take. A node that is paused or cut off gives none.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

impl Asking {
    /// The node's answers by the name of the question, each as its protobuf message. A question
    /// that is not answered is left out.
    pub async fn testimony(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (sidecar, capability) = tokio::join!(
            timeout(ANSWER_WITHIN, self.sidecar_state()),
            timeout(ANSWER_WITHIN, self.capability()),
        );
        let sidecar = sidecar.ok().and_then(bytes);
        let capability = capability.ok().and_then(bytes);
        let answers = [("GetSidecarState", sidecar), ("GetCapability", capability)];
        let given = answers
            .into_iter()
            .filter_map(|(question, answer)| Some((question, answer?)));
        given.collect()
    }
}

fn bytes<T: Message>(given: Given<T>) -> Option<Vec<u8>> {
    Some(given.ok()??.encode_to_vec())
}
