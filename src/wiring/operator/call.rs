//! Calls of the encryption administration, for the nemesis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyquake_nemesis::{Answer, CallRequest, InFlight};
use keyquake_systems::elastickv::encryption::{CallWatch, Order, Reply};

use super::Hands;

impl Hands {
    pub(super) async fn make_call(
        &self,
        request: &CallRequest,
        at: Option<u16>,
        flight: &InFlight,
    ) -> Answer {
        let order = Order {
            call: request.call,
            send: request.send,
            deadline: request.deadline,
            epoch: request.epoch,
        };
        let watch = Arc::new(Flight {
            flight: flight.clone(),
            out: AtomicUsize::new(0),
        });
        match self.keys() {
            Ok(keys) => answer(keys.call(&order, at, watch).await),
            Err(said) => answer(Reply::failed(said)),
        }
    }
}

pub(super) fn answer(reply: Reply) -> Answer {
    Answer {
        outcome: reply.outcome,
        index: reply.index,
        said: reply.said,
    }
}

/// Tells the nemesis when a call is in flight: from the first request of it that leaves to the
/// last answer.
#[derive(Debug)]
struct Flight {
    flight: InFlight,
    /// Requests whose answers are out.
    out: AtomicUsize,
}

impl CallWatch for Flight {
    fn sent(&self) {
        if self.out.fetch_add(1, Ordering::SeqCst) == 0 {
            self.flight.sent();
        }
    }

    fn answered(&self) {
        if self.out.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flight.answered();
        }
    }
}
