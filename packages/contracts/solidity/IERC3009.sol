// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice The one function of an EIP-3009 token that the escrow calls: USDC v2.2's packed-signature form.
interface IERC3009 {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}
