// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Merkle} from "./Merkle.sol";
import {Packed} from "./Packed.sol";
import {Referee} from "./Referee.sol";

/// @title The game of a dispute: from a run to the one block of arithmetic that the parties differ over, and that block executed.
/// @notice Without clock and money: {Disputes} has those. `crates/proof` has the same machine in Rust, and says in words what each
/// move means; its bytes are read here. Each stage takes the moves of one party only.
/// @dev Invariant: what a move shows has been committed to before, by the defender or by the terms of the work. A proof that does not
/// lead there reverts, so that a wrong move is no move: the clock of who makes it runs on. What later moves need of earlier ones is
/// kept as a hash and shown again.
library Game {
    using Packed for Packed.Reader;

    enum Stage {
        Run,
        Step,
        Side,
        Trace,
        Value,
        After,
        Slot,
        Root,
        Words,
        Leaf,
        Element,
        Chain,
        Blocks,
        Block,
        Last,
        Over
    }

    enum Result {
        Open,
        Right,
        Wrong
    }

    /// @notice What a claim is about, and what it says.
    struct Claimed {
        bytes32 schedule;
        bytes32 start;
        bytes32 run;
        uint64 steps;
    }

    /// @notice How a dispute stands.
    struct State {
        Stage stage;
        /// The challenger has to choose among what has been opened.
        bool choosing;
        /// The descent: at this level, counted from the leaves.
        uint8 level;
        /// The wrong step.
        uint64 step;
        /// The descent: leaves of the tree, and the place in the level.
        uint64 leaves;
        uint64 index;
        /// How many elements the wrong value has; then which of them is wrong, and what it is said to be.
        uint64 element;
        uint32 says;
        /// The node that the descent has come to, and the root it came from.
        bytes32 node;
        bytes32 root;
        /// What later moves have to show again: the step's opening; then the operation with its operands.
        bytes32 context;
    }

    /// @dev What a step was made from, as the defender said.
    struct Opening {
        bytes32 before;
        bytes32 after_;
        uint256 inputs;
        uint256 values;
        uint256 slots;
        bytes32 records;
        bytes32 assigned;
        bytes32 given;
        bytes32 trace;
    }

    /// @dev The operation that is disputed, where it lies in the calldata, and what of it is read.
    struct Case {
        Referee referee;
        uint256 recordAt;
        uint256 recordSize;
        uint256 operandsAt;
        uint64 element;
        uint64 block_;
    }

    /// @notice There is no such move.
    error UnknownMove(uint256 kind);
    /// @notice The dispute is elsewhere.
    error WrongStage(Stage stage);
    /// @notice What is shown does not lead to what was committed to.
    error InvalidProof();

    uint256 private constant LEAF = 64;
    uint256 private constant HEAD = 61;
    uint256 private constant OPERAND = 30;
    uint32 private constant KEPT = type(uint32).max;
    uint256 private constant INPUT = 240;
    uint256 private constant STATE = 241;
    /// @dev The referee says that there is nothing more to read.
    uint8 private constant NOTHING = 255;

    // ------------------------------------------------------------ what others call

    /// @notice Begins at the root of the run.
    function begin(State storage s, Claimed storage c) internal {
        _walk(s, Stage.Run, c.run, c.steps);
    }

    /// @notice Whether it is the defender's turn.
    function isDefenders(State storage s) internal view returns (bool) {
        Stage stage = s.stage;
        if (_isWalk(stage)) return !s.choosing;
        return stage == Stage.Step || stage == Stage.Root || stage == Stage.Leaf || stage == Stage.Chain
            || stage == Stage.Block;
    }

    /// @notice Makes a move.
    function play(State storage s, Claimed storage c, Referee referee, bytes calldata move) internal returns (Result result) {
        Packed.Reader memory r = Packed.reader(move);
        uint256 kind = r.number(1);
        if (kind == 0) _open(s, r);
        else if (kind == 1) _choose(s, r);
        else if (kind == 2) _step(s, c, r);
        else if (kind == 3) _side(s, r);
        else if (kind == 4) result = _given(s, r);
        else if (kind == 5) _made(s, r);
        else if (kind == 6) result = _becomes(s, r);
        else if (kind == 7) result = _root(s, r);
        else if (kind == 8) _words(s, r);
        else if (kind == 9) _element(s, referee, r);
        else if (kind == 10) result = _settle(s, referee, r);
        else if (kind == 11) _chain(s, r);
        else if (kind == 12) _block(s, r);
        else if (kind == 13) result = _misread(s, referee, r);
        else if (kind == 14) result = _miscount(s, referee, r);
        else revert UnknownMove(kind);
        r.done();
        if (result != Result.Open) s.stage = Stage.Over;
    }

    // ------------------------------------------------------------ descents

    function _isWalk(Stage stage) private pure returns (bool) {
        return stage == Stage.Run || stage == Stage.Trace || stage == Stage.After || stage == Stage.Words
            || stage == Stage.Blocks;
    }

    function _walk(State storage s, Stage stage, bytes32 root, uint256 leaves) private {
        s.stage = stage;
        s.level = uint8(Merkle.height(leaves));
        s.leaves = uint64(leaves);
        s.index = 0;
        s.node = root;
        if (stage == Stage.Blocks) s.root = root;
        _arrive(s);
    }

    /// @dev At a leaf, what comes next is the stage after the descent; of a run, the step is remembered.
    function _arrive(State storage s) private {
        if (s.level != 0) return;
        if (s.stage == Stage.Run) s.step = s.index;
        s.stage = Stage(uint8(s.stage) + 1);
    }

    /// @dev Defender: the nodes below the one the descent has come to.
    function _open(State storage s, Packed.Reader memory r) private {
        if (!_isWalk(s.stage) || s.choosing) revert WrongStage(s.stage);
        (bool right, bytes32 top) = Merkle.fold(s.leaves, s.level, s.index, r.hashes());
        if (!right || top != s.node) revert InvalidProof();
        s.choosing = true;
    }

    /// @dev Challenger: one of them, with its way up to the node.
    function _choose(State storage s, Packed.Reader memory r) private {
        if (!_isWalk(s.stage) || !s.choosing) revert WrongStage(s.stage);
        uint256 level = s.level;
        uint256 down = level < Merkle.OPENED ? level : Merkle.OPENED;
        uint256 child = r.number(1);
        bytes32 chosen = r.hash();
        uint256 index = (uint256(s.index) << down) + child;
        if (child >> down != 0) revert InvalidProof();
        (bool right, bytes32 top) = Merkle.climb(chosen, index, Merkle.width(s.leaves, level - down), down, r.hashes());
        if (!right || top != s.node) revert InvalidProof();
        s.choosing = false;
        s.level = uint8(level - down);
        s.index = uint64(index);
        s.node = chosen;
        _arrive(s);
    }

    // ------------------------------------------------------------ the step

    function _require(State storage s, Stage stage) private view {
        if (s.stage != stage) revert WrongStage(s.stage);
    }

    /// @dev Defender: the states before and after, the program and the inputs, and all values of the program.
    function _step(State storage s, Claimed storage c, Packed.Reader memory r) private {
        _require(s, Stage.Step);
        bytes calldata all = r.take(204);
        _bind(s, c, _opening(all), r);
        // The numbers and roots of the program lie together in what was shown.
        bytes32 program = keccak256(abi.encodePacked(uint8(7), all[64:140]));
        bytes32 due = keccak256(abi.encodePacked(uint8(4), s.step, program, all[140:172]));
        if (!_shows(c.schedule, due, s.step, c.steps, r)) revert InvalidProof();
        s.context = keccak256(all);
        s.stage = Stage.Side;
    }

    /// @dev The states after the step are those that the descent has come to; those before it are the step before's.
    function _bind(State storage s, Claimed storage c, Opening memory o, Packed.Reader memory r) private view {
        uint64 t = s.step;
        if (keccak256(abi.encodePacked(uint8(3), t + 1, o.after_)) != s.node) revert InvalidProof();
        bytes32 before = keccak256(abi.encodePacked(uint8(3), t, o.before));
        if (t == 0) {
            if (before != c.start || r.number(1) != 0) revert InvalidProof();
        } else if (!_shows(c.run, before, t - 1, c.steps, r)) {
            revert InvalidProof();
        }
    }

    /// @dev Whether a leaf leads to the root by the hashes that are read next.
    function _shows(bytes32 root, bytes32 leaf, uint256 index, uint256 leaves, Packed.Reader memory r)
        private
        pure
        returns (bool)
    {
        return Merkle.shows(root, leaf, index, leaves, r.hashes());
    }

    function _opening(bytes calldata all) private pure returns (Opening memory o) {
        o.before = bytes32(all[0:32]);
        o.after_ = bytes32(all[32:64]);
        o.inputs = uint32(bytes4(all[64:68]));
        o.values = uint32(bytes4(all[68:72]));
        o.slots = uint32(bytes4(all[72:76]));
        o.records = bytes32(all[76:108]);
        o.assigned = bytes32(all[108:140]);
        o.given = bytes32(all[140:172]);
        o.trace = bytes32(all[172:204]);
    }

    /// @dev The step's opening, shown again.
    function _again(State storage s, Packed.Reader memory r) private view returns (Opening memory) {
        bytes calldata all = r.take(204);
        if (keccak256(all) != s.context) revert InvalidProof();
        return _opening(all);
    }

    /// @dev Challenger: whether it is a value of the program that is wrong, or a state after it.
    function _side(State storage s, Packed.Reader memory r) private {
        _require(s, Stage.Side);
        Opening memory o = _again(s, r);
        if (r.number(1) == 1) _walk(s, Stage.Trace, o.trace, o.values);
        else _walk(s, Stage.After, o.after_, o.slots);
    }

    /// @dev The record of the value that the descent has come to.
    function _record(State storage s, Opening memory o, Packed.Reader memory r) private view returns (bytes calldata record) {
        record = r.blob();
        bytes32 leaf = keccak256(abi.encodePacked(uint8(5), uint32(s.index), record));
        if (record.length < HEAD || !_shows(o.records, leaf, s.index, o.values, r)) revert InvalidProof();
    }

    /// @dev Challenger: the value is an input or a state, and what it should be.
    function _given(State storage s, Packed.Reader memory r) private view returns (Result) {
        _require(s, Stage.Value);
        Opening memory o = _again(s, r);
        bytes calldata record = _record(s, o, r);
        uint256 slot = uint32(bytes4(record[3:7]));
        bytes32 should = r.hash();
        bool right = false;
        if (uint8(record[0]) == INPUT) right = _shows(o.given, should, slot, o.inputs, r);
        else if (uint8(record[0]) == STATE) right = _shows(o.before, should, slot, o.slots, r);
        if (!right) revert InvalidProof();
        return should == s.node ? Result.Right : Result.Wrong;
    }

    /// @dev Challenger: what the value is made from.
    function _made(State storage s, Packed.Reader memory r) private {
        _require(s, Stage.Value);
        Opening memory o = _again(s, r);
        bytes calldata record = _record(s, o, r);
        uint256 n = uint8(record[2]);
        if (uint8(record[0]) >= INPUT || record.length != HEAD + OPERAND * n) revert InvalidProof();
        bytes32[] memory operands = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 from = HEAD + OPERAND * i;
            operands[i] = r.hash();
            if (!_shows(o.trace, operands[i], uint32(bytes4(record[from:from + 4])), o.values, r)) {
                revert InvalidProof();
            }
        }
        s.context = keccak256(abi.encodePacked(record, operands));
        s.stage = Stage.Root;
    }

    /// @dev Challenger: what a state becomes, and what that is.
    function _becomes(State storage s, Packed.Reader memory r) private view returns (Result) {
        _require(s, Stage.Slot);
        Opening memory o = _again(s, r);
        uint32 value = uint32(r.number(4));
        bytes32 leaf = keccak256(abi.encodePacked(uint8(6), uint32(s.index), value));
        if (!_shows(o.assigned, leaf, s.index, o.slots, r)) revert InvalidProof();
        bytes32 should = r.hash();
        bool right = value == KEPT
            ? _shows(o.before, should, s.index, o.slots, r)
            : _shows(o.trace, should, value, o.values, r);
        if (!right) revert InvalidProof();
        return should == s.node ? Result.Right : Result.Wrong;
    }

    // ------------------------------------------------------------ the value

    /// @dev The operation with its operands, shown again.
    function _operation(State storage s, Packed.Reader memory r)
        private
        view
        returns (bytes calldata record, bytes calldata operands)
    {
        record = r.blob();
        operands = r.hashes();
        if (keccak256(abi.encodePacked(record, operands)) != s.context) revert InvalidProof();
        // What both hold together was made by {_made}: so many hashes as the record has operands.
        if (operands.length != 32 * uint256(uint8(record[2]))) revert InvalidProof();
    }

    function _elements(bytes calldata ty) private pure returns (uint256 n) {
        n = 1;
        for (uint256 axis = 0; axis < uint8(ty[1]); ++axis) {
            n *= uint32(bytes4(ty[2 + 4 * axis:6 + 4 * axis]));
        }
    }

    /// @dev Defender: the root of the value's words.
    function _root(State storage s, Packed.Reader memory r) private returns (Result) {
        _require(s, Stage.Root);
        (bytes calldata record,) = _operation(s, r);
        bytes32 root = r.hash();
        bytes calldata ty = record[35:61];
        if (keccak256(abi.encodePacked(uint8(2), ty, root)) != s.node) revert InvalidProof();
        uint256 n = _elements(ty);
        // Without elements there is nothing that could be wrong but the root, which is zeros then.
        if (n == 0) return root == 0 ? Result.Right : Result.Wrong;
        s.element = uint64(n);
        _walk(s, Stage.Words, root, (n + LEAF - 1) / LEAF);
        return Result.Open;
    }

    /// @dev How many words the leaf that the descent has come to has.
    function _length(uint256 elements, uint256 leaf) private pure returns (uint256) {
        uint256 left = elements - leaf * LEAF;
        return left < LEAF ? left : LEAF;
    }

    /// @dev Defender: the words of the leaf.
    function _words(State storage s, Packed.Reader memory r) private {
        _require(s, Stage.Leaf);
        bytes calldata words = r.blob();
        if (words.length != 4 * _length(s.element, s.index) || keccak256(abi.encodePacked(uint8(0), words)) != s.node) {
            revert InvalidProof();
        }
        s.stage = Stage.Element;
    }

    function _word(bytes calldata words, uint256 i) private pure returns (uint32 w) {
        w = uint32(bytes4(words[4 * i:4 * i + 4]));
        // They lie as memory has them: the lowest byte first.
        w = ((w & 0xff00ff00) >> 8) | ((w & 0x00ff00ff) << 8);
        w = (w >> 16) | (w << 16);
    }

    /// @dev The words of the leaf, shown again, and which of them is meant: the element and what it is said to be.
    function _pointed(State storage s, Packed.Reader memory r) private view returns (uint64 element, uint32 says) {
        bytes calldata words = r.blob();
        if (keccak256(abi.encodePacked(uint8(0), words)) != s.node) revert InvalidProof();
        uint256 word = r.number(1);
        if (4 * word >= words.length) revert InvalidProof();
        return (uint64(s.index * LEAF + word), _word(words, word));
    }

    /// @dev Challenger: the wrong element, if it has a chain.
    function _element(State storage s, Referee referee, Packed.Reader memory r) private {
        _require(s, Stage.Element);
        (bytes calldata record,) = _operation(s, r);
        (s.element, s.says) = _pointed(s, r);
        uint64 blocks = referee.blocks(record);
        if (blocks == 0) revert WrongStage(Stage.Element);
        s.leaves = blocks;
        s.stage = Stage.Chain;
    }

    /// @dev Challenger: the wrong element and all that it follows from, if it has no chain.
    function _settle(State storage s, Referee referee, Packed.Reader memory r) private view returns (Result) {
        _require(s, Stage.Element);
        Case memory q = _case(s, referee, r);
        uint32 says = 0;
        (q.element, says) = _pointed(s, r);
        q.block_ = 0;
        if (referee.blocks(_recordOf(q)) != 0) revert WrongStage(Stage.Element);
        bytes memory reads = _reads(q, r);
        (bool valid, bytes memory next) = referee.run(_recordOf(q), q.element, 0, "", reads);
        return valid && _same(next, says) ? Result.Right : Result.Wrong;
    }

    /// @dev All words that a rule reads, each as it is shown to lie in an operand.
    function _reads(Case memory q, Packed.Reader memory r) private pure returns (bytes memory reads) {
        uint256 n = r.number(1);
        for (uint256 j = 0; j < n; ++j) {
            reads = bytes.concat(reads, _read(q, j, reads, r));
        }
        (uint8 more,) = q.referee.read(_recordOf(q), q.element, 0, n, reads);
        if (more != NOTHING) revert InvalidProof();
    }

    function _case(State storage s, Referee referee, Packed.Reader memory r) private view returns (Case memory q) {
        (bytes calldata record, bytes calldata operands) = _operation(s, r);
        q.referee = referee;
        q.element = s.element;
        q.block_ = s.index;
        assembly ("memory-safe") {
            mstore(add(q, 32), record.offset)
            mstore(add(q, 64), record.length)
            mstore(add(q, 96), operands.offset)
        }
    }

    function _recordOf(Case memory q) private pure returns (bytes calldata record) {
        assembly ("memory-safe") {
            record.offset := mload(add(q, 32))
            record.length := mload(add(q, 64))
        }
    }

    /// @dev The type of an operand and what it is committed to as. The record has that operand: the referee chose it.
    function _operand(Case memory q, uint256 i) private pure returns (bytes calldata ty, bytes32 tensor) {
        ty = _recordOf(q)[HEAD + OPERAND * i + 4:HEAD + OPERAND * i + 30];
        uint256 from = q.operandsAt + 32 * i;
        assembly ("memory-safe") {
            tensor := calldataload(from)
        }
    }

    /// @dev The word that a rule reads, as it is shown to lie in the operand.
    function _read(Case memory q, uint256 j, bytes memory before, Packed.Reader memory r) private pure returns (bytes4) {
        (uint8 operand, uint64 index) = q.referee.read(_recordOf(q), q.element, q.block_, j, before);
        if (operand == NOTHING) revert InvalidProof();
        (bytes calldata ty, bytes32 tensor) = _operand(q, operand);
        return _show(ty, tensor, index, r);
    }

    /// @dev A word of a tensor of this type that is committed to as `tensor`.
    function _show(bytes calldata ty, bytes32 tensor, uint256 index, Packed.Reader memory r) private pure returns (bytes4) {
        bytes32 root = r.hash();
        bytes calldata words = r.blob();
        uint256 n = _elements(ty);
        uint256 leaf = index / LEAF;
        if (index >= n || words.length != 4 * _length(n, leaf)) revert InvalidProof();
        if (keccak256(abi.encodePacked(uint8(2), ty, root)) != tensor) revert InvalidProof();
        bytes32 hash = keccak256(abi.encodePacked(uint8(0), words));
        if (!_shows(root, hash, leaf, (n + LEAF - 1) / LEAF, r)) revert InvalidProof();
        uint256 from = 4 * (index % LEAF);
        return bytes4(words[from:from + 4]);
    }

    function _same(bytes memory word, uint32 says) private pure returns (bool) {
        if (word.length != 4) return false;
        uint32 w = uint32(bytes4(word));
        w = ((w & 0xff00ff00) >> 8) | ((w & 0x00ff00ff) << 8);
        return ((w >> 16) | (w << 16)) == says;
    }

    // ------------------------------------------------------------ the chain

    /// @dev A block: the state after it and what it reads, with the hash it is committed to as.
    function _blockOf(Packed.Reader memory r)
        private
        pure
        returns (bytes calldata state, bytes calldata reads, bytes32 hash)
    {
        state = r.blob();
        reads = r.blob();
        if (state.length % 4 != 0) revert InvalidProof();
        hash = keccak256(abi.encodePacked(uint8(9), uint16(state.length / 4), state, reads));
    }

    /// @dev Defender: the chain of the element; its last block ends in what the element is said to be.
    function _chain(State storage s, Packed.Reader memory r) private {
        _require(s, Stage.Chain);
        bytes32 root = r.hash();
        (bytes calldata state,, bytes32 hash) = _blockOf(r);
        uint256 blocks = s.leaves;
        if (!_same(state, s.says) || !_shows(root, hash, blocks - 1, blocks, r)) revert InvalidProof();
        _walk(s, Stage.Blocks, root, blocks);
    }

    /// @dev Defender: the block.
    function _block(State storage s, Packed.Reader memory r) private {
        _require(s, Stage.Block);
        (,, bytes32 hash) = _blockOf(r);
        if (hash != s.node) revert InvalidProof();
        s.stage = Stage.Last;
    }

    /// @dev Challenger: the block reads a word that is another one.
    function _misread(State storage s, Referee referee, Packed.Reader memory r) private view returns (Result) {
        _require(s, Stage.Last);
        Case memory q = _case(s, referee, r);
        (, bytes calldata reads, bytes32 hash) = _blockOf(r);
        if (hash != s.node) revert InvalidProof();
        uint256 j = r.number(1);
        if (4 * j + 4 > reads.length) revert InvalidProof();
        bytes4 should = _read(q, j, reads, r);
        return should == bytes4(reads[4 * j:4 * j + 4]) ? Result.Right : Result.Wrong;
    }

    /// @dev Challenger: the block does not follow from the one before.
    function _miscount(State storage s, Referee referee, Packed.Reader memory r) private view returns (Result) {
        _require(s, Stage.Last);
        Case memory q = _case(s, referee, r);
        (bytes calldata state, bytes calldata reads, bytes32 hash) = _blockOf(r);
        if (hash != s.node) revert InvalidProof();
        return _follows(q, _before(s, r), reads, keccak256(state)) ? Result.Right : Result.Wrong;
    }

    function _follows(Case memory q, bytes calldata before, bytes calldata reads, bytes32 after_)
        private
        pure
        returns (bool)
    {
        (bool valid, bytes memory next) = q.referee.run(_recordOf(q), q.element, q.block_, before, reads);
        return valid && keccak256(next) == after_;
    }

    /// @dev The state after the block before: none before the first.
    function _before(State storage s, Packed.Reader memory r) private view returns (bytes calldata state) {
        if (s.index == 0) return r.take(0);
        bytes32 hash;
        (state,, hash) = _blockOf(r);
        if (!_shows(s.root, hash, s.index - 1, s.leaves, r)) revert InvalidProof();
    }
}
