//! What a node remembers between runs: peers it was connected to, and those it put out.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::id::PeerId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Peers remembered; the ones last seen stay.
pub(crate) const PEERS: usize = 256;
/// Addresses remembered of each.
const ADDRESSES: usize = 4;
/// Offenders remembered.
const BANS: usize = 4_096;
/// A peer not seen for so long is forgotten.
const LONGEST: Duration = Duration::from_hours(720);
/// A larger file is none of ours.
const FILE_BYTES: u64 = 2 << 20;
const MAGIC: &[u8] = b"starling peers 1\n";
const NAME: &str = "peers";

/// The contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) peers: Vec<Peer>,
    pub(crate) bans: Vec<Ban>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) addresses: Vec<Address>,
    /// Seconds since 1970.
    pub(crate) last_seen: u64,
    /// We chose it and it stayed long: whoever wants to surround us at the next start cannot make us forget it.
    pub(crate) anchor: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ban {
    pub(crate) peer: PeerId,
    /// Seconds since 1970.
    pub(crate) until: u64,
}

/// Seconds since 1970, by this machine's clock.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Remembered {
    /// Reads the file of a folder. A missing one remembers nothing; a damaged one too, and says so.
    pub(crate) fn read(folder: &Path) -> (Remembered, Option<Error>) {
        let path = folder.join(NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return (Remembered::default(), None),
            Err(why) => return (Remembered::default(), Some(failed(&path, &why.to_string()))),
        };
        let mut bytes = Vec::new();
        if let Err(why) = file.take(FILE_BYTES + 1).read_to_end(&mut bytes) {
            return (Remembered::default(), Some(failed(&path, &why.to_string())));
        }
        if let Some(remembered) = Remembered::decode(&bytes, unix_seconds()) {
            (remembered, None)
        } else {
            let why = "the file is damaged; the node starts without remembered peers and will write it anew";
            (Remembered::default(), Some(failed(&path, why)))
        }
    }

    /// Writes the file: whole or not at all.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let fail = |why: io::Error| failed(&path, &why.to_string());
        std::fs::create_dir_all(folder).map_err(fail)?;
        let new = folder.join(format!("{NAME}.new"));
        let mut file = File::create(&new).map_err(fail)?;
        file.write_all(&self.encode()).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&new, &path).map_err(fail)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut kept = self.clone();
        kept.bound();
        let mut bytes = MAGIC.to_vec();
        // Encoding plain data to memory does not fail.
        bytes.extend(postcard::to_allocvec(&kept).unwrap_or_default());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], now: u64) -> Option<Remembered> {
        if bytes.len() as u64 > FILE_BYTES {
            return None;
        }
        let (mut remembered, rest) =
            postcard::take_from_bytes::<Remembered>(bytes.strip_prefix(MAGIC)?).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let oldest = now.saturating_sub(LONGEST.as_secs());
        remembered.peers.retain(|peer| peer.last_seen >= oldest && !peer.addresses.is_empty());
        remembered.bans.retain(|ban| ban.until > now);
        remembered.bound();
        Some(remembered)
    }

    fn bound(&mut self) {
        self.peers.sort_by_key(|peer| (!peer.anchor, std::cmp::Reverse(peer.last_seen)));
        self.peers.truncate(PEERS);
        for peer in &mut self.peers {
            peer.addresses.truncate(ADDRESSES);
        }
        self.bans.sort_by_key(|ban| std::cmp::Reverse(ban.until));
        self.bans.truncate(BANS);
    }
}

fn failed(path: &Path, why: &str) -> Error {
    Error::File { path: path.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(n: u8, last_seen: u64) -> Peer {
        Peer {
            id: PeerId::from_secret(&[n; 32]).unwrap(),
            addresses: vec!["/ip4/8.8.8.8/tcp/1".parse().unwrap(); 9],
            last_seen,
            anchor: n == 9,
        }
    }

    #[test]
    fn what_is_written_is_read_without_what_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let now = unix_seconds();
        assert_eq!(Remembered::read(folder.path()).0, Remembered::default());
        let ban = |n, until| Ban { peer: PeerId::from_secret(&[n; 32]).unwrap(), until };
        let remembered = Remembered {
            peers: vec![
                peer(1, now - 5),
                peer(2, now),
                peer(3, now - LONGEST.as_secs() - 10),
                peer(9, now - 9),
            ],
            bans: vec![ban(4, now + 1000), ban(5, now - 1)],
        };
        remembered.write(folder.path()).unwrap();
        let (read, complaint) = Remembered::read(folder.path());
        assert!(complaint.is_none());
        let seen: Vec<u64> = read.peers.iter().map(|p| now - p.last_seen).collect();
        assert_eq!(seen, [9, 0, 5], "anchors first, then the last seen");
        assert_eq!(read.peers[0].addresses.len(), ADDRESSES);
        assert_eq!(read.bans, [ban(4, now + 1000)]);
    }

    #[test]
    fn a_damaged_file_costs_memories_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), b"starling peers 1\n\xff\xff\xff\xff\xff").unwrap();
        let (read, complaint) = Remembered::read(folder.path());
        assert_eq!(read, Remembered::default());
        assert!(complaint.unwrap().to_string().contains("damaged"));
    }

    #[test]
    fn the_file_is_bounded() {
        let now = unix_seconds();
        let ban = Ban { peer: PeerId::from_secret(&[1; 32]).unwrap(), until: now + 10 };
        let many = Remembered { peers: vec![peer(1, now); PEERS * 2], bans: vec![ban; BANS * 2] };
        let read = Remembered::decode(&many.encode(), now).unwrap();
        assert_eq!((read.peers.len(), read.bans.len()), (PEERS, BANS));
        assert!((many.encode().len() as u64) < FILE_BYTES);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(bytes: Vec<u8>, now: u64) {
            let _ = Remembered::decode(&bytes, now);
            let _ = Remembered::decode(&[MAGIC, &bytes].concat(), now);
        }
    }
}
