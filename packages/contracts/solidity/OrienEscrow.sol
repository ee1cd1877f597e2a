// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Batches} from "./Batches.sol";
import {Payouts} from "./Payouts.sol";

/// @title OrienEscrow: payment channels after draft-evm-session-00 ("EVM Session Intent for HTTP Payment
/// Authentication"), whose functions, channel ids, EIP-712 types, nonces and error names are kept exactly.
/// @notice Ours, beyond or unlike the draft:
/// - every payout is split 90 % payee, 7 % platform, 3 % reserve (see Payouts);
/// - it is deployed for one token, and takes deposits up to 2^64 - 1 of its base units;
/// - a partial claim pays a multiple of 100 base units, so `settle` may record less than its voucher;
/// - where the draft admits the payee (as caller or signer), the payee's operators are admitted too;
/// - `claim*` pay less than the voucher shown, still only for the payee or an operator;
/// - `requestClose` is open to the authorizedSigner and has a relayed form; `withdraw` is open to anyone and
///   pays only the payer;
/// - only the payer's own `topUp` cancels a pending close; the relayed one reverts meanwhile, because dust
///   sent by a stranger would hold the deposit hostage;
/// - batches of many providers' claims in one transaction (see Batches);
/// - the Permit2 functions of the optional profile are left out.
/// @dev Deploy it for a well-behaved token only: no transfer fee (checked), no rebasing (not checkable).
contract OrienEscrow is Batches {
    /// @notice Seconds between a close request and the moment from which `withdraw` works.
    // solhint-disable-next-line var-name-mixedcase
    uint64 public immutable CLOSE_GRACE_PERIOD;

    /// @param closeGracePeriod In seconds; 15 minutes is the draft's reference value.
    constructor(address token_, address platform_, address reserve_, uint64 closeGracePeriod)
        Payouts(token_, platform_, reserve_)
    {
        if (closeGracePeriod == 0 || closeGracePeriod > 30 days) revert InvalidGracePeriod();
        CLOSE_GRACE_PERIOD = closeGracePeriod;
    }

    /// @notice Opens a channel whose payer is the caller, who has approved `deposit` to this contract.
    function open(address payee, address token_, uint128 deposit, bytes32 salt, address authorizedSigner)
        external
        nonReentrant
        returns (bytes32 channelId)
    {
        channelId = _open(msg.sender, payee, token_, deposit, salt, authorizedSigner);
        _pullExactly(msg.sender, deposit);
    }

    /// @notice Opens a channel whose payer is `from`, by its EIP-3009 authorization; anyone may submit.
    /// @dev The nonce that `from` signed commits to the channel's parameters, so no submitter can change them.
    function openWithAuthorization(
        address payee,
        address token_,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external nonReentrant returns (bytes32 channelId) {
        if (nonce != keccak256(abi.encode(from, payee, token_, salt, authorizedSigner))) revert NonceMismatch();
        channelId = _open(from, payee, token_, deposit, salt, authorizedSigner);
        _receiveExactly(from, deposit, validAfter, validBefore, nonce, signature);
    }

    /// @notice Adds to the caller's channel and cancels its pending close, if there is one.
    function topUp(bytes32 channelId, uint128 additionalDeposit) external nonReentrant {
        Record storage record = _live(channelId);
        if (msg.sender != record.payer) revert NotPayer();
        _cancelClose(channelId);
        _addDeposit(record, channelId, additionalDeposit);
        _pullExactly(msg.sender, additionalDeposit);
    }

    /// @notice Adds to a channel by the EIP-3009 authorization of `from`, who need not be the payer.
    function topUpWithAuthorization(
        bytes32 channelId,
        uint128 additionalDeposit,
        address from,
        bytes32 topUpSalt,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        if (_requestedAt(channelId) != 0) revert ClosePending();
        if (nonce != keccak256(abi.encode(channelId, additionalDeposit, from, topUpSalt))) revert NonceMismatch();
        _addDeposit(record, channelId, additionalDeposit);
        _receiveExactly(from, additionalDeposit, validAfter, validBefore, nonce, signature);
    }

    /// @notice Pays a voucher without closing. Caller: payee, or its operator (ours).
    function settle(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _requirePayeeOrOperator(payee);
        _claim(record, channelId, payee, cumulativeAmount, cumulativeAmount, signature);
    }

    /// @notice Pays a voucher, refunds the rest, closes. Caller: payee, or its operator (ours).
    function close(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _requirePayeeOrOperator(payee);
        _claimAndClose(record, channelId, payee, cumulativeAmount, cumulativeAmount, signature);
    }

    /// @notice `settle` by a signed SettleAuthorization of the payee, or of its operator (ours).
    function settleWithAuthorization(
        bytes32 channelId,
        uint128 cumulativeAmount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata payeeSignature,
        bytes calldata voucherSignature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _authorize(payee, SETTLE_TYPEHASH, channelId, cumulativeAmount, nonce, deadline, payeeSignature);
        _claim(record, channelId, payee, cumulativeAmount, cumulativeAmount, voucherSignature);
    }

    /// @notice `close` by a signed CloseAuthorization of the payee, or of its operator (ours).
    function closeWithAuthorization(
        bytes32 channelId,
        uint128 cumulativeAmount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata payeeSignature,
        bytes calldata voucherSignature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _authorize(payee, CLOSE_TYPEHASH, channelId, cumulativeAmount, nonce, deadline, payeeSignature);
        _claimAndClose(record, channelId, payee, cumulativeAmount, cumulativeAmount, voucherSignature);
    }

    /// @notice Pays `claimAmount`, which a voucher of `voucherAmount` covers. Caller: payee or its operator.
    function claim(bytes32 channelId, uint128 claimAmount, uint128 voucherAmount, bytes calldata voucherSignature)
        external
        nonReentrant
    {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _requirePayeeOrOperator(payee);
        _claim(record, channelId, payee, claimAmount, voucherAmount, voucherSignature);
    }

    /// @notice Pays `claimAmount`, refunds the rest, closes. Caller: payee or its operator.
    /// @dev With `claimAmount` not above what is settled it pays nothing more and needs no voucher.
    function claimAndClose(
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _requirePayeeOrOperator(payee);
        _claimAndClose(record, channelId, payee, claimAmount, voucherAmount, voucherSignature);
    }

    /// @notice `claim` by a `Claim` signed by the payee or its operator.
    function claimWithAuthorization(
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature,
        uint256 nonce,
        uint256 deadline,
        bytes calldata claimSignature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _authorize(payee, CLAIM_TYPEHASH, channelId, claimAmount, nonce, deadline, claimSignature);
        _claim(record, channelId, payee, claimAmount, voucherAmount, voucherSignature);
    }

    /// @notice `claimAndClose` by a `ClaimAndClose` signed by the payee or its operator.
    function claimAndCloseWithAuthorization(
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature,
        uint256 nonce,
        uint256 deadline,
        bytes calldata claimSignature
    ) external nonReentrant {
        Record storage record = _live(channelId);
        address payee = _payeeOf(record);
        _requireUnspent(payee, channelId, nonce, deadline);
        bytes32 structHash = _hashClaim(CLAIM_AND_CLOSE_TYPEHASH, channelId, claimAmount, nonce, deadline);
        _requireSignedByPayeeOrOperator(payee, structHash, claimSignature);
        _claimAndClose(record, channelId, payee, claimAmount, voucherAmount, voucherSignature);
    }

    /// @notice Starts the grace period. Caller: payer, or its authorizedSigner (ours).
    function requestClose(bytes32 channelId) external {
        Record storage record = _live(channelId);
        if (msg.sender != record.payer && msg.sender != record.authorizedSigner) revert NotPayer();
        _requestClose(channelId);
    }

    /// @notice `requestClose` by a `RequestClose(bytes32 channelId,uint256 nonce,uint256 deadline)` that the
    /// payer or its authorizedSigner signed (ours); anyone may submit.
    function requestCloseWithAuthorization(
        bytes32 channelId,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external {
        Record storage record = _live(channelId);
        bytes32 structHash = keccak256(abi.encode(REQUEST_CLOSE_TYPEHASH, channelId, nonce, deadline));
        address signer = _signerAmong(record.payer, record.authorizedSigner, structHash, signature);
        _spendNonce(signer, channelId, nonce, deadline);
        _requestClose(channelId);
    }

    /// @notice Pays the payer all that is unsettled, once the grace period is over. Anyone may call (ours).
    function withdraw(bytes32 channelId) external nonReentrant {
        Record storage record = _live(channelId);
        uint256 requestedAt = _requestedAt(channelId);
        if (requestedAt == 0 || block.timestamp < requestedAt + CLOSE_GRACE_PERIOD) revert CloseNotReady();
        uint64 refund = _finalize(record, channelId, _payeeOf(record), record.settled);
        _push(record.payer, refund);
    }
}
