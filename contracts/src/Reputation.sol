// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Agents} from "./Agents.sol";
import {Jobs} from "./Jobs.sol";

/// @title What others say of an agent: the reputation registry of ERC-8004, and a view that hears only those who paid.
/// @notice Anyone but the agent's own side may say something of an agent, take it back, and answer what others said.
/// @dev Invariant: feedback stays as it was given but for one mark, that its giver revoked it. Feedback is cheap, so an
/// average over everyone means little; `getPaidSummary` counts a reviewer only if it paid the agent for a completed job
/// in credits (`Jobs.paid`). That raises the price of a false voice from nothing to a job's price for as long as the job
/// takes: an agent may still pay itself through a friend. The volume is given along, to judge how much was turned over.
contract Reputation {
    struct Feedback {
        int128 value;
        uint8 valueDecimals;
        bool isRevoked;
        string tag1;
        string tag2;
    }

    /// @dev What a summary adds up, in 18 decimals, and how often each number of decimals occurs.
    struct Sum {
        int256 total;
        uint64 count;
        uint64[19] decimals;
        uint256 volume;
    }

    /// @dev A list of feedback, as `readAllFeedback` gives it.
    struct List {
        address[] clients;
        uint64[] indexes;
        int128[] values;
        uint8[] decimals;
        string[] tag1s;
        string[] tag2s;
        bool[] revoked;
    }

    /// @dev Which feedback is wanted: an empty tag stands for any.
    struct Filter {
        string tag1;
        string tag2;
        bool revokedToo;
    }

    event NewFeedback(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        int128 value,
        uint8 valueDecimals,
        string indexed indexedTag1,
        string tag1,
        string tag2,
        string endpoint,
        string feedbackURI,
        bytes32 feedbackHash
    );
    event FeedbackRevoked(uint256 indexed agentId, address indexed clientAddress, uint64 indexed feedbackIndex);
    event ResponseAppended(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        address indexed responder,
        string responseURI,
        bytes32 responseHash
    );

    /// @notice 18 at most.
    error TooManyDecimals(uint8 decimals);
    /// @notice From -1e38 to 1e38.
    error ValueTooLarge(int128 value);
    /// @notice Who acts for an agent does not review it.
    error SelfFeedback();
    error NoSuchFeedback(uint64 feedbackIndex);
    error AlreadyRevoked();
    error EmptyURI();
    /// @notice A summary over everyone is open to false voices: name the clients to hear, or use `getPaidSummary`.
    error ClientsRequired();

    int128 private constant LARGEST = 1e38;

    Agents private immutable _agents;
    Jobs public immutable jobs;

    // slither-disable-next-line uninitialized-state (`_keep` writes to it, through a reference)
    mapping(uint256 agentId => mapping(address client => Feedback[])) private _feedback;
    mapping(uint256 agentId => address[]) private _clients;
    mapping(uint256 agentId => mapping(address client => mapping(uint64 index => address[]))) private _responders;
    mapping(
        uint256 agentId
            => mapping(address client => mapping(uint64 index => mapping(address responder => uint64)))
    ) private _responses;

    constructor(Agents agents_, Jobs jobs_) {
        _agents = agents_;
        jobs = jobs_;
    }

    // ---------------------------------------------------------------- saying

    /// @notice Says something of an agent: `value / 10 ** valueDecimals`, with tags to tell what of.
    function giveFeedback(
        uint256 agentId,
        int128 value,
        uint8 valueDecimals,
        string memory tag1,
        string memory tag2,
        string memory endpoint,
        string memory feedbackURI,
        bytes32 feedbackHash
    ) external {
        uint64 index = _keep(agentId, Feedback(value, valueDecimals, false, tag1, tag2));
        emit NewFeedback(
            agentId,
            msg.sender,
            index,
            value,
            valueDecimals,
            tag1,
            tag1,
            tag2,
            endpoint,
            feedbackURI,
            feedbackHash
        );
    }

    /// @notice Takes back what the caller said. Indices count from 1.
    function revokeFeedback(uint256 agentId, uint64 feedbackIndex) external {
        Feedback storage feedback = _get(agentId, msg.sender, feedbackIndex);
        if (feedback.isRevoked) revert AlreadyRevoked();
        feedback.isRevoked = true;
        emit FeedbackRevoked(agentId, msg.sender, feedbackIndex);
    }

    /// @notice Answers what somebody said of an agent; anyone may.
    function appendResponse(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        string calldata responseURI,
        bytes32 responseHash
    ) external {
        if (bytes(responseURI).length == 0) revert EmptyURI();
        _get(agentId, clientAddress, feedbackIndex);
        if (_responses[agentId][clientAddress][feedbackIndex][msg.sender]++ == 0) {
            _responders[agentId][clientAddress][feedbackIndex].push(msg.sender);
        }
        emit ResponseAppended(agentId, clientAddress, feedbackIndex, msg.sender, responseURI, responseHash);
    }

    // ---------------------------------------------------------------- hearing

    /// @notice What paying clients say of an agent, on average.
    /// @param from the first client to look at, in the order of `getClients`, and `limit` how many.
    /// @return count how many statements were counted.
    /// @return summaryValue their average.
    /// @return summaryValueDecimals its decimals, those that occur most often.
    /// @return volume how many credits those clients have paid the agent.
    function getPaidSummary(
        uint256 agentId,
        string calldata tag1,
        string calldata tag2,
        uint256 from,
        uint256 limit
    ) external view returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals, uint256 volume) {
        Sum memory sum = _paidSum(agentId, Filter(tag1, tag2, false), from, limit);
        (count, summaryValue, summaryValueDecimals) = _average(sum);
        volume = sum.volume;
    }

    /// @notice What the given clients say of an agent, on average.
    function getSummary(
        uint256 agentId,
        address[] calldata clientAddresses,
        string calldata tag1,
        string calldata tag2
    ) external view returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals) {
        if (clientAddresses.length == 0) revert ClientsRequired();
        // slither-disable-next-line uninitialized-local (memory starts as zeros, and sums start at zero)
        Sum memory sum;
        Filter memory filter = Filter(tag1, tag2, false);
        for (uint256 i = 0; i < clientAddresses.length; ++i) {
            _add(sum, agentId, clientAddresses[i], filter);
        }
        return _average(sum);
    }

    function readFeedback(uint256 agentId, address clientAddress, uint64 feedbackIndex)
        external
        view
        returns (int128 value, uint8 valueDecimals, string memory tag1, string memory tag2, bool isRevoked)
    {
        Feedback storage f = _get(agentId, clientAddress, feedbackIndex);
        return (f.value, f.valueDecimals, f.tag1, f.tag2, f.isRevoked);
    }

    /// @notice Everything said of an agent by the given clients, or by all, of the given tags, or of any.
    function readAllFeedback(
        uint256 agentId,
        address[] memory clientAddresses,
        string memory tag1,
        string memory tag2,
        bool includeRevoked
    )
        external
        view
        returns (
            address[] memory clients,
            uint64[] memory feedbackIndexes,
            int128[] memory values,
            uint8[] memory valueDecimals,
            string[] memory tag1s,
            string[] memory tag2s,
            bool[] memory revokedStatuses
        )
    {
        List memory list = _list(agentId, clientAddresses, Filter(tag1, tag2, includeRevoked));
        clients = list.clients;
        feedbackIndexes = list.indexes;
        values = list.values;
        valueDecimals = list.decimals;
        tag1s = list.tag1s;
        tag2s = list.tag2s;
        revokedStatuses = list.revoked;
    }

    /// @notice How often feedback was answered: of one client or (zero) all, one index or (zero) all, by given
    /// responders or all.
    function getResponseCount(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        address[] calldata responders
    ) external view returns (uint64 count) {
        if (clientAddress != address(0)) return _responsesTo(agentId, clientAddress, feedbackIndex, responders);
        address[] storage clients = _clients[agentId];
        for (uint256 i = 0; i < clients.length; ++i) {
            count += _responsesTo(agentId, clients[i], 0, responders);
        }
    }

    function getClients(uint256 agentId) external view returns (address[] memory) {
        return _clients[agentId];
    }

    function getLastIndex(uint256 agentId, address clientAddress) external view returns (uint64) {
        return uint64(_feedback[agentId][clientAddress].length);
    }

    function getIdentityRegistry() external view returns (address) {
        return address(_agents);
    }

    // ---------------------------------------------------------------- inside

    function _keep(uint256 agentId, Feedback memory feedback) private returns (uint64 index) {
        if (feedback.valueDecimals > 18) revert TooManyDecimals(feedback.valueDecimals);
        if (feedback.value < -LARGEST || feedback.value > LARGEST) revert ValueTooLarge(feedback.value);
        if (_agents.isAuthorizedOrOwner(msg.sender, agentId)) revert SelfFeedback();
        Feedback[] storage given = _feedback[agentId][msg.sender];
        if (given.length == 0) _clients[agentId].push(msg.sender);
        given.push(feedback);
        return uint64(given.length);
    }

    function _paidSum(uint256 agentId, Filter memory filter, uint256 from, uint256 limit)
        private
        view
        returns (Sum memory sum)
    {
        address[] storage clients = _clients[agentId];
        for (uint256 i = from; i < clients.length && i - from < limit; ++i) {
            uint256 paid = jobs.paid(clients[i], agentId);
            if (paid != 0 && _add(sum, agentId, clients[i], filter)) sum.volume += paid;
        }
    }

    /// @dev Whether there was anything to add.
    function _add(Sum memory sum, uint256 agentId, address client, Filter memory filter)
        private
        view
        returns (bool some)
    {
        Feedback[] storage given = _feedback[agentId][client];
        for (uint256 j = 0; j < given.length; ++j) {
            Feedback storage f = given[j];
            if (!_matches(f, filter)) continue;
            sum.total += f.value * int256(10 ** uint256(18 - f.valueDecimals));
            ++sum.decimals[f.valueDecimals];
            ++sum.count;
            some = true;
        }
    }

    /// @dev Counts first, since arrays in memory do not grow.
    function _list(uint256 agentId, address[] memory clients, Filter memory filter)
        private
        view
        returns (List memory list)
    {
        if (clients.length == 0) clients = _clients[agentId];
        uint256 total = 0;
        for (uint256 i = 0; i < clients.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clients[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (_matches(given[j], filter)) ++total;
            }
        }
        list.clients = new address[](total);
        list.indexes = new uint64[](total);
        list.values = new int128[](total);
        list.decimals = new uint8[](total);
        list.tag1s = new string[](total);
        list.tag2s = new string[](total);
        list.revoked = new bool[](total);
        uint256 n = 0;
        for (uint256 i = 0; i < clients.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clients[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (!_matches(given[j], filter)) continue;
                list.clients[n] = clients[i];
                list.indexes[n] = uint64(j + 1);
                list.values[n] = given[j].value;
                list.decimals[n] = given[j].valueDecimals;
                list.tag1s[n] = given[j].tag1;
                list.tag2s[n] = given[j].tag2;
                list.revoked[n] = given[j].isRevoked;
                ++n;
            }
        }
    }

    function _responsesTo(uint256 agentId, address client, uint64 index, address[] calldata responders)
        private
        view
        returns (uint64 count)
    {
        uint64 first = index == 0 ? 1 : index;
        uint64 last = index == 0 ? uint64(_feedback[agentId][client].length) : index;
        for (uint64 j = first; j <= last; ++j) {
            address[] memory who = responders;
            if (who.length == 0) who = _responders[agentId][client][j];
            for (uint256 k = 0; k < who.length; ++k) {
                count += _responses[agentId][client][j][who[k]];
            }
        }
    }

    function _average(Sum memory sum) private pure returns (uint64 count, int128 value, uint8 decimals) {
        count = sum.count;
        if (count == 0) return (0, 0, 0);
        for (uint8 d = 1; d < 19; ++d) {
            if (sum.decimals[d] > sum.decimals[decimals]) decimals = d;
        }
        int256 average = sum.total / int256(uint256(count));
        // Between the least and the greatest value given, so that it fits unless decimals differ wildly.
        int256 scaled = average / int256(10 ** uint256(18 - decimals));
        value = scaled > LARGEST ? LARGEST : scaled < -LARGEST ? -LARGEST : int128(scaled);
    }

    function _matches(Feedback storage f, Filter memory filter) private view returns (bool) {
        if (f.isRevoked && !filter.revokedToo) return false;
        return _same(filter.tag1, f.tag1) && _same(filter.tag2, f.tag2);
    }

    function _same(string memory wanted, string memory had) private pure returns (bool) {
        return bytes(wanted).length == 0 || keccak256(bytes(wanted)) == keccak256(bytes(had));
    }

    function _get(uint256 agentId, address client, uint64 index) private view returns (Feedback storage) {
        Feedback[] storage given = _feedback[agentId][client];
        if (index == 0 || index > given.length) revert NoSuchFeedback(index);
        return given[index - 1];
    }
}
