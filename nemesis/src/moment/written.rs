//! A moment as it stands in a plan: exactly one of several words.

use keyquake_cluster::node_name;
use keyquake_rollout::Call;
use serde::{Deserialize, Serialize};

use super::{Moment, Question};
use crate::target::position;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    during: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    between: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operations: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Question>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

impl TryFrom<Written> for Moment {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let whose = written.node.is_some();
        let node = written.node.as_deref().map(position).transpose()?;
        let log = written.log.map(|text| Moment::Log { text, node });
        let question = written.answer;
        let answer = question.map(|question| Moment::Answer { question, node });
        let words = [
            written.during.map(Moment::During),
            written.between.map(Moment::Between),
            written.operations.map(Moment::Operations),
            log,
            answer,
        ];
        let mut found = words.into_iter().flatten();
        let (Some(moment), None) = (found.next(), found.next()) else {
            return Err(
                "`when` says one thing: `during` or `between` (a call), `operations` (a number), \
                 `log` (a text) or `answer` (a question)"
                    .to_owned(),
            );
        };
        match &moment {
            Moment::Log { .. } | Moment::Answer { .. } => {}
            _ if whose => {
                return Err("only `log` and `answer` of `when` are of a `node`".to_owned());
            }
            _ => {}
        }
        match &moment {
            Moment::Operations(0) => Err("`operations` counts from 1".to_owned()),
            Moment::Log { text, .. } if text.is_empty() => {
                Err("`log` needs a text: every line contains an empty one".to_owned())
            }
            Moment::Between(call) if Question::of_call(*call).is_none() => Err(format!(
                "no member shows in its keys that `{call}` was done, so nothing is `between` them"
            )),
            _ => Ok(moment),
        }
    }
}

impl From<Moment> for Written {
    fn from(moment: Moment) -> Self {
        let node = moment.node().map(node_name);
        let written = Written {
            node,
            ..Written::default()
        };
        match moment {
            Moment::During(call) => Written {
                during: Some(call),
                ..written
            },
            Moment::Between(call) => Written {
                between: Some(call),
                ..written
            },
            Moment::Operations(count) => Written {
                operations: Some(count),
                ..written
            },
            Moment::Log { text, .. } => Written {
                log: Some(text),
                ..written
            },
            Moment::Answer { question, .. } => Written {
                answer: Some(question),
                ..written
            },
        }
    }
}
