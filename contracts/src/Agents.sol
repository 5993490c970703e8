// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Who is who: the identity registry of ERC-8004, with the key that a node speaks with bound to its agent.
/// @notice An agent is a token (ERC-721): a node, a service or an AI, with a link to its registration file. One wallet
/// may own many. A node is an agent with a peer key: the secp256k1 key that signs for it among peers.
/// @dev Invariant: a peer key is bound to at most one agent, and only after its holder signed for that agent's owner; an
/// agent has at most one peer key. A key that was replaced or given up is never bound again: it may have leaked.
/// Nobody rules over this contract, and nobody but the owner of an agent (or whom the owner approved) changes it.
///
/// Keys are known by their x coordinate. The two keys that share one are a key and its negative, which the same person
/// holds, so that neither can keep the other from its owner.
contract Agents is ERC721URIStorage, EIP712 {
    /// @notice A key and a value that describe an agent.
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    /// @dev What is kept of an agent beside its token: 0x02 or 0x03 and `x` are the compressed peer key.
    struct Record {
        address wallet;
        bytes1 peerPrefix;
        bytes32 peerX;
    }

    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    event MetadataSet(uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue);
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);
    /// @notice The agent now speaks with this key (33 bytes, compressed).
    event PeerBound(uint256 indexed agentId, bytes32 indexed peerX, bytes publicKey);
    /// @notice The agent speaks with this key no more; `retired` when nobody ever will.
    event PeerUnbound(uint256 indexed agentId, bytes32 indexed peerX, bool retired);

    error NotAuthorized(uint256 agentId, address caller);
    /// @notice `agentWallet` is set by `setAgentWallet`, with the wallet's consent.
    error ReservedKey();
    error InvalidWallet();
    error SignatureExpired(uint256 deadline);
    /// @notice The deadline may lie five minutes ahead at most.
    error DeadlineTooFar(uint256 deadline);
    /// @notice The wallet did not sign for this agent, owner and deadline.
    error InvalidWalletSignature();
    /// @notice The peer key did not sign for this owner: sign the digest that `peerDigest` gives.
    error InvalidPeerSignature();
    /// @notice The peer key speaks for an agent of somebody else, or for another agent of yours.
    error PeerTaken(uint256 agentId);
    /// @notice The peer key was replaced or given up: make a new one.
    error PeerRetired(bytes32 peerX);

    bytes32 private constant WALLET_TYPEHASH =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
    bytes32 private constant PEER_TYPEHASH = keccak256("PeerBinding(address owner)");
    bytes32 private constant WALLET_KEY = keccak256("agentWallet");
    uint256 private constant LONGEST_DEADLINE = 5 minutes;
    uint256 private constant RETIRED = type(uint256).max;

    uint256 private _lastId;
    mapping(uint256 agentId => Record) private _records;
    mapping(uint256 agentId => mapping(string key => bytes)) private _metadata;
    mapping(bytes32 peerX => uint256 agentId) private _agentOfPeer;

    /// @dev The names are those of the reference registries, so that signatures made for one suit the other.
    constructor() ERC721("AgentIdentity", "AGENT") EIP712("ERC8004IdentityRegistry", "1") {}

    modifier onlyAuthorized(uint256 agentId) {
        if (!_isAuthorized(ownerOf(agentId), msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
        _;
    }

    // ---------------------------------------------------------------- registering

    /// @notice Registers the caller's node: an agent that speaks with the peer key (`x`, `y`).
    /// @dev Doing it again is harmless: whoever owns the agent that has the key gets its id, and nothing changes.
    /// @param signature by the peer key, of `peerDigest(caller)`. It never expires, since a node may wait for funds for
    /// long, and is of no use to anyone but the caller.
    function registerNode(bytes32 x, bytes32 y, bytes calldata signature, string calldata agentURI)
        external
        returns (uint256 agentId)
    {
        agentId = _agentOfPeer[x];
        if (agentId != 0 && agentId != RETIRED && ownerOf(agentId) == msg.sender) return agentId;
        agentId = _register(agentURI);
        _bind(agentId, msg.sender, x, y, signature);
    }

    /// @notice Registers an agent with no peer key and no registration file yet. Every call makes another agent.
    function register() external returns (uint256 agentId) {
        return _register("");
    }

    /// @notice Registers an agent with no peer key yet. Every call makes another agent.
    function register(string calldata agentURI) external returns (uint256 agentId) {
        return _register(agentURI);
    }

    /// @notice Registers an agent with no peer key yet, and describes it. Every call makes another agent.
    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId) {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < metadata.length; ++i) {
            _setMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    // ---------------------------------------------------------------- the peer key

    /// @notice Gives the agent the peer key (`x`, `y`), in place of the one it has, which is then retired for good.
    /// @dev Doing it again is harmless. The signature is by the new key, of `peerDigest(owner of the agent)`.
    function setPeer(uint256 agentId, bytes32 x, bytes32 y, bytes calldata signature) external onlyAuthorized(agentId) {
        if (_agentOfPeer[x] == agentId) return;
        _unbind(agentId, true);
        _bind(agentId, ownerOf(agentId), x, y, signature);
    }

    /// @notice Takes the agent's peer key away for good, as when its machine was stolen.
    function retirePeer(uint256 agentId) external onlyAuthorized(agentId) {
        _unbind(agentId, true);
    }

    /// @notice The agent's peer key, compressed (33 bytes), or nothing.
    function peerOf(uint256 agentId) external view returns (bytes memory publicKey) {
        Record storage record = _records[agentId];
        if (record.peerPrefix != 0) publicKey = bytes.concat(record.peerPrefix, record.peerX);
    }

    /// @notice The agent that speaks with this key (33 bytes, compressed), or zero.
    function agentOfPeer(bytes calldata publicKey) external view returns (uint256 agentId) {
        if (publicKey.length != 33) return 0;
        agentId = _agentOfPeer[bytes32(publicKey[1:])];
        if (agentId == RETIRED || _records[agentId].peerPrefix != bytes1(publicKey[0])) return 0;
    }

    /// @notice What a peer key signs to speak for an agent of `owner`.
    function peerDigest(address owner) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PEER_TYPEHASH, owner)));
    }

    // ---------------------------------------------------------------- the rest of ERC-8004

    function setAgentURI(uint256 agentId, string calldata newURI) external onlyAuthorized(agentId) {
        _setTokenURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue)
        external
        onlyAuthorized(agentId)
    {
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory) {
        if (keccak256(bytes(metadataKey)) != WALLET_KEY) return _metadata[agentId][metadataKey];
        address wallet = _records[agentId].wallet;
        return wallet == address(0) ? bytes("") : abi.encodePacked(wallet);
    }

    /// @notice Sets where the agent is paid, once that wallet, a key or a contract (ERC-1271), has signed for it.
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature)
        external
        onlyAuthorized(agentId)
    {
        if (newWallet == address(0)) revert InvalidWallet();
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        if (deadline > block.timestamp + LONGEST_DEADLINE) revert DeadlineTooFar(deadline);
        bytes32 what = keccak256(abi.encode(WALLET_TYPEHASH, agentId, newWallet, ownerOf(agentId), deadline));
        if (!SignatureChecker.isValidSignatureNow(newWallet, _hashTypedDataV4(what), signature)) {
            revert InvalidWalletSignature();
        }
        _setWallet(agentId, newWallet);
    }

    function unsetAgentWallet(uint256 agentId) external onlyAuthorized(agentId) {
        _setWallet(agentId, address(0));
    }

    function getAgentWallet(uint256 agentId) external view returns (address) {
        return _records[agentId].wallet;
    }

    /// @notice Whether `spender` may act for the agent. Fails if there is no such agent.
    function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool) {
        return _isAuthorized(ownerOf(agentId), spender, agentId);
    }

    /// @notice Where the agent is paid: at its wallet, or if it has none, at its owner's. Fails if there is no such agent.
    function payee(uint256 agentId) external view returns (address) {
        address owner = ownerOf(agentId);
        address wallet = _records[agentId].wallet;
        return wallet == address(0) ? owner : wallet;
    }

    // ---------------------------------------------------------------- inside

    /// @dev Not `_safeMint`: nothing is lost if the caller cannot pass the token on, and no stranger's code runs.
    function _register(string memory agentURI) private returns (uint256 agentId) {
        agentId = ++_lastId;
        _mint(msg.sender, agentId);
        if (bytes(agentURI).length != 0) _setTokenURI(agentId, agentURI);
        emit Registered(agentId, agentURI, msg.sender);
        _setWallet(agentId, msg.sender);
    }

    function _bind(uint256 agentId, address owner, bytes32 x, bytes32 y, bytes calldata signature) private {
        uint256 known = _agentOfPeer[x];
        if (known == RETIRED) revert PeerRetired(x);
        if (known != 0) revert PeerTaken(known);
        address peer = address(uint160(uint256(keccak256(abi.encode(x, y)))));
        // slither-disable-next-line unused-return (the third value only says more about an error)
        (address signer, ECDSA.RecoverError wrong,) = ECDSA.tryRecover(peerDigest(owner), signature);
        if (wrong != ECDSA.RecoverError.NoError || signer != peer) revert InvalidPeerSignature();
        bytes1 prefix = bytes1(uint8(2 + (uint256(y) & 1)));
        Record storage record = _records[agentId];
        record.peerPrefix = prefix;
        record.peerX = x;
        _agentOfPeer[x] = agentId;
        emit PeerBound(agentId, x, bytes.concat(prefix, x));
    }

    function _unbind(uint256 agentId, bool retire) private {
        Record storage record = _records[agentId];
        if (record.peerPrefix == 0) return;
        bytes32 x = record.peerX;
        record.peerPrefix = 0;
        record.peerX = 0;
        _agentOfPeer[x] = retire ? RETIRED : 0;
        emit PeerUnbound(agentId, x, retire);
    }

    function _setWallet(uint256 agentId, address wallet) private {
        _records[agentId].wallet = wallet;
        bytes memory value = wallet == address(0) ? bytes("") : abi.encodePacked(wallet);
        emit MetadataSet(agentId, "agentWallet", "agentWallet", value);
    }

    function _setMetadata(uint256 agentId, string calldata key, bytes calldata value) private {
        if (keccak256(bytes(key)) == WALLET_KEY) revert ReservedKey();
        _metadata[agentId][key] = value;
        emit MetadataSet(agentId, key, key, value);
    }

    /// @dev A new owner has shown control of neither the wallet nor the peer key. The key is free, not retired: whoever
    /// holds it may have it speak for another agent.
    function _update(address to, uint256 agentId, address auth) internal override returns (address from) {
        from = super._update(to, agentId, auth);
        if (from != address(0)) {
            _setWallet(agentId, address(0));
            _unbind(agentId, false);
        }
    }
}
