// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A contract to ask a chain with: it stores, logs, reverts in each way, creates, burns gas and tells what it sees of the block.
contract Probe {
    error Refused(address who, uint256 code);

    event Stored(address indexed who, uint256 indexed key, uint256 value);

    mapping(uint256 => uint256) public values;
    uint256 public count;

    constructor(uint256 start) payable {
        count = start;
    }

    receive() external payable {}

    function store(uint256 key, uint256 value) public {
        values[key] = value;
        count += 1;
        emit Stored(msg.sender, key, value);
    }

    function storeMany(uint256 from, uint256 n) external {
        for (uint256 i = 0; i < n; i++) store(from + i, i + 1);
    }

    function clear(uint256 key) external {
        delete values[key];
    }

    function flood(uint256 n) external {
        for (uint256 i = 0; i < n; i++) emit Stored(msg.sender, i, i);
    }

    function sayNo() external pure {
        require(false, "no means no");
    }

    function refuse(uint256 code) external view {
        revert Refused(msg.sender, code);
    }

    function panic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function silent() external pure {
        assembly {
            revert(0, 0)
        }
    }

    function burn() external pure returns (uint256 n) {
        while (true) n++;
    }

    function child(bytes32 salt) external returns (address) {
        return address(new Child{salt: salt}(7));
    }

    function vanish() external returns (address gone) {
        gone = address(new Brief());
    }

    function send(address payable to, uint256 wei_) external {
        (bool ok, ) = to.call{value: wei_}("");
        require(ok, "not sent");
    }

    function seen() external view returns (uint256 number, uint256 timestamp, uint256 chain, uint256 limit, bytes32 before) {
        return (block.number, block.timestamp, block.chainid, block.gaslimit, blockhash(block.number - 1));
    }

    function digest(bytes32 hash, uint8 v, bytes32 r, bytes32 s) external pure returns (address, bytes32) {
        return (ecrecover(hash, v, r, s), sha256(abi.encode(hash)));
    }
}

/// What a probe makes.
contract Child {
    uint256 public immutable number;

    constructor(uint256 number_) {
        number = number_;
    }
}

/// It destroys itself in the transaction that makes it.
contract Brief {
    constructor() {
        selfdestruct(payable(msg.sender));
    }
}
