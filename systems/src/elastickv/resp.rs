//! Redis' protocol, version 2.
//!
//! One plain multiplexed connection of the `redis` crate per client, over a socket opened here.
//! It has no reconnect and no retry: a command is encoded once and given to the socket once,
//! and when the connection breaks every command in flight ends with an error (see
//! `tests/no_hidden_retry.rs`).

use std::net::SocketAddr;

use async_trait::async_trait;
use elle_rs::history::{Action, Step};
use keyquake_formats::canary::Canary;
use keyquake_workloads::{Client, Outcome};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::connect::CONNECT_TIMEOUT;
use super::errors::{self, Effect};
use super::spelling::{self, Reader};

/// elastickv's recommended compare-and-set, to the letter.
pub(super) const COMPARE_AND_SET: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) return 1 else return 0 end";

/// A client of one node.
pub(super) struct RespClient {
    address: SocketAddr,
    canary: Canary,
    connection: Option<Connection>,
}

/// An open connection. Dropping it closes the socket, whatever is in flight.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl RespClient {
    pub(super) fn new(address: SocketAddr, canary: Canary) -> Self {
        Self {
            address,
            canary,
            connection: None,
        }
    }
}

#[async_trait]
impl Client for RespClient {
    async fn invoke(&mut self, action: &Action) -> Outcome {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::open(self.address).await {
                Ok(connection) => connection,
                Err(text) => return Outcome::Fail(errors::not_connected(&text)),
            },
        };
        let outcome = match action {
            Action::Txn { steps } => transaction(&mut connection, &self.canary, steps).await,
            _ => single(&mut connection, &self.canary, action).await,
        };
        // After any error the connection is made anew: its state is not worth a guess.
        if matches!(outcome, Outcome::Ok(_) | Outcome::Corrupt { .. }) {
            self.connection = Some(connection);
        }
        outcome
    }
}

impl Connection {
    /// Connects, or says why not. Sends nothing.
    pub(super) async fn open(address: SocketAddr) -> Result<Self, String> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no connection within {CONNECT_TIMEOUT:?}")),
        };
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        // Time is the caller's: a timeout in here would hide what was going on.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (commands, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            commands,
            driver: tokio::spawn(driver),
        })
    }

    /// One command, one reply. Errors of the server are a reply.
    pub(super) async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        self.commands.send_packed_command(command).await
    }
}

/// A command on a register.
async fn single(connection: &mut Connection, canary: &Canary, action: &Action) -> Outcome {
    let mut command = Cmd::new();
    let effect = match action {
        Action::Read { key, .. } => {
            command.arg("GET").arg(spelling::register(*key));
            Effect::None
        }
        Action::Write { key, value } => {
            command
                .arg("SET")
                .arg(spelling::register(*key))
                .arg(canary.text(*key, *value));
            Effect::Possible
        }
        Action::Swap { key, value, .. } => {
            command.arg("SET").arg(spelling::register(*key));
            command.arg(canary.text(*key, *value)).arg("GET");
            Effect::Possible
        }
        Action::Cas {
            key,
            expected,
            value,
            ..
        } => {
            command.arg("EVAL").arg(COMPARE_AND_SET).arg(1);
            command.arg(spelling::register(*key));
            command
                .arg(canary.text(*key, *expected))
                .arg(canary.text(*key, *value));
            Effect::Possible
        }
        Action::Txn { .. } => return Outcome::Fail("unsupported: nothing was sent".to_owned()),
    };
    match connection.command(&command).await {
        Ok(Value::ServerError(error)) => errors::of_reply(&error, effect),
        Ok(reply) => single_answer(canary, action, &reply, effect),
        Err(error) => errors::of_redis(&error, effect),
    }
}

/// What a reply that is no error means.
fn single_answer(canary: &Canary, action: &Action, reply: &Value, effect: Effect) -> Outcome {
    let mut reader = Reader::new(canary);
    let answer = match (action, reply) {
        (Action::Read { key, .. }, Value::Nil) => Action::Read {
            key: *key,
            value: None,
        },
        (Action::Read { key, .. }, Value::BulkString(bytes)) => Action::Read {
            key: *key,
            value: Some(reader.value(*key, bytes)),
        },
        (Action::Write { .. }, Value::Okay) => action.clone(),
        // A follower that passes a SET on gives the leader's "OK" as a bulk string.
        (Action::Write { .. }, Value::BulkString(bytes)) if bytes == b"OK" => action.clone(),
        (Action::Swap { key, value, .. }, Value::Nil) => Action::Swap {
            key: *key,
            value: *value,
            old: None,
        },
        (Action::Swap { key, value, .. }, Value::BulkString(bytes)) => Action::Swap {
            key: *key,
            value: *value,
            old: Some(reader.value(*key, bytes)),
        },
        (
            Action::Cas {
                key,
                expected,
                value,
                ..
            },
            Value::Int(answer @ (0 | 1)),
        ) => Action::Cas {
            key: *key,
            expected: *expected,
            value: *value,
            swapped: *answer == 1,
        },
        _ => return errors::unexpected(reply, effect),
    };
    finish(answer, reader)
}

/// MULTI, the steps and EXEC in one go.
async fn transaction(connection: &mut Connection, canary: &Canary, steps: &[Step]) -> Outcome {
    let mut pipeline = Pipeline::with_capacity(steps.len() + 2);
    pipeline.cmd("MULTI");
    for step in steps {
        match step {
            Step::Append { key, value } => pipeline
                .cmd("RPUSH")
                .arg(spelling::list(*key))
                .arg(canary.text(*key, *value)),
            Step::Read { key, .. } => pipeline
                .cmd("LRANGE")
                .arg(spelling::list(*key))
                .arg(0)
                .arg(-1),
        };
    }
    pipeline.cmd("EXEC");
    let effect = match steps.iter().any(|step| matches!(step, Step::Append { .. })) {
        true => Effect::Possible,
        false => Effect::None,
    };
    let replies = connection
        .commands
        .send_packed_commands(&pipeline, 0, steps.len() + 2);
    match replies.await {
        Ok(replies) => transaction_answer(canary, steps, &replies, effect),
        Err(error) => errors::of_redis(&error, effect),
    }
}

/// What the replies to a transaction mean.
///
/// EXEC's own answer decides. A refused MULTI is never definite: the steps behind it were on
/// their way already, and ran one by one.
fn transaction_answer(
    canary: &Canary,
    steps: &[Step],
    replies: &[Value],
    effect: Effect,
) -> Outcome {
    let [multi, queued @ .., exec] = replies else {
        return errors::unexpected(&Value::Array(replies.to_vec()), effect);
    };
    match multi {
        Value::Okay => {}
        Value::ServerError(error) => return errors::outside_transaction(error, effect),
        other => return errors::unexpected(other, effect),
    }
    let refused = queued.iter().find_map(|reply| match reply {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    match (exec, refused) {
        (Value::ServerError(error), Some(cause)) if error.code() == "EXECABORT" => {
            errors::aborted(cause)
        }
        (Value::ServerError(error), _) => errors::of_reply(error, effect),
        (Value::Array(results), None) if results.len() == steps.len() => {
            step_answers(canary, steps, results, effect)
        }
        (other, _) => errors::unexpected(other, effect),
    }
}

/// What EXEC gave, step by step.
fn step_answers(canary: &Canary, steps: &[Step], results: &[Value], effect: Effect) -> Outcome {
    let mut reader = Reader::new(canary);
    let mut done = Vec::with_capacity(steps.len());
    for (step, result) in steps.iter().zip(results) {
        done.push(match (step, result) {
            (Step::Append { .. }, Value::Int(_)) => step.clone(),
            (Step::Read { key, .. }, Value::Array(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    let Value::BulkString(bytes) = item else {
                        return errors::unexpected(item, effect);
                    };
                    list.push(reader.value(*key, bytes));
                }
                Step::Read {
                    key: *key,
                    list: Some(list),
                }
            }
            (_, other) => return errors::unexpected(other, effect),
        });
    }
    finish(Action::Txn { steps: done }, reader)
}

fn finish(action: Action, reader: Reader) -> Outcome {
    match reader.note() {
        Some(note) => Outcome::Corrupt { action, note },
        None => Outcome::Ok(action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn canary() -> Canary {
        Canary::of_seed(1)
    }

    fn value(key: u64, value: u64) -> Value {
        bulk(&canary().text(key, value))
    }

    /// The reply that a server's error line is read as.
    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    fn steps() -> Vec<Step> {
        vec![
            Step::Append { key: 1, value: 5 },
            Step::Read { key: 1, list: None },
        ]
    }

    fn queued() -> Value {
        Value::SimpleString("QUEUED".to_owned())
    }

    fn answer(replies: &[Value]) -> Outcome {
        transaction_answer(&canary(), &steps(), replies, Effect::Possible)
    }

    fn info(outcome: Outcome, class: &str) {
        match outcome {
            Outcome::Info(text) => assert!(text.starts_with(class), "{text}"),
            other => panic!("{class}: {other:?}"),
        }
    }

    #[test]
    fn replies_to_single_commands() {
        let swap = |old| Action::Swap {
            key: 1,
            value: 2,
            old,
        };
        let cas = |swapped| Action::Cas {
            key: 1,
            expected: 2,
            value: 3,
            swapped,
        };
        let read = |value| Action::Read { key: 1, value };
        let write = Action::Write { key: 1, value: 2 };
        for (asked, reply, expected) in [
            (read(None), Value::Nil, read(None)),
            (read(None), value(1, 7), read(Some(7))),
            (write.clone(), Value::Okay, write.clone()),
            (write.clone(), bulk("OK"), write.clone()),
            (swap(None), Value::Nil, swap(None)),
            (swap(None), value(1, 9), swap(Some(9))),
            (cas(false), Value::Int(1), cas(true)),
            (cas(false), Value::Int(0), cas(false)),
        ] {
            let outcome = single_answer(&canary(), &asked, &reply, Effect::Possible);
            assert_eq!(outcome, Outcome::Ok(expected));
        }
        for (asked, reply) in [
            (write, Value::Nil),
            (swap(None), Value::Okay),
            (cas(false), Value::Int(2)),
            (cas(false), Value::Nil),
        ] {
            info(
                single_answer(&canary(), &asked, &reply, Effect::Possible),
                "unexpected: ",
            );
        }
        match single_answer(&canary(), &read(None), &bulk("garbage"), Effect::None) {
            Outcome::Corrupt { action, note } => {
                assert_eq!(action, read(Some(keyquake_workloads::CORRUPT_VALUE)));
                assert!(note.contains("garbage"), "{note}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_transaction_that_ran_gives_its_lists() {
        let results = Value::Array(vec![
            Value::Int(2),
            Value::Array(vec![value(1, 4), value(1, 5)]),
        ]);
        let done = Outcome::Ok(Action::Txn {
            steps: vec![
                Step::Append { key: 1, value: 5 },
                Step::Read {
                    key: 1,
                    list: Some(vec![4, 5]),
                },
            ],
        });
        assert_eq!(answer(&[Value::Okay, queued(), queued(), results]), done);
    }

    #[test]
    fn only_a_discarded_transaction_is_a_definite_failure() {
        let refused = error("ERR unsupported command 'X'");
        let outcome = answer(&[
            Value::Okay,
            refused.clone(),
            queued(),
            error("EXECABORT Transaction discarded because of previous errors."),
        ]);
        assert_eq!(
            outcome,
            Outcome::Fail("exec-abort: ERR unsupported command 'X'".to_owned())
        );
        // The steps behind a refused MULTI ran one by one.
        let busy = error("ERR busy");
        info(
            answer(&[
                busy,
                Value::Int(1),
                Value::Array(vec![]),
                error("ERR EXEC without MULTI"),
            ]),
            "no-transaction: ",
        );
        // A refused step, and EXEC ran all the same.
        let partly = Value::Array(vec![Value::Array(vec![])]);
        info(
            answer(&[Value::Okay, refused, queued(), partly]),
            "unexpected: ",
        );
        // A result missing, an error in place of one, no result at all.
        let short = Value::Array(vec![Value::Int(1)]);
        info(
            answer(&[Value::Okay, queued(), queued(), short]),
            "unexpected: ",
        );
        let mixed = Value::Array(vec![Value::Int(1), error("WRONGTYPE x")]);
        info(
            answer(&[Value::Okay, queued(), queued(), mixed]),
            "unexpected: ",
        );
        info(
            answer(&[Value::Okay, queued(), queued(), Value::Nil]),
            "unexpected: ",
        );
        // EXEC's own errors go by the table.
        info(
            answer(&[
                Value::Okay,
                queued(),
                queued(),
                error("NOTLEADER leader not found"),
            ]),
            "no-leader: NOTLEADER leader not found",
        );
        let conflict = answer(&[Value::Okay, queued(), queued(), error("ERR write conflict")]);
        assert!(matches!(conflict, Outcome::Fail(_)), "{conflict:?}");
    }
}
