// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title What a job's hook answers to (ERC-8183).
/// @notice Called before and after each step of the job; either call may fail and so stop the step.
interface IERC8183Hook is IERC165 {
    /// @param selector the function of `Jobs` that was called.
    /// @param data its caller and arguments.
    function beforeAction(uint256 jobId, bytes4 selector, bytes calldata data) external;

    /// @param selector the function of `Jobs` that was called.
    /// @param data its caller and arguments.
    function afterAction(uint256 jobId, bytes4 selector, bytes calldata data) external;
}
