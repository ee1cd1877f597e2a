// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A token that does what the escrow must withstand. For tests only.
contract HostileToken {
    mapping(address account => uint256) public balanceOf;

    /// @notice Kept back from every transfer.
    uint256 public fee;
    /// @notice Makes transfers answer false without moving anything.
    bool public refuses;
    /// @notice Transfers to this account spend all the gas that they get.
    address public burnsGasFor;
    /// @notice Called back into the escrow during a transfer.
    bytes public callback;
    /// @notice Of the last callback: whether it succeeded, and what it returned.
    bool public callbackSucceeded;
    bytes public callbackResult;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function behave(uint256 fee_, bool refuses_, bytes calldata callback_) external {
        fee = fee_;
        refuses = refuses_;
        callback = callback_;
    }

    function burnGasFor(address account) external {
        burnsGasFor = account;
    }

    /// @dev Makes this contract an operator, a payer or a payee that acts in its own name.
    function act(address target, bytes calldata data) external {
        (bool succeeded, bytes memory result) = target.call(data);
        if (!succeeded) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _move(from, to, amount);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 amount,
        uint256,
        uint256,
        bytes32,
        bytes calldata
    ) external {
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (refuses) return false;
        if (to == burnsGasFor) {
            assembly {
                invalid()
            }
        }
        balanceOf[from] -= amount;
        balanceOf[to] += amount - fee;
        if (callback.length != 0) {
            (callbackSucceeded, callbackResult) = msg.sender.call(callback);
        }
        return true;
    }
}
