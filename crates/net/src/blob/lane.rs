//! A direct TCP connection for bulk, between peers that are connected already.
//!
//! QUIC in user space and Noise over Yamux cost a processor more per byte than everything else that happens to a blob, so
//! peers that reach each other directly use a plain TCP connection, sealed with AES-256-GCM, which processors have
//! instructions for. The key is drawn by the server and told over the peers' authenticated connection, so a lane is as private
//! as that, and nobody else can take it. Where there is no way, through a firewall say, the ordinary stream is used.
//!
//! ```text
//! the server says, on a stream of `lane/1`    port u16 | secret 32           little endian; port 0: none
//! the client's connection begins with         the first 16 bytes of derive_key("starling 2026 blob lane name", secret)
//! then both send frames                       length u32 of what follows | sealed bytes | tag 16
//! ```
//!
//! A frame's nonce is the count of the frames before it in the same direction, and its length is authenticated with it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::wire::Wire;
use crate::PeerId;

/// The protocol's name; its version is its last part.
pub(crate) const PROTOCOL: &str = "lane/1";

/// Bytes of a frame at most.
const FRAME: usize = 256 << 10;
const HEAD: usize = 4;
const TAG: usize = 16;
/// Whoever was promised a lane takes it in this time; a client does not wait longer for one either.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lanes that are promised and not yet taken.
const PROMISED: usize = 256;
/// Connections whose owner is not known yet.
const UNKNOWN: usize = 64;

type Name = [u8; 16];
type Secret = [u8; 32];

fn name(secret: &Secret) -> Name {
    let mut name = [0; 16];
    name.copy_from_slice(&blake3::derive_key("starling 2026 blob lane name", secret)[..16]);
    name
}

/// The lanes that a node offers.
pub(crate) struct Lanes {
    port: u16,
    promised: Mutex<HashMap<Name, (PeerId, Secret, Instant)>>,
}

impl Lanes {
    /// Listens on a port, 0 for any, until the task is aborted, and gives each lane that is taken to `taken`.
    pub(crate) fn listen(
        port: u16,
        taken: impl Fn(PeerId, Wire) + Send + Sync + 'static,
    ) -> io::Result<(Arc<Lanes>, AbortHandle)> {
        let any = [SocketAddr::from(([0u16; 8], port)), SocketAddr::from(([0u8; 4], port))];
        let listener = std::net::TcpListener::bind(&any[..])?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let lanes = Arc::new(Lanes { port: listener.local_addr()?.port(), promised: Mutex::default() });
        let ours = lanes.clone();
        let task = tokio::spawn(async move {
            let (unknown, taken) = (Arc::new(Semaphore::new(UNKNOWN)), Arc::new(taken));
            loop {
                let Ok((tcp, _)) = listener.accept().await else {
                    // No file handles left, most likely: others are busy closing some.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let Ok(turn) = unknown.clone().try_acquire_owned() else { continue };
                let (lanes, taken) = (ours.clone(), taken.clone());
                tokio::spawn(async move {
                    if let Some((peer, lane)) = lanes.admit(tcp).await {
                        drop((turn, lanes));
                        taken(peer, Box::new(lane));
                    }
                });
            }
        });
        Ok((lanes, task.abort_handle()))
    }

    /// What to tell a peer, so that it can take a lane.
    pub(crate) fn promise(&self, peer: PeerId) -> Vec<u8> {
        let mut secret = [0; 32];
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        promised.retain(|_, (_, _, until)| *until > now);
        if promised.len() >= PROMISED || SystemRandom::new().fill(&mut secret).is_err() {
            return vec![0; 34];
        }
        promised.insert(name(&secret), (peer, secret, now + PATIENCE));
        [&self.port.to_le_bytes()[..], &secret].concat()
    }

    /// Finds out whose connection this is.
    async fn admit(&self, mut tcp: TcpStream) -> Option<(PeerId, Lane<TcpStream>)> {
        let mut name = [0; 16];
        timeout(PATIENCE, tokio::io::AsyncReadExt::read_exact(&mut tcp, &mut name)).await.ok()?.ok()?;
        let found = self.promised.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        let (peer, secret, until) = found?;
        tcp.set_nodelay(true).ok()?;
        (until > Instant::now()).then_some((peer, Lane::new(tcp, &secret, true).ok()?))
    }
}

/// Takes the lane that the peer at the other end of `stream` offers, if it offers one and there is a way to it.
pub(crate) async fn take(stream: &mut (impl AsyncRead + Unpin), ip: IpAddr) -> Option<Wire> {
    let taken = async {
        let mut said = [0; 34];
        stream.read_exact(&mut said).await.ok()?;
        let (port, secret) = promised(&said)?;
        let mut tcp = TcpStream::connect((ip, port)).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        tokio::io::AsyncWriteExt::write_all(&mut tcp, &name(&secret)).await.ok()?;
        Some(Box::new(Lane::new(tcp, &secret, false).ok()?) as Wire)
    };
    timeout(PATIENCE, taken).await.ok()?
}

/// Reads a promise; none if no lane is offered.
fn promised(said: &[u8; 34]) -> Option<(u16, Secret)> {
    let ([low, high], secret) = said.split_first_chunk::<2>()?;
    let port = u16::from_le_bytes([*low, *high]);
    (port != 0).then_some((port, secret.try_into().ok()?))
}

/// Tells a peer of a lane.
pub(crate) async fn offer(
    lanes: Option<&Lanes>,
    peer: PeerId,
    mut stream: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let said = lanes.map_or_else(|| vec![0; 34], |lanes| lanes.promise(peer));
    timeout(PATIENCE, async {
        stream.write_all(&said).await?;
        stream.close().await
    })
    .await?
}

/// A sealed connection.
struct Lane<T> {
    tcp: T,
    sealing: Sealing,
    opening: Sealing,
    /// A frame on its way out, of which `sent` bytes are gone.
    out: Vec<u8>,
    sent: usize,
    /// A frame on its way in: `filled` bytes are here, and once it is whole and opened, those from `taken` on are for the reader.
    into: Vec<u8>,
    filled: usize,
    taken: usize,
    opened: usize,
}

/// One direction's key, and how many frames it has sealed.
struct Sealing {
    key: LessSafeKey,
    count: u64,
}

impl Sealing {
    fn new(secret: &Secret, by_server: bool) -> io::Result<Sealing> {
        let whose = if by_server {
            "starling 2026 blob lane, server's bytes"
        } else {
            "starling 2026 blob lane, client's bytes"
        };
        let key = UnboundKey::new(&AES_256_GCM, &blake3::derive_key(whose, secret));
        let key = key.map_err(|_| io::Error::other("AES-256-GCM takes 32 bytes"))?;
        Ok(Sealing { key: LessSafeKey::new(key), count: 0 })
    }

    /// No two frames have the same.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Lane<T> {
    fn new(tcp: T, secret: &Secret, server: bool) -> io::Result<Lane<T>> {
        let (sealing, opening) = (Sealing::new(secret, server)?, Sealing::new(secret, !server)?);
        let into = vec![0; HEAD + FRAME + TAG];
        let out = Vec::with_capacity(HEAD + FRAME + TAG);
        Ok(Lane { tcp, sealing, opening, out, sent: 0, into, filled: 0, taken: 0, opened: 0 })
    }

    /// Sends what is left of the frame.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let tcp = Pin::new(&mut self.tcp);
            let len = ready!(tokio::io::AsyncWrite::poll_write(tcp, cx, &self.out[self.sent..]))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += len;
        }
        Poll::Ready(Ok(()))
    }

    /// Receives until so many bytes of the frame are here; says whether the connection ended before the first.
    fn poll_fill(&mut self, cx: &mut Context<'_>, until: usize) -> Poll<io::Result<bool>> {
        while self.filled < until {
            let mut buffer = ReadBuf::new(&mut self.into[self.filled..until]);
            ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.tcp), cx, &mut buffer))?;
            match (buffer.filled().len(), self.filled) {
                (0, 0) => return Poll::Ready(Ok(true)),
                (0, _) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                (len, _) => self.filled += len,
            }
        }
        Poll::Ready(Ok(false))
    }
}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncRead for Lane<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        while this.taken == this.opened {
            if ready!(this.poll_fill(cx, HEAD))? {
                return Poll::Ready(Ok(0));
            }
            let (mut head, end) = ([0; HEAD], this.into.len());
            head.copy_from_slice(&this.into[..HEAD]);
            let len = u32::from_le_bytes(head) as usize;
            if len <= TAG || HEAD + len > end {
                return Poll::Ready(Err(wrong("a frame of no length there is")));
            }
            ready!(this.poll_fill(cx, HEAD + len))?;
            let nonce = this.opening.nonce();
            let opened =
                this.opening.key.open_in_place(nonce, Aad::from(head), &mut this.into[HEAD..HEAD + len]);
            opened.map_err(|_| wrong("a frame that was changed on its way"))?;
            (this.filled, this.taken, this.opened) = (0, HEAD, HEAD + len - TAG);
        }
        let len = to.len().min(this.opened - this.taken);
        to[..len].copy_from_slice(&this.into[this.taken..this.taken + len]);
        this.taken += len;
        Poll::Ready(Ok(len))
    }
}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncWrite for Lane<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        let len = from.len().min(FRAME);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let head = ((len + TAG) as u32).to_le_bytes();
        this.out.clear();
        this.sent = 0;
        this.out.extend_from_slice(&head);
        this.out.extend_from_slice(&from[..len]);
        let nonce = this.sealing.nonce();
        let tag = this.sealing.key.seal_in_place_separate_tag(nonce, Aad::from(head), &mut this.out[HEAD..]);
        this.out.extend_from_slice(tag.map_err(|_| io::Error::other("a frame too long to seal"))?.as_ref());
        // The bytes are taken; those that do not fit into the socket now go with the next call.
        let _ = this.poll_send(cx)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.tcp), cx)
    }
}

/// Reads any bytes as what a server says of a lane, and as what comes on one; for the fuzzer.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(said) = bytes.first_chunk() {
        let _ = promised(said);
    }
    if let Ok(mut lane) = Lane::new(tokio::io::join(bytes, tokio::io::sink()), &FUZZED, true) {
        let mut read = Vec::new();
        let ended = futures::executor::block_on(lane.read_to_end(&mut read));
        assert!(read.len() <= bytes.len(), "more came out than went in");
        assert!(
            ended.is_err() || bytes.len() == read.len() + frames(bytes) * (HEAD + TAG),
            "bytes that count for nothing"
        );
    }
}

/// The secret of the lane that the fuzzer knows, and what a client may say on it.
const FUZZED: Secret = [3; 32];

pub(crate) fn fuzz_example() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut lane = Lane::new(tokio::io::join(tokio::io::empty(), &mut line), &FUZZED, false)?;
    for words in [&b"one"[..], b"and another", &[7; 300]] {
        futures::executor::block_on(lane.write_all(words))?;
    }
    drop(lane);
    Ok(line)
}

/// How many frames bytes are, by the lengths they name.
fn frames(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        bytes = rest.get(u32::from_le_bytes(*head) as usize..).unwrap_or_default();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn peer() -> PeerId {
        PeerId::from_secret(&[1; 32]).unwrap()
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn lanes() -> (Arc<Lanes>, mpsc::UnboundedReceiver<Wire>) {
        let (sender, taken) = mpsc::unbounded_channel();
        let (lanes, _) = Lanes::listen(0, move |_, wire| drop(sender.send(wire))).unwrap();
        (lanes, taken)
    }

    #[tokio::test]
    async fn bytes_come_out_as_they_went_in() {
        let (lanes, mut taken) = lanes();
        let mut client = take(&mut &lanes.promise(peer())[..], HERE).await.unwrap();
        let mut server = taken.recv().await.unwrap();
        let sent: Vec<u8> = (0..3 * FRAME + 77).map(|at| ((at * at) >> 5) as u8).collect();
        let there = async {
            for piece in [&sent[..1], &sent[1..1000], &sent[1000..]] {
                client.write_all(piece).await.unwrap();
            }
            client.close().await.unwrap();
            let mut back = Vec::new();
            client.read_to_end(&mut back).await.unwrap();
            back
        };
        let back = async {
            let mut came = Vec::new();
            server.read_to_end(&mut came).await.unwrap();
            server.write_all(&came).await.unwrap();
            server.close().await.unwrap();
        };
        assert!(tokio::join!(there, back).0 == sent);
    }

    #[tokio::test]
    async fn only_who_was_promised_a_lane_gets_it_and_once() {
        let (lanes, mut taken) = lanes();
        let promise = lanes.promise(peer());
        let mut guess = promise.clone();
        guess[10] ^= 1;
        for (said, admitted) in [(&guess, false), (&promise, true), (&promise, false)] {
            let mut client = take(&mut &said[..], HERE).await.unwrap();
            if admitted {
                taken.recv().await.unwrap();
            } else {
                assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
                assert!(taken.try_recv().is_err());
            }
        }
        assert!(take(&mut &[0; 34][..], HERE).await.is_none(), "none is offered");
    }

    #[tokio::test]
    async fn frames_that_were_changed_cut_or_sent_again_are_refused() {
        let secret = [3; 32];
        // What a client sends, as it lies on the line.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(at), listener.accept());
        let mut lane = Lane::new(client.unwrap(), &secret, false).unwrap();
        for message in [&b"one"[..], b"two"] {
            lane.write_all(message).await.unwrap();
        }
        lane.close().await.unwrap();
        let mut line = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut server.unwrap().0, &mut line).await.unwrap();
        let frame = HEAD + 3 + TAG;
        assert_eq!(line.len(), 2 * frame);

        let mut lines: Vec<(Vec<u8>, bool)> = vec![(line.clone(), true), (line[..frame].to_vec(), true)];
        lines.extend((0..line.len()).map(|at| {
            let mut changed = line.clone();
            changed[at] ^= 8;
            (changed, false)
        }));
        lines.push((line[..frame + 9].to_vec(), false));
        lines.push(([&line[..frame], &line[..frame]].concat(), false));
        lines.push((line[frame..].to_vec(), false));
        lines.push((vec![255; 64], false));
        for (line, good) in lines {
            let (client, server) = tokio::join!(TcpStream::connect(at), listener.accept());
            let mut client = client.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut client, &line).await.unwrap();
            drop(client);
            let mut lane = Lane::new(server.unwrap().0, &secret, true).unwrap();
            assert_eq!(lane.read_to_end(&mut Vec::new()).await.is_ok(), good, "{line:?}");
        }
    }
}
