//! The chain as a transport: a client in this process talks to it through the same decoder as one over HTTP.

use std::task::{Context, Poll};

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use tower::Service;

use super::Embedded;

/// A transport for alloy's `RpcClient`.
#[derive(Clone, Debug)]
pub struct InProcess {
    chain: Embedded,
}

impl InProcess {
    pub(crate) fn new(chain: Embedded) -> InProcess {
        InProcess { chain }
    }
}

impl Service<RequestPacket> for InProcess {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let chain = self.chain.clone();
        Box::pin(async move {
            let request = serde_json::to_vec(&request).map_err(TransportError::ser_err)?;
            let Some(answer) = chain.answer(&request).await else {
                return Err(TransportErrorKind::custom_str("a notification has no answer"));
            };
            serde_json::from_str(&answer).map_err(|why| TransportError::deser_err(why, answer))
        })
    }
}
