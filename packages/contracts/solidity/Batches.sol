// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Channels} from "./Channels.sol";

/// @title Batches (ours): the claims of many providers in one transaction.
/// @notice Nothing in a batch can stop the rest of it: a claim that the contract would refuse is left out and
/// named in an event, a payment that the token refuses becomes a credit, and no code of a payer, a payee or a
/// signer is called. A caller cannot leave anything out by its choice of gas: too little reverts the whole batch.
abstract contract Batches is Channels {
    /// @dev What one transfer each will pay at the end.
    struct Totals {
        uint256 payeeAmount;
        uint256 platformAmount;
        uint256 reserveAmount;
        address payer;
        uint256 refund;
    }

    /// @notice `claim` for each entry: pays part of what a voucher allows.
    /// @return refusals In the order of the claims: zero for one that was paid, else the selector of the error.
    function claimBatch(ProviderBatch[] calldata batches) external nonReentrant returns (bytes4[] memory refusals) {
        return _runAll(batches, CLAIM_BATCH_TYPEHASH, false);
    }

    /// @notice `claimAndClose` for each entry: pays, refunds the rest, ends the channel.
    /// @return refusals As of `claimBatch`.
    function closeBatch(ProviderBatch[] calldata batches) external nonReentrant returns (bytes4[] memory refusals) {
        return _runAll(batches, CLOSE_BATCH_TYPEHASH, true);
    }

    /// @notice Calls functions of this contract one after the other, as the caller; one that reverts is left out.
    /// @param gasPerCall What each call may spend, so that none can spend what the others need.
    /// @return refusals In the order of the calls: zero for one that succeeded, else the first four bytes of its
    /// error, 0xffffffff if it had none.
    function tryAll(bytes[] calldata calls, uint256 gasPerCall) external returns (bytes4[] memory refusals) {
        refusals = new bytes4[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes memory data = calls[i];
            // Else a too low gas limit would make calls fail and the whole succeed: no estimate would be of use.
            if (gasleft() < gasPerCall + gasPerCall / 63 + 5_000) revert InsufficientGas();
            bytes4 refusal;
            assembly ("memory-safe") {
                mstore(0, 0)
                let succeeded := delegatecall(gasPerCall, address(), add(data, 0x20), mload(data), 0, 4)
                if iszero(succeeded) {
                    refusal := mload(0)
                    if lt(returndatasize(), 4) { refusal := shl(224, 0xffffffff) }
                }
            }
            if (refusal == 0) continue;
            refusals[i] = refusal;
            emit CallRefused(i, refusal);
        }
    }

    function _runAll(ProviderBatch[] calldata batches, bytes32 typeHash, bool closes)
        private
        returns (bytes4[] memory refusals)
    {
        uint256 count = 0;
        for (uint256 i = 0; i < batches.length; ++i) count += batches[i].claims.length;
        refusals = new bytes4[](count);
        Totals memory totals;
        uint256 position = 0;
        for (uint256 i = 0; i < batches.length; ++i) {
            ProviderBatch calldata batch = batches[i];
            bytes4 refusal = _refusalOfBatch(batch, typeHash);
            if (refusal == 0) {
                _runOne(batch, closes, refusals, position, totals);
            } else {
                emit BatchRefused(batch.payee, refusal);
                for (uint256 j = 0; j < batch.claims.length; ++j) refusals[position + j] = refusal;
            }
            position += batch.claims.length;
        }
        _push(platform, totals.platformAmount);
        _push(reserve, totals.reserveAmount);
    }

    function _refusalOfBatch(ProviderBatch calldata batch, bytes32 typeHash) private view returns (bytes4) {
        if (block.timestamp > batch.deadline) return AuthorizationExpired.selector;
        bytes32[] memory claims = new bytes32[](batch.claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            BatchClaim calldata item = batch.claims[i];
            claims[i] = keccak256(abi.encode(BATCH_CLAIM_TYPEHASH, item.channelId, item.claimAmount));
        }
        bytes32 structHash =
            keccak256(abi.encode(typeHash, batch.payee, keccak256(abi.encodePacked(claims)), batch.deadline));
        address recovered = _recoverCompact(_domainSeparatorV4(), structHash, batch.r, batch.vs);
        if (recovered == address(0)) return InvalidSignature.selector;
        if (recovered == batch.payee || isOperator[batch.payee][recovered]) return 0;
        return InvalidSignature.selector;
    }

    function _runOne(
        ProviderBatch calldata batch,
        bool closes,
        bytes4[] memory refusals,
        uint256 position,
        Totals memory totals
    ) private {
        bytes32 domainSeparator = _domainSeparatorV4();
        uint32 payeeNumber = _payeeNumberOf(batch.payee);
        for (uint256 i = 0; i < batch.claims.length; ++i) {
            BatchClaim calldata item = batch.claims[i];
            Record storage record = _recordOf(item.channelId);
            bytes4 refusal = _refusalOfItem(record, item, payeeNumber, domainSeparator, closes);
            if (refusal == 0) {
                _take(record, item, batch.payee, closes, totals);
            } else {
                refusals[position + i] = refusal;
                emit ClaimRefused(item.channelId, refusal);
            }
        }
        _flushRefund(totals, address(0));
        uint256 payeeAmount = totals.payeeAmount;
        totals.payeeAmount = 0;
        _push(batch.payee, payeeAmount);
    }

    function _refusalOfItem(
        Record storage record,
        BatchClaim calldata item,
        uint32 payeeNumber,
        bytes32 domainSeparator,
        bool closes
    ) private view returns (bytes4) {
        if (record.payer == address(0)) return ChannelNotFound.selector;
        if (record.finalized) return ChannelFinalized.selector;
        if (record.payeeNumber != payeeNumber) return NotPayee.selector;
        uint128 claimAmount = item.claimAmount;
        if (closes && claimAmount <= record.settled) return 0;
        if (!closes && claimAmount - (claimAmount % PARTIAL_CLAIM_UNIT) <= record.settled) {
            return AmountNotIncreasing.selector;
        }
        bytes4 refusal = _refusalOfClaim(record, claimAmount, item.voucherAmount);
        if (refusal != 0) return refusal;
        bytes32 voucherHash = _hashVoucher(item.channelId, item.voucherAmount);
        address recovered = _recoverCompact(domainSeparator, voucherHash, item.r, item.vs);
        // A signer is never zero: with none named it is the payer.
        return recovered == _signerOf(record) ? bytes4(0) : InvalidSignature.selector;
    }

    /// @dev Records what was checked before and adds it to the totals.
    function _take(
        Record storage record,
        BatchClaim calldata item,
        address payee,
        bool closes,
        Totals memory totals
    ) private {
        uint64 settledBefore = record.settled;
        uint64 settledAfter = settledBefore;
        if (item.claimAmount > settledBefore) {
            settledAfter = uint64(item.claimAmount);
            if (!closes) settledAfter -= settledAfter % uint64(PARTIAL_CLAIM_UNIT);
            Shares memory shares = _share(item.channelId, settledBefore, settledAfter);
            totals.payeeAmount += shares.payeeAmount;
            totals.platformAmount += shares.platformAmount;
            totals.reserveAmount += shares.reserveAmount;
        }
        if (!closes) {
            record.settled = settledAfter;
            return;
        }
        uint64 refund = _finalize(record, item.channelId, payee, settledAfter);
        if (record.payer != totals.payer) _flushRefund(totals, record.payer);
        totals.refund += refund;
    }

    /// @dev Channels of one payer that stand side by side are refunded by one transfer.
    function _flushRefund(Totals memory totals, address nextPayer) private {
        uint256 refund = totals.refund;
        address payer = totals.payer;
        totals.refund = 0;
        totals.payer = nextPayer;
        _push(payer, refund);
    }
}
