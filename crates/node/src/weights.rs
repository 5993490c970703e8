//! Weights on their way between nodes: asked for by root, fetched as a blob, believed only if they have that root.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lm::Config;
use net::blob::{Blobs, Root, Wish};
use net::{Handle, PeerId, Request, ServeLimits};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Weights that a node has ready for others: those of the last rounds, which may still be asked about.
const SHELF: usize = 4;
/// How long a peer has to answer, and then to send.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a peer for weights.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AskWeights {
    /// The model's root.
    root: [u8; 32],
}

impl Request for AskWeights {
    /// The root of the blob with all parameters' numbers, if the peer has them.
    type Response = Option<[u8; 32]>;
    const PROTOCOL: &'static str = "weights/1";
    const REQUEST_BYTES: usize = 64;
    const RESPONSE_BYTES: usize = 128;
}

/// A model's weights as bytes: every parameter's numbers in the order of the configuration, little end first.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) root: [u8; 32],
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// The newest weights of this node, for whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<Mutex<VecDeque<Weights>>>);

impl Shelf {
    pub(crate) fn put(&self, weights: Weights) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.back().is_some_and(|w| w.root == weights.root) {
            return;
        }
        if shelf.len() == SHELF {
            shelf.pop_front();
        }
        shelf.push_back(weights);
    }

    fn find(&self, root: &[u8; 32]) -> Option<Weights> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.iter().find(|w| w.root == *root).cloned()
    }
}

/// Answers peers that ask for weights, as long as the node runs.
pub(crate) async fn serve(handle: Handle, blobs: Blobs, shelf: Shelf) -> Result<()> {
    let mut requests = handle.serve::<AskWeights>(ServeLimits::default())?;
    while let Some(asked) = requests.next().await {
        let (blobs, found) = (blobs.clone(), shelf.find(&asked.request.root));
        tokio::spawn(async move {
            let Some(Weights { bytes, .. }) = found else { return asked.reply.answer(None) };
            match blobs.add(bytes.to_vec()).await {
                Ok(blob) => asked.reply.answer(Some(*blob.root().bytes())),
                Err(why) => {
                    tracing::warn!(%why, "weights could not be put where peers get them");
                    asked.reply.refuse("the disk");
                }
            }
        });
    }
    Ok(())
}

/// Fetches a peer's weights of this root, if it has them. That they are of that root is still to be checked.
pub(crate) async fn fetch(
    handle: &Handle,
    blobs: &Blobs,
    peer: PeerId,
    root: [u8; 32],
    config: &Config,
) -> Result<Option<Weights>> {
    let Some(blob) = handle.request(peer, &AskWeights { root }, PATIENCE).await? else { return Ok(None) };
    let wish = Wish {
        peers: vec![peer],
        limit_bytes: 4 * config.size() as u64,
        patience: PATIENCE,
        ..Wish::default()
    };
    let blob = blobs
        .get(Root::new(blob), wish)
        .done()
        .await
        .map_err(|why| crate::Error::Fetch { why: why.to_string() })?;
    let mut bytes = vec![0; blob.size() as usize];
    blob.read_at(0, &mut bytes)?;
    Ok(Some(Weights { root, bytes: Arc::new(bytes) }))
}
