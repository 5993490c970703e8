//! Errors as JSON-RPC has them, with the codes that clients of other nodes know.

use alloy::primitives::Bytes;
use alloy::sol_types::decode_revert_reason;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::embedded::error::EmbeddedError;
use crate::embedded::sequencer::Refusal;

/// An error of one call.
#[derive(Debug, Serialize)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    /// What came is no JSON.
    pub(crate) fn parse(why: impl std::fmt::Display) -> RpcError {
        RpcError::new(-32700, format!("parse error: {why}"))
    }

    /// What came is JSON, but no request.
    pub(crate) fn invalid(why: impl Into<String>) -> RpcError {
        RpcError::new(-32600, why)
    }

    /// There is no such method.
    pub(crate) fn method(name: &str) -> RpcError {
        // Names come from outside: long ones are no use to anyone.
        let name: String = name.chars().take(64).collect();
        RpcError::new(-32601, format!("the method {name} does not exist/is not available"))
    }

    /// The parameters are not what the method takes.
    pub(crate) fn params(why: impl Into<String>) -> RpcError {
        RpcError::new(-32602, why)
    }

    /// The method could not do it.
    pub(crate) fn failed(why: impl Into<String>) -> RpcError {
        RpcError::new(-32000, why)
    }

    /// More was asked for than one may.
    pub(crate) fn limit(why: impl Into<String>) -> RpcError {
        RpcError::new(-32005, why)
    }

    /// A contract has reverted, perhaps with a reason.
    pub(crate) fn reverted(output: &Bytes) -> RpcError {
        let reason = decode_revert_reason(output).map(|reason| {
            // What `require` and `panic` say; errors of a contract's own are for the client to decode.
            let reason = reason.strip_prefix("revert: ").unwrap_or(&reason).to_owned();
            format!(": {reason}")
        });
        let standard =
            output.starts_with(&[0x08, 0xc3, 0x79, 0xa0]) || output.starts_with(&[0x4e, 0x48, 0x7b, 0x71]);
        let reason = reason.filter(|_| standard).unwrap_or_default();
        let data = to_raw_value(output).ok();
        RpcError { code: 3, message: format!("execution reverted{reason}"), data }
    }
}

impl From<EmbeddedError> for RpcError {
    fn from(error: EmbeddedError) -> RpcError {
        RpcError::new(-32603, error.to_string())
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> RpcError {
        match refusal {
            Refusal::Rejected(why) => RpcError::failed(why.to_string()),
            Refusal::Stopped(_) => RpcError::new(-32603, refusal.to_string()),
        }
    }
}
