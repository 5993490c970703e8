//! HTTP: which address answers what.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use chain::embedded::Bounded;
use futures_util::stream;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};

use super::assets::{ASSETS, Asset};
use super::feed::{Feed, Missed};
use super::guard::Refusal;
use super::owner::Change;
use super::steps::{self, Step};
use super::{PATIENCE, SEATS, Site, money, owner};
use crate::error::Error;
use crate::home::Home;

/// Events of one answer, and of one reading of the stream.
const LIMIT_EVENTS: usize = 1000;
const AT_ONCE: usize = 256;
/// How often a stream says that it is still there.
const PULSE: Duration = Duration::from_secs(15);
/// Rounds that are worked out again at the same time.
const REPLAYS: usize = 1;
/// The longest body of a question.
const LIMIT_BODY: usize = 4 << 10;
/// The API's document, which a test makes of the types.
pub(crate) const OPENAPI: &str = include_str!("../../../../dashboard/openapi.json");

/// Why something was not answered.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Problem {
    /// In a sentence, with what helps.
    pub(crate) error: String,
}

#[derive(Clone)]
struct Shop {
    site: Arc<Site>,
    replays: Arc<Semaphore>,
    /// Limits are read, changed and written by one at a time.
    changes: Arc<Mutex<()>>,
}

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let shop = Shop { site, replays: Arc::new(Semaphore::new(REPLAYS)), changes: Arc::default() };
    let api = Router::new()
        .route("/api/v1/state", get(state))
        .route("/api/v1/events", get(events))
        .route("/api/v1/stream", get(follow))
        .route("/api/v1/money", get(money_now))
        .route("/api/v1/nodes/{node}/rounds/{round}", get(round))
        .route("/api/v1/nodes/{node}/limits", get(limits).post(change))
        .route("/api/v1/nodes/{node}/log", get(log))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing)
        .layer(from_fn_with_state(shop.clone(), check_api));
    let mut app = Router::new();
    for asset in ASSETS {
        let serve = move |headers: HeaderMap| async move { page(asset, &headers) };
        let route: MethodRouter<Shop> = get(serve);
        app = app.route(asset.path, route.layer(from_fn_with_state(shop.clone(), check_page)));
    }
    let app = app.merge(api).layer(axum::middleware::map_response(seal)).with_state(shop);
    // It ends only when it is aborted.
    let _ = axum::serve(Bounded::new(listener, SEATS, PATIENCE), app).await;
}

async fn check_api(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    match shop.site.guard.api(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(refusal),
    }
}

async fn check_page(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    match shop.site.guard.page(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: Refusal) -> Response {
    let status = if refusal == Refusal::Token { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    let mut response = problem(status, refusal.words());
    if refusal == Refusal::Token {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// What every answer says to the browser: nothing from elsewhere, nothing in frames, nothing guessed.
async fn seal(mut response: Response) -> Response {
    const SEALS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in SEALS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn page(asset: &Asset, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok());
    if !accepts.is_some_and(|accepted| accepted.contains("gzip") || accepted.contains('*')) {
        return problem(
            StatusCode::NOT_ACCEPTABLE,
            "the page is compressed: ask for it with `accept-encoding: gzip`",
        );
    }
    let tag = format!("\"{}\"", &blake3::hash(asset.bytes).to_hex()[..16]);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(Bytes::from_static(asset.bytes)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    };
    // Asked again each time, so that a newer program has a newer page.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

async fn nothing(uri: Uri) -> Response {
    let why = format!("there is nothing at {}: /api/v1/openapi.json says what there is", uri.path());
    problem(StatusCode::NOT_FOUND, &why)
}

async fn wrong_method(uri: Uri) -> Response {
    let why = format!("{} is asked with another method: /api/v1/openapi.json says which", uri.path());
    problem(StatusCode::METHOD_NOT_ALLOWED, &why)
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, json(&Problem { error: error.to_owned() })).into_response()
}

fn json(of: &impl Serialize) -> Response {
    match serde_json::to_vec(of) {
        Ok(bytes) => json_bytes(bytes),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

fn json_bytes(bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn openapi() -> Response {
    json_bytes(OPENAPI)
}

async fn state(State(shop): State<Shop>) -> Response {
    shop.site.feed.state(json)
}

async fn money_now(State(shop): State<Shop>) -> Response {
    let accounts = shop.site.feed.state(money::accounts);
    json(&shop.site.treasury.money(accounts).await)
}

async fn round(State(shop): State<Shop>, Path((node, number)): Path<(String, String)>) -> Response {
    let Ok(number) = number.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, "a round is a number");
    };
    let home = match home(&shop, &node) {
        Ok(home) => home,
        Err(none) => return *none,
    };
    let Ok(_seat) = shop.replays.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let again = move || Home::open(&home).and_then(|home| steps::of_round(&home, number));
    let found: Result<Vec<Step>, String> = match tokio::task::spawn_blocking(again).await {
        Ok(found) => found.map_err(|why| why.to_string()),
        Err(why) => Err(why.to_string()),
    };
    match found {
        Ok(steps) if steps.is_empty() => {
            let why = "its log no longer has this round, or does not have it yet: logs go back to the checkpoint before the last";
            problem(StatusCode::NOT_FOUND, why)
        }
        Ok(steps) => json(&steps),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// The home of a node that tells of itself here, or an answer that says that there is none.
fn home(shop: &Shop, node: &str) -> Result<PathBuf, Box<Response>> {
    let why = "no node of that name tells of itself here: /api/v1/state lists them";
    shop.site.home(node).ok_or_else(|| Box::new(problem(StatusCode::NOT_FOUND, why)))
}

/// An answer that files were read for.
fn from_files<T: Serialize>(found: crate::error::Result<T>) -> Response {
    match found {
        Ok(found) => json(&found),
        Err(why @ Error::Limits { .. }) => problem(StatusCode::BAD_REQUEST, &why.to_string()),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
    }
}

async fn limits(State(shop): State<Shop>, Path(node): Path<String>) -> Response {
    match home(&shop, &node) {
        Ok(home) => from_files(owner::limits(&home)),
        Err(none) => *none,
    }
}

async fn change(State(shop): State<Shop>, Path(node): Path<String>, request: Request) -> Response {
    // A form of another site's could not be of this kind.
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a change is sent as application/json");
    }
    let Ok(body) = to_bytes(request.into_body(), LIMIT_BODY).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "no change is as long as that");
    };
    let change: Change = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &format!("this is no change of a limit: {why}")),
    };
    match home(&shop, &node) {
        Ok(home) => {
            let _one_by_one = shop.changes.lock().await;
            from_files(owner::change(&home, &change))
        }
        Err(none) => *none,
    }
}

async fn log(State(shop): State<Shop>, Path(node): Path<String>) -> Response {
    match home(&shop, &node) {
        Ok(home) => from_files(owner::log(&home)),
        Err(none) => *none,
    }
}

/// What nodes count, as Prometheus reads it.
async fn metrics(State(shop): State<Shop>) -> Response {
    let text = shop.site.feed.state(|state| {
        let of: Vec<_> =
            state.nodes.iter().filter(|node| node.runs).map(|node| node.status.clone()).collect();
        crate::metrics::render(&of)
    });
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Two numbers of the query; an answer that says so if one is there and none.
fn numbers(uri: &Uri, names: [&str; 2]) -> Result<[Option<u64>; 2], Box<Response>> {
    let mut found = [None, None];
    for (found, name) in found.iter_mut().zip(names) {
        let mut pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let Some((_, text)) = pairs.find(|(key, _)| *key == name) else { continue };
        // None above what the document allows.
        let number = text.parse().ok().filter(|number: &u64| i64::try_from(*number).is_ok());
        let why = || {
            Box::new(problem(StatusCode::BAD_REQUEST, &format!("{name} is a number from 0 to {}", i64::MAX)))
        };
        *found = Some(number.ok_or_else(why)?);
    }
    Ok(found)
}

async fn events(State(shop): State<Shop>, uri: Uri) -> Response {
    let (after, limit) = match numbers(&uri, ["after", "limit"]) {
        Ok([after, limit]) => (after.unwrap_or(0), limit.unwrap_or(LIMIT_EVENTS as u64)),
        Err(why) => return *why,
    };
    let limit = limit.clamp(1, LIMIT_EVENTS as u64) as usize;
    let feed = shop.site.feed.clone();
    match tokio::task::spawn_blocking(move || feed.after(after, limit)).await {
        Ok(Ok(batch)) => {
            let missed = serde_json::to_string(&batch.missed).unwrap_or_default();
            let lines: Vec<&str> = batch.lines.iter().map(|(_, line)| &**line).collect();
            json_bytes(format!("{{\"missed\":{missed},\"events\":[{}]}}", lines.join(",")))
        }
        Ok(Err(why)) => problem(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
    }
}

/// Where a stream is.
struct Follower {
    feed: Feed,
    newest: watch::Receiver<u64>,
    last: u64,
    ready: VecDeque<Bytes>,
}

async fn follow(State(shop): State<Shop>, uri: Uri, headers: HeaderMap) -> Response {
    let [after, of] = match numbers(&uri, ["after", "feed"]) {
        Ok(asked) => asked,
        Err(why) => return *why,
    };
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let feed = shop.site.feed.clone();
    let (this, newest) = feed.state(|state| (state.feed, state.last));
    let mut ready = VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]);
    let mut last = seen.or(after).unwrap_or(newest);
    if of.is_some_and(|of| of != this) || last > newest {
        // Its numbers are of events that were counted elsewhere, or before a fresh beginning.
        ready.push_back(missed_frame(Missed { from: 0, to: newest }));
        last = newest;
    }
    let follower = Follower { newest: feed.newest(), feed, last, ready };
    let frames = stream::unfold(follower, |mut follower| async move {
        let frame = follower.next().await?;
        Some((Ok::<_, Infallible>(frame), follower))
    });
    let mut response = Response::new(Body::from_stream(frames));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Follower {
    /// The next bytes to send; waits for news, and says now and then that it is still there.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            // Marked as seen before it is read, so that what comes meanwhile wakes us.
            let newest = *self.newest.borrow_and_update();
            if newest > self.last {
                let (feed, last) = (self.feed.clone(), self.last);
                let batch =
                    tokio::task::spawn_blocking(move || feed.after(last, AT_ONCE)).await.ok()?.ok()?;
                self.ready.extend(batch.missed.map(missed_frame));
                if let (Some(missed), true) = (batch.missed, batch.lines.is_empty()) {
                    self.last = missed.to;
                }
                let mut frame = String::new();
                for (id, line) in batch.lines {
                    // A string takes all that is written to it.
                    let _ = write!(frame, "id: {id}\ndata: {line}\n\n");
                    self.last = id;
                }
                if !frame.is_empty() {
                    self.ready.push_back(frame.into());
                }
                continue;
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                () = tokio::time::sleep(PULSE) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn missed_frame(missed: Missed) -> Bytes {
    let data = serde_json::to_string(&missed).unwrap_or_default();
    format!("event: missed\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::Dashboard;
    use crate::report::Report;

    async fn serve(folder: &Path) -> (Dashboard, SocketAddr) {
        let dashboard = Dashboard::start(folder, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = dashboard.address;
        (dashboard, address)
    }

    /// The head and the body of an answer, read to its end or until `enough` is in it.
    async fn ask(
        address: SocketAddr,
        request: &str,
        headers: &str,
        enough: Option<&str>,
    ) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let close = if enough.is_none() { "connection: close\r\n" } else { "" };
        let host = if headers.contains("host:") { String::new() } else { format!("host: {address}\r\n") };
        let request = format!("{request} HTTP/1.1\r\n{host}{close}{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = until(&mut stream, enough.unwrap_or("there is no such text")).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// What comes until something is in it, or until the end.
    async fn until(stream: &mut TcpStream, enough: &str) -> String {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut piece).await.unwrap();
            bytes.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&bytes);
            if read == 0 || text.contains(enough) {
                return text.into_owned();
            }
        }
    }

    async fn get(address: SocketAddr, path: &str) -> (String, Value) {
        let (head, body) = ask(address, &format!("GET {path}"), "", None).await;
        (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn what_nodes_tell_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let (dashboard, address) = serve(folder.path()).await;
        dashboard.say("a chain begins");
        for round in 1..=3 {
            dashboard.tell("1", Report::Opened { round });
        }
        let (status, state) = get(address, "/api/v1/state").await;
        assert!(status.contains("200"), "{status}");
        assert_eq!((state["last"].as_u64(), state["words"][0].as_str()), (Some(4), Some("a chain begins")));
        assert_eq!(state["nodes"][0]["opened"]["round"], 3);
        let (_, page) = get(address, "/api/v1/events?after=2&limit=1").await;
        assert_eq!((&page["missed"], page["events"][0]["id"].as_u64()), (&Value::Null, Some(3)));
        assert_eq!(page["events"].as_array().unwrap().len(), 1);
        for (path, status, why) in [
            ("/api/v1/events?after=x", "400", "after is a number"),
            ("/api/v1/nodes/1/rounds/x", "400", "a round is a number"),
            ("/api/v1/nodes/1/rounds/1", "404", "no node of that name"),
            ("/api/v1/nothing", "404", "openapi.json says what there is"),
        ] {
            let (line, problem) = get(address, path).await;
            assert!(
                line.contains(status) && problem["error"].as_str().unwrap().contains(why),
                "{line} {problem}"
            );
        }
        let (_, money) = get(address, "/api/v1/money").await;
        assert_eq!((money["chain"].as_str(), money["trouble"].is_null()), (Some(""), true));
        let (head, _) = ask(address, "POST /api/v1/state", "content-length: 0\r\n", None).await;
        assert!(head.contains("405") && head.to_lowercase().contains("allow: get"), "{head}");
    }

    #[tokio::test]
    async fn a_stream_goes_on_where_it_broke_off() {
        let folder = tempfile::tempdir().unwrap();
        let (dashboard, address) = serve(folder.path()).await;
        for round in 1..=600 {
            dashboard.tell("1", Report::Opened { round });
        }
        let feed = dashboard.feed.state(|state| state.feed);
        let path = format!("GET /api/v1/stream?after=2&feed={feed}");
        let (head, body) = ask(address, &path, "", Some("\"round\":600")).await;
        assert!(head.contains("text/event-stream"), "{head}");
        let ids: Vec<u64> = body.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
        assert_eq!(ids, (3..=600).collect::<Vec<_>>());
        // The header counts for more than the address, which a browser leaves as it was.
        let (_, body) = ask(address, &path, "last-event-id: 599\r\n", Some("\"round\":600")).await;
        assert!(!body.contains("\"round\":599"), "{body}");
        // While one follows, more is told: the first bytes show that it follows.
        let mut follower = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {address}\r\n\r\n");
        follower.write_all(request.as_bytes()).await.unwrap();
        assert!(until(&mut follower, "retry: 1000").await.contains("200 OK"));
        dashboard.tell("1", Report::Opened { round: 601 });
        let news = until(&mut follower, "\"round\":601").await;
        assert!(news.contains("id: 601") && !news.contains("\"round\":600"), "{news}");
        let other = format!("GET /api/v1/stream?after=2&feed={}", feed + 1);
        let (_, body) = ask(address, &other, "", Some(r#"{"from":0,"to":601}"#)).await;
        assert!(body.contains("event: missed"), "{body}");
    }

    #[tokio::test]
    async fn an_owner_sets_limits_and_nobody_elses_page_does() {
        let folder = tempfile::tempdir().unwrap();
        let (dashboard, address) = serve(folder.path()).await;
        dashboard.adopt("1", folder.path());
        let post = async |body: &str, headers: &str| {
            let length = body.len();
            let headers = format!("content-length: {length}\r\n{headers}\r\n{body}");
            ask(address, "POST /api/v1/nodes/1/limits", &headers, Some("}")).await
        };
        let is_json = "content-type: application/json\r\n";
        let (head, body) = post(r#"{"key":"paused","value":"true"}"#, is_json).await;
        assert!(head.contains("200") && crate::Limits::read(folder.path()).unwrap().paused, "{head} {body}");
        for (body, headers, status) in [
            (r#"{"key":"paused","value":"false"}"#, "content-type: text/plain\r\n", "415"),
            (r#"{"key":"cpu_percent","value":"0"}"#, is_json, "400"),
            (r#"{"key":"paused"}"#, is_json, "400"),
            (r#"{"key":"paused","value":"false"}"#, "origin: http://evil.example\r\n", "403"),
        ] {
            let (head, said) = post(body, headers).await;
            assert!(head.contains(status) && said.contains("error"), "{body}: {head} {said}");
        }
        assert!(crate::Limits::read(folder.path()).unwrap().paused);
        dashboard.tell("1", Report::Ended { round: 1 });
        let (head, text) = ask(address, "GET /metrics", "", None).await;
        assert!(head.contains("text/plain; version=0.0.4") && text.starts_with("# HELP"), "{head} {text}");
    }

    #[tokio::test]
    async fn nothing_is_given_to_other_sites_and_nothing_comes_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let (_dashboard, address) = serve(folder.path()).await;
        let (head, problem) = ask(address, "GET /api/v1/state", "host: evil.example\r\n", None).await;
        assert!(head.contains("403") && problem.contains("other names are refused"), "{head} {problem}");
        let (head, _) = ask(address, "GET /", "host: evil.example\r\naccept-encoding: gzip\r\n", None).await;
        assert!(head.contains("403"), "{head}");
        let (head, _) = ask(address, "GET /api/v1/state", "origin: http://evil.example\r\n", None).await;
        assert!(head.contains("403") && !head.to_lowercase().contains("access-control"), "{head}");
        let (head, _) = ask(address, "GET /", "accept-encoding: gzip, br\r\n", None).await;
        let head = head.to_lowercase();
        assert!(head.contains("200 ok") && head.contains("content-encoding: gzip"), "{head}");
        assert!(head.contains("default-src 'none'") && head.contains("nosniff"), "{head}");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        let again = format!("accept-encoding: gzip\r\nif-none-match: {tag}\r\n");
        assert!(ask(address, "GET /", &again, None).await.0.contains("304"));
        assert!(ask(address, "GET /", "", None).await.0.contains("406"));
    }

    #[tokio::test]
    async fn elsewhere_the_token_is_asked_for_and_the_address_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let dashboard = Dashboard::start(folder.path(), ([0, 0, 0, 0], 0).into()).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], dashboard.address.port()));
        let (head, problem) = ask(address, "GET /api/v1/state", "", None).await;
        assert!(head.contains("401") && problem.contains("a token is needed"), "{head} {problem}");
        let url = dashboard.url();
        let token = url.split_once("#token=").unwrap().1;
        let (head, _) =
            ask(address, "GET /api/v1/state", &format!("authorization: Bearer {token}\r\n"), None).await;
        assert!(head.contains("200"), "{head}");
        let taken = Dashboard::start(folder.path(), address).await.unwrap_err().to_string();
        assert!(taken.contains("name another with --dashboard"), "{taken}");
    }
}
