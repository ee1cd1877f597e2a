// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IOrienEscrow} from "./IOrienEscrow.sol";

/// @title Signatures: the draft's EIP-712 domain, the types signed under it, and their one-time nonces.
abstract contract Authorizations is EIP712, IOrienEscrow {
    bytes32 internal constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");
    bytes32 internal constant SETTLE_TYPEHASH =
        keccak256("SettleAuthorization(bytes32 channelId,uint128 cumulativeAmount,uint256 nonce,uint256 deadline)");
    bytes32 internal constant CLOSE_TYPEHASH =
        keccak256("CloseAuthorization(bytes32 channelId,uint128 cumulativeAmount,uint256 nonce,uint256 deadline)");
    bytes32 internal constant CLAIM_TYPEHASH =
        keccak256("Claim(bytes32 channelId,uint128 claimAmount,uint256 nonce,uint256 deadline)");
    bytes32 internal constant CLAIM_AND_CLOSE_TYPEHASH =
        keccak256("ClaimAndClose(bytes32 channelId,uint128 claimAmount,uint256 nonce,uint256 deadline)");
    bytes32 internal constant REQUEST_CLOSE_TYPEHASH =
        keccak256("RequestClose(bytes32 channelId,uint256 nonce,uint256 deadline)");
    bytes32 internal constant SET_OPERATOR_TYPEHASH = keccak256(
        "SetOperator(address owner,address operator,bool allowed,uint256 nonce,uint256 deadline)"
    );

    // The batches have no nonce: totals are cumulative and a closed channel stays closed, so replaying one does
    // nothing, and what was left out the first time can be sent again under the same signature.
    bytes32 internal constant BATCH_CLAIM_TYPEHASH = keccak256("BatchClaim(bytes32 channelId,uint128 claimAmount)");
    bytes32 internal constant CLAIM_BATCH_TYPEHASH = keccak256(
        "ClaimBatch(address payee,BatchClaim[] claims,uint256 deadline)BatchClaim(bytes32 channelId,uint128 claimAmount)"
    );
    bytes32 internal constant CLOSE_BATCH_TYPEHASH = keccak256(
        "CloseBatch(address payee,BatchClaim[] claims,uint256 deadline)BatchClaim(bytes32 channelId,uint128 claimAmount)"
    );

    /// @notice Whether an authorization nonce is spent.
    /// @dev The scope is the channel's id, or zero for operator settings. All payee-side authorizations of a
    /// channel (settle, close, claim, claim and close) share the payee's set; a close request uses its signer's.
    mapping(address account => mapping(bytes32 scope => mapping(uint256 nonce => bool))) public nonceUsed;

    constructor() EIP712("EVM Payment Channel", "1") {}

    function _spendNonce(address account, bytes32 scope, uint256 nonce, uint256 deadline) internal {
        _requireUnspent(account, scope, nonce, deadline);
        nonceUsed[account][scope][nonce] = true;
    }

    /// @dev Enough where the channel is finalized in the same call: nothing can follow that a nonce had to stop.
    function _requireUnspent(address account, bytes32 scope, uint256 nonce, uint256 deadline) internal view {
        if (block.timestamp > deadline) revert AuthorizationExpired();
        if (nonceUsed[account][scope][nonce]) revert NonceAlreadyUsed();
    }

    /// @dev Zero unless the signature is canonical. A batch takes plain keys only, because a contract wallet's
    /// check is code of a stranger that could burn the gas of everybody else in the batch.
    function _recoverCompact(bytes32 domainSeparator, bytes32 structHash, bytes32 r, bytes32 vs)
        internal
        pure
        returns (address recovered)
    {
        (recovered,,) = ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domainSeparator, structHash), r, vs);
    }

    /// @dev Reverts unless the bytes have the one canonical form. The result may be zero: such bytes can still
    /// mean something to a contract wallet.
    function _recover(bytes32 digest, bytes calldata signature) internal pure returns (address recovered) {
        ECDSA.RecoverError problem;
        (recovered, problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool malformed = problem == ECDSA.RecoverError.InvalidSignatureLength
            || problem == ECDSA.RecoverError.InvalidSignatureS;
        if (malformed) revert InvalidSignature();
    }

    /// @dev Asked only after recovery did not give `account`. Asking by code first would let an account void
    /// all its vouchers after the work, by an EIP-7702 delegation to code that accepts nothing.
    function _walletAccepts(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return account.code.length != 0
            && SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }

    function _requireSignedBy(address account, bytes32 structHash, bytes calldata signature) internal view {
        bytes32 digest = _hashTypedDataV4(structHash);
        address recovered = _recover(digest, signature);
        if (recovered != address(0) && recovered == account) return;
        if (!_walletAccepts(account, digest, signature)) revert InvalidSignature();
    }

    /// @dev The one of two accounts that signed; `second` may be zero for none.
    function _signerAmong(address first, address second, bytes32 structHash, bytes calldata signature)
        internal
        view
        returns (address)
    {
        bytes32 digest = _hashTypedDataV4(structHash);
        address recovered = _recover(digest, signature);
        if (recovered != address(0) && (recovered == first || recovered == second)) return recovered;
        if (_walletAccepts(first, digest, signature)) return first;
        if (_walletAccepts(second, digest, signature)) return second;
        revert InvalidSignature();
    }
}
