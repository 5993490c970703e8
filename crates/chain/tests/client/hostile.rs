//! Nodes that serve another chain, vanish, stall, answer nonsense, or contradict themselves.

use std::sync::Arc;
use std::time::Duration;

use chain::embedded::Embedded;
use chain::{Account, Address, Chain, Error, Patience, Wallet, Wei};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{run, wallet};

/// What a hostile node does with a question and the honest answer to it; nothing closes the connection.
type Twist = Arc<dyn Fn(&str, String) -> Option<String> + Send + Sync>;

/// A node that lies: an honest chain behind it, and a twist on every answer.
async fn liar(
    embedded: &Embedded,
    twist: impl Fn(&str, String) -> Option<String> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (embedded, twist): (Embedded, Twist) = (embedded.clone(), Arc::new(twist));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, embedded.clone(), twist.clone()));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, embedded: Embedded, twist: Twist) -> Option<()> {
    loop {
        let mut request = Vec::new();
        let (head, length) = loop {
            let text = String::from_utf8_lossy(&request).to_lowercase();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
                break (head.len() + 4, length.unwrap_or(0));
            }
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        };
        while request.len() < head + length {
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        }
        let question = String::from_utf8_lossy(&request[head..]).into_owned();
        let honest = embedded.answer(question.as_bytes()).await.unwrap_or_default();
        let answer = twist(&question, honest)?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn quick() -> Patience {
    Patience { timeout: Duration::from_millis(200), pause: Duration::from_millis(1), seed: 1 }
}

async fn connect(to: &str) -> Result<Chain, Error> {
    Chain::connect_with(to, None, None, quick()).await
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn chain() -> Embedded {
    Embedded::in_memory(chain::embedded::Options {
        funded: vec![(wallet(1).address().0, Wei::ether(100).0)],
        ..chain::embedded::Options::default()
    })
    .unwrap()
}

#[test]
fn what_is_no_chain_is_refused_with_its_reason() {
    run(async {
        for text in ["", "ftp://x", "bass", "http//x", "file:///etc/passwd"] {
            assert!(matches!(Chain::connect(text).await, Err(Error::NotAChain { .. })), "{text}");
        }
        let error = Chain::connect("bass").await.unwrap_err().to_string();
        assert!(error.contains("base-sepolia"), "{error}");
        let error = connect(&nobody().await).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    });
}

#[test]
fn another_chain_is_noticed_at_once_and_when_a_node_is_replaced() {
    run(async {
        let embedded = chain();
        let liar = liar(&embedded, |question, honest| {
            if question.contains("eth_chainId") {
                Some(r#"{"jsonrpc":"2.0","id":0,"result":"0x1"}"#.to_owned())
            } else {
                Some(honest)
            }
        })
        .await;
        let id = embedded.chain_id();
        let error = Chain::connect_with(&liar, Some(id), None, quick()).await.unwrap_err();
        assert!(matches!(error, Error::WrongChain { expected, found: 1 } if expected == id), "{error}");
        // With an honest address beside it, the liar is passed over.
        let server = embedded.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let both = format!("{liar},http://{}", server.address());
        let chain = Chain::connect_with(&both, Some(id), None, quick()).await.unwrap();
        assert_eq!(chain.balance(wallet(1).address()).await.unwrap(), Wei::ether(100));
    });
}

#[test]
fn the_next_address_is_asked_when_one_is_gone_stalls_or_babbles() {
    run(async {
        let embedded = chain();
        let server = embedded.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let honest = format!("http://{}", server.address());
        let babbler = liar(&embedded, |_, _| Some("<html>busy</html>".to_owned())).await;
        let busy = liar(&embedded, |_, _| {
            Some(r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"rate limited"}}"#.to_owned())
        })
        .await;
        // It takes the question and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent_at = format!("http://{}", silent.local_addr().unwrap());
        for bad in [nobody().await, babbler, busy, silent_at] {
            let chain = connect(&format!("{bad},{honest}")).await.unwrap();
            assert_eq!(chain.balance(wallet(1).address()).await.unwrap(), Wei::ether(100), "{bad}");
            assert!(
                matches!(connect(&bad).await, Err(Error::Unreachable { .. } | Error::Rpc { .. })),
                "{bad}"
            );
        }
        drop(silent);
    });
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    run(async {
        let liar = liar(&chain(), |_, _| Some(" ".repeat(33 << 20))).await;
        let patience = Patience { timeout: Duration::from_secs(20), ..quick() };
        let error = Chain::connect_with(&liar, None, None, patience).await.unwrap_err().to_string();
        assert!(error.contains("longer than 32 MiB"), "{error}");
    });
}

/// A payment through a liar: the client must not think it done, nor lose it.
async fn pay_through(
    twist: impl Fn(&str, String) -> Option<String> + Send + Sync + 'static,
) -> (Error, usize) {
    let embedded = chain();
    let liar = liar(&embedded, twist).await;
    let chain = connect(&liar).await.unwrap();
    let wallet: Wallet = wallet(1);
    let account = Account::open(&chain, &wallet, None).unwrap();
    let error = account.pay(Address([9; 20]), Wei(1)).await.unwrap_err();
    (error, account.outbox().open_intents().len())
}

fn twisted(
    method: &'static str,
    from: &'static str,
    to: &'static str,
) -> impl Fn(&str, String) -> Option<String> {
    move |question, honest| {
        Some(if question.contains(method) { replace_value(&honest, from, to) } else { honest })
    }
}

/// Replaces the value of a field.
fn replace_value(json: &str, field: &str, value: &str) -> String {
    let Some(at) = json.find(&format!("\"{field}\":\"")) else { return json.to_owned() };
    let from = at + field.len() + 4;
    let end = from + json[from..].find('"').unwrap();
    format!("{}{value}{}", &json[..from], &json[end..])
}

#[test]
fn contradictions_are_noticed_and_what_was_to_be_sent_is_kept() {
    run(async {
        let zero = "0x0000000000000000000000000000000000000000000000000000000000000007";
        for (method, field) in [
            ("eth_getTransactionReceipt", "blockHash"),
            ("eth_getTransactionReceipt", "transactionHash"),
            ("eth_sendRawTransaction", "result"),
        ] {
            let (error, open) = pay_through(twisted(method, field, zero)).await;
            assert!(matches!(error, Error::Contradiction { .. }), "{method} {field}: {error}");
            assert_eq!(open, 1, "{method} {field}");
        }
        let (error, open) = pay_through(twisted("eth_getTransactionReceipt", "blockNumber", "0x0")).await;
        assert!(matches!(error, Error::Contradiction { .. }), "{error}");
        assert_eq!(open, 1);
        let (error, open) =
            pay_through(
                |question, honest| {
                    if question.contains("eth_getTransactionCount") { None } else { Some(honest) }
                },
            )
            .await;
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(open, 1);
    });
}

#[test]
fn a_chain_that_forgets_its_blocks_is_not_believed() {
    run(async {
        let embedded = chain();
        let asked = std::sync::atomic::AtomicU32::new(0);
        let liar = liar(&embedded, move |question, honest| {
            let first = question.contains("\"latest\",false")
                && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            Some(if first { replace_value(&honest, "number", "0x10000") } else { honest })
        })
        .await;
        let chain = connect(&liar).await.unwrap();
        assert_eq!(chain.head().await.unwrap().0, 0x10000);
        let error = chain.head().await.unwrap_err();
        assert!(matches!(error, Error::Contradiction { .. }), "{error}");
    });
}
