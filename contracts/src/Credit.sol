// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title The network's money: one credit is one coin of the chain, made a token.
/// @notice Nobody can print credits, and nobody was given any. Whoever pays in the chain's own coin gets as many
/// credits, whoever burns credits gets the coin back. What the wrapping adds is what the coin lacks: allowances by
/// signature (ERC-2612), transfers by signature (ERC-3009, which x402 pays with) and votes (ERC-5805).
/// @dev Invariant: `totalSupply() <= address(this).balance`, with equality unless coin was forced in. There is no owner,
/// no pause and no mint other than `deposit`.
contract Credit is ERC20, ERC20Permit, ERC20Votes, ERC3009 {
    /// @notice Coin came in and as many credits were made for `to`. (The event of WETH9, whose readers it suits.)
    event Deposit(address indexed to, uint256 amount);
    /// @notice Credits of `from` were burned and as much coin went out.
    event Withdrawal(address indexed from, uint256 amount);

    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    constructor() ERC20("Starling Credit", "CREDIT") ERC20Permit("Starling Credit") {}

    /// @notice Coin sent with no call is a deposit.
    receive() external payable {
        depositTo(msg.sender);
    }

    /// @notice Turns the coin sent along into credits of the caller.
    function deposit() external payable {
        depositTo(msg.sender);
    }

    /// @notice Turns credits of the caller back into coin.
    function withdraw(uint256 amount) external {
        withdrawTo(msg.sender, amount);
    }

    /// @notice Turns the coin sent along into credits of `to`.
    function depositTo(address to) public payable {
        _mint(to, msg.value);
        emit Deposit(to, msg.value);
    }

    /// @notice Burns credits of the caller and sends as much coin to `to`.
    function withdrawTo(address to, uint256 amount) public {
        _burn(msg.sender, amount);
        emit Withdrawal(msg.sender, amount);
        Address.sendValue(payable(to), amount);
    }

    /// @notice `permit` for owners that are contracts (ERC-1271) as well.
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external {
        if (block.timestamp > deadline) revert ERC2612ExpiredSignature(deadline);
        bytes32 what = keccak256(abi.encode(PERMIT, owner, spender, value, _useNonce(owner), deadline));
        if (!SignatureChecker.isValidSignatureNow(owner, _hashTypedDataV4(what), signature)) {
            revert ERC2612InvalidSigner(address(0), owner);
        }
        _approve(owner, spender, value);
    }

    /// @notice `transferWithAuthorization` for owners that are contracts (ERC-1271) as well.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        _checkAuthorization(
            from,
            abi.encode(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce),
            signature
        );
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    /// @notice `receiveWithAuthorization` for owners that are contracts (ERC-1271) as well.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        if (to != msg.sender) revert ERC20InvalidReceiver(to);
        _checkAuthorization(
            from,
            abi.encode(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce),
            signature
        );
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    /// @notice `cancelAuthorization` for owners that are contracts (ERC-1271) as well.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external {
        _checkAuthorization(authorizer, abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce), signature);
        _cancelAuthorization(authorizer, nonce);
    }

    /// @notice Votes are counted by the clock, since blocks come at other rates on other chains.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice The same, as ERC-6372 wants it said.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @notice The number that the owner's next permit or delegation by signature has to carry.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    /// @dev Always by the clock: OpenZeppelin also reads a range of blocks out of two marked numbers, ERC-3009 does not.
    function _checkValidity(uint256 validAfter, uint256 validBefore) internal view override {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert ERC3009InvalidAuthorizationTime(validAfter, validBefore);
        }
    }

    function _checkAuthorization(address signer, bytes memory what, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNow(signer, _hashTypedDataV4(keccak256(what)), signature)) {
            revert ERC3009InvalidSignature();
        }
    }
}
