// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Authorizations} from "./Authorizations.sol";

/// @title Operators (ours): keys that may claim and close in a payee's name, and do nothing else.
/// @notice An operator cannot move a payout elsewhere: payouts always go to the channel's payee. A stolen
/// operator key can at worst close channels for less than was earned.
abstract contract Operators is Authorizations {
    /// @notice Whether `operator` may claim and close for `owner`.
    mapping(address owner => mapping(address operator => bool)) public isOperator;

    /// @notice Allows or revokes an operator of the caller.
    function setOperator(address operator, bool allowed) external {
        _setOperator(msg.sender, operator, allowed);
    }

    /// @notice The same by the owner's signature over
    /// `SetOperator(address owner,address operator,bool allowed,uint256 nonce,uint256 deadline)`; anyone may submit.
    function setOperatorWithAuthorization(
        address owner,
        address operator,
        bool allowed,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external {
        _spendNonce(owner, bytes32(0), nonce, deadline);
        bytes32 structHash = keccak256(abi.encode(SET_OPERATOR_TYPEHASH, owner, operator, allowed, nonce, deadline));
        _requireSignedBy(owner, structHash, signature);
        _setOperator(owner, operator, allowed);
    }

    function _setOperator(address owner, address operator, bool allowed) private {
        isOperator[owner][operator] = allowed;
        emit OperatorSet(owner, operator, allowed);
    }

    function _requirePayeeOrOperator(address payee) internal view {
        if (msg.sender != payee && !isOperator[payee][msg.sender]) revert NotPayee();
    }

    /// @dev Operators sign as plain keys only: a contract wallet could not be told from the signature alone.
    function _requireSignedByPayeeOrOperator(address payee, bytes32 structHash, bytes calldata signature)
        internal
        view
    {
        bytes32 digest = _hashTypedDataV4(structHash);
        address recovered = _recover(digest, signature);
        if (recovered == payee) return;
        if (recovered != address(0) && isOperator[payee][recovered]) return;
        if (!_walletAccepts(payee, digest, signature)) revert InvalidSignature();
    }
}
