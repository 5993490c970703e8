//! A peer that speaks as it likes: it encrypts and multiplexes as everyone does, and all else is its own.

use crate::common::{secret, soon};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, MemoryTransport, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Transport};
use libp2p::identity::{Keypair, secp256k1};
use libp2p::{noise, yamux};
use net::{Address, PeerId};
use std::io;
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};

/// The key that goes with a number.
pub(crate) fn keypair(number: u64) -> Keypair {
    let secret = secp256k1::SecretKey::try_from_bytes(secret(number)).unwrap();
    secp256k1::Keypair::from(secret).into()
}

/// One connection to a victim.
pub(crate) struct Raw {
    wishes: mpsc::UnboundedSender<oneshot::Sender<SubstreamBox>>,
    pub(crate) id: PeerId,
}

impl Raw {
    pub(crate) async fn dial(number: u64, address: &Address) -> Raw {
        let mut transport = MemoryTransport::new()
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&keypair(number)).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = transport.dial(address.without_peer().to_string().parse().unwrap(), opts).unwrap();
        let (_, muxer) = soon("a connection", dial).await.unwrap();
        let (wishes, inbox) = mpsc::unbounded_channel();
        tokio::spawn(drive(muxer, inbox));
        Raw { wishes, id: PeerId::from_secret(&secret(number)).unwrap() }
    }

    /// A stream on which the victim has agreed to speak a protocol, by its full name.
    pub(crate) async fn open(&self, protocol: &str) -> io::Result<SubstreamBox> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (reply, opened) = oneshot::channel();
        self.wishes.send(reply).map_err(|_| gone())?;
        let mut stream = opened.await.map_err(|_| gone())?;
        for line in ["/multistream/1.0.0", protocol] {
            let line = format!("{line}\n");
            let framed = [&[line.len() as u8], line.as_bytes()].concat();
            stream.write_all(&framed).await?;
            stream.flush().await?;
            let mut echo = vec![0; framed.len()];
            stream.read_exact(&mut echo).await?;
            assert_eq!(String::from_utf8_lossy(&echo), String::from_utf8_lossy(&framed));
        }
        Ok(stream)
    }
}

/// Keeps a connection going: opens streams as wished, and lets the victim's own wait without an answer.
async fn drive(
    mut muxer: StreamMuxerBox,
    mut wishes: mpsc::UnboundedReceiver<oneshot::Sender<SubstreamBox>>,
) {
    let mut waiting = Vec::new();
    let mut theirs = Vec::new();
    std::future::poll_fn(|cx| {
        loop {
            while let Poll::Ready(wish) = wishes.poll_recv(cx) {
                match wish {
                    Some(wish) => waiting.push(wish),
                    None => return Poll::Ready(()),
                }
            }
            if muxer.poll_unpin(cx).is_ready_and_failed() {
                return Poll::Ready(());
            }
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => {
                    theirs.push(stream);
                    continue;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if waiting.is_empty() {
                return Poll::Pending;
            }
            match muxer.poll_outbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => _ = waiting.remove(0).send(stream),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Whether a poll has ended with an error.
trait Failed {
    fn is_ready_and_failed(&self) -> bool;
}

impl<T, E> Failed for Poll<Result<T, E>> {
    fn is_ready_and_failed(&self) -> bool {
        matches!(self, Poll::Ready(Err(_)))
    }
}
