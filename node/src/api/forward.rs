//! The leader's side of a command another node hands over.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::Executor;
use crate::wire::forward_server::Forward;
use crate::wire::{ExecuteRequest, ExecuteResponse};

/// Executes forwarded commands; never forwards them on.
pub struct ForwardService(pub Executor);

#[tonic::async_trait]
impl Forward for ForwardService {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let request = request.into_inner();
        let Some(command) = request.command else {
            return Err(Status::invalid_argument("invalid request"));
        };
        let budget = Duration::from_millis(request.budget_ms);
        Ok(Response::new(
            match self.0.execute_here(command, budget).await {
                Ok((reply, index)) => ExecuteResponse {
                    reply: Some(reply),
                    index,
                    error: String::new(),
                },
                Err(error) => ExecuteResponse {
                    reply: None,
                    index: 0,
                    error: error.to_string(),
                },
            },
        ))
    }
}
