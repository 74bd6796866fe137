//! Whether a call is in flight: the moment that `during` faults wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was not sent yet, or the last one sent was answered and may be sent again.
    Ashore,
    Sent(Instant),
    /// It will not be sent any more.
    Over,
}

/// A call's state, and when it was first sent, which is not forgotten.
#[derive(Clone, Copy, Debug)]
struct Call {
    state: State,
    first_sent: Option<Instant>,
}

/// Told by whoever sends a call; asked by the faults that are to hit it. Clones are the same.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<watch::Sender<Call>>);

impl Default for InFlight {
    fn default() -> Self {
        let call = Call {
            state: State::Ashore,
            first_sent: None,
        };
        Self(Arc::new(watch::channel(call).0))
    }
}

impl InFlight {
    /// The request leaves now.
    pub fn sent(&self) {
        let now = Instant::now();
        self.0.send_modify(|call| {
            call.state = State::Sent(now);
            call.first_sent.get_or_insert(now);
        });
    }

    /// Its answer is in hand, or nobody waits for it any more.
    pub fn answered(&self) {
        self.0.send_modify(|call| call.state = State::Ashore);
    }

    /// There is nothing more to wait for.
    pub(crate) fn over(&self) {
        self.0.send_modify(|call| call.state = State::Over);
    }

    /// Waits until a request has left for the first time, whether it was answered since or not.
    pub(crate) async fn was_sent(&self) -> Result<Instant, String> {
        let mut calls = self.0.subscribe();
        let known = |call: &Call| call.first_sent.is_some() || call.state == State::Over;
        let sent = calls.wait_for(known).await.ok();
        let sent = sent.and_then(|call| call.first_sent);
        sent.ok_or_else(|| "it was never sent".to_owned())
    }

    /// Waits until a request has been in flight for so long; gives when it was sent.
    pub(crate) async fn reach(&self, after: Duration) -> Result<Instant, String> {
        let mut calls = self.0.subscribe();
        loop {
            let call = *calls.borrow_and_update();
            match call.state {
                State::Sent(sent) => {
                    tokio::select! {
                        // Where both are so when it wakes, the answer came first.
                        biased;
                        _ = calls.changed() => {}
                        () = tokio::time::sleep_until((sent + after).into()) => return Ok(sent),
                    }
                }
                State::Over if call.first_sent.is_none() => {
                    return Err("it was never sent".to_owned());
                }
                State::Over => {
                    return Err(format!(
                        "it was answered before it had been in flight for {} ms",
                        after.as_secs_f64() * 1e3
                    ));
                }
                State::Ashore => drop(calls.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_moment_comes_while_the_answer_is_out() {
        let flight = InFlight::default();
        let waiting = tokio::spawn({
            let flight = flight.clone();
            async move { flight.reach(AFTER).await.map(|sent| sent.elapsed()) }
        });
        tokio::task::yield_now().await;
        flight.sent();
        let since = waiting.await.unwrap().unwrap();
        assert!(since >= AFTER, "{since:?}");
    }

    #[tokio::test]
    async fn an_answer_that_comes_first_is_a_missed_moment() {
        let flight = InFlight::default();
        let waiting = tokio::spawn({
            let flight = flight.clone();
            async move { flight.reach(Duration::from_secs(60)).await }
        });
        for _ in 0..2 {
            flight.sent();
            tokio::task::yield_now().await;
            flight.answered();
            tokio::task::yield_now().await;
        }
        flight.over();
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(
            error,
            "it was answered before it had been in flight for 60000 ms"
        );
        let unsent = InFlight::default();
        unsent.over();
        assert_eq!(unsent.reach(AFTER).await.unwrap_err(), "it was never sent");
        assert!(unsent.was_sent().await.is_err());
        assert!(flight.was_sent().await.is_ok(), "not forgotten");
    }
}
