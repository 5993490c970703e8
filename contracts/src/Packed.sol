// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Bytes read from front to back.
/// @notice Numbers are big-endian. A blob has its length before it, in two bytes; hashes have their number before them, in one.
library Packed {
    /// @notice A place in the calldata, and where what may be read ends.
    struct Reader {
        uint256 next;
        uint256 end;
    }

    /// @notice What is read is shorter or longer than what it should be.
    error BadLength();

    function reader(bytes calldata data) internal pure returns (Reader memory r) {
        assembly ("memory-safe") {
            mstore(r, data.offset)
            mstore(add(r, 32), add(data.offset, data.length))
        }
    }

    /// @notice The next `size` bytes, as they lie there.
    function take(Reader memory r, uint256 size) internal pure returns (bytes calldata part) {
        uint256 from = r.next;
        if (size > r.end - from) revert BadLength();
        r.next = from + size;
        assembly ("memory-safe") {
            part.offset := from
            part.length := size
        }
    }

    /// @notice A number of `size` bytes, at most 32.
    function number(Reader memory r, uint256 size) internal pure returns (uint256) {
        return uint256(bytes32(take(r, size))) >> (256 - 8 * size);
    }

    function hash(Reader memory r) internal pure returns (bytes32) {
        return bytes32(take(r, 32));
    }

    function blob(Reader memory r) internal pure returns (bytes calldata) {
        return take(r, number(r, 2));
    }

    function hashes(Reader memory r) internal pure returns (bytes calldata) {
        return take(r, 32 * number(r, 1));
    }

    /// @notice Fails unless all has been read.
    function done(Reader memory r) internal pure {
        if (r.next != r.end) revert BadLength();
    }
}
