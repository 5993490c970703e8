//! From bytes to calls: the decoder of everything that clients send.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::RpcError;

/// The most parameters that any method takes.
const PARAMETERS: usize = 8;

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// One call.
    One(Call<'a>),
    /// Several, to be answered together. Each is decoded when it is its turn, since one that is malformed spoils no other.
    Batch(Vec<&'a RawValue>),
}

impl<'a> Incoming<'a> {
    /// Decodes a call or a batch of at most so many.
    pub(crate) fn decode(bytes: &'a [u8], batch_limit: usize) -> Result<Incoming<'a>, RpcError> {
        let whole: &RawValue = serde_json::from_slice(bytes).map_err(RpcError::parse)?;
        if !whole.get().starts_with('[') {
            return Ok(Incoming::One(Call::decode(whole)?));
        }
        let calls: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(RpcError::parse)?;
        if calls.is_empty() {
            return Err(RpcError::invalid("empty batch"));
        }
        if calls.len() > batch_limit {
            let why = format!("batch too large: {} calls, at most {batch_limit}", calls.len());
            return Err(RpcError::invalid(why));
        }
        Ok(Incoming::Batch(calls))
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What the answer is to be labelled with; without it, no answer is wanted.
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) method: String,
    pub(crate) params: Params<'a>,
}

impl<'a> Call<'a> {
    /// Decodes one call.
    pub(crate) fn decode(raw: &'a RawValue) -> Result<Call<'a>, RpcError> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            jsonrpc: Option<String>,
            #[serde(borrow, default, deserialize_with = "some")]
            id: Option<&'a RawValue>,
            method: Option<String>,
            #[serde(borrow, default)]
            params: Option<&'a RawValue>,
        }
        if !raw.get().starts_with('{') {
            return Err(RpcError::invalid("invalid request: an object is expected"));
        }
        let fields: Fields<'a> = serde_json::from_str(raw.get())
            .map_err(|why| RpcError::invalid(format!("invalid request: {why}")))?;
        // Some clients leave the version out, and every node lets them.
        if fields.jsonrpc.is_some_and(|version| version != "2.0") {
            return Err(RpcError::invalid("invalid request: only JSON-RPC 2.0 is spoken"));
        }
        if fields.id.is_some_and(|id| id.get().starts_with(['{', '[', 't', 'f'])) {
            return Err(RpcError::invalid("invalid request: the id must be a number, a string or null"));
        }
        let method = fields.method.ok_or_else(|| RpcError::invalid("invalid request: method is missing"))?;
        Ok(Call { id: fields.id, method, params: Params { raw: fields.params, list: None, taken: 0 } })
    }
}

/// An id that is null is one: only a call without any wants no answer.
fn some<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The parameters of a call, taken one after the other.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    raw: Option<&'a RawValue>,
    list: Option<Vec<&'a RawValue>>,
    taken: usize,
}

impl<'a> Params<'a> {
    /// The parameters again, from what [`Params::raw`] gave.
    pub(crate) fn new(raw: Option<&'a RawValue>) -> Params<'a> {
        Params { raw, list: None, taken: 0 }
    }

    /// Their JSON.
    pub(crate) fn raw(&self) -> Option<&'a RawValue> {
        self.raw
    }

    /// The next one.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, RpcError> {
        let at = self.taken;
        self.optional()?.ok_or_else(|| RpcError::params(format!("missing value for required argument {at}")))
    }

    /// The next one, if it is there and not null.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, RpcError> {
        let at = self.taken;
        self.taken += 1;
        let Some(raw) = self.list()?.get(at).filter(|raw| raw.get() != "null") else { return Ok(None) };
        let invalid = |why| RpcError::params(format!("invalid argument {at}: {why}"));
        serde_json::from_str(raw.get()).map(Some).map_err(invalid)
    }

    /// That nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), RpcError> {
        let taken = self.taken;
        if self.list()?.len() > taken {
            return Err(RpcError::params(format!("too many arguments, want at most {taken}")));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<&[&'a RawValue], RpcError> {
        if self.list.is_none() {
            let raw = self.raw.map_or("null", RawValue::get);
            let list: Option<Vec<&'a RawValue>> =
                serde_json::from_str(raw).map_err(|_| RpcError::params("non-array args"))?;
            let list = list.unwrap_or_default();
            if list.len() > PARAMETERS {
                return Err(RpcError::params(format!("too many arguments, want at most {PARAMETERS}")));
            }
            self.list = Some(list);
        }
        Ok(self.list.as_deref().unwrap_or_default())
    }
}
