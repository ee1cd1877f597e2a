// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Operators} from "./Operators.sol";
import {Payouts} from "./Payouts.sol";

/// @title Channels: the records, and the steps that every way of opening, claiming and closing shares.
abstract contract Channels is Operators, Payouts {
    /// @dev Channel, ordered to fill five storage words; the first holds all that a close writes but `settled`.
    struct Record {
        address payer;
        uint64 closeRequestedAt;
        bool finalized;
        address payee;
        address token;
        address authorizedSigner;
        uint128 deposit;
        uint128 settled;
    }

    /// @dev Records are never deleted: the id has no epoch, so a re-opened channel would accept old vouchers.
    mapping(bytes32 channelId => Record) private _records;

    /// @notice The channel, or all zeros if there is none.
    function getChannel(bytes32 channelId) external view returns (Channel memory) {
        Record storage record = _records[channelId];
        return Channel({
            payer: record.payer,
            payee: record.payee,
            token: record.token,
            authorizedSigner: record.authorizedSigner,
            deposit: record.deposit,
            settled: record.settled,
            closeRequestedAt: record.closeRequestedAt,
            finalized: record.finalized
        });
    }

    function computeChannelId(address payer, address payee, address token, bytes32 salt, address authorizedSigner)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(payer, payee, token, salt, authorizedSigner, address(this), block.chainid));
    }

    function _live(bytes32 channelId) internal view returns (Record storage record) {
        record = _records[channelId];
        if (record.payer == address(0)) revert ChannelNotFound();
        if (record.finalized) revert ChannelFinalized();
    }

    function _open(
        address payer,
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner
    ) internal returns (bytes32 channelId) {
        if (deposit == 0) revert ZeroDeposit();
        if (payer == address(0) || payee == address(0)) revert ZeroAddress();
        channelId = computeChannelId(payer, payee, token, salt, authorizedSigner);
        Record storage record = _records[channelId];
        if (record.payer != address(0)) revert ChannelAlreadyExists();
        record.payer = payer;
        record.payee = payee;
        record.token = token;
        record.authorizedSigner = authorizedSigner;
        record.deposit = deposit;
        emit ChannelOpened(channelId, payer, payee, token, authorizedSigner, salt, deposit);
    }

    function _addDeposit(Record storage record, bytes32 channelId, uint128 additionalDeposit) internal {
        if (additionalDeposit == 0) revert ZeroDeposit();
        uint128 deposit = record.deposit;
        if (additionalDeposit > type(uint128).max - deposit) revert DepositOverflow();
        record.deposit = deposit + additionalDeposit;
        emit ChannelToppedUp(channelId, additionalDeposit, deposit + additionalDeposit);
    }

    function _authorize(
        address payee,
        bytes32 typeHash,
        bytes32 channelId,
        uint128 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) internal {
        _spendNonce(payee, channelId, nonce, deadline);
        bytes32 structHash = keccak256(abi.encode(typeHash, channelId, amount, nonce, deadline));
        _requireSignedByPayeeOrOperator(payee, structHash, signature);
    }

    function _requireCovered(
        Record storage record,
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) internal view {
        if (claimAmount > voucherAmount) revert ClaimExceedsVoucher();
        if (claimAmount > record.deposit) revert AmountExceedsDeposit();
        address signer = record.authorizedSigner == address(0) ? record.payer : record.authorizedSigner;
        bytes32 structHash = keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, voucherAmount));
        _requireSignedBy(signer, structHash, voucherSignature);
    }

    function _claim(
        Record storage record,
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) internal {
        uint128 settledBefore = record.settled;
        uint128 settledAfter = claimAmount - (claimAmount % PARTIAL_CLAIM_UNIT);
        if (settledAfter <= settledBefore) revert AmountNotIncreasing();
        _requireCovered(record, channelId, claimAmount, voucherAmount, voucherSignature);
        record.settled = settledAfter;
        _payOut(channelId, record.token, record.payee, settledBefore, settledAfter);
    }

    function _claimAndClose(
        Record storage record,
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) internal {
        uint128 settledBefore = record.settled;
        record.finalized = true;
        if (claimAmount > settledBefore) {
            _requireCovered(record, channelId, claimAmount, voucherAmount, voucherSignature);
            record.settled = claimAmount;
            _payOut(channelId, record.token, record.payee, settledBefore, claimAmount);
        }
        _refund(record, channelId);
    }

    function _requestClose(Record storage record, bytes32 channelId) internal {
        // A second request must not move the date: the authorizedSigner could postpone the refund for ever.
        if (record.closeRequestedAt != 0) revert ClosePending();
        record.closeRequestedAt = uint64(block.timestamp);
        emit CloseRequested(channelId, uint64(block.timestamp));
    }

    function _refund(Record storage record, bytes32 channelId) internal {
        uint128 settled = record.settled;
        uint128 refund = record.deposit - settled;
        emit ChannelClosed(channelId, record.payer, record.payee, settled, refund);
        _push(record.token, record.payer, refund);
    }
}
