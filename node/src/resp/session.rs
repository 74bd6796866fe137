//! One connection's state (a MULTI being queued) and what each command answers.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::parse;
use crate::api::{ExecuteError, Executor};
use crate::command;
use crate::wire::{Command, Reply, reply, step};

/// A connection's conversation.
pub struct Session {
    executor: Executor,
    /// Commands queued since MULTI.
    queued: Option<Vec<Vec<Bytes>>>,
    quit: bool,
}

fn status(text: &'static str) -> BytesFrame {
    BytesFrame::SimpleString(Bytes::from_static(text.as_bytes()))
}

fn error(text: impl Into<String>) -> BytesFrame {
    // An error is one line on the wire.
    let text = text.into().replace(['\r', '\n'], " ");
    BytesFrame::Error(text.into())
}

fn bulk(text: &'static str) -> BytesFrame {
    BytesFrame::BulkString(Bytes::from_static(text.as_bytes()))
}

fn unsupported(name: &str) -> BytesFrame {
    error(format!("ERR unsupported command '{name}'"))
}

impl Session {
    /// A fresh connection.
    pub fn new(executor: Executor) -> Self {
        Self {
            executor,
            queued: None,
            quit: false,
        }
    }

    /// Whether the client said goodbye.
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    /// Answers one command.
    pub async fn answer(&mut self, frame: BytesFrame) -> BytesFrame {
        let Some(words) = words(frame).filter(|words| !words.is_empty()) else {
            return error("ERR Protocol error: expected an array of bulk strings");
        };
        let name = String::from_utf8_lossy(&words[0]).to_uppercase();
        match (name.as_str(), &mut self.queued) {
            ("MULTI", None) => {
                self.queued = Some(Vec::new());
                status("OK")
            }
            ("MULTI", Some(_)) => error("ERR MULTI calls can not be nested"),
            ("EXEC", _) => match self.queued.take() {
                Some(queued) => self.exec(queued).await,
                None => error("ERR EXEC without MULTI"),
            },
            ("DISCARD", _) => match self.queued.take() {
                Some(_) => status("OK"),
                None => error("ERR DISCARD without MULTI"),
            },
            ("QUIT", _) => {
                self.quit = true;
                status("OK")
            }
            (_, Some(queued)) => {
                queued.push(words);
                status("QUEUED")
            }
            (name, None) => self.single(name, &words).await,
        }
    }

    async fn single(&self, name: &str, words: &[Bytes]) -> BytesFrame {
        match parse::operation(name, words) {
            Ok(Some(op)) => self.run(command::single(op)).await,
            Ok(None) => connection_command(name, words),
            Err(text) => error(text),
        }
    }

    async fn exec(&self, queued: Vec<Vec<Bytes>>) -> BytesFrame {
        let mut ops: Vec<step::Op> = Vec::with_capacity(queued.len());
        for words in &queued {
            let name = String::from_utf8_lossy(&words[0]).to_uppercase();
            if name == "EVAL" {
                return unsupported(&name);
            }
            match parse::operation(&name, words) {
                Ok(Some(op)) => ops.push(op),
                Ok(None) => return unsupported(&name),
                Err(text) => return error(text),
            }
        }
        if ops.is_empty() {
            return BytesFrame::Array(Vec::new());
        }
        self.run(command::batch(ops)).await
    }

    async fn run(&self, command: Command) -> BytesFrame {
        match self.executor.execute(command).await {
            Ok((reply, _)) => frame(reply),
            Err(failure) => error(text_of(&failure)),
        }
    }
}

/// Leader trouble is `NOTLEADER`, overload `BUSY`, everything else `ERR`.
fn text_of(failure: &ExecuteError) -> String {
    let text = failure.to_string();
    match text.as_str() {
        "leader not found"
        | "not leader"
        | "leadership lost"
        | "leadership transfer in progress" => format!("NOTLEADER {text}"),
        "server overloaded" => format!("BUSY {text}"),
        _ => format!("ERR {text}"),
    }
}

fn frame(reply: Reply) -> BytesFrame {
    match reply.shape {
        Some(reply::Shape::Ok(_)) => status("OK"),
        Some(reply::Shape::Nil(_)) => BytesFrame::Null,
        Some(reply::Shape::Integer(value)) => BytesFrame::Integer(value),
        Some(reply::Shape::Bulk(body)) => BytesFrame::BulkString(body),
        Some(reply::Shape::Array(items)) => {
            BytesFrame::Array(items.items.into_iter().map(frame).collect())
        }
        Some(reply::Shape::Error(text)) => error(text),
        None => error("ERR empty reply"),
    }
}

/// A command is an array of bulk strings.
fn words(frame: BytesFrame) -> Option<Vec<Bytes>> {
    let BytesFrame::Array(items) = frame else {
        return None;
    };
    items
        .into_iter()
        .map(|item| match item {
            BytesFrame::BulkString(word) | BytesFrame::SimpleString(word) => Some(word),
            _ => None,
        })
        .collect()
}

/// Commands about the connection itself: enough for common clients to connect.
fn connection_command(name: &str, words: &[Bytes]) -> BytesFrame {
    match (name, words.len()) {
        ("PING", 1) => status("PONG"),
        ("PING", 2) => BytesFrame::BulkString(words[1].clone()),
        ("PING", _) => error(parse::wrong_arity(name)),
        ("SELECT", 2) if &words[1][..] == b"0" => status("OK"),
        ("SELECT", 2) => error("ERR DB index is out of range"),
        ("SELECT", _) => error(parse::wrong_arity(name)),
        ("CLIENT", _) => client(words),
        ("COMMAND", 1 | 2) => BytesFrame::Array(Vec::new()),
        ("HELLO", _) => hello(words),
        _ => unsupported(name),
    }
}

fn client(words: &[Bytes]) -> BytesFrame {
    let Some(sub) = words.get(1) else {
        return error(parse::wrong_arity("CLIENT"));
    };
    match String::from_utf8_lossy(sub).to_uppercase().as_str() {
        "SETINFO" | "SETNAME" | "NO-EVICT" | "NO-TOUCH" => status("OK"),
        "GETNAME" => BytesFrame::Null,
        "ID" => BytesFrame::Integer(1),
        other => unsupported(&format!("CLIENT {other}")),
    }
}

fn hello(words: &[Bytes]) -> BytesFrame {
    match words.get(1).map(|version| &version[..]) {
        None | Some(b"2") => BytesFrame::Array(vec![
            bulk("server"),
            bulk("redis"),
            bulk("version"),
            bulk("7.0.0"),
            bulk("proto"),
            BytesFrame::Integer(2),
            bulk("mode"),
            bulk("standalone"),
            bulk("role"),
            bulk("master"),
        ]),
        Some(_) => error("NOPROTO unsupported protocol version"),
    }
}
