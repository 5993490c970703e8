//! The chain's JSON-RPC over HTTP and WebSocket, on one port, which other machines reach only if its owner says so.
//!
//! Pages of any origin may ask: nothing here is secret, no key is kept, and only signed transactions change anything.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::Listener;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval, sleep};

use super::Embedded;
use super::error::EmbeddedError;
use super::rpc::{Limits, Subscriptions};

/// Calls of one WebSocket that are answered at the same time.
const AT_ONCE: usize = 32;

/// A server that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Site {
    chain: Embedded,
    limits: Limits,
}

impl Server {
    pub(crate) async fn start(
        chain: Embedded,
        address: SocketAddr,
        limits: Limits,
        open: bool,
    ) -> Result<Server, EmbeddedError> {
        if !open && !address.ip().is_loopback() {
            return Err(EmbeddedError::NotLoopback { address });
        }
        let failed = |source| EmbeddedError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = Site { chain, limits };
        let app = Router::new().route("/", get(upgrade).post(post).options(preflight)).fallback(any(nowhere));
        let bounded = Bounded::new(listener, limits.connections, Duration::from_millis(limits.patience_ms));
        let serve = axum::serve(bounded, app.with_state(site));
        let task = tokio::spawn(async move {
            // It ends only when it is aborted.
            let _ = serve.await;
        });
        Ok(Server { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, "JSON-RPC is spoken at /\n").into_response()
}

async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow_all(response.headers_mut());
    response
}

fn allow_all(headers: &mut HeaderMap) {
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
}

async fn post(State(site): State<Site>, request: Request) -> Response {
    let Ok(body) = to_bytes(request.into_body(), site.limits.body_bytes).await else {
        let why = format!("a request has at most {} bytes\n", site.limits.body_bytes);
        return (StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
    };
    let answer = site.chain.answer(&body).await;
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let mut response = Response::new(Body::from(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    allow_all(response.headers_mut());
    response
}

async fn upgrade(
    State(site): State<Site>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => {
            let limit = site.limits.body_bytes;
            let upgrade = upgrade.max_message_size(limit).max_frame_size(limit);
            upgrade.on_upgrade(move |socket| talk(socket, site))
        }
        Err(_) => (StatusCode::METHOD_NOT_ALLOWED, "JSON-RPC is spoken by POST, or over a WebSocket\n")
            .into_response(),
    }
}

/// Answers calls and tells what happens, until the other side goes.
async fn talk(mut socket: WebSocket, site: Site) {
    let rpc = site.chain.rpc();
    let subscriptions = Subscriptions::new(rpc.shared(), site.limits.subscriptions);
    let mut news = rpc.shared().news();
    let mut answers = FuturesUnordered::new();
    // Whoever only listens still answers these.
    let mut pulse =
        interval(Duration::from_millis(site.limits.patience_ms / 3).max(Duration::from_millis(1)));
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            came = socket.recv(), if answers.len() < AT_ONCE => match came {
                // JSON is text, but some clients send it as bytes.
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    let request = message.into_data();
                    let (chain, subscriptions) = (&site.chain, &subscriptions);
                    let mut answer = Box::pin(async move {
                        chain.rpc().answer(&request, Some(subscriptions)).await
                    });
                    // What is answered at once is answered in order: so a subscription's id comes before its first news.
                    match futures_util::poll!(&mut answer) {
                        Poll::Ready(Some(answer)) => if socket.send(Message::Text(answer.into())).await.is_err() { return },
                        Poll::Ready(None) => {}
                        Poll::Pending => answers.push(answer),
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            Some(answer) = answers.next() => {
                if let Some(answer) = answer && socket.send(Message::Text(String::into(answer))).await.is_err() { return }
            }
            changed = news.changed() => {
                if changed.is_err() { return }
                match subscriptions.messages(rpc.shared()) {
                    Ok(messages) => for message in messages {
                        if socket.send(Message::Text(message.into())).await.is_err() { return }
                    },
                    Err(why) => {
                        let why = CloseFrame { code: 1013, reason: why.into() };
                        let _ = socket.send(Message::Close(Some(why))).await;
                        return;
                    }
                }
            }
            _ = pulse.tick() => if socket.send(Message::Ping(Vec::new().into())).await.is_err() { return },
        }
    }
}

/// A listener with so many seats; whoever comes when all are taken waits at the door, and whoever is silent for long loses his.
///
/// Everything in a node that answers over HTTP listens with it.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    seats: Arc<Semaphore>,
    patience: Duration,
}

impl Bounded {
    /// A listener with so many seats, each kept for as long as something moves now and then.
    pub fn new(listener: TcpListener, seats: usize, patience: Duration) -> Bounded {
        Bounded { listener, seats: Arc::new(Semaphore::new(seats)), patience }
    }
}

impl Listener for Bounded {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        loop {
            // Nobody closes the semaphore.
            let Ok(seat) = self.seats.clone().acquire_owned().await else { std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Answers are short and wanted at once. Where the system does not know the option, they come anyway.
                    let _ = stream.set_nodelay(true);
                    let alarm = Box::pin(sleep(self.patience));
                    return (Seated { stream, alarm, patience: self.patience, _seat: seat }, address);
                }
                // Out of files, say: others will close theirs.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing has moved for a while, so that nobody keeps a seat by being silent.
#[derive(Debug)]
pub struct Seated {
    stream: TcpStream,
    alarm: Pin<Box<Sleep>>,
    patience: Duration,
    _seat: OwnedSemaphorePermit,
}

impl Seated {
    /// Passes on what a read or write says, and counts it as a sign of life if something moved.
    fn watch<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let next = Instant::now() + self.patience;
            self.alarm.as_mut().reset(next);
            return moved;
        }
        match self.alarm.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(cx, moved)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
