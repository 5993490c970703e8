//! Keys: made once, kept, moved, replaced; and wallets that live elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use alloy::consensus::SignableTransaction;
use alloy::network::TxSigner;
use alloy::primitives::{Address as AlloyAddress, B256, ChainId, Signature as Pair};
use alloy::signers::local::PrivateKeySigner;
use alloy::signers::{Error as SignerError, Result as Signed, Signer, SignerSync};
use chain::{Account, Address, Error, Hash, Identity, Key, KeyError, Passphrase, Wallet, Wei};

use crate::world::{Folder, both};

#[test]
fn keys_are_made_once_and_for_their_owner_only() {
    let folder = Folder::new();
    let first = Identity::open(&folder.0, &Passphrase::None).unwrap();
    let again = Identity::open(&folder.0, &Passphrase::None).unwrap();
    assert_eq!(first.address(Key::Wallet), again.address(Key::Wallet));
    assert_eq!(first.peer().secret(), again.peer().secret());
    assert_ne!(first.address(Key::Wallet), first.address(Key::Peer));
    assert!(!first.is_protected());
    for name in ["wallet.json", "peer.json"] {
        let path = folder.0.join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    // No passphrase protects them, so their file must.
    assert!(matches!(Identity::open(&folder.0, &Passphrase::None), Err(KeyError::TooOpen { .. })));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2, "no drafts are left");
}

#[test]
fn a_passphrase_comes_from_a_file_and_can_be_changed() {
    let folder = Folder::new();
    let file = folder.0.join("secret");
    fs::write(&file, "four birds\nand more\n").unwrap();
    let found = Passphrase::Found { file: Some(file), ask_for_new: false };
    let keys = folder.0.join("keys");
    let mut identity = Identity::open(&keys, &found).unwrap();
    assert!(identity.is_protected());
    assert!(matches!(Identity::open(&keys, &Passphrase::None), Err(KeyError::NeedsPassphrase { .. })));
    assert!(matches!(Identity::open(&keys, &Passphrase::given("four")), Err(KeyError::WrongPassphrase)));
    let address = identity.address(Key::Wallet);
    identity.set_passphrase(&Passphrase::given("four birds"), "five birds").unwrap();
    assert!(matches!(Identity::open(&keys, &found), Err(KeyError::WrongPassphrase)));
    assert_eq!(
        Identity::open(&keys, &Passphrase::given("five birds")).unwrap().address(Key::Wallet),
        address
    );
}

#[test]
fn a_lost_machine_is_restored_from_what_was_exported() {
    let [old, new] = [Folder::new(), Folder::new()];
    let identity = Identity::open(&old.0, &Passphrase::given("here")).unwrap();
    let wallet = identity.export(Key::Wallet, &Passphrase::given("here"), "on paper").unwrap();
    let peer = identity.export_raw(Key::Peer, &Passphrase::given("here")).unwrap();
    assert!(matches!(
        identity.export_raw(Key::Peer, &Passphrase::given("there")),
        Err(KeyError::WrongPassphrase)
    ));
    let (none, paper) = (Passphrase::None, Passphrase::given("on paper"));
    let there = Passphrase::given("there");
    Identity::import(&new.0, Key::Wallet, wallet.as_bytes(), &paper, &there, false).unwrap();
    Identity::import(&new.0, Key::Peer, peer.as_bytes(), &none, &there, false).unwrap();
    let restored = Identity::open(&new.0, &there).unwrap();
    assert_eq!(restored.address(Key::Wallet), identity.address(Key::Wallet));
    assert_eq!(restored.peer().secret(), identity.peer().secret());
    // The same key again is harmless; another one is not, unless it is said to be.
    Identity::import(&new.0, Key::Peer, peer.as_bytes(), &none, &there, false).unwrap();
    let other = format!("0x{}", "17".repeat(32));
    let import = |replace| Identity::import(&new.0, Key::Peer, other.as_bytes(), &none, &there, replace);
    assert!(
        matches!(import(false), Err(KeyError::Occupied { address, .. }) if address == restored.address(Key::Peer))
    );
    import(true).unwrap();
    assert_eq!(fs::read_dir(new.0.join("retired")).unwrap().count(), 1);
    for text in ["", "0x", "hello", "{}", &"00".repeat(32), &"ff".repeat(32), &"11".repeat(33)] {
        assert!(Identity::import(&new.0, Key::Peer, text.as_bytes(), &none, &there, true).is_err(), "{text}");
    }
}

#[test]
fn a_new_peer_key_keeps_the_old_one_aside_and_the_passphrase() {
    let folder = Folder::new();
    let mut identity = Identity::open(&folder.0, &Passphrase::given("p")).unwrap();
    let old = identity.address(Key::Peer);
    assert!(identity.rotate(&Passphrase::given("q")).is_err());
    assert_eq!(Identity::open(&folder.0, &Passphrase::given("p")).unwrap().address(Key::Peer), old);
    identity.rotate(&Passphrase::given("p")).unwrap();
    assert_ne!(identity.address(Key::Peer), old);
    let again = Identity::open(&folder.0, &Passphrase::given("p")).unwrap();
    assert_eq!(again.address(Key::Peer), identity.address(Key::Peer));
    assert!(folder.0.join(format!("retired/peer-{old}.json")).exists());
    assert!(again.is_protected());
}

/// A signer that is elsewhere: it signs transactions and messages, shows no key, and may refuse.
#[derive(Debug)]
struct Remote {
    key: PrivateKeySigner,
    refuses: bool,
}

#[async_trait::async_trait]
impl Signer for Remote {
    async fn sign_hash(&self, _: &B256) -> Signed<Pair> {
        Err(SignerError::UnsupportedOperation(alloy::signers::UnsupportedSignerOperation::SignHash))
    }

    async fn sign_message(&self, message: &[u8]) -> Signed<Pair> {
        self.key.sign_message_sync(message)
    }

    fn address(&self) -> AlloyAddress {
        self.key.address()
    }

    fn chain_id(&self) -> Option<ChainId> {
        None
    }

    fn set_chain_id(&mut self, _: Option<ChainId>) {}
}

#[async_trait::async_trait]
impl TxSigner<Pair> for Remote {
    fn address(&self) -> AlloyAddress {
        self.key.address()
    }

    async fn sign_transaction(&self, transaction: &mut dyn SignableTransaction<Pair>) -> Signed<Pair> {
        if self.refuses {
            return Err(SignerError::message("the person pressed no"));
        }
        self.key.sign_hash_sync(&transaction.signature_hash())
    }
}

#[test]
fn a_wallet_may_live_elsewhere() {
    both(|world| async move {
        let remote = |refuses| {
            let key = PrivateKeySigner::from_slice(&[61; 32]).unwrap();
            Wallet::foreign(Remote { key, refuses })
        };
        world.fund(remote(false).address(), Wei::ether(1)).await;
        let pay = async |refuses, to| {
            let account = Account::open(&world.chain, &remote(refuses), None).unwrap();
            account.pay(Address([to; 20]), Wei(9)).await
        };
        pay(false, 62).await.unwrap();
        assert_eq!(world.chain.balance(Address([62; 20])).await.unwrap(), Wei(9));
        let refused = pay(true, 63).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Key(KeyError::Signer { why }) if why.contains("pressed no")),
            "{refused}"
        );
        assert!(matches!(remote(false).sign_hash(Hash([1; 32])).await, Err(KeyError::Signer { .. })));
        assert!(remote(false).sign_message(b"hello").await.is_ok());
    });
}
