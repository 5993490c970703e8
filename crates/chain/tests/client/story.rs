//! The whole story: two agents meet, stake, play a round with a lie in it, and do a job for each other.

use std::collections::BTreeMap;

use chain::{
    Address, Credits, Cursor, Error, Event, Feedback, Follower, Hash, JobStatus, Peer, PeerKey, Phase,
    Posting, Reward, Rules, Scores, Step, Time, Wei,
};

use crate::world::{both, wallet};

#[test]
fn two_agents_play_a_round_and_do_a_job() {
    both(|world| async move {
        let founder = world.founder().await;
        assert!(founder.deploy().await.unwrap().iter().all(|d| !d.now), "deploying again changes nothing");
        world.chain.check_contracts().await.unwrap();

        // Two nodes, each with a wallet and a peer key.
        let [ann, ben] = [world.someone(11).await, world.someone(12).await];
        let [ann_peer, ben_peer] =
            [PeerKey::from_secret(&[21; 32]).unwrap(), PeerKey::from_secret(&[22; 32]).unwrap()];
        let a = ann.register(&ann_peer, "https://ann.example/agent.json").await.unwrap();
        let b = ben.register(&ben_peer, "").await.unwrap();
        assert_eq!(ann.register(&ann_peer, "").await.unwrap(), a, "registering twice is harmless");
        assert!(
            matches!(ben.register(&ann_peer, "").await, Err(Error::WouldFail { .. })),
            "nobody takes another's key"
        );
        assert_eq!(world.chain.agent_of(Peer(ben_peer.public())).await.unwrap(), Some(b));
        let agent = world.chain.agent(a).await.unwrap().unwrap();
        assert_eq!((agent.owner, agent.peer), (ann.address(), Some(Peer(ann_peer.public()))));
        assert_eq!(world.chain.agent(chain::AgentId(99)).await.unwrap(), None);

        // Money, and what is at stake.
        for account in [&ann, &ben] {
            account.deposit(Wei::ether(5)).await.unwrap();
        }
        let judge = world.chain.swarms().unwrap();
        let bond = Credits::whole(1);
        ann.stake(a, judge, bond).await.unwrap();
        ben.stake(b, judge, bond).await.unwrap();
        assert_eq!(world.chain.bond(a, judge).await.unwrap().staked, bond);

        // A swarm, and a round of it.
        let (_, time) = world.chain.head().await.unwrap();
        let rules = Rules {
            start: time,
            period: 600,
            commit_time: 100,
            reveal_time: 100,
            score_time: 100,
            challenge_time: 100,
            seats: 8,
            quorum: 2,
            bond,
            reward: Credits::whole(2),
            referee: Address::ZERO,
            spec: Hash::of(b"a game"),
        };
        let swarm = ann.create_swarm(&rules, "a game").await.unwrap();
        assert_eq!(
            ann.create_swarm(&rules, "a game").await.unwrap(),
            swarm,
            "the same swarm, not a second one"
        );
        ben.top_up(swarm, Credits::whole(3)).await.unwrap();
        let round = ben.open_round(swarm).await.unwrap();
        let early = ann.open_round(swarm).await;
        assert!(matches!(&early, Err(Error::WouldFail { why }) if why.contains("TooEarly")), "{early:?}");
        let (roots, salt) = ([Hash::of(b"ann"), Hash::of(b"ben")], Hash([7; 32]));
        ann.commit(round, a, roots[0], salt).await.unwrap();
        ben.commit(round, b, roots[1], salt).await.unwrap();
        assert_eq!(world.chain.seat(round, b).await.unwrap(), Some(2));
        world.advance(101);
        ann.reveal(round, a, roots[0], salt).await.unwrap();
        ben.reveal(round, b, roots[1], salt).await.unwrap();
        world.advance(101);
        let given = [(1, Scores(vec![255, 254])), (2, Scores(vec![127, 255]))];
        ann.score(round, a, &given[0].1).await.unwrap();
        ben.score(round, b, &given[1].1).await.unwrap();
        world.advance(101);

        // Ann lies about the result, and Ben shows it.
        let result = Scores::medians(2, rules.quorum, &BTreeMap::from(given.clone()), |_| true);
        assert_eq!(result, Scores(vec![127, 254]));
        let lie = Scores(vec![254, 254]);
        ann.post(round, a, &lie).await.unwrap();
        assert!(ben.challenge(round, 2, &lie, &given).await.is_err(), "what is right stands");
        ben.challenge(round, 1, &lie, &given).await.unwrap();
        assert_eq!(world.chain.bond(a, judge).await.unwrap().staked, Credits(0));
        ben.collect().await.unwrap();
        ben.post(round, b, &result).await.unwrap();
        assert_eq!(world.chain.round(round).await.unwrap().result, result.root());
        assert!(
            ben.claim(b, &[Reward { round, seat: 2, result: result.clone() }]).await.is_err(),
            "it may still fall"
        );
        world.advance(101);
        assert_eq!(world.chain.round(round).await.unwrap().phase, Phase::Final);
        let before = ben.credits().await.unwrap();
        ben.claim(b, &[Reward { round, seat: 2, result: result.clone() }]).await.unwrap();
        ann.claim(a, &[Reward { round, seat: 1, result: result.clone() }]).await.unwrap();
        // Full score: half the reward, but for what does not divide.
        let share = rules.reward.0 / (2 * 254) * 254;
        assert_eq!(ben.credits().await.unwrap(), Credits(before.0 + share));

        founder.settle(round).await.unwrap();

        // A job: Ann pays, Ben works, the founder judges.
        let (_, time) = world.chain.head().await.unwrap();
        let posting = Posting {
            program: Hash::of(b"program"),
            inputs: Hash::of(b"inputs"),
            description: "add two numbers".to_owned(),
            price: "0.5".parse().unwrap(),
            bond: "0.25".parse().unwrap(),
            deadline: Time(time.0 + 3600),
            evaluator: founder.address(),
            provider: None,
        };
        let job = ann.post_job(&posting).await.unwrap();
        ben.take_job(job, b).await.unwrap();
        ben.submit_job(job, Hash::of(b"sum")).await.unwrap();
        assert_eq!(world.chain.job(job).await.unwrap().status, JobStatus::Submitted);
        assert!(
            matches!(ann.accept_job(job, Hash::ZERO).await, Err(Error::WouldFail { .. })),
            "the client does not judge"
        );
        founder.accept_job(job, Hash::ZERO).await.unwrap();
        ben.collect_bonds().await.unwrap();
        let done = world.chain.job(job).await.unwrap();
        assert_eq!((done.status, done.agent, done.price), (JobStatus::Completed, Some(b), posting.price));
        assert_eq!(world.chain.paid(ann.address(), b).await.unwrap(), posting.price);
        let praise = Feedback {
            value: 95,
            decimals: 0,
            tags: ["job".to_owned(), String::new()],
            uri: String::new(),
            hash: Hash::ZERO,
        };
        ann.give_feedback(b, &praise).await.unwrap();
        let request = Hash::of(b"check this");
        ben.ask_validation(b, founder.address(), "", request).await.unwrap();
        founder.validate(request, 100, "replay").await.unwrap();
        assert_eq!(world.chain.verdict(request).await.unwrap().response, 100);

        // A new key for Ann's node.
        let new = PeerKey::from_secret(&[23; 32]).unwrap();
        ann.rotate(a, &new).await.unwrap();
        assert_eq!(world.chain.agent_of(Peer(ann_peer.public())).await.unwrap(), None);
        assert_eq!(world.chain.agent_of(Peer(new.public())).await.unwrap(), Some(a));

        // The money adds up, to the last part: what went in is with the two, at stake, or in the pool.
        let mut sum = world.chain.swarm(swarm).await.unwrap().pool.0;
        for (account, agent) in [(&ann, a), (&ben, b)] {
            let bond = world.chain.bond(agent, judge).await.unwrap();
            sum += account.credits().await.unwrap().0 + bond.staked.0 + bond.unbonding.0;
            sum += world.chain.owed(account.address()).await.unwrap().0;
            sum += world.chain.returned_bonds(account.address()).await.unwrap().0;
        }
        assert_eq!(Credits(sum), Credits::whole(10));

        // Whoever comes late reads all of it from the chain.
        let mut follower = Follower::new(&world.again().await, Cursor::from_block(0));
        let steps = follower.poll().await.unwrap();
        let happened = |wanted: &dyn Fn(&Event) -> bool| {
            steps.iter().filter(|s| matches!(s, Step::Happened { event, .. } if wanted(event))).count()
        };
        assert_eq!(happened(&|e| matches!(e, Event::Registered { .. })), 2);
        assert_eq!(happened(&|e| matches!(e, Event::PeerBound { .. })), 3);
        assert_eq!(happened(&|e| *e == Event::RoundOpened { round, reward: rules.reward }), 1);
        assert_eq!(happened(&|e| *e == Event::Scored { round, agent: a, scores: given[0].1.clone() }), 1);
        assert_eq!(happened(&|e| matches!(e, Event::Overturned { posted: 254, right: 127, seat: 1, .. })), 1);
        assert_eq!(happened(&|e| *e == Event::Posted { round, agent: b, result: result.clone() }), 1);
        assert_eq!(happened(&|e| matches!(e, Event::JobCompleted { .. })), 1);
        assert_eq!(happened(&|e| matches!(e, Event::Validated { response: 100, .. })), 1);
        assert_eq!(follower.poll().await.unwrap(), []);
        let stranger = wallet(99).address();
        assert_eq!(world.chain.credits(stranger).await.unwrap(), Credits(0));
    });
}
