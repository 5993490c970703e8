//! Reading a blob while it arrives.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::task::spawn_blocking;

use super::Error;
use super::download::{Active, Shared};
use super::tree::GROUP;

/// Groups read from the disk at once.
const RUN: u64 = 4;

/// Reads a blob from any place, waiting for what is not here yet. Where it reads is fetched first.
pub struct Reader {
    active: Arc<Active>,
    at: u64,
    /// Bytes that were read from `at` on, but for the first `taken` which are before it.
    buffer: Vec<u8>,
    taken: usize,
    reading: Option<BoxFuture<'static, io::Result<Vec<u8>>>>,
    seeking: Option<BoxFuture<'static, io::Result<u64>>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("root", &self.active.shared.root)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Reader {
    pub(crate) fn new(active: Arc<Active>) -> Reader {
        Reader { active, at: 0, buffer: Vec::new(), taken: 0, reading: None, seeking: None }
    }

    fn poll_seek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(seeking) = &mut self.seeking {
            let at = ready!(seeking.poll_unpin(cx));
            self.seeking = None;
            self.at = at?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_seek(cx))?;
        loop {
            let rest = &self.buffer[self.taken..];
            if !rest.is_empty() || into.remaining() == 0 {
                let len = rest.len().min(into.remaining());
                into.put_slice(&rest[..len]);
                self.taken += len;
                self.at += len as u64;
                return Poll::Ready(Ok(()));
            }
            let (shared, at) = (self.active.shared.clone(), self.at);
            let reading = self.reading.get_or_insert_with(|| read(shared, at).boxed());
            let bytes = ready!(reading.poll_unpin(cx));
            self.reading = None;
            (self.buffer, self.taken) = (bytes?, 0);
            if self.buffer.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncSeek for Reader {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        (self.buffer, self.taken, self.reading) = (Vec::new(), 0, None);
        let (shared, at) = (self.active.shared.clone(), self.at);
        self.seeking = Some(
            async move {
                let (from, by) = match to {
                    SeekFrom::Start(at) => return Ok(at),
                    SeekFrom::Current(by) => (at, by),
                    SeekFrom::End(by) => (shared.sized().await.map_err(other)?.size(), by),
                };
                let wrong =
                    || io::Error::new(io::ErrorKind::InvalidInput, "cannot seek to before the beginning");
                from.checked_add_signed(by).ok_or_else(wrong)
            }
            .boxed(),
        );
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        ready!(self.poll_seek(cx))?;
        Poll::Ready(Ok(self.at))
    }
}

/// Waits for the group at `at`, and reads from there what is here; nothing at the end.
async fn read(shared: Arc<Shared>, at: u64) -> io::Result<Vec<u8>> {
    let blob = shared.sized().await.map_err(other)?;
    if at >= blob.size() {
        return Ok(Vec::new());
    }
    let group = at / GROUP;
    if !blob.has(group..group + 1) {
        shared.plan(|plan| plan.read_from(group));
        shared.freed.notify_waiters();
        shared.there(&blob, group).await.map_err(other)?;
    }
    let end = blob.first_gap(group..blob.shape().groups()).unwrap_or(u64::MAX).min(group + RUN);
    let end = end.saturating_mul(GROUP).min(blob.size());
    let read = spawn_blocking(move || {
        let mut bytes = vec![0; (end - at) as usize];
        blob.read_at(at, &mut bytes).map(|()| bytes)
    });
    read.await.map_err(io::Error::other)?.map_err(io::Error::other)
}

fn other(error: Arc<Error>) -> io::Error {
    io::Error::other(error)
}
