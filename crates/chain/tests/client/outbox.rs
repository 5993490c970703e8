//! The outbox on real chains: no funds, restarts, blocks that vanish, a wallet that two nodes share.

use chain::keys::Wallet;
use chain::outbox::State;
use chain::{Account, Address, Cursor, Error, Event, Follower, Intent, Outbox, PeerKey, Policy, Step, Wei};

use crate::world::{Folder, both, wallet};

#[test]
fn a_node_without_funds_is_told_what_it_needs_and_goes_on_when_it_has_it() {
    both(|world| async move {
        world.founder().await;
        let (folder, wallet, peer) = (Folder::new(), wallet(31), PeerKey::from_secret(&[32; 32]).unwrap());
        let account = Account::open(&world.chain, &wallet, Some(&folder.0)).unwrap();
        let Err(Error::NeedsFunds { wallet: who, missing, .. }) = account.register(&peer, "").await else {
            panic!("registered for nothing");
        };
        assert_eq!(who, wallet.address());
        assert!(missing > Wei(0) && missing < Wei::ether(1), "{missing:?}");
        // Only one process at a time has the file.
        assert!(Account::open(&world.chain, &wallet, Some(&folder.0)).is_err());
        drop(account);

        // Another day, the intent is still there, and needs nobody to ask for it again.
        let account = Account::open(&world.chain, &wallet, Some(&folder.0)).unwrap();
        let open = account.outbox().open_intents();
        assert!(matches!(&open[..], [(_, State::Waiting)]), "{open:?}");
        world.fund(wallet.address(), Wei(missing.0 * 3)).await;
        // A node runs its outbox beside its work.
        let outbox = account.outbox().clone();
        let beside = tokio::spawn(async move { outbox.run(|_| {}).await });
        account.outbox().settle(open[0].0.id()).await.unwrap();
        beside.abort();
        let id = account.register(&peer, "").await.unwrap();
        assert_eq!(world.chain.agent(id).await.unwrap().unwrap().owner, wallet.address());
        assert_eq!(account.outbox().open_intents(), []);
    });
}

#[test]
fn what_vanishes_with_its_block_is_sent_again() {
    both(|world| async move {
        let founder = world.founder().await;
        let policy = Policy { confirmations: 5, ..Policy::default() };
        let chain = world.again().await.with_policy(policy);
        let wallet = wallet(41);
        world.fund(wallet.address(), Wei::ether(1)).await;
        let outbox = Outbox::open(None, &chain, &wallet).unwrap();
        let account = Account::open(&chain, &wallet, None).unwrap();
        let (head, _) = chain.head().await.unwrap();
        let mut follower = Follower::new(&chain, Cursor::from_block(head + 1));
        let payee = Address([42; 20]);
        let id = outbox.put(Intent::new(payee, Vec::new()).paying(Wei(1000))).unwrap();
        let first = outbox.settle(id).await.unwrap();
        assert!(matches!(outbox.state(id), Some(State::Included { .. })));
        world.undo(1);
        assert_eq!(chain.balance(payee).await.unwrap(), Wei(0));
        let second = outbox.settle(id).await.unwrap();
        assert_eq!(first.hash, second.hash, "the very same transaction");
        for _ in 0..5 {
            world.mine();
        }
        outbox.tick().await.unwrap();
        assert!(matches!(outbox.state(id), Some(State::Final { .. })));
        assert_eq!(chain.balance(payee).await.unwrap(), Wei(1000));
        assert_eq!(outbox.put(Intent::new(payee, Vec::new()).paying(Wei(1000))).unwrap(), id);
        outbox.tick().await.unwrap();
        assert_eq!(chain.balance(payee).await.unwrap(), Wei(1000), "done is done");

        // A follower takes back what the chain took back.
        assert!(matches!(follower.poll().await.unwrap()[..], []));
        account.deposit(Wei(500)).await.unwrap();
        let peer = PeerKey::from_secret(&[43; 32]).unwrap();
        account.register(&peer, "").await.unwrap();
        let told = follower.poll().await.unwrap();
        let registered = |s: &&Step| matches!(s, Step::Happened { event: Event::Registered { .. }, .. });
        let Some(Step::Happened { block, .. }) = told.iter().find(registered) else { panic!("{told:?}") };
        world.undo(1);
        world.mine();
        let taken_back = follower.poll().await.unwrap();
        assert!(matches!(taken_back[..], [Step::Undone { from }] if from <= *block), "{taken_back:?}");
        drop(founder);
    });
}

#[test]
fn two_nodes_share_a_wallet() {
    both(|world| async move {
        let shared: Wallet = wallet(51);
        world.fund(shared.address(), Wei::ether(1)).await;
        let node = |chain: chain::Chain, n: u8| {
            let shared = shared.clone();
            async move {
                let outbox = Outbox::open(None, &chain, &shared).unwrap();
                let mut ids = Vec::new();
                for i in 0..8 {
                    let payment = Intent::new(Address([52; 20]), Vec::new()).paying(Wei(1));
                    ids.push(outbox.put(payment.labelled(format!("{n} {i}"))).unwrap());
                }
                for id in ids {
                    outbox.settle(id).await.unwrap();
                }
            }
        };
        tokio::join!(node(world.again().await, 1), node(world.again().await, 2));
        assert_eq!(world.chain.balance(Address([52; 20])).await.unwrap(), Wei(16));
    });
}
