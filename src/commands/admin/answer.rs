//! Answers in words and in JSON, and the exit codes that go with them.

use keyquake_systems::elastickv::encryption::{KeyError, NotAccepted, NotDone};
use serde_json::{Value, json};

use crate::exit::{Done, Failure};

/// How a call ended that was not accepted.
pub enum Ended {
    /// The store said no, or nothing, or too little.
    Store(NotAccepted),
    /// Refused here, by name; nothing was sent.
    Here { name: &'static str, text: String },
    /// The call could not be made.
    Failure(Failure),
}

impl From<NotAccepted> for Ended {
    fn from(answer: NotAccepted) -> Self {
        Ended::Store(answer)
    }
}

impl From<KeyError> for Ended {
    fn from(error: KeyError) -> Self {
        Ended::Failure(match error {
            KeyError::Random(_) => Failure::Suite(error.into()),
            _ => Failure::Input(error.into()),
        })
    }
}

impl From<NotDone> for Ended {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Store(answer) => answer.into(),
            NotDone::Unsent { name, text } => Ended::Here { name, text },
            NotDone::Keys(error) => error.into(),
            NotDone::EpochUnknown { .. } => Ended::Failure(Failure::Input(error.into())),
        }
    }
}

/// Something accepted: a line for a person, and fields for a program.
pub struct Accepted {
    pub line: String,
    pub fields: Value,
}

/// Prints the outcome; its exit code.
pub fn say(outcome: Result<Accepted, Ended>, as_json: bool) -> Result<Done, Failure> {
    let (line, value, done) = match outcome {
        Ok(Accepted { line, mut fields }) => {
            fields["outcome"] = json!("accepted");
            (line, fields, Done::Fine)
        }
        Err(Ended::Failure(failure)) => return Err(failure),
        Err(Ended::Here { name, text }) => (
            format!("refused ({name}): {text}; nothing was sent"),
            json!({"outcome": "refused", "refusal": name, "text": text, "sent": false}),
            Done::Refused,
        ),
        Err(Ended::Store(answer)) => {
            let name = answer.refusal().map(|refusal| refusal.name());
            let done = match &answer {
                NotAccepted::Refused { .. } | NotAccepted::InvalidArgument { .. } => Done::Refused,
                _ => Done::Failed,
            };
            let value = json!({"outcome": answer.outcome(), "refusal": name,
                "text": answer.to_string(), "sent": true});
            (answer.to_string(), value, done)
        }
    };
    if as_json {
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else if matches!(done, Done::Fine) {
        println!("{line}");
    } else {
        eprintln!("keyquake: {line}");
    }
    Ok(done)
}
