// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Agents} from "../src/Agents.sol";
import {Bonds} from "../src/Bonds.sol";
import {Credit} from "../src/Credit.sol";
import {Crowd} from "../src/Crowd.sol";
import {Jobs} from "../src/Jobs.sol";
import {Reputation} from "../src/Reputation.sol";
import {Swarms} from "../src/Swarms.sol";
import {Validation} from "../src/Validation.sol";

/// The part of forge's cheat codes that the tests use.
interface Vm {
    struct Wallet {
        address addr;
        uint256 publicKeyX;
        uint256 publicKeyY;
        uint256 privateKey;
    }

    function createWallet(uint256 key) external returns (Wallet memory);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 key) external pure returns (address);
    function prank(address who) external;
    function startPrank(address who) external;
    function stopPrank() external;
    function warp(uint256 time) external;
    function deal(address who, uint256 amount) external;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function expectEmit() external;
    function expectEmit(bool, bool, bool, bool) external;
    function assume(bool) external pure;
    function assertEq(uint256, uint256) external pure;
    function assertEq(uint256, uint256, string calldata) external pure;
    function assertEq(address, address) external pure;
    function assertEq(bytes32, bytes32) external pure;
    function assertEq(bytes calldata, bytes calldata) external pure;
    function assertEq(string calldata, string calldata) external pure;
    function assertEq(int256, int256) external pure;
    function assertTrue(bool) external pure;
    function assertTrue(bool, string calldata) external pure;
    function assertFalse(bool) external pure;
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

/// Everything deployed, and the small works that many tests share.
contract Base {
    Credit credit;
    Agents agents;
    Bonds bonds;
    Swarms swarms;
    Jobs jobs;
    Crowd crowd;
    Reputation reputation;
    Validation validation;

    address constant ALICE = address(0xA11CE);
    address constant BOB = address(0xB0B);
    address constant CAROL = address(0xCA401);
    address constant MALLORY = address(0xBAD);

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        credit = new Credit();
        agents = new Agents();
        bonds = new Bonds(IERC20(address(credit)), agents);
        swarms = new Swarms(IERC20(address(credit)), agents, bonds);
        jobs = new Jobs(address(credit), agents);
        crowd = new Crowd(jobs);
        reputation = new Reputation(agents, jobs);
        validation = new Validation(agents);
    }

    /// Credits for `who`, which `spender` may take.
    function give(address who, uint256 amount, address spender) internal {
        vm.deal(address(this), amount);
        credit.depositTo{value: amount}(who);
        vm.prank(who);
        credit.approve(spender, type(uint256).max);
    }

    /// An agent of `owner` with no peer key.
    function agentOf(address owner) internal returns (uint256) {
        vm.prank(owner);
        return agents.register();
    }

    function signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// An agent of `owner` whose peer key is `key`.
    function nodeOf(address owner, uint256 key, string memory uri) internal returns (uint256 agentId) {
        Vm.Wallet memory peer = vm.createWallet(key);
        bytes memory signed = signature(key, agents.peerDigest(owner));
        vm.prank(owner);
        return agents.registerNode(bytes32(peer.publicKeyX), bytes32(peer.publicKeyY), signed, uri);
    }

    function stake(uint256 agentId, address judge, uint128 amount) internal {
        give(address(this), amount, address(bonds));
        bonds.stake(agentId, judge, amount);
    }
}

/// A token that keeps a part of what it moves.
contract Taker is ERC20("Taker", "TAKE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0xdead), amount / 100);
    }
}

/// A wallet that is a contract: it has signed what it was told to sign, and nothing else (ERC-1271).
contract ContractWallet {
    mapping(bytes32 digest => mapping(bytes32 signatureHash => bool)) private _signed;

    function sign(bytes32 digest, bytes calldata with) external {
        _signed[digest][keccak256(with)] = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata with) external view returns (bytes4) {
        return _signed[digest][keccak256(with)] ? bytes4(0x1626ba7e) : bytes4(0);
    }
}
