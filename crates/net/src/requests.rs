//! Typed requests: one question, one answer, each with a bound on its bytes and its time.

use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::id::{PeerId, shortened};
use crate::memory::{Pool, Share};
use crate::reputation::Offence;
use crate::streams::{Incoming, Stream};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A kind of question, and what answers it.
///
/// Both are sent in postcard's encoding. Their bounds are known from the type, so no peer can make the other hold more.
pub trait Request: Serialize + DeserializeOwned + Send + 'static {
    /// What answers it.
    type Response: Serialize + DeserializeOwned + Send + 'static;
    /// Its name, ending in the version of its encoding: `rounds/1`.
    const PROTOCOL: &'static str;
    /// The most bytes that a question takes.
    const REQUEST_BYTES: usize;
    /// The most bytes that an answer takes.
    const RESPONSE_BYTES: usize;
}

/// How much may be asked of this node at once.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Questions of one peer that are being answered.
    pub per_peer: usize,
    /// Questions of all peers that are being answered.
    pub total: usize,
    /// How long the question may take to come, the answer to be found, and the answer to be taken: each.
    pub deadline: Duration,
}

impl Default for ServeLimits {
    fn default() -> ServeLimits {
        ServeLimits { per_peer: 8, total: 128, deadline: Duration::from_secs(15) }
    }
}

/// The questions that peers ask. When it is dropped, the node answers them no more.
pub struct Requests<Q: Request> {
    asked: mpsc::Receiver<Asked<Q>>,
}

impl<Q: Request> Requests<Q> {
    /// The next question; none when the node has stopped.
    pub async fn next(&mut self) -> Option<Asked<Q>> {
        self.asked.recv().await
    }
}

/// A question that a peer waits to have answered.
pub struct Asked<Q: Request> {
    /// Who asks.
    pub peer: PeerId,
    /// What.
    pub request: Q,
    /// For the answer.
    pub reply: Reply<Q>,
}

/// Takes the answer. Dropping it refuses.
pub struct Reply<Q: Request>(oneshot::Sender<std::result::Result<Q::Response, String>>);

impl<Q: Request> fmt::Debug for Requests<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requests({})", Q::PROTOCOL)
    }
}

impl<Q: Request> fmt::Debug for Asked<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({} by {:?})", Q::PROTOCOL, self.peer)
    }
}

impl<Q: Request> fmt::Debug for Reply<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", Q::PROTOCOL)
    }
}

impl<Q: Request> Reply<Q> {
    /// Sends the answer.
    pub fn answer(self, response: Q::Response) {
        // The peer may have gone; that is its business.
        let _ = self.0.send(Ok(response));
    }

    /// Refuses, and says why.
    pub fn refuse(self, why: &str) {
        let _ = self.0.send(Err(shortened(why)));
    }
}

impl Handle {
    /// Asks a peer, connecting to it first if need be, and waits for its answer until the deadline.
    pub async fn request<Q: Request>(
        &self,
        peer: PeerId,
        request: &Q,
        deadline: Duration,
    ) -> Result<Q::Response> {
        let bytes = encode(request, Q::REQUEST_BYTES, "request")?;
        match timeout(deadline, self.ask_peer::<Q>(peer, bytes)).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::Timeout { what: "an answer", after: deadline }),
        }
    }

    async fn ask_peer<Q: Request>(&self, peer: PeerId, request: Vec<u8>) -> Result<Q::Response> {
        let mut stream = self.open(peer, Q::PROTOCOL).await?;
        let broken = |why: std::io::Error| Error::Broken { peer, why: why.to_string() };
        write_frame(&mut stream, None, &request).await.map_err(broken)?;
        let mut status = [0];
        stream.read_exact(&mut status).await.map_err(broken)?;
        let status = Status::of(status[0]);
        let limit = if status == Some(Status::Answer) { Q::RESPONSE_BYTES } else { REASON_BYTES };
        let (body, _share) = match read_frame(&mut stream, limit, self.pool()).await {
            Ok(read) => read,
            Err(NotRead::NoRoom(_)) => return Err(self.no_memory("bytes of answers")),
            Err(NotRead::TooLarge(bytes)) => {
                self.report(peer, Offence::TooLarge).await;
                return Err(Error::TooLarge { what: "the peer's answer", bytes, limit });
            }
            Err(NotRead::Broken(why)) => return Err(broken(why)),
        };
        match status {
            Some(Status::Answer) => {
                if let Ok(response) = postcard::from_bytes(&body) {
                    return Ok(response);
                }
                self.report(peer, Offence::Malformed).await;
                Err(Error::Malformed { peer, what: "response", ours: Q::PROTOCOL })
            }
            Some(Status::Refused) => {
                Err(Error::Refused { peer, why: shortened(&String::from_utf8_lossy(&body)) })
            }
            Some(Status::Busy) => {
                Err(Error::Refused { peer, why: "it is busy; try again later, or another peer".to_owned() })
            }
            None => Err(Error::Malformed { peer, what: "response", ours: Q::PROTOCOL }),
        }
    }

    /// From now on answers questions of this kind, within limits.
    pub fn serve<Q: Request>(&self, limits: ServeLimits) -> Result<Requests<Q>> {
        let incoming = self.accept(Q::PROTOCOL)?;
        let (sender, asked) = mpsc::channel(limits.total.max(1));
        // The task must not keep the node alive: it holds no handle, and ends when the streams do.
        let pool = self.pool().clone();
        self.runtime().spawn(take_requests::<Q>(incoming, sender, limits, pool, self.reporter()));
        Ok(Requests { asked })
    }
}

/// Tells the node of an offence.
pub(crate) type Reporter = mpsc::WeakSender<crate::driver::Command>;

async fn take_requests<Q: Request>(
    mut incoming: Incoming,
    asked: mpsc::Sender<Asked<Q>>,
    limits: ServeLimits,
    pool: Pool,
    reporter: Reporter,
) {
    let busy = Arc::new(Mutex::new(HashMap::<PeerId, usize>::new()));
    loop {
        let stream = tokio::select! {
            stream = incoming.next() => stream,
            () = asked.closed() => None,
        };
        let Some(mut stream) = stream else { return };
        let peer = stream.peer();
        let Some(turn) = Turn::take(&busy, peer, &limits) else {
            // Said without waiting for it to be taken: a peer that asks too much is not waited for.
            let deadline = limits.deadline;
            if busy.lock().unwrap_or_else(PoisonError::into_inner).values().sum::<usize>() < limits.total * 2
            {
                tokio::spawn(async move {
                    timeout(deadline, write_frame(&mut stream, Some(Status::Busy), &[])).await
                });
            }
            continue;
        };
        let (asked, limits, reporter) = (asked.clone(), limits.clone(), reporter.clone());
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Some(offence) = answer(stream, asked, &limits, &pool).await
                && let Some(node) = reporter.upgrade()
            {
                let _ = node.try_send(crate::driver::Command::Report { peer, offence });
            }
            drop(turn);
        });
    }
}

/// Takes one question, has it answered, and sends the answer. Gives what the peer did wrong.
async fn answer<Q: Request>(
    mut stream: Stream,
    asked: mpsc::Sender<Asked<Q>>,
    limits: &ServeLimits,
    pool: &Pool,
) -> Option<Offence> {
    let peer = stream.peer();
    let (body, _question) =
        match timeout(limits.deadline, read_frame(&mut stream, Q::REQUEST_BYTES, pool)).await {
            Err(_) => return Some(Offence::Slow),
            Ok(Err(NotRead::TooLarge(_))) => return Some(Offence::TooLarge),
            Ok(Err(NotRead::Broken(_))) => return None,
            Ok(Err(NotRead::NoRoom(length))) => {
                // Who is busy asking does not hear the answer.
                let refuse = async {
                    let mut rest = (&mut stream).take(length as u64);
                    futures::io::copy(&mut rest, &mut futures::io::sink()).await?;
                    write_frame(&mut stream, Some(Status::Busy), &[]).await
                };
                let _ = timeout(limits.deadline, refuse).await;
                return None;
            }
            Ok(Ok(read)) => read,
        };
    let Ok(request) = postcard::from_bytes::<Q>(&body) else { return Some(Offence::Malformed) };
    let (reply, answered) = oneshot::channel();
    let sent = asked.try_send(Asked { peer, request, reply: Reply(reply) });
    let (status, body) = if sent.is_err() {
        (Status::Busy, Vec::new())
    } else {
        match timeout(limits.deadline, answered).await {
            Ok(Ok(Ok(response))) => match encode(&response, Q::RESPONSE_BYTES, "response") {
                Ok(body) => (Status::Answer, body),
                Err(why) => (Status::Refused, shortened(&why.to_string()).into_bytes()),
            },
            Ok(Ok(Err(why))) => (Status::Refused, why.into_bytes()),
            Ok(Err(_)) => (Status::Refused, b"it does not answer this".to_vec()),
            Err(_) => (Status::Busy, Vec::new()),
        }
    };
    let Some(_answer) = pool.take(body.len()) else {
        let _ = timeout(limits.deadline, write_frame(&mut stream, Some(Status::Busy), &[])).await;
        return None;
    };
    match timeout(limits.deadline, write_frame(&mut stream, Some(status), &body)).await {
        Ok(_) => None,
        Err(_) => Some(Offence::Slow),
    }
}

/// One of the questions that are being answered.
struct Turn {
    busy: Arc<Mutex<HashMap<PeerId, usize>>>,
    peer: PeerId,
}

impl Turn {
    fn take(busy: &Arc<Mutex<HashMap<PeerId, usize>>>, peer: PeerId, limits: &ServeLimits) -> Option<Turn> {
        let mut all = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = all.values().sum();
        let own = all.entry(peer).or_insert(0);
        if total >= limits.total || *own >= limits.per_peer {
            if *own == 0 {
                all.remove(&peer);
            }
            return None;
        }
        *own += 1;
        Some(Turn { busy: busy.clone(), peer })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                all.remove(&self.peer);
            }
        }
    }
}

/// How an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Answer = 0,
    Refused = 1,
    Busy = 2,
}

impl Status {
    fn of(byte: u8) -> Option<Status> {
        [Status::Answer, Status::Refused, Status::Busy].into_iter().find(|s| *s as u8 == byte)
    }
}

/// The longest reason for a refusal.
const REASON_BYTES: usize = 512;
/// Memory that a frame's announced length is believed to need, before its bytes are there.
const BELIEVED: usize = 64 << 10;

fn encode<T: Serialize>(value: &T, limit: usize, what: &'static str) -> Result<Vec<u8>> {
    let bytes = postcard::to_allocvec(value).map_err(|why| Error::Encode { what, why: why.to_string() })?;
    if bytes.len() > limit {
        return Err(Error::TooLarge { what, bytes: bytes.len(), limit });
    }
    Ok(bytes)
}

#[derive(Debug)]
enum NotRead {
    TooLarge(usize),
    /// The node holds as many bytes as it may.
    NoRoom(usize),
    Broken(std::io::Error),
}

/// A frame: its length in four bytes, little-endian, then its bytes. A status goes before all.
async fn write_frame<W: AsyncWrite + Unpin>(
    stream: &mut W,
    status: Option<Status>,
    body: &[u8],
) -> std::io::Result<()> {
    let mut frame = Vec::with_capacity(5 + body.len());
    frame.extend(status.map(|s| s as u8));
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(body);
    stream.write_all(&frame).await?;
    stream.close().await
}

async fn read_frame<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit: usize,
    pool: &Pool,
) -> std::result::Result<(Vec<u8>, Share), NotRead> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(NotRead::Broken)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(NotRead::TooLarge(length));
    }
    let share = pool.take(length).ok_or(NotRead::NoRoom(length))?;
    let mut body = Vec::with_capacity(length.min(BELIEVED));
    let read = stream.take(length as u64).read_to_end(&mut body).await.map_err(NotRead::Broken)?;
    if read < length {
        return Err(NotRead::Broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok((body, share))
}

/// Reads bytes as a frame that a peer sent, within a limit; for the fuzzer.
pub(crate) fn fuzz_frame(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut reader = bytes;
    let pool = Pool::new(1 << 20);
    let read = read_frame(&mut reader, limit, &pool);
    futures::executor::block_on(read).ok().map(|(body, _)| body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written_and_nothing_else_is(body: Vec<u8>, noise: Vec<u8>, limit in 0usize..200) {
            let mut frame = Vec::new();
            futures::executor::block_on(write_frame(&mut futures::io::Cursor::new(&mut frame), None, &body)).unwrap();
            let read = fuzz_frame(&frame, limit);
            prop_assert_eq!(read, (body.len() <= limit).then_some(body));
            let cut = &frame[..frame.len().saturating_sub(1)];
            prop_assert!(fuzz_frame(cut, usize::MAX).is_none());
            if let Some(body) = fuzz_frame(&noise, limit) {
                prop_assert!(body.len() <= limit);
            }
        }
    }
}
