//! What is said on a stream.
//!
//! The client sends requests of 43 bytes, and the server answers them in order. No answer carries a length: how much
//! follows is known from the blob's size, and that is proved by the first answer.
//!
//! ```text
//! request   kind u8 | root 32 | part u64 | first u8 | count u8      numbers: little endian
//! answer    status u8, and if it is HERE
//!   HEAD    size u64 | proof of the last part | last group | parts
//!   HAVE    parts
//!   WANT    proof of the part | bytes of the groups first.. of the part, count of them
//! parts     0: all, or 1 and a bit for each part that is here whole
//! proof     32 bytes for each node: the part's groups, then those beside the way up
//! ```

use std::time::Duration;

use futures::FutureExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::Root;
use super::bits::Bits;
use super::tree::{MAX_SIZE, Node, PART_GROUPS, Proved, Shape};

/// The protocol's name; its version is its last part.
pub(crate) const PROTOCOL: &str = "blob/1";

/// Bytes of a request.
pub(crate) const REQUEST: usize = 43;

/// Nobody may take longer for one batch of groups, or an answer's beginning.
pub(crate) const STALL: Duration = Duration::from_secs(20);

/// A stream to a peer and back.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream to a peer and back, of whatever kind.
pub(crate) type Wire = Box<dyn Duplex>;

/// Neighbouring groups of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) part: u64,
    /// The first group, counted from the part's first.
    pub(crate) first: u8,
    pub(crate) count: u8,
}

impl Span {
    /// The groups, counted from the blob's first.
    pub(crate) fn groups(self) -> std::ops::Range<u64> {
        let first = self.part * PART_GROUPS + u64::from(self.first);
        first..first + u64::from(self.count)
    }
}

/// What a client wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// The size with its proof, and the parts that are there.
    Head(Root),
    /// The parts that are there.
    Have(Root),
    /// Groups of a part, with the part's proof.
    Want(Root, Span),
}

impl Request {
    pub(crate) fn encode(self) -> [u8; REQUEST] {
        let none = Span { part: 0, first: 0, count: 0 };
        let (kind, root, span) = match self {
            Request::Head(root) => (0, root, none),
            Request::Have(root) => (1, root, none),
            Request::Want(root, span) => (2, root, span),
        };
        let mut bytes = [0; REQUEST];
        bytes[0] = kind;
        bytes[1..33].copy_from_slice(root.bytes());
        bytes[33..41].copy_from_slice(&span.part.to_le_bytes());
        bytes[41..].copy_from_slice(&[span.first, span.count]);
        bytes
    }

    /// `None`: nobody who follows the protocol says this.
    pub(crate) fn decode(bytes: &[u8; REQUEST]) -> Option<Request> {
        let (mut root, mut part) = ([0; 32], [0; 8]);
        root.copy_from_slice(&bytes[1..33]);
        part.copy_from_slice(&bytes[33..41]);
        let root = Root::new(root);
        let span = Span { part: u64::from_le_bytes(part), first: bytes[41], count: bytes[42] };
        let none = Span { part: 0, first: 0, count: 0 };
        match bytes[0] {
            0 if span == none => Some(Request::Head(root)),
            1 if span == none => Some(Request::Have(root)),
            2 if span.count > 0
                && u64::from(span.first) + u64::from(span.count) <= PART_GROUPS
                && span.part <= MAX_SIZE =>
            {
                Some(Request::Want(root, span))
            }
            _ => None,
        }
    }
}

/// How an answer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Here,
    NotHere,
    /// Too much is asked of it at the moment: come again later.
    Busy,
}

impl Status {
    pub(crate) fn byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Option<Status> {
        [Status::Here, Status::NotHere, Status::Busy].into_iter().find(|status| status.byte() == byte)
    }
}

/// Why nothing more comes from a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gone {
    /// What it sent is not what it was asked for.
    Lied,
    /// It took too long.
    Slow,
    /// The stream broke, or could not be opened.
    Broken,
    /// It has too much to do.
    Busy,
    /// It does not have the blob.
    NotHere,
    /// The blob is larger than allowed.
    TooLarge(u64),
}

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Gone {
        Gone::Broken
    }
}

/// What a peer says of a blob, proved.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) shape: Shape,
    pub(crate) proof: Vec<Node>,
    pub(crate) last: Vec<u8>,
}

/// Waits for a peer no longer than it may take.
pub(crate) async fn in_time<T>(what: impl Future<Output = Result<T, Gone>>) -> Result<T, Gone> {
    tokio::time::timeout(STALL, what).await.unwrap_or(Err(Gone::Slow))
}

pub(crate) async fn read_status(from: &mut (impl AsyncRead + Unpin)) -> Result<(), Gone> {
    let mut byte = [0];
    from.read_exact(&mut byte).await?;
    match Status::from_byte(byte[0]) {
        Some(Status::Here) => Ok(()),
        Some(Status::NotHere) => Err(Gone::NotHere),
        Some(Status::Busy) => Err(Gone::Busy),
        None => Err(Gone::Lied),
    }
}

/// Reads the answer to [`Request::Head`] but for the parts. Nothing is taken for a size above `limit`.
pub(crate) async fn read_head(
    from: &mut (impl AsyncRead + Unpin),
    root: Root,
    limit: u64,
) -> Result<Head, Gone> {
    read_status(from).await?;
    let mut size = [0; 8];
    from.read_exact(&mut size).await?;
    let shape = Shape::new(u64::from_le_bytes(size)).ok_or(Gone::Lied)?;
    let (part, group) = (shape.parts() - 1, shape.groups() - 1);
    let proof = read_nodes(from, shape.proof_len(part)).await?;
    let proved = Proved::check(root, shape, part, &proof).ok_or(Gone::Lied)?;
    let mut last = vec![0; shape.len_of(group)];
    from.read_exact(&mut last).await?;
    if !proved.holds(group, &last) {
        return Err(Gone::Lied);
    }
    // Only now: a lie about the size is a lie, not a blob that is too large.
    if shape.size() > limit {
        return Err(Gone::TooLarge(shape.size()));
    }
    Ok(Head { shape, proof, last })
}

/// Reads which parts there are; `None` means all.
pub(crate) async fn read_parts(
    from: &mut (impl AsyncRead + Unpin),
    shape: Shape,
) -> Result<Option<Bits>, Gone> {
    let mut some = [0];
    from.read_exact(&mut some).await?;
    match some[0] {
        0 => Ok(None),
        1 => {
            let mut bytes = vec![0; Bits::bytes_for(shape.parts()) as usize];
            from.read_exact(&mut bytes).await?;
            Ok(Some(Bits::from_bytes(shape.parts(), &bytes)))
        }
        _ => Err(Gone::Lied),
    }
}

/// A proof never has more nodes than a part has groups and the tree has levels.
pub(crate) async fn read_nodes(from: &mut (impl AsyncRead + Unpin), count: usize) -> Result<Vec<Node>, Gone> {
    let mut nodes = vec![[0; 32]; count];
    from.read_exact(nodes.as_flattened_mut()).await?;
    Ok(nodes)
}

pub(crate) fn encode_parts(parts: Option<&Bits>) -> Vec<u8> {
    parts.map_or_else(|| vec![0], |parts| [vec![1], parts.to_bytes()].concat())
}

/// For the fuzzer: what a client makes of any bytes as the answers to all it can ask.
#[doc(hidden)]
pub fn read_anything(bytes: &[u8]) {
    let read = async {
        if let Some(request) = bytes.first_chunk() {
            assert!(Request::decode(request).is_none_or(|it| Request::decode(&it.encode()) == Some(it)));
        }
        let limit = 1 << 30;
        let mut from = bytes;
        if let Ok(head) = read_head(&mut from, Root::of(b""), limit).await {
            assert!(head.shape.size() <= limit);
            let _ = read_parts(&mut from, head.shape).await;
        }
        if let Some((size, rest)) = bytes.split_first_chunk::<8>()
            && let Some(shape) = Shape::new(u64::from_le_bytes(*size) % limit)
        {
            let _ = read_parts(&mut &rest[..], shape).await;
            let part = shape.parts() - 1;
            if let Ok(proof) = read_nodes(&mut &rest[..], shape.proof_len(part)).await {
                let proved = Proved::check(Root::of(b""), shape, part, &proof);
                assert!(shape.groups() == 1 || proved.is_none());
            }
        }
    };
    assert!(read.now_or_never().is_some(), "it waited for bytes that are all here");
}

/// What a client may ask; for the fuzzer.
pub(crate) fn request_example() -> Vec<u8> {
    Request::Want(Root::of(b""), Span { part: 3, first: 2, count: 7 }).encode().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn requests_are_read_back(root in any::<[u8; 32]>(), part in 0..MAX_SIZE, first in 0u8..64, count in 1u8..64) {
            let root = Root::new(root);
            let want = Request::Want(root, Span { part, first, count: count.min(64 - first) });
            for request in [Request::Head(root), Request::Have(root), want] {
                prop_assert_eq!(Request::decode(&request.encode()), Some(request));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096), kind in 0u8..4) {
            read_anything(&bytes);
            read_anything(&[&[kind][..], &bytes].concat());
        }
    }
}
