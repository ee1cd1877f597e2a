// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

interface IBalanceOf {
    function balanceOf(address account) external view returns (uint256);
}

/// @title An account with code that does as its crowd says. For tests only.
contract Actor {
    address private immutable crowd = msg.sender;

    function act(address target, bytes calldata data) external returns (bool succeeded, bytes memory result) {
        require(msg.sender == crowd);
        return target.call(data);
    }
}

/// @title Many callers whose calls run one after the other in one transaction, because a transaction for each of a
/// hundred thousand would take an hour. For tests only.
contract Crowd {
    struct Step {
        uint256 actor;
        address target;
        bytes data;
    }

    /// @param result Hash of what the call returned, or its error's first four bytes.
    /// @param balance What `holder` holds right after the step.
    struct Outcome {
        bool succeeded;
        bytes32 result;
        uint256 balance;
    }

    event Ran(Outcome[] outcomes);

    Actor[] public actors;

    constructor(uint256 count) {
        for (uint256 i = 0; i < count; ++i) actors.push(new Actor());
    }

    function run(address token, address holder, Step[] calldata steps) external {
        Outcome[] memory outcomes = new Outcome[](steps.length);
        for (uint256 i = 0; i < steps.length; ++i) {
            Step calldata step = steps[i];
            (bool succeeded, bytes memory result) = actors[step.actor].act(step.target, step.data);
            bytes32 told = succeeded ? keccak256(result) : bytes32(bytes4(result));
            outcomes[i] = Outcome(succeeded, told, IBalanceOf(token).balanceOf(holder));
        }
        emit Ran(outcomes);
    }

    /// @notice What many readings of a contract answer, in one.
    function read(address target, bytes[] calldata calls) external view returns (bytes[] memory answers) {
        answers = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (, answers[i]) = target.staticcall(calls[i]);
        }
    }
}
