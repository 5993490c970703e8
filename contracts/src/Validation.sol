// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Agents} from "./Agents.sol";

/// @title Checks that agents asked for: the validation registry of ERC-8004.
/// @notice An agent asks a validator of its choice to check a piece of work, known by the hash of the request; the
/// validator answers with 0 to 100, as often as it likes.
/// @dev Invariant: only who acts for an agent asks in its name, only the validator that was asked answers, and the
/// validator of a request never changes. What an answer is worth is what its validator is worth: `Disputes` and staked
/// verifiers answer here as well as anybody else. A request's hash is taken by the first who uses it: let it cover the
/// agent's id, so that a stranger has nothing to gain from being first.
contract Validation {
    struct Status {
        address validatorAddress;
        uint8 response;
        bool hasResponse;
        uint64 lastUpdate;
        uint256 agentId;
        bytes32 responseHash;
        string tag;
    }

    event ValidationRequest(
        address indexed validatorAddress, uint256 indexed agentId, string requestURI, bytes32 indexed requestHash
    );
    event ValidationResponse(
        address indexed validatorAddress,
        uint256 indexed agentId,
        bytes32 indexed requestHash,
        uint8 response,
        string responseURI,
        bytes32 responseHash,
        string tag
    );

    error InvalidValidator();
    error NotAuthorized(uint256 agentId, address caller);
    /// @notice The hash is taken: put something of your own into the request.
    error RequestExists(bytes32 requestHash);
    error UnknownRequest(bytes32 requestHash);
    error NotValidator(address caller);
    /// @notice A response is 0 to 100.
    error ResponseTooLarge(uint8 response);

    Agents private immutable _agents;
    mapping(bytes32 requestHash => Status) private _requests;
    mapping(uint256 agentId => bytes32[]) private _ofAgent;
    mapping(address validator => bytes32[]) private _ofValidator;

    constructor(Agents agents_) {
        _agents = agents_;
    }

    /// @notice Asks a validator to check something, for an agent the caller acts for.
    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external {
        if (validatorAddress == address(0)) revert InvalidValidator();
        if (_requests[requestHash].validatorAddress != address(0)) revert RequestExists(requestHash);
        if (!_agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
        Status storage status = _requests[requestHash];
        status.validatorAddress = validatorAddress;
        status.agentId = agentId;
        status.lastUpdate = uint64(block.timestamp);
        _ofAgent[agentId].push(requestHash);
        _ofValidator[validatorAddress].push(requestHash);
        emit ValidationRequest(validatorAddress, agentId, requestURI, requestHash);
    }

    /// @notice Answers a request; only the validator that was asked may. A later answer takes the place of an earlier.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external {
        Status storage status = _known(requestHash);
        if (msg.sender != status.validatorAddress) revert NotValidator(msg.sender);
        if (response > 100) revert ResponseTooLarge(response);
        status.response = response;
        status.hasResponse = true;
        status.lastUpdate = uint64(block.timestamp);
        status.responseHash = responseHash;
        status.tag = tag;
        emit ValidationResponse(msg.sender, status.agentId, requestHash, response, responseURI, responseHash, tag);
    }

    /// @notice What is known of a request. One without an answer has a response of zero and an empty tag.
    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        )
    {
        Status storage s = _known(requestHash);
        return (s.validatorAddress, s.agentId, s.response, s.responseHash, s.tag, s.lastUpdate);
    }

    /// @notice How many answers an agent has and their average, of given validators and tag, or of all.
    function getSummary(uint256 agentId, address[] calldata validatorAddresses, string calldata tag)
        external
        view
        returns (uint64 count, uint8 averageResponse)
    {
        uint256 sum = 0;
        bytes32[] storage hashes = _ofAgent[agentId];
        for (uint256 i = 0; i < hashes.length; ++i) {
            Status storage s = _requests[hashes[i]];
            if (!s.hasResponse || !_among(s.validatorAddress, validatorAddresses)) continue;
            if (bytes(tag).length != 0 && keccak256(bytes(tag)) != keccak256(bytes(s.tag))) continue;
            sum += s.response;
            ++count;
        }
        if (count != 0) averageResponse = uint8(sum / count);
    }

    function getAgentValidations(uint256 agentId) external view returns (bytes32[] memory) {
        return _ofAgent[agentId];
    }

    function getValidatorRequests(address validatorAddress) external view returns (bytes32[] memory) {
        return _ofValidator[validatorAddress];
    }

    function getIdentityRegistry() external view returns (address) {
        return address(_agents);
    }

    /// @dev No list means everyone.
    function _among(address who, address[] calldata list) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == who) return true;
        }
        return list.length == 0;
    }

    function _known(bytes32 requestHash) private view returns (Status storage status) {
        status = _requests[requestHash];
        if (status.validatorAddress == address(0)) revert UnknownRequest(requestHash);
    }
}
