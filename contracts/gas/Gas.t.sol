// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Jobs} from "../src/Jobs.sol";
import {Swarms} from "../src/Swarms.sol";
import {Base, Vm, vm} from "../test/Base.sol";
import {SwarmBase} from "../test/SwarmBase.sol";

/// What things cost, each call as a transaction of its own: 21,000, its data and a cold state included. The figures are
/// kept in `gas-snapshot/`; a change shows there. The bars are asserted here.
contract Gas is SwarmBase {
    uint256 constant NODES = 16;
    string constant URI = "ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    uint256[] nodes;
    uint256 swarm;

    function setUp() public override(Base) {
        super.setUp();
        Swarms.Rules memory r = rules();
        r.seats = uint16(NODES);
        r.period = COMMIT + REVEAL;
        r.reward = 1e18;
        swarm = swarms.create(r, "");
        give(CAROL, 100e18, address(swarms));
        vm.prank(CAROL);
        swarms.topUp(swarm, 50e18);
        for (uint256 i = 0; i < NODES; ++i) {
            nodes.push(nodeOf(owner(i), i + 1, URI));
            stake(nodes[i], address(swarms), 50);
        }
    }

    function owner(uint256 i) internal pure returns (address) {
        return address(uint160(0x1000 + i));
    }

    function note(string memory name) internal returns (uint256 gas) {
        return vm.snapshotGasLastCall("Gas", name);
    }

    function below(uint256 gas, uint256 bar, string memory what) internal pure {
        vm.assertTrue(gas <= bar, what);
    }

    function test_identity() public {
        nodeOf(ALICE, 1000, URI);
        below(note("Agents.registerNode"), 250_000, "register: at most 250,000");
        nodeOf(ALICE, 1000, URI);
        note("Agents.registerNode, again");
        Vm.Wallet memory next = vm.createWallet(1001);
        bytes memory signed = signature(1001, agents.peerDigest(ALICE));
        uint256 agentId = agents.agentOfPeer(abi.encodePacked(peerPrefix(1000), vm.createWallet(1000).publicKeyX));
        vm.prank(ALICE);
        agents.setPeer(agentId, bytes32(next.publicKeyX), bytes32(next.publicKeyY), signed);
        note("Agents.setPeer");
        give(ALICE, 100, address(bonds));
        vm.prank(ALICE);
        bonds.stake(agentId, address(swarms), 100);
        note("Bonds.stake");
        vm.prank(ALICE);
        bonds.unbond(agentId, address(swarms), 100);
        note("Bonds.unbond");
        vm.warp(block.timestamp + bonds.UNBONDING());
        vm.prank(ALICE);
        bonds.withdraw(agentId, address(swarms));
        note("Bonds.withdraw");
    }

    function peerPrefix(uint256 key) internal returns (uint8) {
        return uint8(2 + (vm.createWallet(key).publicKeyY & 1));
    }

    function commit(uint256 round, uint256 i) internal {
        bytes32 commitment = swarms.commitmentTo(swarm, round, nodes[i], keccak256(abi.encode(i)), keccak256("salt"));
        vm.prank(owner(i));
        swarms.commit(swarm, round, nodes[i], commitment);
    }

    function reveal(uint256 round, uint256 i) internal {
        vm.prank(owner(i));
        swarms.reveal(swarm, round, nodes[i], keccak256(abi.encode(i)), keccak256("salt"));
    }

    function score(uint256 round, uint256 i) internal {
        vm.prank(owner(i));
        swarms.score(swarm, round, nodes[i], repeated(200, NODES));
    }

    /// A round of sixteen nodes. What the first pays is measured as well as what any other does: `open` is to have made
    /// the slots that all share.
    function test_a_round() public {
        swarms.open(swarm);
        note("Swarms.open");
        uint256 opened = block.timestamp;
        uint256[2] memory total;
        for (uint256 i = 0; i < NODES; ++i) {
            commit(1, i);
            if (i < 2) total[i] += note(i == 0 ? "Swarms.commit, first" : "Swarms.commit");
        }
        vm.warp(opened + COMMIT);
        for (uint256 i = 0; i < NODES; ++i) {
            reveal(1, i);
            if (i < 2) total[i] += note(i == 0 ? "Swarms.reveal, first" : "Swarms.reveal");
        }
        vm.warp(opened + COMMIT + REVEAL);
        for (uint256 i = 0; i < NODES; ++i) {
            score(1, i);
            if (i < 2) total[i] += note(i == 0 ? "Swarms.score, first" : "Swarms.score");
        }
        vm.snapshotValue("Gas", "a node's round, first", total[0]);
        vm.snapshotValue("Gas", "a node's round", total[1]);
        below(total[0], 150_000, "a node's round, if it is the first: at most 150,000");
        below(total[1], 150_000, "a node's round: at most 150,000");
        vm.warp(opened + COMMIT + REVEAL + SCORE);
        bytes memory result = repeated(200, NODES);
        result[0] = bytes1(uint8(201));
        vm.prank(owner(0));
        swarms.post(swarm, 1, nodes[0], result);
        note("Swarms.post");
        uint256[] memory scorers = new uint256[](NODES);
        bytes[] memory given = new bytes[](NODES);
        for (uint256 i = 0; i < NODES; ++i) {
            (scorers[i], given[i]) = (i + 1, repeated(200, NODES));
        }
        swarms.challenge(Swarms.Proof(swarm, 1, 1, 201, proofOf(result, 1), scorers, given));
        note("Swarms.challenge");
    }

    /// The largest round there is: its result is posted and challenged in one transaction each.
    function test_a_full_round() public {
        uint256 seats = 256;
        Swarms.Rules memory r = rules();
        r.seats = uint16(seats);
        swarm = swarms.create(r, "");
        swarms.open(swarm);
        uint256 opened = block.timestamp;
        for (uint256 i = NODES; i < seats; ++i) {
            nodes.push(agentOf(owner(i)));
            stake(nodes[i], address(swarms), 50);
        }
        for (uint256 i = 0; i < seats; ++i) {
            commit(1, i);
        }
        vm.warp(opened + COMMIT);
        for (uint256 i = 0; i < seats; ++i) {
            reveal(1, i);
        }
        vm.warp(opened + COMMIT + REVEAL);
        uint256[] memory scorers = new uint256[](seats);
        bytes[] memory given = new bytes[](seats);
        for (uint256 i = 0; i < seats; ++i) {
            (scorers[i], given[i]) = (i + 1, repeated(200, seats));
            vm.prank(owner(i));
            swarms.score(swarm, 1, nodes[i], given[i]);
        }
        note("Swarms.score of 256 seats");
        vm.warp(opened + COMMIT + REVEAL + SCORE);
        bytes memory result = repeated(200, seats);
        result[255] = bytes1(uint8(201));
        vm.prank(owner(0));
        swarms.post(swarm, 1, nodes[0], result);
        note("Swarms.post of 256 seats");
        swarms.challenge(Swarms.Proof(swarm, 1, 256, 201, proofOf(result, 256), scorers, given));
        note("Swarms.challenge of 256 seats");
    }

    /// Rounds overlap: a node gives its scores for one and commits to the next in one transaction.
    function test_overlapping_rounds() public {
        swarms.open(swarm);
        uint256 opened = block.timestamp;
        for (uint256 i = 0; i < NODES; ++i) {
            commit(1, i);
        }
        vm.warp(opened + COMMIT);
        for (uint256 i = 0; i < NODES; ++i) {
            reveal(1, i);
        }
        vm.warp(opened + COMMIT + REVEAL);
        swarms.open(swarm);
        uint256 total;
        for (uint256 i = 0; i < NODES; ++i) {
            bytes32 commitment =
                swarms.commitmentTo(swarm, 2, nodes[i], keccak256(abi.encode(i)), keccak256("salt"));
            bytes[] memory calls = new bytes[](2);
            calls[0] = abi.encodeCall(swarms.score, (swarm, 1, nodes[i], repeated(200, NODES)));
            calls[1] = abi.encodeCall(swarms.commit, (swarm, 2, nodes[i], commitment));
            vm.prank(owner(i));
            swarms.multicall(calls);
            if (i == 1) total = note("Swarms.score and commit at once");
        }
        vm.warp(opened + COMMIT + REVEAL + COMMIT);
        reveal(2, 0);
        reveal(2, 1);
        vm.snapshotValue("Gas", "a node's round, overlapping", total + note("Swarms.reveal, overlapping"));
    }

    /// Sixteen nodes claim eight rounds each, one transaction for each node.
    function test_claims() public {
        uint256 rounds = 8;
        bytes memory result = repeated(200, NODES);
        Swarms.Share[] memory shares = new Swarms.Share[](rounds);
        for (uint256 round = 1; round <= rounds; ++round) {
            vm.warp(block.timestamp + CHALLENGE);
            swarms.open(swarm);
            uint256 opened = block.timestamp;
            for (uint256 i = 0; i < NODES; ++i) {
                commit(round, i);
            }
            vm.warp(opened + COMMIT);
            for (uint256 i = 0; i < NODES; ++i) {
                reveal(round, i);
            }
            vm.warp(opened + COMMIT + REVEAL + SCORE);
            vm.prank(owner(0));
            swarms.post(swarm, round, nodes[0], result);
        }
        vm.warp(block.timestamp + CHALLENGE);
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 round = 1; round <= rounds; ++round) {
                shares[round - 1] = Swarms.Share(swarm, round, 200, proofOf(result, i + 1));
            }
            swarms.claim(nodes[i], shares);
            if (i == 0) vm.snapshotValue("Gas", "Swarms.claim of eight rounds, each, first", note("Swarms.claim of eight rounds, first") / rounds);
            if (i == 1) {
                uint256 each = note("Swarms.claim of eight rounds") / rounds;
                vm.snapshotValue("Gas", "Swarms.claim of eight rounds, each", each);
                below(each, 40_000, "a batched claim: at most 40,000 a round");
            }
        }
    }

    function test_a_job() public {
        give(ALICE, 1000, address(jobs));
        give(BOB, 1000, address(jobs));
        Jobs.Post memory post = Jobs.Post({
            provider: address(0),
            evaluator: CAROL,
            expiredAt: block.timestamp + 1 days,
            description: URI,
            hook: address(0),
            token: address(credit),
            price: 300,
            terms: Jobs.Terms(keccak256("program"), keccak256("inputs"), 40)
        });
        vm.prank(ALICE);
        uint256 jobId = jobs.postJob(post);
        note("Jobs.postJob");
        uint256 agentId = agentOf(BOB);
        vm.prank(BOB);
        jobs.take(jobId, agentId, "");
        note("Jobs.take");
        vm.prank(BOB);
        jobs.submit(jobId, keccak256("work"), "");
        note("Jobs.submit");
        vm.prank(CAROL);
        jobs.complete(jobId, 0, "");
        note("Jobs.complete");
        vm.prank(BOB);
        jobs.collect(address(credit));
        note("Jobs.collect");
    }
}
