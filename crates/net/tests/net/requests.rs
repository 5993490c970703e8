//! Questions and answers between two nodes.

use crate::common::{connect, soon, start};
use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Asked, Error, Event, Request, ServeLimits};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Double(Vec<u8>);

impl Request for Double {
    type Response = Vec<u8>;
    const PROTOCOL: &'static str = "double/1";
    const REQUEST_BYTES: usize = 1000;
    const RESPONSE_BYTES: usize = 1500;
}

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_refused_or_too_long() {
    let (a, _ea) = start(200);
    let (b, _eb) = start(201);
    let mut asked = b.serve::<Double>(ServeLimits::default()).unwrap();
    tokio::spawn(async move {
        while let Some(Asked { request: Double(bytes), reply, .. }) = asked.next().await {
            match bytes.first() {
                None => reply.refuse("nothing to double"),
                Some(0) => drop(reply),
                Some(_) => reply.answer([bytes.clone(), bytes].concat()),
            }
        }
    });
    connect(&a, &b).await;
    let ask = |bytes: Vec<u8>| {
        let (a, to) = (a.clone(), b.peer_id());
        async move { soon("an answer", a.request(to, &Double(bytes), DEADLINE)).await }
    };
    assert_eq!(ask(vec![1, 2]).await.unwrap(), [1, 2, 1, 2]);
    let refused = ask(vec![]).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { why, .. } if why == "nothing to double"), "{refused}");
    assert!(matches!(ask(vec![0]).await, Err(Error::Refused { .. })));
    assert!(matches!(ask(vec![1; 1001]).await, Err(Error::TooLarge { .. })));
    // The answer would be too long: the other side does not send it.
    assert!(matches!(ask(vec![1; 900]).await, Err(Error::Refused { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_more_at_once_than_allowed() {
    let (a, _ea) = start(210);
    let (b, _eb) = start(211);
    let limits = ServeLimits { per_peer: 2, ..ServeLimits::default() };
    let mut asked = b.serve::<Double>(limits).unwrap();
    connect(&a, &b).await;
    let to = b.peer_id();
    let ask = |n: u8| {
        let a = a.clone();
        tokio::spawn(async move { a.request(to, &Double(vec![n]), DEADLINE).await })
    };
    let waiting = [ask(1), ask(2)];
    let held =
        [soon("a question", asked.next()).await.unwrap(), soon("a question", asked.next()).await.unwrap()];
    let busy = soon("an answer", ask(3)).await.unwrap().unwrap_err();
    assert!(matches!(&busy, Error::Refused { why, .. } if why.contains("busy")), "{busy}");
    for Asked { request: Double(bytes), reply, .. } in held {
        reply.answer(bytes);
    }
    for answer in waiting {
        assert_eq!(soon("an answer", answer).await.unwrap().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let (a, _ea) = start(220);
    let (b, _eb) = start(221);
    let mut asked = b.serve::<Double>(ServeLimits::default()).unwrap();
    connect(&a, &b).await;
    let late =
        soon("the deadline", a.request(b.peer_id(), &Double(vec![1]), Duration::from_millis(200))).await;
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    drop(asked.next().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_broken_questions_put_the_asker_out() {
    for bytes in [vec![0xff; 64], [8u32.to_le_bytes().to_vec(), vec![0xff; 8]].concat()] {
        let (a, _ea) = start(230);
        let (b, mut eb) = start(231);
        let _asked = b.serve::<Double>(ServeLimits::default()).unwrap();
        connect(&a, &b).await;
        let asker = a.clone();
        let (to, wrong) = (b.peer_id(), bytes.clone());
        let attack = tokio::spawn(async move {
            while let Ok(mut stream) = asker.open(to, Double::PROTOCOL).await {
                let _ = stream.write_all(&wrong).await;
                let _ = stream.close().await;
                let mut end = Vec::new();
                let _ = stream.read_to_end(&mut end).await;
            }
        });
        while !matches!(soon("an event", eb.next()).await.unwrap(), Event::PutOut { peer, .. } if peer == a.peer_id())
        {
        }
        attack.abort();
        a.stop().await;
        b.stop().await;
    }
}
