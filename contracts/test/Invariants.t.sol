// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bonds} from "../src/Bonds.sol";
import {Crowd} from "../src/Crowd.sol";
import {Jobs} from "../src/Jobs.sol";
import {Swarms} from "../src/Swarms.sol";
import {Base, vm} from "./Base.sol";
import {SwarmBase} from "./SwarmBase.sol";

// Random sequences of calls by actors who try what is allowed and what is not. Each suite's contract is its own handler:
// forge calls its `act…` functions at random, and after each sequence `invariant_…` must hold. What an action may not do
// is checked where it succeeds.

/// What all suites share: forge is told to call this contract's actions only.
abstract contract Suite is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function actions() internal pure virtual returns (bytes4[] memory);

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(this), actions());
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function passTime(uint32 seconds_) internal {
        vm.warp(block.timestamp + seconds_);
    }

    function fund(address who, uint256 amount, address spender) internal {
        give(who, amount, spender);
    }
}

contract BondsInvariants is Suite {
    address constant ONE = address(0x1D6E1);
    address constant TWO = address(0x1D6E2);
    uint256[] ids;
    uint256 moneyIn;
    uint256 moneyOut;
    mapping(uint256 => mapping(address => uint256)) askedAt;
    mapping(uint256 => mapping(address => uint256)) heldUntil;

    function setUp() public override {
        super.setUp();
        ids.push(agentOf(ALICE));
        ids.push(agentOf(ALICE));
        ids.push(agentOf(BOB));
    }

    function actions() internal pure override returns (bytes4[] memory s) {
        s = new bytes4[](8);
        s[0] = this.actStake.selector;
        s[1] = this.actUnbond.selector;
        s[2] = this.actRestake.selector;
        s[3] = this.actWithdraw.selector;
        s[4] = this.actSlash.selector;
        s[5] = this.actHold.selector;
        s[6] = this.actCollect.selector;
        s[7] = this.actTime.selector;
    }

    function pick(uint8 a, uint8 j) internal view returns (uint256, address, address) {
        uint256 id = ids[a % 3];
        // One in eight is a stranger's call.
        return (id, j % 2 == 0 ? ONE : TWO, a % 8 == 7 ? MALLORY : agents.ownerOf(id));
    }

    function actStake(uint8 a, uint8 j, uint64 amount) external {
        (uint256 id, address judge,) = pick(a, j);
        fund(CAROL, amount, address(bonds));
        vm.prank(CAROL);
        try bonds.stake(id, judge, amount) {
            moneyIn += amount;
        } catch {}
    }

    function actUnbond(uint8 a, uint8 j, uint64 amount) external {
        (uint256 id, address judge, address who) = pick(a, j);
        uint128 staked = bonds.staked(id, judge);
        if (staked != 0) amount = uint64(amount % (uint256(staked) + 1));
        vm.prank(who);
        try bonds.unbond(id, judge, amount) {
            vm.assertTrue(who != MALLORY, "a stranger asked a stake back");
            askedAt[id][judge] = block.timestamp;
        } catch {}
    }

    function actRestake(uint8 a, uint8 j) external {
        (uint256 id, address judge, address who) = pick(a, j);
        vm.prank(who);
        try bonds.restake(id, judge) {} catch {}
    }

    function actWithdraw(uint8 a, uint8 j) external {
        (uint256 id, address judge, address who) = pick(a, j);
        uint256 had = credit.balanceOf(who);
        vm.prank(who);
        try bonds.withdraw(id, judge) {
            vm.assertTrue(who != MALLORY, "a stranger withdrew a stake");
            vm.assertTrue(block.timestamp >= askedAt[id][judge] + 7 days, "a stake got away before its time");
            vm.assertTrue(block.timestamp >= heldUntil[id][judge], "a held stake got away");
            moneyOut += credit.balanceOf(who) - had;
        } catch {}
    }

    function actSlash(uint8 a, uint8 j, uint64 amount) external {
        (uint256 id, address judge,) = pick(a, j);
        uint256 had = bonds.slashable(id, judge);
        vm.prank(judge);
        uint256 taken = bonds.slash(id, amount, CAROL);
        vm.assertEq(taken, amount < had ? amount : had, "a conviction did not take what it could");
        vm.assertEq(bonds.slashable(id, judge), had - taken);
        vm.prank(MALLORY);
        vm.assertEq(bonds.slash(id, amount, MALLORY), 0, "a stranger slashed");
    }

    function actHold(uint8 a, uint8 j, uint24 time) external {
        (uint256 id, address judge,) = pick(a, j);
        uint64 until = uint64(block.timestamp + time);
        vm.prank(judge);
        bonds.hold(id, until);
        if (until > heldUntil[id][judge]) heldUntil[id][judge] = until;
    }

    function actCollect() external {
        uint256 owed = bonds.owed(CAROL);
        if (owed == 0) return;
        vm.prank(CAROL);
        bonds.collect();
        moneyOut += owed;
    }

    function actTime(uint24 time) external {
        passTime(time);
    }

    function invariant_money_in_is_money_out() external view {
        uint256 held = bonds.owed(CAROL) + bonds.owed(MALLORY);
        for (uint256 i = 0; i < ids.length; ++i) {
            held += bonds.slashable(ids[i], ONE) + bonds.slashable(ids[i], TWO);
        }
        vm.assertEq(credit.balanceOf(address(bonds)), held);
        vm.assertEq(moneyIn, moneyOut + held);
        vm.assertEq(credit.totalSupply(), address(credit).balance);
    }
}

contract JobsInvariants is Suite {
    address[3] who = [ALICE, BOB, CAROL];
    uint256 posted;
    uint256[] requests;
    uint256 given;
    uint256 toCrowd;
    uint256 fromCrowd;

    function actions() internal pure override returns (bytes4[] memory s) {
        s = new bytes4[](14);
        s[0] = this.actPost.selector;
        s[1] = this.actAgree.selector;
        s[2] = this.actTake.selector;
        s[3] = this.actTake.selector;
        s[4] = this.actSubmit.selector;
        s[5] = this.actSubmit.selector;
        s[6] = this.actJudge.selector;
        s[7] = this.actRefund.selector;
        s[8] = this.actCollect.selector;
        s[9] = this.actTime.selector;
        s[10] = this.actAsk.selector;
        s[11] = this.actPay.selector;
        s[12] = this.actVote.selector;
        s[13] = this.actReclaim.selector;
    }

    function anyJob(uint8 j) internal view returns (uint256) {
        uint256 n = jobs.jobCounter();
        return n == 0 ? 0 : j % n + 1;
    }

    function actPost(uint8 c, uint8 e, uint64 price, uint64 bond) external {
        address client = who[c % 3];
        fund(client, price, address(jobs));
        given += price;
        vm.prank(client);
        try jobs.postJob(
            Jobs.Post({
                provider: address(0),
                evaluator: who[e % 3],
                expiredAt: block.timestamp + 1 hours,
                description: "",
                hook: address(0),
                token: address(credit),
                price: price,
                terms: Jobs.Terms(0, 0, bond)
            })
        ) {} catch {}
    }

    function actAgree(uint8 c, uint8 p, uint8 e, uint64 price) external {
        address client = who[c % 3];
        fund(client, price, address(jobs));
        given += price;
        vm.startPrank(client);
        try jobs.createJob(who[p % 3], who[e % 3], block.timestamp + 1 hours, "", address(0), 0) returns (uint256 id) {
            jobs.setBudget(id, address(credit), price, "");
            if (price != 0) jobs.fund(id, price, "");
        } catch {}
        vm.stopPrank();
    }

    function actTake(uint8 j, uint8 p) external {
        uint256 id = anyJob(j);
        if (id == 0) return;
        address provider = who[p % 3];
        uint256 bond = jobs.termsOf(id).bond;
        fund(provider, bond, address(jobs));
        given += bond;
        vm.prank(provider);
        try jobs.take(id, 0, "") {} catch {}
    }

    function actSubmit(uint8 j, uint8 p) external {
        uint256 id = anyJob(j);
        vm.prank(who[p % 3]);
        try jobs.submit(id, "work", "") {
            vm.assertEq(jobs.getJob(id).provider, who[p % 3]);
        } catch {}
    }

    function actJudge(uint8 j, uint8 e, bool good) external {
        uint256 id = anyJob(j);
        if (id == 0) return;
        address judge = who[e % 3];
        Jobs.Job memory before = jobs.getJob(id);
        vm.startPrank(judge);
        if (good) {
            try jobs.complete(id, 0, "") {
                vm.assertEq(before.evaluator, judge);
                vm.assertTrue(before.status == Jobs.JobStatus.Submitted, "paid for nothing");
            } catch {}
        } else {
            try jobs.reject(id, 0, "") {
                vm.assertEq(before.status == Jobs.JobStatus.Open ? before.client : before.evaluator, judge);
            } catch {}
        }
        vm.stopPrank();
    }

    function actRefund(uint8 j) external {
        try jobs.claimRefund(anyJob(j)) {} catch {}
    }

    function actCollect(uint8 c) external {
        vm.prank(who[c % 3]);
        try jobs.collect(address(credit)) {} catch {}
    }

    function actTime(uint16 time) external {
        passTime(time);
    }

    function actAsk(uint8 e, uint16 goal, uint16 bond) external {
        requests.push(
            crowd.ask(
                Crowd.Ask({
                    evaluator: e % 4 == 0 ? who[e % 3] : address(0),
                    token: address(credit),
                    goal: uint128(goal) + 1,
                    bond: bond,
                    fundingEnds: uint64(block.timestamp + 10 hours),
                    workTime: 10 hours,
                    program: 0,
                    inputs: 0,
                    description: ""
                })
            )
        );
    }

    /// Pays into a request and launches it when it can be.
    function actPay(uint8 r, uint8 c, uint16 amount) external {
        if (requests.length == 0) return;
        uint256 id = requests[r % requests.length];
        fund(who[c % 3], amount, address(crowd));
        given += amount;
        vm.prank(who[c % 3]);
        try crowd.contribute(id, amount) {
            toCrowd += amount;
        } catch {}
        uint256 had = credit.balanceOf(address(crowd));
        try crowd.launch(id) {
            fromCrowd += had - credit.balanceOf(address(crowd));
        } catch {}
    }

    function actVote(uint8 r, uint8 c, bool accept) external {
        if (requests.length == 0) return;
        uint256 id = requests[r % requests.length];
        vm.prank(who[c % 3]);
        try crowd.vote(id, accept) {} catch {}
        try crowd.decide(id) {} catch {}
    }

    function actReclaim(uint8 r, uint8 c) external {
        if (requests.length == 0) return;
        address to = who[c % 3];
        uint256 had = credit.balanceOf(to);
        uint256 id = requests[r % requests.length];
        uint256 paid = crowd.contributed(id, to);
        vm.prank(to);
        try crowd.reclaim(id) {
            Crowd.Request memory request = crowd.requestOf(id);
            uint256 got = credit.balanceOf(to) - had;
            vm.assertTrue(got >= paid && got <= paid + uint256(request.ask.bond) * paid / request.raised);
            vm.assertEq(crowd.contributed(id, to), 0);
        } catch {}
    }

    function invariant_money_in_is_money_out() external view {
        _escrowsAreCoveredToTheCredit();
        _crowdsCanPayBack();
    }

    function _escrowsAreCoveredToTheCredit() private view {
        uint256 held = jobs.owed(address(credit), address(crowd));
        for (uint256 i = 0; i < 3; ++i) {
            held += jobs.owed(address(credit), who[i]);
        }
        for (uint256 id = 1; id <= jobs.jobCounter(); ++id) {
            Jobs.Job memory job = jobs.getJob(id);
            uint256 bond = jobs.termsOf(id).bond;
            bool postedJob = job.client == address(crowd) || bond != 0;
            if (job.status == Jobs.JobStatus.Open && (postedJob || job.provider == address(0))) held += job.budget;
            if (job.status == Jobs.JobStatus.Funded || job.status == Jobs.JobStatus.Submitted) held += job.budget + bond;
        }
        vm.assertEq(credit.balanceOf(address(jobs)), held);
    }

    /// Everyone could take back, now, what failed requests owe; and no credit was made or lost on the way.
    function _crowdsCanPayBack() private view {
        uint256 due = 0;
        for (uint256 i = 0; i < requests.length; ++i) {
            Crowd.Request memory r = crowd.requestOf(requests[i]);
            uint256 bond = 0;
            if (r.jobId != 0) {
                Jobs.JobStatus status = jobs.getJob(r.jobId).status;
                if (status != Jobs.JobStatus.Rejected && status != Jobs.JobStatus.Expired) continue;
                (,, bond,) = jobs.settlement(r.jobId);
            }
            for (uint256 c = 0; c < 3; ++c) {
                uint256 paid = crowd.contributed(requests[i], who[c]);
                if (paid != 0) due += paid + bond * paid / r.raised;
            }
        }
        vm.assertTrue(
            credit.balanceOf(address(crowd)) + jobs.owed(address(credit), address(crowd)) >= due, "a crowd cannot pay back"
        );
        uint256 all = credit.balanceOf(address(crowd)) + credit.balanceOf(address(jobs));
        for (uint256 c = 0; c < 3; ++c) {
            all += credit.balanceOf(who[c]);
        }
        vm.assertEq(all, given);
    }
}

contract SwarmsInvariants is Suite, SwarmBase {
    uint256 constant NODES = 5;
    uint256 swarm;
    uint256[] nodes;
    uint256 moneyIn;
    uint256 moneyOut;
    /// What was posted last in a round, and who scored what, in order, as a reader of events knows it.
    mapping(uint256 round => bytes) postedScores;
    mapping(uint256 round => uint256[]) scorers;
    mapping(uint256 round => bytes[]) givenScores;
    mapping(uint256 round => mapping(uint256 agent => uint256)) claims;
    mapping(uint256 round => mapping(uint256 agent => bool)) revealed;
    mapping(uint256 round => mapping(uint256 agent => bool)) convicted;
    mapping(uint256 round => uint256) paidOut;

    function setUp() public override(Base) {
        super.setUp();
        Swarms.Rules memory r = rules();
        r.quorum = 3;
        swarm = swarms.create(r, "");
        for (uint256 i = 0; i < NODES; ++i) {
            nodes.push(agentOf(owner(i)));
            stake(nodes[i], address(swarms), 120);
        }
        swarms.open(swarm);
    }

    function owner(uint256 i) internal pure returns (address) {
        return address(uint160(0x1000 + i));
    }

    function actions() internal pure override returns (bytes4[] memory s) {
        s = new bytes4[](13);
        s[0] = this.actTopUp.selector;
        s[1] = this.actOpen.selector;
        s[2] = this.actCommit.selector;
        s[3] = this.actCommit.selector;
        s[4] = this.actReveal.selector;
        s[5] = this.actScore.selector;
        s[6] = this.actPost.selector;
        s[7] = this.actChallenge.selector;
        s[8] = this.actConvict.selector;
        s[9] = this.actClaim.selector;
        s[10] = this.actRound.selector;
        s[11] = this.actTime.selector;
        s[12] = this.actSettle.selector;
    }

    function anyRound(uint8 r) internal view returns (uint256) {
        return swarms.swarmOf(swarm).rounds - r % 2;
    }

    function actTopUp(uint32 amount) external {
        if (amount == 0) return;
        fund(CAROL, amount, address(swarms));
        vm.prank(CAROL);
        swarms.topUp(swarm, amount);
        moneyIn += amount;
    }

    function actOpen() external {
        try swarms.open(swarm) {} catch {}
    }

    function actCommit(uint8 r, uint8 n) external {
        (uint256 round, uint256 i) = (anyRound(r), n % NODES);
        bytes32 commitment = swarms.commitmentTo(swarm, round, nodes[i], "root", SALT);
        vm.prank(n % 16 == 15 ? MALLORY : owner(i));
        try swarms.commit(swarm, round, nodes[i], commitment) {
            vm.assertTrue(n % 16 != 15, "a stranger committed");
        } catch {}
    }

    function actReveal(uint8 r, uint8 n) external {
        (uint256 round, uint256 i) = (anyRound(r), n % NODES);
        try swarms.reveal(swarm, round, nodes[i], "root", n % 16 == 15 ? bytes32("wrong") : SALT) {
            revealed[round][nodes[i]] = true;
        } catch {}
    }

    function actScore(uint8 r, uint8 n, bytes32 opinions) external {
        _score(anyRound(r), n % NODES, opinions);
    }

    function _score(uint256 round, uint256 i, bytes32 opinions) internal {
        bytes memory scores = new bytes(swarms.roundOf(swarm, round).committed);
        for (uint256 j = 0; j < scores.length; ++j) {
            scores[j] = opinions[j];
        }
        vm.prank(owner(i));
        try swarms.score(swarm, round, nodes[i], scores) {
            scorers[round].push(swarms.entryOf(swarm, round, nodes[i]).seat);
            givenScores[round].push(scores);
        } catch {}
    }

    /// What the result of a round should be, as any node works it out from the events.
    function right(uint256 round) internal view returns (bytes memory result) {
        Swarms.RoundView memory v = swarms.roundOf(swarm, round);
        result = new bytes(v.committed);
        for (uint256 s = 1; s <= v.committed; ++s) {
            if ((v.revealed >> (s - 1)) & 1 == 1) result[s - 1] = bytes1(median(3, s, scorers[round], givenScores[round]));
        }
    }

    function actPost(uint8 r, uint8 n, uint8 lie) external {
        _post(anyRound(r), n % NODES, lie);
    }

    function _post(uint256 round, uint256 i, uint8 lie) internal {
        bytes memory result = right(round);
        if (lie % 3 == 0 && result.length != 0) {
            result[lie % result.length] = bytes1(uint8(uint256(keccak256(abi.encode(lie, round))) % 255));
        }
        vm.prank(owner(i));
        try swarms.post(swarm, round, nodes[i], result) {
            vm.assertTrue(revealed[round][nodes[i]], "an absent node posted");
            vm.assertTrue(!convicted[round][nodes[i]], "a convicted node posted");
            postedScores[round] = result;
        } catch {}
    }

    /// A watcher: if a posted score is wrong it falls, if it is right it stands.
    function actChallenge(uint8 r, uint8 s) external {
        uint256 round = anyRound(r);
        Swarms.RoundView memory v = swarms.roundOf(swarm, round);
        if (v.phase != Swarms.Phase.Challenge) return;
        bytes memory result = postedScores[round];
        bytes memory should = right(round);
        uint256 seat = s % result.length + 1;
        for (uint256 j = 0; j < result.length; ++j) {
            if (result[j] != should[j]) seat = j + 1;
        }
        uint256 before = bonds.slashable(v.poster, address(swarms));
        uint256 owed = bonds.owed(BOB);
        Swarms.Proof memory p = Swarms.Proof(
            swarm, round, seat, uint8(result[seat - 1]), proofOf(result, seat), scorers[round], givenScores[round]
        );
        vm.prank(BOB);
        try swarms.challenge(p) {
            vm.assertTrue(result[seat - 1] != should[seat - 1], "a right score fell");
            convicted[round][v.poster] = true;
            vm.assertEq(bonds.owed(BOB) - owed, before < 50 ? before : 50, "a convicted poster went unslashed");
        } catch {
            vm.assertTrue(result[seat - 1] == should[seat - 1], "a wrong score stood a challenge");
        }
    }

    function actConvict(uint8 r, uint8 n) external {
        if (n % 4 != 0) return;
        (uint256 round, uint256 i) = (anyRound(r), n % NODES);
        uint256 before = bonds.slashable(nodes[i], address(swarms));
        vm.prank(REFEREE);
        try swarms.convict(swarm, round, nodes[i], BOB) {
            convicted[round][nodes[i]] = true;
            uint256 left = bonds.slashable(nodes[i], address(swarms));
            vm.assertEq(before - left, before < 50 ? before : 50, "a convicted node went unslashed");
        } catch {}
        if (bonds.staked(nodes[i], address(swarms)) < 50) stake(nodes[i], address(swarms), 120);
    }

    function actSettle(uint8 r) external {
        try swarms.settle(swarm, anyRound(r)) {} catch {}
    }

    /// Claims for a node, with its own score and proof or with another's.
    function actClaim(uint8 r, uint8 n, uint8 other) external {
        _claim(anyRound(r), n % NODES, other);
    }

    function _claim(uint256 round, uint256 i, uint8 other) internal {
        bytes memory result = postedScores[round];
        if (result.length == 0) return;
        uint256 own = swarms.entryOf(swarm, round, nodes[i]).seat;
        uint256 seat = own == 0 || other % 8 == 0 ? other % result.length + 1 : own;
        Swarms.Share[] memory shares = new Swarms.Share[](2);
        shares[0] = Swarms.Share(swarm, round, uint8(result[seat - 1]), proofOf(result, seat));
        shares[1] = shares[0];
        uint256 had = credit.balanceOf(owner(i));
        try swarms.claim(nodes[i], shares) {
            uint256 got = credit.balanceOf(owner(i)) - had;
            if (got != 0) _claimed(round, nodes[i], got, uint8(result[own - 1]));
        } catch {}
    }

    function _claimed(uint256 round, uint256 agent, uint256 got, uint256 score) internal {
        moneyOut += got;
        paidOut[round] += got;
        vm.assertTrue(revealed[round][agent], "a reward without a commitment");
        vm.assertTrue(!convicted[round][agent], "a convicted node was paid");
        vm.assertEq(++claims[round][agent], 1, "paid twice");
        vm.assertEq(got, swarms.worthOf(swarm, round) * score);
    }

    /// A whole round with some nodes missing, so that random sequences reach its end more often.
    function actRound(bytes32 seed, uint8 absent, uint8 lie) external {
        vm.warp(block.timestamp + 2000);
        uint256 round = swarms.open(swarm);
        uint256 opened = block.timestamp;
        for (uint256 i = 0; i < NODES; ++i) {
            if (absent & (1 << i) != 0) continue;
            if (bonds.staked(nodes[i], address(swarms)) < 50) stake(nodes[i], address(swarms), 120);
            this.actCommit(0, uint8(i));
        }
        vm.warp(opened + COMMIT);
        for (uint256 i = 0; i < NODES; ++i) {
            if (uint8(seed[i]) % 8 != 0) this.actReveal(0, uint8(i));
        }
        vm.warp(opened + COMMIT + REVEAL);
        for (uint256 i = 0; i < NODES; ++i) {
            _score(round, i, keccak256(abi.encode(seed, i)));
        }
        vm.warp(opened + COMMIT + REVEAL + SCORE);
        for (uint256 i = 0; i < NODES; ++i) {
            _post(round, i, lie);
        }
    }

    function actTime(uint16 time) external {
        passTime(time % 600);
        // What is final is claimed, so that a second claim is tried as well.
        for (uint256 i = 0; i < NODES; ++i) {
            if (time % 2 == 0) _claim(anyRound(0), i, 1);
        }
    }

    function invariant_money_in_is_money_out() external view {
        Swarms.Swarm memory s = swarms.swarmOf(swarm);
        uint256 held = s.pool;
        for (uint256 round = 1; round <= s.rounds; ++round) {
            Swarms.RoundView memory v = swarms.roundOf(swarm, round);
            vm.assertTrue(paidOut[round] <= v.reward, "a round paid more than its reward");
            held += v.reward;
            uint256 worth = swarms.worthOf(swarm, round);
            if (v.settled) held -= v.reward - worth * v.earned;
            if (v.result == 0) continue;
            for (uint256 seat = 1; seat <= v.committed; ++seat) {
                if ((v.claimed >> (seat - 1)) & 1 == 1) held -= worth * uint8(postedScores[round][seat - 1]);
            }
        }
        vm.assertEq(credit.balanceOf(address(swarms)), held);
        vm.assertEq(moneyIn, moneyOut + credit.balanceOf(address(swarms)));
    }
}
