// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, ONE, ZERO, fma, fromUint, isNaN, max} from "./Float32.sol";
import {Functions} from "./Functions.sol";
import {Operation, Shape, attribute, decode} from "./Operation.sol";
import {Philox} from "./Philox.sol";
import {Words} from "./Words.sol";

/// @title The referee: one element of one operation, or one block of at most 64 steps of its chain, executed.
/// @notice The end of every dispute. The referee knows no money, no clock and no commitment: it is told an operation by its
/// record, the number of an element of its result, and the words that were read, and says what comes out. Who calls it has
/// proved that the words are those that {read} asks for.
///
/// An element that takes many steps has a chain: its steps are cut into blocks of 64, and what is carried from one block
/// to the next is its state. Every other element is settled at once, as block 0 with no state.
/// @dev Words are those of {Words}. Reverts only if the record is no operation's, or there is no such element.
contract Referee {
    using Words for bytes;

    /// @dev There is no such operation.
    error UnknownOperation(uint256 code);

    /// @notice {read} says that there is nothing more to read.
    uint8 public constant NOTHING = 255;
    /// @notice The most steps of a block.
    uint256 public constant STEPS = 64;

    // The operations, as `crates/proof` numbers them.
    uint256 private constant FULL = 1;
    uint256 private constant IOTA = 2;
    uint256 private constant PHILOX = 3;
    uint256 private constant UNIT = 4;
    uint256 private constant COPY = 5;
    uint256 private constant UNARY = 6;
    uint256 private constant BINARY = 7;
    uint256 private constant COMPARE = 8;
    uint256 private constant INTEGER = 9;
    uint256 private constant FMA = 10;
    uint256 private constant SELECT = 11;
    uint256 private constant TO_FLOAT = 12;
    uint256 private constant PERMUTE = 13;
    uint256 private constant BROADCAST = 14;
    uint256 private constant SLICE = 15;
    uint256 private constant PAD = 16;
    uint256 private constant CONCAT = 17;
    uint256 private constant FLIP = 18;
    uint256 private constant GATHER = 19;
    uint256 private constant SCATTER_ADD = 20;
    uint256 private constant PICK = 21;
    uint256 private constant PLACE = 22;
    uint256 private constant WRITE_ROWS = 23;
    uint256 private constant IM2COL = 24;
    uint256 private constant MATMUL = 25;
    uint256 private constant RAGGED_MATMUL = 26;
    uint256 private constant SUM = 27;
    uint256 private constant MAX = 28;
    uint256 private constant DOT = 29;
    uint256 private constant ARGMAX = 30;
    uint256 private constant UNPACK = 31;
    uint256 private constant RANK = 32;
    uint256 private constant RUNNING = 33;

    /// @dev K of a matrix product is cut at multiples of this.
    uint256 private constant CUT = 512;
    F32 private constant MINUS_INFINITY = F32.wrap(0xff800000);

    // ------------------------------------------------------------ what others call

    /// @notice How many blocks the chain of one element has; 0 if there is none.
    function blocks(bytes calldata operation) external pure returns (uint64) {
        return uint64(_blocks(decode(operation)));
    }

    /// @notice Where the word number `j` that a block reads comes from: an operand and an element of it; {NOTHING} if the
    /// block reads no such word. `before` are the words before it.
    function read(bytes calldata operation, uint64 element, uint64 block_, uint256 j, bytes calldata before)
        external
        pure
        returns (uint8 operand, uint64 index)
    {
        (uint256 o, uint256 i) = _read(decode(operation), element, block_, j, before);
        return (uint8(o), uint64(i));
    }

    /// @notice Executes a block: from the state after the one before it and the words that it reads to the state after it; the
    /// last block's is the element's value, one word.
    /// @return valid Whether the state and the words are as many as they must be, and the element has a value: none has an
    /// integer that does not fit, nor what an id out of range chooses.
    function run(bytes calldata operation, uint64 element, uint64 block_, bytes calldata state, bytes calldata reads)
        external
        pure
        returns (bool valid, bytes memory next)
    {
        Operation memory op = decode(operation);
        if (!_complete(op, element, block_, state, reads)) return (false, "");
        if (_isChain(op.code)) return _runChain(op, element, block_, state, reads);
        uint256 value = 0;
        (valid, value) = _value(op, element, reads);
        if (valid) next = Words.pack(value);
    }

    // ------------------------------------------------------------ how much there is

    function _isChain(uint256 code) private pure returns (bool) {
        return code >= MATMUL && code <= RUNNING && code != UNPACK || code == SCATTER_ADD;
    }

    /// @dev How many steps a chain has.
    function _steps(Operation memory op) private pure returns (uint256) {
        Shape x = op.operands[0];
        if (op.code == MATMUL || op.code == RAGGED_MATMUL) {
            return attribute(op, 0) != 0 ? x.dim(x.rank() - 2) : x.last();
        }
        if (op.code == SUM || op.code == MAX || op.code == DOT) return x.dim(attribute(op, 0));
        if (op.code == SCATTER_ADD) return x.elements();
        return x.last();
    }

    function _blocks(Operation memory op) private pure returns (uint256 n) {
        if (!_isChain(op.code)) return 0;
        n = (_steps(op) + STEPS - 1) / STEPS;
        if (n == 0) n = 1;
        // Lanes are added up in a block of their own.
        if (op.code == SUM || op.code == DOT) ++n;
    }

    /// @dev The first step of a block and how many it has.
    function _span(Operation memory op, uint256 block_) private pure returns (uint256 first, uint256 n) {
        first = STEPS * block_;
        uint256 all = _steps(op);
        if (first < all) n = all - first < STEPS ? all - first : STEPS;
    }

    /// @dev Whether state and reads are as long as they must be.
    function _complete(
        Operation memory op,
        uint256 e,
        uint256 block_,
        bytes calldata state,
        bytes calldata reads
    ) private pure returns (bool) {
        uint256 words = 0;
        if (block_ != 0) {
            if (block_ >= _blocks(op)) return false;
            if (op.code == SUM || op.code == DOT) words = 64;
            else if (op.code == MATMUL || op.code == RAGGED_MATMUL || op.code == ARGMAX) words = 2;
            else words = 1;
        }
        if (state.length != 4 * words || reads.length % 4 != 0) return false;
        uint256 n = reads.count();
        (uint256 operand,) = _read(op, e, block_, n, reads);
        if (operand != NOTHING) return false;
        if (n == 0) return true;
        (operand,) = _read(op, e, block_, n - 1, reads);
        return operand != NOTHING;
    }

    // ------------------------------------------------------------ what is read

    // slither-disable-start divide-before-multiply (the number of a row times its length: what is divided off is meant to go)

    function _read(Operation memory op, uint256 e, uint256 block_, uint256 j, bytes calldata before)
        private
        pure
        returns (uint256 operand, uint256 index)
    {
        uint256 code = op.code;
        if (_isChain(code)) return _readOfChain(op, e, block_, j);
        Shape x = op.operands[0];
        if (code >= GATHER && code <= WRITE_ROWS) return _readById(op, e, j, before);
        if (code == PHILOX) return j < 4 ? (0, e / op.result.last() * 4 + j) : (NOTHING, 0);
        if (code == UNPACK) return _readPacked(op, e, j);
        if (code == SELECT) {
            if (j == 1 && before.word(0) == 0) j = 2;
            else if (j > 1) return (NOTHING, 0);
            return (j, op.operands[j].stretched(op.result, e));
        }
        if (code == BINARY || code == COMPARE || code == INTEGER) {
            return j < 2 ? (j, op.operands[j].stretched(op.result, e)) : (NOTHING, 0);
        }
        if (code == FMA) return j < 3 ? (j, op.operands[j].stretched(op.result, e)) : (NOTHING, 0);
        // All others read one word at most.
        if (j != 0 || code == FULL || code == IOTA) return (NOTHING, 0);
        if (code == UNIT || code == COPY || code == UNARY || code == TO_FLOAT) return (0, e);
        if (code == BROADCAST) return (0, x.stretched(op.result, e));
        if (code == PERMUTE) return (0, _permuted(op, e));
        if (code == IM2COL) return _patch(op, e);
        if (code >= SLICE && code <= FLIP) return _alongAxis(op, e);
        revert UnknownOperation(code);
    }

    /// @dev Slice, pad, concat, flip: the same elements at other indices of one axis.
    function _alongAxis(Operation memory op, uint256 e) private pure returns (uint256 operand, uint256 index) {
        uint256 axis = attribute(op, 0);
        uint256 inner = op.result.within(axis + 1);
        uint256 n = op.result.dim(axis);
        uint256 place = e / inner % n;
        if (op.code == FLIP) {
            place = n - 1 - place;
        } else if (op.code == SLICE) {
            place += attribute(op, 1);
        } else if (op.code == PAD) {
            uint256 ahead = attribute(op, 1);
            if (place < ahead || place - ahead >= op.operands[0].dim(axis)) return (NOTHING, 0);
            place -= ahead;
        } else if (place >= op.operands[0].dim(axis)) {
            place -= op.operands[0].dim(axis);
            operand = 1;
        }
        index = (e / inner / n * op.operands[operand].dim(axis) + place) * inner + e % inner;
    }

    /// @dev Axis i of the result is axis `order[i]` of the operand.
    function _permuted(Operation memory op, uint256 e) private pure returns (uint256 index) {
        for (uint256 axis = op.result.rank(); axis != 0;) {
            --axis;
            uint256 length = op.result.dim(axis);
            index += (e % length) * op.operands[0].within(attribute(op, axis) + 1);
            e /= length;
        }
    }

    /// @dev Row `e / columns` is a position, row-major; a column is a tap (z, y, x) and a channel. Zeros surround the operand.
    function _patch(Operation memory op, uint256 e) private pure returns (uint256 operand, uint256 index) {
        Shape x = op.operands[0];
        uint256 tap = e % op.result.dim(1);
        uint256 place = e / op.result.dim(1);
        uint256 channel = tap % x.dim(4);
        tap /= x.dim(4);
        uint256 step = x.dim(4);
        for (uint256 axis = 3; axis > 0; --axis) {
            uint256 kernel = attribute(op, axis - 1);
            uint256 pad = attribute(op, axis + 2);
            uint256 positions = x.dim(axis) + 2 * pad - kernel + 1;
            uint256 along = place % positions + tap % kernel;
            if (along < pad || along - pad >= x.dim(axis)) return (NOTHING, 0);
            index += (along - pad) * step;
            step *= x.dim(axis);
            place /= positions;
            tap /= kernel;
        }
        return (0, place * step + index + channel);
    }

    /// @dev Gather, pick, place, write_rows: first an id, then what it chooses.
    function _readById(Operation memory op, uint256 e, uint256 j, bytes calldata before)
        private
        pure
        returns (uint256, uint256)
    {
        if (j > 1) return (NOTHING, 0);
        uint256 id = j == 1 ? before.word(0) : 0;
        Shape x = op.operands[0];
        if (op.code == GATHER) {
            uint256 row = x.within(1);
            if (j == 0) return (1, e / row);
            return id < x.dim(0) ? (0, id * row + e % row) : (NOTHING, 0);
        }
        if (op.code == PICK) {
            if (j == 0) return (1, e);
            return id < x.last() ? (0, e * x.last() + id) : (NOTHING, 0);
        }
        if (op.code == PLACE) {
            uint256 n = op.result.last();
            if (j == 0) return (0, e / n);
            return id == e % n ? (1, e / n) : (NOTHING, 0);
        }
        // Of write_rows' cache [B, T, ..] and new [B, t, ..].
        uint256 inner = x.within(2);
        uint256 batch = e / inner / x.dim(1);
        if (j == 0) return (2, batch);
        uint256 place = e / inner % x.dim(1);
        uint256 rows = op.operands[1].dim(1);
        if (id + rows > x.dim(1)) return (NOTHING, 0);
        if (place < id || place >= id + rows) return (0, e);
        return (1, (batch * rows + place - id) * inner + e % inner);
    }

    /// @dev A word of packed numbers, and the scale and the shift of the number's group.
    function _readPacked(Operation memory op, uint256 e, uint256 j) private pure returns (uint256, uint256) {
        uint256 columns = op.result.dim(1);
        uint256 row = e / columns / (32 / attribute(op, 0));
        if (j > 2) return (NOTHING, 0);
        if (j > 0) row /= op.operands[0].dim(0) / op.operands[1].dim(0);
        return (j, row * columns + e % columns);
    }

    function _readOfChain(Operation memory op, uint256 e, uint256 block_, uint256 j)
        private
        pure
        returns (uint256, uint256)
    {
        uint256 code = op.code;
        (uint256 first, uint256 n) = _span(op, block_);
        if (block_ >= _blocks(op)) return (NOTHING, 0);
        if (code == RAGGED_MATMUL) {
            // The bounds of the row.
            if (j < 2) return (2 + j, e / op.result.last());
            j -= 2;
        }
        if (code == RANK) {
            // The element whose rank it is.
            if (j == 0) return (0, e);
            --j;
        }
        if (code == MATMUL || code == RAGGED_MATMUL) {
            return j < 2 * n ? (j % 2, _factor(op, e, first + j / 2, j % 2)) : (NOTHING, 0);
        }
        if (code == SCATTER_ADD) {
            if (j >= 2 * n) return (NOTHING, 0);
            uint256 row = op.result.within(1);
            return j % 2 == 0 ? (0, first + j / 2) : (1, (first + j / 2) * row + e % row);
        }
        if (code == DOT) return j < 2 * n ? (j % 2, _folded(op, e, first + j / 2)) : (NOTHING, 0);
        if (j >= n) return (NOTHING, 0);
        if (code == SUM || code == MAX) return (0, _folded(op, e, first + j));
        uint256 length = op.operands[0].last();
        if (code == ARGMAX) return (0, e * length + first + j);
        return (0, e / length * length + first + j);
    }

    /// @dev Element k of the axis that a fold takes away.
    function _folded(Operation memory op, uint256 e, uint256 k) private pure returns (uint256) {
        uint256 axis = attribute(op, 0);
        uint256 inner = op.operands[0].within(axis + 1);
        return (e / inner * op.operands[0].dim(axis) + k) * inner + e % inner;
    }

    /// @dev The factor number k of a matrix product's element, of its left operand or its right one.
    function _factor(Operation memory op, uint256 e, uint256 k, uint256 side) private pure returns (uint256) {
        uint256 axis = op.result.rank() - 2;
        // Which row of the result, or which column.
        uint256 lane = side == 0 ? e / op.result.last() % op.result.dim(axis) : e % op.result.last();
        // As they lie, k is the column of the left operand and the row of the right one; transposed, the other way round.
        if ((attribute(op, side) != 0) == (side == 0)) (k, lane) = (lane, k);
        Shape x = op.operands[side];
        return e / op.result.within(axis) * x.within(axis) + lane * x.last() + k;
    }

    // slither-disable-end divide-before-multiply

    // ------------------------------------------------------------ what comes out at once

    /// @dev The value of an element without a chain, all words that it takes having been read.
    function _value(Operation memory op, uint256 e, bytes calldata reads)
        private
        pure
        returns (bool valid, uint256 value)
    {
        uint256 code = op.code;
        uint256 x = reads.length == 0 ? 0 : reads.word(0);
        if (code == FULL) return (true, attribute(op, 0));
        if (code == IOTA) {
            uint256 axis = attribute(op, 0);
            return (true, e / op.result.within(axis + 1) % op.result.dim(axis));
        }
        if (code == PHILOX) {
            uint256 seed = x << 96 | reads.word(1) << 64 | reads.word(2) << 32 | reads.word(3);
            return (true, Philox.word(seed, e % op.result.last()));
        }
        if (code == UNIT) return (true, F32.unwrap(Functions.unit(x)));
        if (code == UNARY) return (true, F32.unwrap(Functions.unary(op.fn, F32.wrap(x))));
        if (code == BINARY) {
            return (true, F32.unwrap(Functions.binary(op.fn, F32.wrap(x), F32.wrap(reads.word(1)))));
        }
        if (code == COMPARE) return (true, Functions.compare(op.fn, F32.wrap(x), F32.wrap(reads.word(1))));
        if (code == INTEGER) return Functions.integer(op.fn, x, reads.word(1));
        if (code == FMA) {
            return (true, F32.unwrap(fma(F32.wrap(x), F32.wrap(reads.word(1)), F32.wrap(reads.word(2)))));
        }
        if (code == TO_FLOAT) return (true, F32.unwrap(fromUint(x)));
        if (code == UNPACK) {
            uint256 bits = attribute(op, 0);
            uint256 number = (x >> (e / op.result.dim(1) % (32 / bits) * bits)) & ((1 << bits) - 1);
            return (true, F32.unwrap(fma(fromUint(number), F32.wrap(reads.word(1)), F32.wrap(reads.word(2)))));
        }
        if (code == PLACE) return (x < op.result.last(), reads.length == 8 ? reads.word(1) : 0);
        if (code == SELECT || code == GATHER || code == PICK || code == WRITE_ROWS) {
            // The second word is the value, unless an id chose none.
            return reads.length == 8 ? (true, reads.word(1)) : (false, 0);
        }
        // All others move one word, or put a zero where there was none.
        return (true, x);
    }

    // ------------------------------------------------------------ what comes out of a chain

    function _runChain(
        Operation memory op,
        uint256 e,
        uint256 block_,
        bytes calldata state,
        bytes calldata reads
    ) private pure returns (bool, bytes memory) {
        uint256 code = op.code;
        if (code == MATMUL) return (true, _product(op, block_, 0, _steps(op), state, reads));
        if (code == RAGGED_MATMUL) {
            (uint256 low, uint256 high) = (reads.word(0), reads.word(1));
            if (low > high || high > _steps(op)) return (false, "");
            return (true, _product(op, block_, low, high, state, reads[8:]));
        }
        if (code == SUM || code == DOT) return (true, _lanes(op, block_, state, reads));
        if (code == ARGMAX) return (true, _greatest(op, block_, state, reads));
        if (code == SCATTER_ADD) return _scattered(op, e, state, reads);
        if (code == RANK) return (true, _rank(op, e, block_, state, reads));
        // Max and running: one number is carried on.
        F32 carried = code == MAX ? MINUS_INFINITY : ZERO;
        if (state.length != 0) carried = F32.wrap(state.word(0));
        (uint256 first, uint256 n) = _span(op, block_);
        for (uint256 i = 0; i < n; ++i) {
            F32 x = F32.wrap(reads.word(i));
            if (code == MAX) carried = max(carried, x);
            else if (first + i < e % op.result.last()) carried = carried + x;
        }
        return (true, Words.pack(F32.unwrap(carried)));
    }

    /// @dev A block of the product over `low <= k < high`. The sum of a stretch of 512 is one chain from +0; the sums of the
    /// stretches that the range touches are added in order. The state: what is added already, and the chain so far.
    function _product(
        Operation memory op,
        uint256 block_,
        uint256 low,
        uint256 high,
        bytes calldata state,
        bytes calldata factors
    ) private pure returns (bytes memory) {
        F32 total = ZERO;
        F32 chain = ZERO;
        if (block_ != 0) (total, chain) = (F32.wrap(state.word(0)), F32.wrap(state.word(1)));
        (uint256 first, uint256 n) = _span(op, block_);
        unchecked {
            for (uint256 i = 0; i < n; ++i) {
                uint256 k = first + i;
                if (k < low || k >= high) continue;
                if (k % CUT == 0 && k > low) (total, chain) = (_closed(total, chain, low, k - 1), ZERO);
                chain = fma(F32.wrap(factors.word(2 * i)), F32.wrap(factors.word(2 * i + 1)), chain);
            }
        }
        if (block_ + 1 < _blocks(op)) return Words.pack(F32.unwrap(total), F32.unwrap(chain));
        return Words.pack(low < high ? F32.unwrap(_closed(total, chain, low, high - 1)) : 0);
    }

    /// @dev The total with the stretch that ends at k: the first one is not added to zero, which would lose a -0.
    function _closed(F32 total, F32 chain, uint256 low, uint256 k) private pure returns (F32) {
        return k / CUT == low / CUT ? chain : total + chain;
    }

    /// @dev A block of a sum or of products: element k goes to lane `k mod 64`. The last block adds up the lanes.
    function _lanes(Operation memory op, uint256 block_, bytes calldata state, bytes calldata reads)
        private
        pure
        returns (bytes memory)
    {
        // slither-disable-next-line uninitialized-local (memory starts as zeros, and so do the lanes)
        uint256[64] memory lanes;
        if (block_ != 0) {
            for (uint256 i = 0; i < 64; ++i) {
                lanes[i] = state.word(i);
            }
        }
        if (block_ + 1 < _blocks(op)) {
            bool sum = op.code == SUM;
            uint256 n = sum ? reads.count() : reads.count() / 2;
            for (uint256 i = 0; i < n; ++i) {
                F32 lane = F32.wrap(lanes[i]);
                lane = sum
                    ? lane + F32.wrap(reads.word(i))
                    : fma(F32.wrap(reads.word(2 * i)), F32.wrap(reads.word(2 * i + 1)), lane);
                lanes[i] = F32.unwrap(lane);
            }
            return Words.pack(lanes);
        }
        for (uint256 half = 32; half > 0; half /= 2) {
            for (uint256 i = 0; i < half; ++i) {
                lanes[i] = F32.unwrap(F32.wrap(lanes[i]) + F32.wrap(lanes[i + half]));
            }
        }
        return Words.pack(lanes[0]);
    }

    /// @dev A block of argmax. The state: the index of the greatest so far, and it.
    function _greatest(Operation memory op, uint256 block_, bytes calldata state, bytes calldata reads)
        private
        pure
        returns (bytes memory)
    {
        (uint256 first, uint256 n) = _span(op, block_);
        (uint256 best, F32 greatest) = (0, F32.wrap(reads.word(0)));
        if (block_ != 0) (best, greatest) = (state.word(0), F32.wrap(state.word(1)));
        for (uint256 i = 0; i < n; ++i) {
            F32 x = F32.wrap(reads.word(i));
            if (x > greatest || (isNaN(x) && !isNaN(greatest))) (best, greatest) = (first + i, x);
        }
        if (block_ + 1 < _blocks(op)) return Words.pack(best, F32.unwrap(greatest));
        return Words.pack(best);
    }

    /// @dev A block of a scatter: of all rows, those whose id is the element's row are added, in order.
    function _scattered(Operation memory op, uint256 e, bytes calldata state, bytes calldata reads)
        private
        pure
        returns (bool, bytes memory)
    {
        F32 sum = state.length == 0 ? ZERO : F32.wrap(state.word(0));
        uint256 row = e / op.result.within(1);
        uint256 n = reads.count() / 2;
        for (uint256 i = 0; i < n; ++i) {
            uint256 id = reads.word(2 * i);
            if (id >= op.result.dim(0)) return (false, "");
            if (id == row) sum = sum + F32.wrap(reads.word(2 * i + 1));
        }
        return (true, Words.pack(F32.unwrap(sum)));
    }

    /// @dev A block of rank: how many elements of the row come before this one, by value, the greatest first, NaN above all,
    /// the lower index first among equals.
    function _rank(Operation memory op, uint256 e, uint256 block_, bytes calldata state, bytes calldata reads)
        private
        pure
        returns (bytes memory)
    {
        (uint256 first, uint256 n) = _span(op, block_);
        uint256 own = e % op.result.last();
        F32 x = F32.wrap(reads.word(0));
        uint256 ahead = state.length == 0 ? 0 : state.word(0);
        for (uint256 i = 0; i < n; ++i) {
            F32 other = F32.wrap(reads.word(1 + i));
            bool equal = other == x || (isNaN(other) && isNaN(x));
            if (equal ? first + i < own : other > x || isNaN(other)) ++ahead;
        }
        return Words.pack(ahead);
    }
}
