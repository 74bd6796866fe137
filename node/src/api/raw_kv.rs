//! elastickv's RawKV calls.

use elastickv_wire::raw_kv_server::RawKv;
use elastickv_wire::{
    RawDeleteRequest, RawDeleteResponse, RawGetRequest, RawGetResponse, RawPutRequest,
    RawPutResponse,
};
use tonic::{Code, Request, Response, Status};

use super::{ExecuteError, Executor};
use crate::command;
use crate::wire::{self, Reply, reply, step};

/// RawKV on any node.
pub struct RawKvService(pub Executor);

impl RawKvService {
    async fn run(&self, op: step::Op) -> Result<(Reply, u64), Status> {
        command::check(&op).map_err(Status::unknown)?;
        let executed = self.0.execute(command::single(op)).await;
        let (reply, index) = executed.map_err(status_of)?;
        match reply.shape {
            Some(reply::Shape::Error(text)) => Err(Status::unknown(text)),
            _ => Ok((reply, index)),
        }
    }
}

/// Application errors are code Unknown; a broken call keeps its own code.
fn status_of(error: ExecuteError) -> Status {
    let code = match &error {
        ExecuteError::Call { code, .. } => *code,
        _ => Code::Unknown,
    };
    Status::new(code, error.to_string())
}

#[tonic::async_trait]
impl RawKv for RawKvService {
    async fn raw_put(
        &self,
        request: Request<RawPutRequest>,
    ) -> Result<Response<RawPutResponse>, Status> {
        let RawPutRequest { key, value } = request.into_inner();
        let op = step::Op::RawPut(wire::RawPut { key, value });
        let (_, commit_index) = self.run(op).await?;
        Ok(Response::new(RawPutResponse {
            commit_index,
            success: true,
        }))
    }

    async fn raw_get(
        &self,
        request: Request<RawGetRequest>,
    ) -> Result<Response<RawGetResponse>, Status> {
        let RawGetRequest { key, ts, group_id } = request.into_inner();
        if group_id != 0 {
            return Err(Status::failed_precondition(
                "raw get with explicit group requires a group-aware store",
            ));
        }
        if ts != 0 {
            return Err(Status::failed_precondition(
                "read timestamp has been compacted",
            ));
        }
        let (reply, _) = self.run(step::Op::RawGet(wire::RawGet { key })).await?;
        let value = match reply.shape {
            Some(reply::Shape::Bulk(value)) => Some(value),
            _ => None,
        };
        Ok(Response::new(RawGetResponse {
            read_at_index: 0,
            exists: value.is_some(),
            value: value.unwrap_or_default(),
        }))
    }

    async fn raw_delete(
        &self,
        request: Request<RawDeleteRequest>,
    ) -> Result<Response<RawDeleteResponse>, Status> {
        let RawDeleteRequest { key } = request.into_inner();
        let op = step::Op::RawDelete(wire::RawDelete { key });
        let (_, commit_index) = self.run(op).await?;
        Ok(Response::new(RawDeleteResponse {
            commit_index,
            success: true,
        }))
    }
}
