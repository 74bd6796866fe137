//! The Redis protocol (RESP2): one task per connection, one command at a time.

mod parse;
mod script;
mod session;

use redis_protocol::codec::Resp2;
use redis_protocol::resp2::types::BytesFrame;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_util::codec::Framed;

use crate::api::Executor;
use session::Session;

/// Serves RESP connections until the listener fails.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, executor: Executor) -> std::io::Result<()> {
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The peer is gone already, or descriptors are short: neither ends the service.
            Err(error) => {
                tracing::warn!("RESP accept failed: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        let session = Session::new(executor.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(stream, session).await {
                tracing::debug!("RESP connection ended: {error}");
            }
        });
    }
}

async fn converse(
    stream: TcpStream,
    mut session: Session,
) -> Result<(), redis_protocol::error::RedisProtocolError> {
    use futures_util::SinkExt as _;
    stream.set_nodelay(true)?;
    let mut framed = Framed::new(stream, Resp2::default());
    while let Some(frame) = framed.next().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                let text = format!("ERR Protocol error: {error}");
                framed.send(BytesFrame::Error(text.into())).await?;
                return Err(error);
            }
        };
        let answer = session.answer(frame).await;
        framed.send(answer).await?;
        if session.has_quit() {
            break;
        }
    }
    Ok(())
}
