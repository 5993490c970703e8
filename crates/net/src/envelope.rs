//! What a gossip message is wrapped in: a version, and when it was written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes before the data.
pub(crate) const HEAD: usize = 9;
const VERSION: u8 = 1;

/// A message's data and when it was written, by its author's clock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) sent: SystemTime,
    pub(crate) data: &'a [u8],
}

/// How a message's time compares with ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    Stale,
    Early,
}

impl<'a> Envelope<'a> {
    pub(crate) fn encode(sent: SystemTime, data: &[u8]) -> Vec<u8> {
        let ms = sent.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let mut bytes = Vec::with_capacity(HEAD + data.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&ms.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Envelope<'a>> {
        let (head, data) = bytes.split_first_chunk::<HEAD>()?;
        let [version, ms @ ..] = head;
        let sent = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(*ms)))?;
        (*version == VERSION).then_some(Envelope { sent, data })
    }

    pub(crate) fn freshness(&self, now: SystemTime, oldest: Duration, ahead: Duration) -> Freshness {
        match now.duration_since(self.sent) {
            Ok(age) if age > oldest => Freshness::Stale,
            Err(early) if early.duration() > ahead => Freshness::Early,
            _ => Freshness::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_and_early_messages_are_told_apart() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |sent| {
            let s = Duration::from_secs;
            Envelope { sent, data: &[] }.freshness(now, s(90), s(20))
        };
        assert_eq!(at(now - Duration::from_secs(89)), Freshness::Fresh);
        assert_eq!(at(now - Duration::from_secs(91)), Freshness::Stale);
        assert_eq!(at(now + Duration::from_secs(19)), Freshness::Fresh);
        assert_eq!(at(now + Duration::from_secs(21)), Freshness::Early);
        assert_eq!(at(UNIX_EPOCH), Freshness::Stale);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(bytes: Vec<u8>) {
            if let Some(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(Envelope::encode(envelope.sent, envelope.data), bytes);
            }
        }
    }
}
