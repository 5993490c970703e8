// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Agents} from "../src/Agents.sol";
import {Base, ContractWallet, Vm, vm} from "./Base.sol";

contract AgentsTest is Base {
    uint256 constant KEY = 0xBEEF;
    // secp256k1's order: `ORDER - key` has the same x as `key`.
    uint256 constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function compressed(uint256 key) internal returns (bytes memory) {
        Vm.Wallet memory w = vm.createWallet(key);
        return abi.encodePacked(uint8(2 + (w.publicKeyY & 1)), w.publicKeyX);
    }

    function walletDigest(uint256 agentId, address wallet, address owner, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(agents)
            )
        );
        bytes32 what = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                agentId,
                wallet,
                owner,
                deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, what));
    }

    function testFuzz_a_node_registers_once_however_often_it_tries(uint256 key) public {
        key = key % (ORDER - 1) + 1;
        uint256 agentId = nodeOf(ALICE, key, "ipfs://one");
        vm.assertEq(agents.ownerOf(agentId), ALICE);
        vm.assertEq(agents.tokenURI(agentId), "ipfs://one");
        vm.assertEq(agents.peerOf(agentId), compressed(key));
        vm.assertEq(agents.agentOfPeer(compressed(key)), agentId);
        vm.assertEq(nodeOf(ALICE, key, "ipfs://two"), agentId);
        vm.assertEq(agents.balanceOf(ALICE), 1);
        vm.assertEq(agents.tokenURI(agentId), "ipfs://one");
    }

    function test_one_wallet_has_many_nodes() public {
        vm.assertEq(nodeOf(ALICE, 1, "a"), 1);
        vm.assertEq(nodeOf(ALICE, 2, "b"), 2);
        vm.assertEq(agents.balanceOf(ALICE), 2);
    }

    function test_nobody_squats_a_peer_key() public {
        Vm.Wallet memory peer = vm.createWallet(KEY);
        (bytes32 x, bytes32 y) = (bytes32(peer.publicKeyX), bytes32(peer.publicKeyY));
        // A signature of another key, one of the right key for another owner, and garbage.
        bytes memory other = signature(KEY + 1, agents.peerDigest(MALLORY));
        bytes memory alices = signature(KEY, agents.peerDigest(ALICE));
        vm.startPrank(MALLORY);
        vm.expectRevert(Agents.InvalidPeerSignature.selector);
        agents.registerNode(x, y, other, "");
        vm.expectRevert(Agents.InvalidPeerSignature.selector);
        agents.registerNode(x, y, alices, "");
        vm.expectRevert(Agents.InvalidPeerSignature.selector);
        agents.registerNode(x, y, "garbage", "");
        vm.stopPrank();
        // The right x with a wrong y is another point, or none.
        vm.prank(ALICE);
        vm.expectRevert(Agents.InvalidPeerSignature.selector);
        agents.registerNode(x, bytes32(uint256(y) ^ 2), alices, "");
        vm.prank(ALICE);
        vm.assertEq(agents.registerNode(x, y, alices, ""), 1);
    }

    function test_a_peer_key_speaks_for_one_owner() public {
        uint256 agentId = nodeOf(ALICE, KEY, "");
        Vm.Wallet memory peer = vm.createWallet(KEY);
        bytes memory signed = signature(KEY, agents.peerDigest(BOB));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Agents.PeerTaken.selector, agentId));
        agents.registerNode(bytes32(peer.publicKeyX), bytes32(peer.publicKeyY), signed, "");
    }

    /// The negative of a key has its x: its holder is the same, and the binding says which of the two it is.
    function test_a_key_and_its_negative_are_told_apart() public {
        uint256 agentId = nodeOf(ALICE, KEY, "");
        vm.assertEq(agents.agentOfPeer(compressed(ORDER - KEY)), 0);
        vm.assertEq(agents.agentOfPeer(compressed(KEY)), agentId);
    }

    function test_rotation_retires_the_old_key_for_good() public {
        uint256 agentId = nodeOf(ALICE, KEY, "");
        Vm.Wallet memory next = vm.createWallet(KEY + 1);
        bytes memory signed = signature(KEY + 1, agents.peerDigest(ALICE));
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Agents.NotAuthorized.selector, agentId, MALLORY));
        agents.setPeer(agentId, bytes32(next.publicKeyX), bytes32(next.publicKeyY), signed);
        vm.startPrank(ALICE);
        agents.setPeer(agentId, bytes32(next.publicKeyX), bytes32(next.publicKeyY), signed);
        agents.setPeer(agentId, bytes32(next.publicKeyX), bytes32(next.publicKeyY), signed); // Harmless.
        vm.stopPrank();
        vm.assertEq(agents.peerOf(agentId), compressed(KEY + 1));
        vm.assertEq(agents.agentOfPeer(compressed(KEY)), 0);
        // Neither a thief nor Alice herself can use the old key again.
        Vm.Wallet memory old = vm.createWallet(KEY);
        bytes memory thief = signature(KEY, agents.peerDigest(MALLORY));
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Agents.PeerRetired.selector, bytes32(old.publicKeyX)));
        agents.registerNode(bytes32(old.publicKeyX), bytes32(old.publicKeyY), thief, "");
        bytes memory hers = signature(KEY, agents.peerDigest(ALICE));
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Agents.PeerRetired.selector, bytes32(old.publicKeyX)));
        agents.setPeer(agentId, bytes32(old.publicKeyX), bytes32(old.publicKeyY), hers);
    }

    function test_a_stolen_key_is_given_up() public {
        uint256 agentId = nodeOf(ALICE, KEY, "");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Agents.NotAuthorized.selector, agentId, MALLORY));
        agents.retirePeer(agentId);
        vm.prank(ALICE);
        agents.retirePeer(agentId);
        vm.assertEq(agents.peerOf(agentId).length, 0);
        vm.assertEq(agents.agentOfPeer(compressed(KEY)), 0);
    }

    function test_a_new_owner_gets_neither_wallet_nor_key() public {
        uint256 agentId = nodeOf(ALICE, KEY, "");
        vm.prank(ALICE);
        agents.transferFrom(ALICE, BOB, agentId);
        vm.assertEq(agents.getAgentWallet(agentId), address(0));
        vm.assertEq(agents.payee(agentId), BOB);
        vm.assertEq(agents.peerOf(agentId).length, 0);
        // Alice still holds the key: she may bind it to an agent of hers.
        vm.assertEq(nodeOf(ALICE, KEY, ""), agentId + 1);
        vm.assertEq(agents.agentOfPeer(compressed(KEY)), agentId + 1);
    }

    function test_registering_as_the_standard_has_it() public {
        Agents.MetadataEntry[] memory entries = new Agents.MetadataEntry[](1);
        entries[0] = Agents.MetadataEntry("colour", "blue");
        vm.startPrank(ALICE);
        vm.assertEq(agents.register(), 1);
        vm.assertEq(agents.register("ipfs://x"), 2);
        vm.assertEq(agents.register("ipfs://y", entries), 3);
        entries[0].metadataKey = "agentWallet";
        vm.expectRevert(Agents.ReservedKey.selector);
        agents.register("ipfs://z", entries);
        vm.stopPrank();
        vm.assertEq(agents.getMetadata(3, "colour"), "blue");
        vm.assertEq(agents.getMetadata(3, "agentWallet"), abi.encodePacked(ALICE));
        vm.assertEq(agents.getAgentWallet(3), ALICE);
        vm.assertEq(agents.tokenURI(2), "ipfs://x");
    }

    function test_only_the_owner_and_whom_it_approved_change_an_agent() public {
        uint256 agentId = agentOf(ALICE);
        vm.startPrank(MALLORY);
        bytes memory refusal = abi.encodeWithSelector(Agents.NotAuthorized.selector, agentId, MALLORY);
        vm.expectRevert(refusal);
        agents.setAgentURI(agentId, "x");
        vm.expectRevert(refusal);
        agents.setMetadata(agentId, "k", "v");
        vm.expectRevert(refusal);
        agents.unsetAgentWallet(agentId);
        vm.expectRevert(refusal);
        agents.setAgentWallet(agentId, MALLORY, block.timestamp, "");
        vm.stopPrank();
        vm.assertFalse(agents.isAuthorizedOrOwner(MALLORY, agentId));
        vm.prank(ALICE);
        agents.approve(BOB, agentId);
        vm.startPrank(BOB);
        agents.setAgentURI(agentId, "x");
        agents.setMetadata(agentId, "k", "v");
        vm.expectRevert(Agents.ReservedKey.selector);
        agents.setMetadata(agentId, "agentWallet", "v");
        agents.unsetAgentWallet(agentId);
        vm.stopPrank();
        vm.assertEq(agents.tokenURI(agentId), "x");
        vm.assertEq(agents.getMetadata(agentId, "k"), "v");
        vm.assertEq(agents.getMetadata(agentId, "agentWallet").length, 0);
        vm.assertEq(agents.payee(agentId), ALICE);
    }

    function test_a_wallet_consents_by_key_or_as_a_contract() public {
        uint256 agentId = agentOf(ALICE);
        uint256 deadline = block.timestamp + 5 minutes;
        address wallet = vm.addr(KEY);
        bytes memory signed = signature(KEY, walletDigest(agentId, wallet, ALICE, deadline));
        vm.startPrank(ALICE);
        vm.expectRevert(Agents.InvalidWalletSignature.selector);
        agents.setAgentWallet(agentId, BOB, deadline, signed);
        vm.expectRevert(Agents.InvalidWallet.selector);
        agents.setAgentWallet(agentId, address(0), deadline, signed);
        vm.expectRevert(abi.encodeWithSelector(Agents.DeadlineTooFar.selector, deadline + 1));
        agents.setAgentWallet(agentId, wallet, deadline + 1, signed);
        agents.setAgentWallet(agentId, wallet, deadline, signed);
        vm.assertEq(agents.payee(agentId), wallet);
        ContractWallet contractWallet = new ContractWallet();
        contractWallet.sign(walletDigest(agentId, address(contractWallet), ALICE, deadline), "yes");
        agents.setAgentWallet(agentId, address(contractWallet), deadline, "yes");
        vm.assertEq(agents.getAgentWallet(agentId), address(contractWallet));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(Agents.SignatureExpired.selector, deadline));
        agents.setAgentWallet(agentId, wallet, deadline, signed);
        vm.stopPrank();
    }

    function test_an_agent_that_does_not_exist() public {
        vm.expectRevert();
        agents.isAuthorizedOrOwner(ALICE, 1);
        vm.expectRevert();
        agents.payee(1);
        vm.assertEq(agents.peerOf(1).length, 0);
        vm.assertEq(agents.agentOfPeer("short"), 0);
        vm.assertEq(agents.agentOfPeer(new bytes(33)), 0);
    }
}
