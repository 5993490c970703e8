//! Who is asked for what: the parts of a blob, dealt out to the peers that have them.
//!
//! A part is given to one peer at a time, from where the reader is onwards. When none is left that nobody fetches, a peer
//! with nothing to do takes over one that is overdue, so that no peer, slow or silent, can hold up the end.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::bits::Bits;
use super::file::Blob;
use super::tree::PART_GROUPS;
use super::wire::Span;

/// Peers that may fetch the same part.
const TWINS: usize = 3;
/// A part is not overdue before this.
const PATIENCE: Duration = Duration::from_millis(400);

/// One of those who fetch.
pub(crate) type Worker = u64;

/// What a worker should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    Fetch(Span),
    /// Others fetch what it could: ask again then, or when something changes.
    Wait(Instant),
    /// It has nothing that is missing.
    Nothing,
    /// Nothing is missing.
    Done,
}

/// What is wanted of a blob, and who fetches it.
#[derive(Debug)]
pub(crate) struct Plan {
    wanted: Range<u64>,
    /// The part that comes first: the one being read.
    first: u64,
    flights: BTreeMap<u64, Vec<(Worker, Instant)>>,
}

impl Plan {
    /// A plan to fetch groups.
    pub(crate) fn new(wanted: Range<u64>) -> Plan {
        let first = wanted.start / PART_GROUPS;
        Plan { wanted, first, flights: BTreeMap::new() }
    }

    pub(crate) fn wanted(&self) -> Range<u64> {
        self.wanted.clone()
    }

    /// Wants more groups than so far.
    pub(crate) fn widen(&mut self, groups: Range<u64>) {
        self.wanted = self.wanted.start.min(groups.start)..self.wanted.end.max(groups.end);
    }

    /// From now on the parts from this group on come first.
    pub(crate) fn read_from(&mut self, group: u64) {
        self.first = group / PART_GROUPS;
    }

    /// What a worker that has `parts` (`None`: all) should do. `usual` is how long it takes for a part.
    pub(crate) fn next(
        &mut self,
        blob: &Blob,
        worker: Worker,
        parts: Option<&Bits>,
        usual: Duration,
        now: Instant,
    ) -> Next {
        if blob.has(self.wanted.clone()) {
            return Next::Done;
        }
        let middle = (self.first * PART_GROUPS).clamp(self.wanted.start, self.wanted.end);
        for groups in [middle..self.wanted.end, self.wanted.start..middle] {
            let mut at = groups.start;
            while let Some(gap) = blob.first_gap(at..groups.end) {
                let part = gap / PART_GROUPS;
                let end = (part + 1) * PART_GROUPS;
                if !self.flights.contains_key(&part)
                    && parts.is_none_or(|parts| parts.get(part))
                    && let Some(span) = self.span(blob, part)
                {
                    self.flights.insert(part, vec![(worker, now)]);
                    return Next::Fetch(span);
                }
                at = end;
            }
        }
        self.take_over(blob, worker, parts, usual, now)
    }

    /// A part that others are late with.
    fn take_over(
        &mut self,
        blob: &Blob,
        worker: Worker,
        parts: Option<&Bits>,
        usual: Duration,
        now: Instant,
    ) -> Next {
        let overdue = PATIENCE.max(usual * 3);
        let could = |(part, flights): &(&u64, &Vec<(Worker, Instant)>)| {
            parts.is_none_or(|parts| parts.get(**part))
                && flights.len() < TWINS
                && flights.iter().all(|(other, _)| *other != worker)
        };
        // The longest under way; of those taken over already, the last to do so counts.
        let since = |flights: &Vec<(Worker, Instant)>| flights.iter().map(|(_, since)| *since).max();
        let oldest = self.flights.iter().filter(could).filter_map(|(part, f)| Some((since(f)?, *part))).min();
        let Some((since, part)) = oldest else { return Next::Nothing };
        if now < since + overdue {
            return Next::Wait(since + overdue);
        }
        match self.span(blob, part) {
            Some(span) => {
                self.flights.entry(part).or_default().push((worker, now));
                Next::Fetch(span)
            }
            // It arrived this moment, and its worker is about to say so.
            None => Next::Wait(now + PATIENCE),
        }
    }

    /// What is missing of a part.
    fn span(&self, blob: &Blob, part: u64) -> Option<Span> {
        let begin = part * PART_GROUPS;
        let groups = begin.max(self.wanted.start)..(begin + PART_GROUPS).min(self.wanted.end);
        let gap = blob.gap(groups)?;
        Some(Span { part, first: (gap.start - begin) as u8, count: (gap.end - gap.start) as u8 })
    }

    /// A worker is done with a part, one way or the other.
    pub(crate) fn end(&mut self, worker: Worker, part: u64) {
        if let Some(flights) = self.flights.get_mut(&part) {
            flights.retain(|(other, _)| *other != worker);
            if flights.is_empty() {
                self.flights.remove(&part);
            }
        }
    }

    /// A worker is gone: others may have what it was fetching.
    pub(crate) fn leave(&mut self, worker: Worker) {
        self.flights.retain(|_, flights| {
            flights.retain(|(other, _)| *other != worker);
            !flights.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::tree::tests::{proof, some_bytes, tree};
    use crate::blob::tree::{GROUP, Shape};
    use crate::blob::{Blob, Root};

    const LONG: Duration = Duration::from_hours(1);

    /// A partial blob of some parts and a bit, and what fills it.
    struct Case {
        _folder: tempfile::TempDir,
        bytes: Vec<u8>,
        tree: Vec<[u8; 32]>,
        blob: Blob,
    }

    fn case(parts: u64) -> Case {
        let bytes = some_bytes((parts * PART_GROUPS * GROUP - 5) as usize, 9);
        let folder = tempfile::tempdir().unwrap();
        let blob =
            Blob::create(folder.path(), Root::of(&bytes), Shape::new(bytes.len() as u64).unwrap()).unwrap();
        Case { _folder: folder, tree: tree(&bytes), bytes, blob }
    }

    impl Case {
        fn fetch(&self, span: Span) {
            let shape = self.blob.shape();
            let proved = self.blob.prove(span.part, &proof(shape, &self.tree, span.part)).unwrap();
            let place = shape.bytes(span.groups());
            self.blob
                .put(&proved, span.groups().start, &self.bytes[place.start as usize..place.end as usize])
                .unwrap();
        }
    }

    fn whole(part: u64) -> Next {
        Next::Fetch(Span { part, first: 0, count: PART_GROUPS as u8 })
    }

    #[test]
    fn each_part_once_from_where_it_is_read() {
        let case = case(3);
        let mut plan = Plan::new(0..case.blob.shape().groups());
        let now = Instant::now();
        let mut next = |worker, parts: Option<&Bits>| plan.next(&case.blob, worker, parts, LONG, now);
        let mut only_0 = Bits::none(3);
        only_0.set(0);
        assert_eq!(next(1, None), whole(0));
        assert!(matches!(next(2, Some(&only_0)), Next::Wait(_)), "its only part is being fetched");
        assert_eq!(next(2, Some(&Bits::none(3))), Next::Nothing);
        assert_eq!(next(2, None), whole(1));
        let mut plan = Plan::new(0..case.blob.shape().groups());
        plan.read_from(2 * PART_GROUPS + 3);
        assert_eq!(plan.next(&case.blob, 1, None, LONG, now), whole(2));
        assert_eq!(plan.next(&case.blob, 1, None, LONG, now), whole(0), "what lies before is wanted, too");
    }

    #[test]
    fn what_is_overdue_is_taken_over_and_only_then() {
        let case = case(1);
        let mut plan = Plan::new(0..case.blob.shape().groups());
        let start = Instant::now();
        assert_eq!(plan.next(&case.blob, 1, None, LONG, start), whole(0));
        let usual = Duration::from_secs(1);
        assert_eq!(plan.next(&case.blob, 2, None, usual, start), Next::Wait(start + usual * 3));
        // Half of it has come meanwhile: only the rest is asked for.
        case.fetch(Span { part: 0, first: 0, count: 40 });
        let late = start + usual * 3;
        let rest = Next::Fetch(Span { part: 0, first: 40, count: 24 });
        assert_eq!(plan.next(&case.blob, 2, None, usual, late), rest);
        assert!(matches!(plan.next(&case.blob, 3, None, usual, late), Next::Wait(_)), "just taken over");
        assert_eq!(plan.next(&case.blob, 1, None, usual, late), Next::Nothing, "its own part");
        plan.leave(1);
        plan.leave(2);
        assert_eq!(plan.next(&case.blob, 3, None, LONG, late), rest, "nobody fetches it any more");
        case.fetch(Span { part: 0, first: 40, count: 24 });
        assert_eq!(plan.next(&case.blob, 3, None, LONG, late), Next::Done);
    }

    #[test]
    fn only_what_is_wanted() {
        let case = case(2);
        let mut plan = Plan::new(70..75);
        let now = Instant::now();
        let span = Span { part: 1, first: 6, count: 5 };
        assert_eq!(plan.next(&case.blob, 1, None, LONG, now), Next::Fetch(span));
        case.fetch(span);
        plan.end(1, 1);
        assert_eq!(plan.next(&case.blob, 1, None, LONG, now), Next::Done);
        plan.widen(60..70);
        let mut next = || plan.next(&case.blob, 1, None, LONG, now);
        assert_eq!(next(), Next::Fetch(Span { part: 1, first: 0, count: 6 }));
        assert_eq!(next(), Next::Fetch(Span { part: 0, first: 60, count: 4 }));
    }
}
