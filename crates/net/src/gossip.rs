//! Gossip: small signed messages that reach every peer of a topic, each judged by the application before it goes on.

use crate::envelope::{self, Envelope};
use crate::error::{Error, Result};
use crate::id::PeerId;
use crate::memory::{Pool, Share};
use crate::queue;
use crate::rate::{Bucket, Buckets};
use crate::reputation::Offence;
use libp2p::gossipsub::{
    self, AllowAllSubscriptionFilter, IdentTopic, MaxCountSubscriptionFilter, MessageAcceptance,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, PublishError, TopicHash,
    TopicScoreParams, ValidationMode,
};
use libp2p::identity::Keypair;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// The most that a message can carry on any topic; more is a blob's work.
pub const MESSAGE_BYTES: usize = 256 << 10;
/// How long a message is known, and so cannot come twice. Older ones are not fresh and are refused by their age.
const REMEMBERED: Duration = Duration::from_mins(2);
/// How old a message may be, by its author's clock and ours.
pub(crate) const OLDEST: Duration = Duration::from_secs(90);
/// How far ahead of ours an author's clock may be.
pub(crate) const AHEAD: Duration = Duration::from_secs(20);
/// How long a message may wait to be sent to a neighbour.
const QUEUED: Duration = Duration::from_secs(10);
/// Messages that wait for a verdict, on all topics.
const PENDING: usize = 8_192;
/// Topics that one peer may subscribe to.
const TOPICS_PER_PEER: usize = 256;
/// Below this score a peer's messages are not read any more, and it is put out.
pub(crate) const WORST_SCORE: f64 = -80.0;

/// What the application thinks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right: let the others have it.
    Accept,
    /// It is of no use, such as one of an old round: it stops here, and nobody is to blame.
    Ignore,
    /// It is wrong, and who passed it on should have known: it stops here and costs them.
    Reject,
}

/// What a topic allows.
#[derive(Clone, Debug)]
pub struct TopicRules {
    /// The longest message.
    pub message_bytes: usize,
    /// Messages per second from one author, on average.
    pub author_per_second: u32,
    /// Messages that one author may send at once after a pause.
    pub author_burst: u32,
    /// Messages per second that one neighbour may pass on, whoever wrote them.
    pub neighbour_per_second: u32,
    /// Messages that may wait for the application; then the oldest make room.
    pub queue: usize,
    /// Bytes that may wait for the application.
    pub queue_bytes: usize,
    /// How long the application has for its verdict; without one the message is ignored.
    pub deadline: Duration,
}

impl Default for TopicRules {
    fn default() -> TopicRules {
        TopicRules {
            message_bytes: 64 << 10,
            author_per_second: 20,
            author_burst: 100,
            neighbour_per_second: 500,
            queue: 1_024,
            queue_bytes: 16 << 20,
            deadline: Duration::from_secs(2),
        }
    }
}

/// A message that came, to be judged: [`accept`](Message::accept), [`ignore`](Message::ignore) or [`reject`](Message::reject) it. One that
/// is dropped is ignored.
#[derive(Debug)]
pub struct Message {
    /// Who wrote and signed it.
    pub author: PeerId,
    /// Who passed it on to us.
    pub from: PeerId,
    /// When it was written, by its author's clock.
    pub sent: SystemTime,
    /// What it says.
    pub data: Vec<u8>,
    ticket: Option<Ticket>,
    _memory: Share,
}

#[derive(Debug)]
struct Ticket {
    number: u64,
    verdicts: mpsc::UnboundedSender<(u64, Verdict)>,
}

impl Message {
    /// It is right: let the others have it.
    pub fn accept(&mut self) {
        self.judge(Verdict::Accept);
    }

    /// It is of no use; it stops here, and nobody is to blame.
    pub fn ignore(&mut self) {
        self.judge(Verdict::Ignore);
    }

    /// It is wrong; it stops here and costs whoever passed it on.
    pub fn reject(&mut self) {
        self.judge(Verdict::Reject);
    }

    /// Gives the verdict; only the first counts.
    pub fn judge(&mut self, verdict: Verdict) {
        if let Some(Ticket { number, verdicts }) = self.ticket.take() {
            // It fails if the node has stopped, which the application learns elsewhere.
            let _ = verdicts.send((number, verdict));
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.judge(Verdict::Ignore);
    }
}

/// The messages of a topic. When it is dropped, the node leaves the topic.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) messages: queue::Receiver<Message>,
}

impl Subscription {
    /// The next message; none when the node has stopped.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.next().await
    }

    /// How many messages were missed since the last call, because they came faster than they were taken.
    pub fn missed(&mut self) -> u64 {
        self.messages.take_dropped()
    }
}

pub(crate) type Behaviour =
    gossipsub::Behaviour<Checked, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// Counts of what came, shared with whoever measures.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Copies of messages that peers sent us, each with a right signature.
    pub(crate) copies: AtomicU64,
    /// Messages that were new and fresh.
    pub(crate) messages: AtomicU64,
}

/// Looks at every copy before anything is kept of it.
pub(crate) struct Checked(Arc<Traffic>);

impl gossipsub::DataTransform for Checked {
    fn inbound_transform(&self, raw: gossipsub::RawMessage) -> io::Result<gossipsub::Message> {
        self.0.copies.fetch_add(1, Ordering::Relaxed);
        if Envelope::decode(&raw.data).is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no envelope of ours"));
        }
        Ok(gossipsub::Message {
            source: raw.source,
            data: raw.data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

/// A message is who wrote it, where, and what it says: not when, so that it cannot come twice by being sent anew.
fn identity(message: &gossipsub::Message) -> MessageId {
    let mut hash = blake3::Hasher::new_derive_key("starling 2026 gossip message");
    let source = message.source.map(libp2p::PeerId::to_bytes).unwrap_or_default();
    for part in [source.as_slice(), message.topic.as_str().as_bytes()] {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hash.update(message.data.get(envelope::HEAD..).unwrap_or_default());
    MessageId::from(hash.finalize().as_bytes()[..20].to_vec())
}

/// Gossipsub under its own protocol names, since only those have its latest version, in which neighbours say what they have
/// already. Swarms are kept apart by the names of their topics.
pub(crate) fn behaviour(key: &Keypair, traffic: Arc<Traffic>) -> Result<Behaviour> {
    let failed = |why: String| Error::Transport { why };
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(identity)
        .max_transmit_size(MESSAGE_BYTES + 1024)
        .duplicate_cache_time(REMEMBERED)
        // Few neighbours keep copies few; those who miss one hear of it from others within a heartbeat, and the publisher's
        // own copies go to its neighbours only. Who is grafted adds up on the other side, so the top is near the middle.
        .mesh_n(MESH)
        .mesh_n_low(MESH - 1)
        .mesh_n_high(MESH + 2)
        .mesh_outbound_min(1)
        .retain_scores(MESH / 2)
        .gossip_lazy(3)
        .flood_publish(false)
        .heartbeat_initial_delay(Duration::from_millis(200))
        .heartbeat_interval(Duration::from_millis(700))
        .history_length(10)
        .history_gossip(4)
        .idontwant_message_size_threshold(512)
        .idontwant_on_publish(true)
        .connection_handler_queue_len(1_024)
        // On a busy machine a message may wait for longer than a second; it is dropped when it would come too late to matter.
        .publish_queue_duration(QUEUED)
        .forward_queue_duration(QUEUED)
        .max_ihave_messages_heartbeat(20)
        .build()
        .map_err(|why| failed(why.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: TOPICS_PER_PEER,
        max_subscriptions_per_request: TOPICS_PER_PEER,
    };
    let mut behaviour = gossipsub::Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Signed(key.clone()),
        config,
        filter,
        Checked(traffic),
    )
    .map_err(|why| failed(why.to_owned()))?;
    let params = PeerScoreParams {
        // How many peers may share a network is the gate's to say.
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.9,
        slow_peer_weight: -0.1,
        slow_peer_threshold: 100.0,
        app_specific_weight: 1.0,
        topic_score_cap: 50.0,
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -40.0,
        graylist_threshold: WORST_SCORE,
        accept_px_threshold: 10.0,
        opportunistic_graft_threshold: 1.0,
    };
    behaviour.with_peer_score(params, thresholds).map_err(failed)?;
    Ok(behaviour)
}

/// Neighbours of a topic that messages go to at once.
const MESH: usize = 4;

/// What a neighbour's conduct on a topic is worth. Three wrong messages are enough to be put out.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 600.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: 0.95,
        first_message_deliveries_cap: 100.0,
        // Topics may be silent for long: who has nothing to pass on is not to blame.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: 0.99,
        ..TopicScoreParams::default()
    }
}

/// What the driver must do about a message.
pub(crate) struct Judged {
    pub(crate) id: MessageId,
    pub(crate) from: libp2p::PeerId,
    pub(crate) verdict: Verdict,
}

/// The topics of this node, and the messages that wait for a verdict.
pub(crate) struct Topics {
    namespace: String,
    joined: HashMap<TopicHash, Topic>,
    pending: HashMap<u64, Pending>,
    next: u64,
    verdicts: mpsc::UnboundedSender<(u64, Verdict)>,
    traffic: Arc<Traffic>,
    pool: Pool,
    /// What authors' clocks say, for those whose messages came straight from them.
    pub(crate) clocks: crate::clock::Clocks,
}

struct Topic {
    name: String,
    rules: TopicRules,
    messages: queue::Sender<Message>,
    authors: Buckets<libp2p::PeerId>,
    neighbours: Buckets<libp2p::PeerId>,
    own: Bucket,
}

struct Pending {
    id: MessageId,
    from: libp2p::PeerId,
    deadline: Instant,
}

impl Topics {
    pub(crate) fn new(
        namespace: String,
        verdicts: mpsc::UnboundedSender<(u64, Verdict)>,
        traffic: Arc<Traffic>,
        pool: Pool,
    ) -> Topics {
        let (joined, pending, clocks) = Default::default();
        Topics { namespace, joined, pending, next: 0, verdicts, traffic, pool, clocks }
    }

    fn topic(&self, name: &str) -> IdentTopic {
        IdentTopic::new(format!("{}/{name}", self.namespace))
    }

    pub(crate) fn subscribe(
        &mut self,
        gossip: &mut Behaviour,
        name: &str,
        rules: TopicRules,
    ) -> Result<Subscription> {
        let wrong = |why| Error::Topic { topic: name.to_owned(), why };
        if rules.message_bytes > MESSAGE_BYTES {
            return Err(wrong("its messages may be longer than any message may be: send blobs instead"));
        }
        let topic = self.topic(name);
        if self.joined.contains_key(&topic.hash()) {
            return Err(wrong("this node is subscribed already: share the subscription"));
        }
        gossip.subscribe(&topic).map_err(|_| wrong("it cannot be subscribed to"))?;
        let _ = gossip.set_topic_params(topic.clone(), topic_score());
        let (messages, receiver) = queue::queue(rules.queue, rules.queue_bytes);
        let topic_state = Topic {
            name: name.to_owned(),
            messages,
            authors: Buckets::new(f64::from(rules.author_per_second), f64::from(rules.author_burst)),
            neighbours: Buckets::new(
                f64::from(rules.neighbour_per_second),
                f64::from(rules.neighbour_per_second) * 4.0,
            ),
            own: Bucket::full(f64::from(rules.author_burst)),
            rules,
        };
        self.joined.insert(topic.hash(), topic_state);
        Ok(Subscription { messages: receiver })
    }

    /// Says something on a topic. Needs no subscription, but then the topic's default rules hold.
    pub(crate) fn publish(
        &mut self,
        gossip: &mut Behaviour,
        name: &str,
        data: &[u8],
        health: &str,
    ) -> Result<()> {
        let topic = self.topic(name);
        let limit = match self.joined.get_mut(&topic.hash()) {
            Some(topic) => {
                let rules = &topic.rules;
                let (rate, burst) = (f64::from(rules.author_per_second), f64::from(rules.author_burst));
                if data.len() <= rules.message_bytes && !topic.own.take(1.0, rate, burst, Instant::now()) {
                    return Err(Error::TooFast {
                        topic: name.to_owned(),
                        per_second: rules.author_per_second,
                    });
                }
                rules.message_bytes
            }
            None => TopicRules::default().message_bytes,
        };
        if data.len() > limit {
            return Err(Error::TooLarge { what: "a message", bytes: data.len(), limit });
        }
        let bytes = Envelope::encode(SystemTime::now(), data);
        match gossip.publish(topic, bytes) {
            Ok(_) => Ok(()),
            Err(PublishError::Duplicate) => Err(Error::AlreadySent),
            Err(PublishError::NoPeersSubscribedToTopic) => {
                Err(Error::NobodyListens { health: health.to_owned() })
            }
            Err(PublishError::MessageTooLarge) => {
                Err(Error::TooLarge { what: "a message", bytes: data.len(), limit })
            }
            Err(PublishError::AllQueuesFull(peers)) => {
                Err(Error::Busy { what: "messages on their way to every neighbour", limit: peers })
            }
            Err(why) => Err(Error::Encode { what: "message", why: why.to_string() }),
        }
    }

    /// A message came: hands it to the application, or says at once what becomes of it, and what its neighbour did wrong.
    pub(crate) fn receive(
        &mut self,
        from: libp2p::PeerId,
        id: MessageId,
        message: &gossipsub::Message,
    ) -> (Option<Judged>, Option<Offence>) {
        let now = Instant::now();
        let at_once = |verdict| Some(Judged { id: id.clone(), from, verdict });
        let Some(topic) = self.joined.get_mut(&message.topic) else {
            return (at_once(Verdict::Ignore), None);
        };
        let envelope = Envelope::decode(&message.data);
        let author = message.source.and_then(|source| PeerId::of(&source).map(|peer| (source, peer)));
        let (Some(envelope), Some((source, author)), Some(neighbour)) = (envelope, author, PeerId::of(&from))
        else {
            return (at_once(Verdict::Reject), Some(Offence::Malformed));
        };
        if envelope.data.len() > topic.rules.message_bytes {
            return (at_once(Verdict::Reject), Some(Offence::TooLarge));
        }
        let clock = SystemTime::now();
        if source == from {
            self.clocks.heard(author, envelope.sent, clock);
        }
        match envelope.freshness(clock, OLDEST, AHEAD) {
            envelope::Freshness::Fresh => {}
            // An honest neighbour would not have passed it on, unless its clock is wrong: that adds up slowly.
            envelope::Freshness::Stale => return (at_once(Verdict::Ignore), Some(Offence::Replay)),
            envelope::Freshness::Early => return (at_once(Verdict::Ignore), None),
        }
        let rules = &topic.rules;
        if !topic.neighbours.take(&from, 1.0, now) {
            return (at_once(Verdict::Ignore), Some(Offence::TooFast));
        }
        if !topic.authors.take(&source, 1.0, now) {
            let offence = (source == from).then_some(Offence::TooFast);
            return (at_once(Verdict::Ignore), offence);
        }
        if self.pending.len() >= PENDING {
            return (at_once(Verdict::Ignore), None);
        }
        let Some(share) = self.pool.take(envelope.data.len()) else {
            return (at_once(Verdict::Ignore), None);
        };
        self.traffic.messages.fetch_add(1, Ordering::Relaxed);
        self.next += 1;
        let number = self.next;
        self.pending.insert(number, Pending { id, from, deadline: now + rules.deadline });
        let data = envelope.data.to_vec();
        let bytes = data.len();
        let ticket = Some(Ticket { number, verdicts: self.verdicts.clone() });
        // Those that make room are dropped, which ignores them.
        let sent = envelope.sent;
        let message = Message { author, from: neighbour, sent, data, ticket, _memory: share };
        drop(topic.messages.push(message, bytes));
        (None, None)
    }

    /// The application's verdict on a message; none if it comes too late.
    pub(crate) fn judged(&mut self, number: u64, verdict: Verdict) -> Option<Judged> {
        let Pending { id, from, .. } = self.pending.remove(&number)?;
        Some(Judged { id, from, verdict })
    }

    /// Messages whose time is over, and topics that nobody reads any more.
    pub(crate) fn tick(&mut self, gossip: &mut Behaviour, now: Instant) -> Vec<Judged> {
        let late: Vec<u64> =
            self.pending.iter().filter(|(_, p)| p.deadline <= now).map(|(n, _)| *n).collect();
        let left: Vec<TopicHash> = self
            .joined
            .iter()
            .filter(|(_, t)| t.messages.is_closed())
            .map(|(hash, _)| hash.clone())
            .collect();
        for hash in left {
            if let Some(topic) = self.joined.remove(&hash) {
                gossip.unsubscribe(&self.topic(&topic.name));
            }
        }
        late.into_iter().filter_map(|number| self.judged(number, Verdict::Ignore)).collect()
    }
}

impl Judged {
    /// Tells gossipsub.
    pub(crate) fn report(&self, gossip: &mut Behaviour) {
        let acceptance = match self.verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        gossip.report_message_validation_result(&self.id, &self.from, acceptance);
    }
}
