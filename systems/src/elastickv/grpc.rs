//! RawKV over gRPC.
//!
//! One channel per client, made by an explicit connect, so that a node that is not there is a
//! definite failure: nothing was sent. The channel is dropped after any error. tonic sends a
//! request once: its reconnecting happens before a request is taken, never after (see
//! `tests/no_hidden_retry.rs`).

use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use elastickv_wire::raw_kv_client::RawKvClient;
use elastickv_wire::{RawGetRequest, RawPutRequest};
use elle_rs::history::{Action, Key, Value};
use keyquake_formats::canary::Canary;
use keyquake_workloads::{Client, Outcome};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::connect::CONNECT_TIMEOUT;
use super::errors::{self, Effect};
use super::spelling::{self, Reader};

/// A client of one node.
pub(super) struct GrpcClient {
    address: SocketAddr,
    canary: Canary,
    connection: Option<RawKvClient<Channel>>,
}

impl GrpcClient {
    pub(super) fn new(address: SocketAddr, canary: Canary) -> Self {
        Self {
            address,
            canary,
            connection: None,
        }
    }
}

#[async_trait]
impl Client for GrpcClient {
    async fn invoke(&mut self, action: &Action) -> Outcome {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match channel(self.address).await {
                Ok(channel) => RawKvClient::new(channel),
                Err(text) => return Outcome::Fail(errors::not_connected(&text)),
            },
        };
        let (result, effect) = match action {
            Action::Read { key, .. } => (
                read(&mut connection, &self.canary, *key).await,
                Effect::None,
            ),
            Action::Write { key, value } => {
                let written = write(&mut connection, &self.canary, *key, *value).await;
                (written, Effect::Possible)
            }
            _ => {
                return Outcome::Fail(format!(
                    "unsupported: gRPC has no call for {action:?}; nothing was sent"
                ));
            }
        };
        match result {
            Ok(outcome) => {
                self.connection = Some(connection);
                outcome
            }
            Err(status) => errors::of_status(&status, effect),
        }
    }
}

/// Connects, or says why not.
pub(super) async fn channel(address: SocketAddr) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| error.to_string())?
        .connect_timeout(CONNECT_TIMEOUT);
    endpoint
        .connect()
        .await
        .map_err(|error| errors::chain(&error))
}

async fn read(
    connection: &mut RawKvClient<Channel>,
    canary: &Canary,
    key: Key,
) -> Result<Outcome, Status> {
    let request = RawGetRequest {
        key: Bytes::from(spelling::register(key)),
        ..RawGetRequest::default()
    };
    let response = connection.raw_get(request).await?.into_inner();
    let mut reader = Reader::new(canary);
    let value = response.exists.then(|| reader.value(key, &response.value));
    let action = Action::Read { key, value };
    Ok(match reader.note() {
        Some(note) => Outcome::Corrupt { action, note },
        None => Outcome::Ok(action),
    })
}

async fn write(
    connection: &mut RawKvClient<Channel>,
    canary: &Canary,
    key: Key,
    value: Value,
) -> Result<Outcome, Status> {
    let request = RawPutRequest {
        key: Bytes::from(spelling::register(key)),
        value: Bytes::from(canary.text(key, value)),
    };
    let response = connection.raw_put(request).await?.into_inner();
    Ok(match response.success {
        true => Outcome::Ok(Action::Write { key, value }),
        // The contract gives no meaning to this, so nobody knows.
        false => Outcome::Info("unexpected: RawPut answered success=false".to_owned()),
    })
}
