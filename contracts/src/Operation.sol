// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title An operation of a program, as its record says it, and where the elements of its tensors lie.
/// @notice The record: opcode, function, number of operands n (a byte each), eight attributes of 32 bits, the result's type,
/// and for each operand its value's number (32 bits) and type. A type has 26 bytes: what its elements are, the number of
/// axes, and the lengths of six axes, 32 bits each. All are big-endian; what is not used is zero.
struct Operation {
    uint256 code;
    /// Which function, for operations that compute one of several.
    uint256 fn;
    /// Eight attributes, the first highest.
    uint256 attributes;
    Shape result;
    Shape[4] operands;
}

/// @dev A tensor's type in the low 208 bits. Elements lie in row-major order.
type Shape is uint256;

using {rank, dim, last, elements, within, stretched} for Shape global;

/// @dev The record is not as long as it says, or names more axes or operands than there can be.
error MalformedOperation();

/// @notice Reads a record.
function decode(bytes calldata record) pure returns (Operation memory op) {
    if (record.length < 61) revert MalformedOperation();
    uint256 operands = uint8(record[2]);
    if (operands > 4 || record.length != 61 + 30 * operands) revert MalformedOperation();
    op.code = uint8(record[0]);
    op.fn = uint8(record[1]);
    op.attributes = uint256(bytes32(record[3:35]));
    op.result = _shape(record[35:61]);
    for (uint256 i = 0; i < operands; ++i) {
        op.operands[i] = _shape(record[65 + 30 * i:91 + 30 * i]);
    }
}

function _shape(bytes calldata bits) pure returns (Shape shape) {
    shape = Shape.wrap(uint208(bytes26(bits)));
    if (rank(shape) > 6) revert MalformedOperation();
}

/// @notice Attribute i.
function attribute(Operation memory op, uint256 i) pure returns (uint256) {
    return (op.attributes >> (224 - 32 * i)) & 0xffffffff;
}

/// @notice How many axes there are.
function rank(Shape shape) pure returns (uint256) {
    return (Shape.unwrap(shape) >> 192) & 0xff;
}

/// @notice The length of an axis.
function dim(Shape shape, uint256 axis) pure returns (uint256) {
    return (Shape.unwrap(shape) >> (160 - 32 * axis)) & 0xffffffff;
}

/// @notice The length of the last axis.
function last(Shape shape) pure returns (uint256) {
    return shape.dim(shape.rank() - 1);
}

/// @notice How many elements there are.
function elements(Shape shape) pure returns (uint256) {
    return shape.within(0);
}

/// @notice How many elements there are at each index of all axes before `axis`.
function within(Shape shape, uint256 axis) pure returns (uint256 n) {
    n = 1;
    for (; axis < shape.rank(); ++axis) {
        n *= shape.dim(axis);
    }
}

/// @notice Which element of `shape` is read for element `e` of `full`, a shape that it broadcasts to.
/// @dev Axes align from the right; an axis that is shorter than the full one has one index.
function stretched(Shape shape, Shape full, uint256 e) pure returns (uint256 index) {
    uint256 step = 1;
    uint256 offset = full.rank() - shape.rank();
    for (uint256 axis = shape.rank(); axis != 0;) {
        --axis;
        uint256 length = full.dim(axis + offset);
        if (shape.dim(axis) == length) index += (e % length) * step;
        step *= shape.dim(axis);
        e /= length;
    }
}
