// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Credit} from "../src/Credit.sol";
import {Base, ContractWallet, vm} from "./Base.sol";

contract CreditTest is Base {
    uint256 constant KEY = 0xC0FFEE;
    bytes32 constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 constant CANCEL = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    function digest(bytes memory what) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", credit.DOMAIN_SEPARATOR(), keccak256(what)));
    }

    function testFuzz_coin_in_is_coin_out(uint96 amount, uint96 back) public {
        vm.assume(back <= amount);
        vm.deal(ALICE, amount);
        vm.prank(ALICE);
        credit.deposit{value: amount}();
        vm.assertEq(credit.balanceOf(ALICE), amount);
        vm.assertEq(address(credit).balance, amount);
        vm.prank(ALICE);
        credit.withdraw(back);
        vm.assertEq(ALICE.balance, back);
        vm.assertEq(credit.totalSupply(), amount - back);
        vm.assertEq(address(credit).balance, amount - back);
    }

    function test_plain_coin_is_a_deposit() public {
        vm.deal(ALICE, 5);
        vm.prank(ALICE);
        (bool ok,) = address(credit).call{value: 5}("");
        vm.assertTrue(ok);
        vm.assertEq(credit.balanceOf(ALICE), 5);
    }

    function test_deposit_and_withdraw_for_another() public {
        vm.deal(ALICE, 5);
        vm.startPrank(ALICE);
        credit.depositTo{value: 5}(BOB);
        vm.stopPrank();
        vm.prank(BOB);
        credit.withdrawTo(CAROL, 4);
        vm.assertEq(CAROL.balance, 4);
        vm.assertEq(credit.balanceOf(BOB), 1);
    }

    function test_nobody_withdraws_more_than_they_have() public {
        give(BOB, 10, ALICE);
        vm.prank(ALICE);
        vm.expectRevert();
        credit.withdraw(1);
    }

    function test_coin_that_is_refused_stays_a_credit() public {
        give(address(this), 3, ALICE);
        vm.expectRevert();
        credit.withdraw(3); // This contract takes no coin.
        vm.assertEq(credit.balanceOf(address(this)), 3);
    }

    function test_permit_by_key_and_by_contract() public {
        address owner = vm.addr(KEY);
        bytes32 what = digest(abi.encode(PERMIT, owner, BOB, 7, 0, block.timestamp));
        bytes memory signed = signature(KEY, what);
        credit.permit(owner, BOB, 7, block.timestamp, signed);
        vm.assertEq(credit.allowance(owner, BOB), 7);
        vm.expectRevert();
        credit.permit(owner, BOB, 7, block.timestamp, signed); // Its nonce is used.

        ContractWallet wallet = new ContractWallet();
        what = digest(abi.encode(PERMIT, address(wallet), BOB, 9, 0, block.timestamp));
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612InvalidSigner.selector, address(0), address(wallet)));
        credit.permit(address(wallet), BOB, 9, block.timestamp, "yes");
        wallet.sign(what, "yes");
        credit.permit(address(wallet), BOB, 9, block.timestamp, "yes");
        vm.assertEq(credit.allowance(address(wallet), BOB), 9);
    }

    function test_permit_expires() public {
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, block.timestamp - 1));
        credit.permit(ALICE, BOB, 1, block.timestamp - 1, "");
    }

    /// x402's clients pick nonces at random, so that any order has to do.
    function testFuzz_transfer_by_signature_once_and_in_time(bytes32 nonce, uint32 before) public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        uint256 till = block.timestamp + 1 + before;
        bytes memory what = abi.encode(TRANSFER, from, BOB, 60, block.timestamp - 1, till, nonce);
        bytes memory signed = signature(KEY, digest(what));
        vm.assertFalse(credit.authorizationState(from, nonce));
        credit.transferWithAuthorization(from, BOB, 60, block.timestamp - 1, till, nonce, signed);
        vm.assertEq(credit.balanceOf(BOB), 60);
        vm.assertTrue(credit.authorizationState(from, nonce));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, from, nonce));
        credit.transferWithAuthorization(from, BOB, 60, block.timestamp - 1, till, nonce, signed);
    }

    function test_transfer_by_signature_neither_early_nor_late() public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        (uint256 from_, uint256 till) = (block.timestamp, block.timestamp + 10);
        bytes memory signed = signature(KEY, digest(abi.encode(TRANSFER, from, BOB, 1, from_, till, bytes32(0))));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, from_, till));
        credit.transferWithAuthorization(from, BOB, 1, from_, till, 0, signed);
        vm.warp(till);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, from_, till));
        credit.transferWithAuthorization(from, BOB, 1, from_, till, 0, signed);
        vm.warp(till - 1);
        credit.transferWithAuthorization(from, BOB, 1, from_, till, 0, signed);
    }

    /// OpenZeppelin reads block numbers out of times whose highest marked bit is set; ERC-3009 has times only.
    function test_times_are_never_block_numbers() public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        (uint256 from_, uint256 till) = (0x800000000000, type(uint256).max);
        bytes memory signed = signature(KEY, digest(abi.encode(TRANSFER, from, BOB, 1, from_, till, bytes32(0))));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, from_, till));
        credit.transferWithAuthorization(from, BOB, 1, from_, till, 0, signed);
    }

    function test_a_forged_authorization_moves_nothing() public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        uint256 till = block.timestamp + 10;
        bytes memory signed = signature(KEY, digest(abi.encode(TRANSFER, from, BOB, 1, 0, till, bytes32(0))));
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        credit.transferWithAuthorization(from, MALLORY, 1, 0, till, 0, signed);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        credit.transferWithAuthorization(from, BOB, 2, 0, till, 0, signed);
    }

    function test_receive_by_signature_is_the_receivers_own() public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        uint256 till = block.timestamp + 10;
        bytes memory signed = signature(KEY, digest(abi.encode(RECEIVE, from, BOB, 5, 0, till, bytes32(0))));
        vm.prank(MALLORY);
        vm.expectRevert();
        credit.receiveWithAuthorization(from, BOB, 5, 0, till, 0, signed);
        vm.prank(BOB);
        credit.receiveWithAuthorization(from, BOB, 5, 0, till, 0, signed);
        vm.assertEq(credit.balanceOf(BOB), 5);
    }

    function test_a_cancelled_authorization_is_dead() public {
        address from = vm.addr(KEY);
        give(from, 100, ALICE);
        uint256 till = block.timestamp + 10;
        bytes32 what = digest(abi.encode(CANCEL, from, bytes32(0)));
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        credit.cancelAuthorization(from, 0, signature(KEY + 1, what));
        credit.cancelAuthorization(from, 0, signature(KEY, what));
        bytes memory signed = signature(KEY, digest(abi.encode(TRANSFER, from, BOB, 1, 0, till, bytes32(0))));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, from, bytes32(0)));
        credit.transferWithAuthorization(from, BOB, 1, 0, till, 0, signed);
    }

    function test_authorization_by_a_contract() public {
        ContractWallet wallet = new ContractWallet();
        give(address(wallet), 10, ALICE);
        uint256 till = block.timestamp + 10;
        wallet.sign(digest(abi.encode(TRANSFER, address(wallet), BOB, 4, 0, till, bytes32(0))), "yes");
        credit.transferWithAuthorization(address(wallet), BOB, 4, 0, till, 0, bytes("yes"));
        vm.assertEq(credit.balanceOf(BOB), 4);
    }

    function test_votes_follow_credits_by_the_clock() public {
        vm.assertEq(credit.clock(), block.timestamp);
        vm.assertEq(credit.CLOCK_MODE(), "mode=timestamp");
        give(ALICE, 10, BOB);
        vm.prank(ALICE);
        credit.delegate(ALICE);
        vm.warp(block.timestamp + 1);
        vm.prank(ALICE);
        credit.transfer(BOB, 4);
        vm.warp(block.timestamp + 1);
        vm.assertEq(credit.getPastVotes(ALICE, block.timestamp - 2), 10);
        vm.assertEq(credit.getPastVotes(ALICE, block.timestamp - 1), 6);
    }
}
