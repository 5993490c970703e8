//! A queue that never grows: when it is full, the oldest makes room and is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Puts things in.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Takes things out, oldest first.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    more: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// How many made room since the receiver last asked.
    dropped: u64,
    closed: bool,
}

/// A queue of at most `most` things of at most `most_bytes` bytes together.
pub(crate) fn queue<T>(most: usize, most_bytes: usize) -> (Sender<T>, Receiver<T>) {
    let state =
        State { items: VecDeque::new(), bytes: 0, most: most.max(1), most_bytes, dropped: 0, closed: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), more: Notify::new() });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Puts in one more. Gives back those that had to make room.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Vec<T> {
        let mut state = self.0.lock();
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        let mut out = Vec::new();
        while state.items.len() > state.most || (state.bytes > state.most_bytes && state.items.len() > 1) {
            let Some((oldest, bytes)) = state.items.pop_front() else { break };
            state.bytes -= bytes;
            state.dropped += 1;
            out.push(oldest);
        }
        drop(state);
        self.0.more.notify_one();
        out
    }

    /// Whether nobody will take anything any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.more.notify_one();
    }
}

impl<T> Receiver<T> {
    /// The oldest; waits for one. None when the sender is gone and all is taken.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some((item, bytes)) = state.items.pop_front() {
                    state.bytes -= bytes;
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            self.0.more.notified().await;
        }
    }

    /// How many had to make room since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.0.lock().dropped)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_makes_room() {
        let (sender, mut receiver) = queue(3, 100);
        for i in 0..5 {
            let out = sender.push(i, 1);
            assert_eq!(out, if i < 3 { vec![] } else { vec![i - 3] });
        }
        assert_eq!(receiver.take_dropped(), 2);
        assert_eq!(receiver.next().await, Some(2));
        // Bytes count too; the newest always stays.
        assert_eq!(sender.push(9, 500), [3, 4]);
        assert_eq!(receiver.next().await, Some(9));
        assert_eq!((receiver.take_dropped(), receiver.take_dropped()), (2, 0));
        drop(sender);
        assert_eq!(receiver.next().await, None);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let (sender, mut receiver) = queue(1, 1);
        let waits = tokio::spawn(async move { (receiver.next().await, receiver.next().await) });
        sender.push(1, 1);
        while Arc::strong_count(&sender.0) == 2 && !sender.0.lock().items.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(sender);
        assert_eq!(waits.await.unwrap(), (Some(1), None));
    }

    #[test]
    fn what_nobody_takes_is_not_kept() {
        let (sender, receiver) = queue(3, 100);
        sender.push(1, 1);
        drop(receiver);
        assert!(sender.is_closed());
        assert!(sender.0.lock().items.is_empty());
    }
}
