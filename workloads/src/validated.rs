//! Checks a client's answers against what it was asked, so that a bug in a client can't pass
//! for a behaviour of the store.

use async_trait::async_trait;
use elle_rs::history::{Action, Step};

use crate::client::{Client, Outcome};

/// A client whose answers are checked: same kind, same keys, same written values, results
/// there. An answer that does not fit becomes `info`, as nobody knows what happened.
pub struct Validated<C>(pub C);

#[async_trait]
impl<C: Client> Client for Validated<C> {
    async fn invoke(&mut self, action: &Action) -> Outcome {
        let outcome = self.0.invoke(action).await;
        match &outcome {
            Outcome::Ok(answer) | Outcome::Corrupt { action: answer, .. }
                if !answers(action, answer) =>
            {
                Outcome::Info(format!(
                    "client-bug: asked {action:?}, and the client answered {answer:?}"
                ))
            }
            _ => outcome,
        }
    }
}

#[async_trait]
impl Client for Box<dyn Client> {
    async fn invoke(&mut self, action: &Action) -> Outcome {
        (**self).invoke(action).await
    }
}

/// Whether `answer` can be the completion of `asked`.
fn answers(asked: &Action, answer: &Action) -> bool {
    match (asked, answer) {
        (Action::Read { key, .. }, Action::Read { key: same, .. }) => key == same,
        (Action::Write { .. }, Action::Write { .. }) => asked == answer,
        (
            Action::Swap { key, value, .. },
            Action::Swap {
                key: same_key,
                value: same_value,
                ..
            },
        ) => (key, value) == (same_key, same_value),
        (
            Action::Cas {
                key,
                expected,
                value,
                ..
            },
            Action::Cas {
                key: same_key,
                expected: same_expected,
                value: same_value,
                ..
            },
        ) => (key, expected, value) == (same_key, same_expected, same_value),
        (Action::Txn { steps }, Action::Txn { steps: done }) => {
            steps.len() == done.len() && steps.iter().zip(done).all(|(a, b)| step_answers(a, b))
        }
        _ => false,
    }
}

/// Whether a step of a completed transaction fits the step asked for.
fn step_answers(asked: &Step, answer: &Step) -> bool {
    match (asked, answer) {
        (Step::Append { .. }, Step::Append { .. }) => asked == answer,
        (Step::Read { key, .. }, Step::Read { key: same, list }) => key == same && list.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers whatever it was told to.
    struct Says(Outcome);

    #[async_trait]
    impl Client for Says {
        async fn invoke(&mut self, _: &Action) -> Outcome {
            self.0.clone()
        }
    }

    fn read(key: u64, value: Option<u64>) -> Action {
        Action::Read { key, value }
    }

    fn swap(key: u64, value: u64, old: Option<u64>) -> Action {
        Action::Swap { key, value, old }
    }

    fn cas(key: u64, expected: u64, value: u64, swapped: bool) -> Action {
        Action::Cas {
            key,
            expected,
            value,
            swapped,
        }
    }

    fn txn(steps: &[Step]) -> Action {
        Action::Txn {
            steps: steps.to_vec(),
        }
    }

    fn append(key: u64, value: u64) -> Step {
        Step::Append { key, value }
    }

    fn list(key: u64, list: Option<Vec<u64>>) -> Step {
        Step::Read { key, list }
    }

    #[tokio::test]
    async fn fitting_answers_pass_unchanged() {
        for (asked, answer) in [
            (read(1, None), read(1, Some(4))),
            (read(1, None), read(1, None)),
            (
                Action::Write { key: 1, value: 2 },
                Action::Write { key: 1, value: 2 },
            ),
            (swap(1, 2, None), swap(1, 2, Some(9))),
            (cas(1, 2, 3, false), cas(1, 2, 3, true)),
            (
                txn(&[append(1, 2), list(1, None)]),
                txn(&[append(1, 2), list(1, Some(vec![2]))]),
            ),
        ] {
            let said = Outcome::Ok(answer);
            assert_eq!(Validated(Says(said.clone())).invoke(&asked).await, said);
        }
    }

    #[tokio::test]
    async fn answers_to_another_question_become_info() {
        for (asked, answer) in [
            (read(1, None), read(2, Some(4))),
            (read(1, None), Action::Write { key: 1, value: 4 }),
            (
                Action::Write { key: 1, value: 2 },
                Action::Write { key: 1, value: 3 },
            ),
            (swap(1, 2, None), swap(1, 3, None)),
            (cas(1, 2, 3, false), cas(1, 9, 3, true)),
            (txn(&[append(1, 2)]), txn(&[])),
            (txn(&[append(1, 2)]), txn(&[append(1, 3)])),
            (txn(&[list(1, None)]), txn(&[list(1, None)])),
            (txn(&[list(1, None)]), txn(&[list(2, Some(vec![]))])),
        ] {
            for said in [
                Outcome::Ok(answer.clone()),
                Outcome::Corrupt {
                    action: answer.clone(),
                    note: "corrupt".into(),
                },
            ] {
                match Validated(Says(said)).invoke(&asked).await {
                    Outcome::Info(text) => assert!(text.starts_with("client-bug: "), "{text}"),
                    other => panic!("{asked:?} answered {answer:?} became {other:?}"),
                }
            }
        }
    }
}
