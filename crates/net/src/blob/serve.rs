//! Giving blobs to peers: one stream, its requests one after the other.
//!
//! A client that asks for more than it reads waits for itself: the next request is read when the last answer is sent, and
//! an answer is never in memory but for a batch of groups.

use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, spawn_blocking};

use super::file::BATCH;
use super::limits::{Gate, Pass};
use super::tree::GROUP;
use super::wire::{Gone, REQUEST, Request, Span, Status, Wire, encode_parts, in_time};
use super::{Blob, Error, Root, Store};
use crate::PeerId;

/// A stream on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_mins(1);

/// Answers what a peer asks until it leaves, or misbehaves.
pub(crate) async fn serve(store: Store, gate: Arc<Gate>, peer: PeerId, mut wire: Wire) -> Result<(), Gone> {
    let Some(pass) = gate.enter(peer) else {
        in_time(send(&mut wire, &[Status::Busy.byte()])).await?;
        return in_time(async { Ok(wire.close().await?) }).await;
    };
    let mut last: Option<Arc<Blob>> = None;
    let mut spare = Vec::new();
    loop {
        let mut bytes = [0; REQUEST];
        tokio::time::timeout(IDLE, wire.read_exact(&mut bytes)).await.map_err(|_| Gone::Slow)??;
        let request = Request::decode(&bytes).ok_or(Gone::Lied)?;
        let (Request::Head(root) | Request::Have(root) | Request::Want(root, _)) = request;
        if last.as_ref().is_none_or(|blob| blob.root() != root) {
            last = find(&store, root).await;
        }
        let answered = match (&last, request) {
            (None, _) => None,
            (Some(blob), Request::Head(_)) => head(blob.clone()).await,
            (Some(blob), Request::Have(_)) => Some(have(blob)),
            (Some(blob), Request::Want(_, span)) => match proof(blob.clone(), span).await {
                Some(proof) => {
                    in_time(send(&mut wire, &[&[Status::Here.byte()][..], proof.as_flattened()].concat()))
                        .await?;
                    give(&mut wire, blob, span, &pass, &mut spare).await?;
                    continue;
                }
                None => None,
            },
        };
        match answered {
            Some(bytes) => {
                pass.pay(bytes.len() as u64).await;
                in_time(send(&mut wire, &bytes)).await?;
            }
            None => in_time(send(&mut wire, &[Status::NotHere.byte()])).await?,
        }
    }
}

async fn send(wire: &mut Wire, bytes: &[u8]) -> Result<(), Gone> {
    wire.write_all(bytes).await?;
    Ok(wire.flush().await?)
}

/// A blob of ours that cannot be read is none that we have.
async fn find(store: &Store, root: Root) -> Option<Arc<Blob>> {
    let store = store.clone();
    blocking(move || store.find(root)).await.flatten()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Option<T> {
    match spawn_blocking(work).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::warn!("cannot give a blob: {error}");
            None
        }
        Err(_) => None,
    }
}

async fn head(blob: Arc<Blob>) -> Option<Vec<u8>> {
    let read = move || {
        let shape = blob.shape();
        let (part, group) = (shape.parts() - 1, shape.groups() - 1);
        let Some(proof) = blob.proof(part)? else { return Ok(None) };
        let mut last = vec![0; shape.len_of(group)];
        blob.read_at(group * GROUP, &mut last)?;
        let size = shape.size().to_le_bytes();
        let parts = encode_parts(blob.parts().as_ref());
        Ok(Some([&[Status::Here.byte()][..], &size, proof.as_flattened(), &last, &parts].concat()))
    };
    blocking(read).await.flatten()
}

fn have(blob: &Blob) -> Vec<u8> {
    [vec![Status::Here.byte()], encode_parts(blob.parts().as_ref())].concat()
}

/// The proof of a part whose wanted groups are here.
async fn proof(blob: Arc<Blob>, span: Span) -> Option<Vec<super::tree::Node>> {
    let shape = blob.shape();
    if span.part >= shape.parts() || span.groups().end > shape.groups() || !blob.has(span.groups()) {
        return None;
    }
    blocking(move || blob.proof(span.part)).await.flatten()
}

/// Sends groups, reading the next ones while the last ones are on their way. Buffers are used again: new memory costs as much as
/// hashing what is read into it.
async fn give(
    wire: &mut Wire,
    blob: &Arc<Blob>,
    span: Span,
    pass: &Pass,
    spare: &mut Vec<Vec<u8>>,
) -> Result<(), Gone> {
    let groups = span.groups();
    let mut next = Some(read(blob, groups.start, groups.end, spare.pop()));
    let mut at = groups.start;
    while let Some(reading) = next {
        let bytes = reading.await.map_err(|_| Gone::Broken)?.map_err(|error| {
            tracing::warn!("cannot give a blob: {error}");
            Gone::Broken
        })?;
        at = (at + BATCH).min(groups.end);
        next = (at < groups.end).then(|| read(blob, at, groups.end, spare.pop()));
        pass.pay(bytes.len() as u64).await;
        in_time(async { Ok(wire.write_all(&bytes).await?) }).await?;
        spare.push(bytes);
    }
    in_time(async { Ok(wire.flush().await?) }).await
}

fn read(
    blob: &Arc<Blob>,
    first: u64,
    end: u64,
    buffer: Option<Vec<u8>>,
) -> JoinHandle<Result<Vec<u8>, Error>> {
    let (blob, mut bytes) = (blob.clone(), buffer.unwrap_or_default());
    spawn_blocking(move || {
        let place = blob.shape().bytes(first..(first + BATCH).min(end));
        bytes.resize((place.end - place.start) as usize, 0);
        blob.read_at(place.start, &mut bytes)?;
        Ok(bytes)
    })
}
