// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Operators} from "./Operators.sol";
import {Payouts} from "./Payouts.sol";

/// @title Channels: the records, and the steps that every way of opening, claiming and closing shares.
abstract contract Channels is Operators, Payouts {
    /// @dev A channel in two storage words; opening one pays 22,100 gas for each. Claims write the first alone.
    struct Record {
        address payer;
        uint64 settled;
        bool finalized;
        address authorizedSigner;
        uint64 deposit;
        uint32 payeeNumber;
    }

    /// @dev Records are never deleted: the id has no epoch, so a re-opened channel would accept old vouchers.
    mapping(bytes32 channelId => Record) private _records;
    /// @dev Apart from the record, because claims need not know it: a pending close does not stop them.
    mapping(bytes32 channelId => uint64) private _closeRequestedAt;

    /// @dev A provider has many channels: its address is stored once and numbered from 1.
    mapping(address payee => uint32 number) private _payeeNumbers;
    mapping(uint32 number => address payee) private _payees;
    uint32 private _payeeCount;

    /// @notice The channel, or all zeros if there is none.
    function getChannel(bytes32 channelId) external view returns (Channel memory) {
        Record storage record = _records[channelId];
        return Channel({
            payer: record.payer,
            payee: _payees[record.payeeNumber],
            token: record.payer == address(0) ? address(0) : token,
            authorizedSigner: record.authorizedSigner,
            deposit: record.deposit,
            settled: record.settled,
            closeRequestedAt: _closeRequestedAt[channelId],
            finalized: record.finalized
        });
    }

    function computeChannelId(address payer, address payee, address token_, bytes32 salt, address authorizedSigner)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(payer, payee, token_, salt, authorizedSigner, address(this), block.chainid));
    }

    function _recordOf(bytes32 channelId) internal view returns (Record storage) {
        return _records[channelId];
    }

    function _live(bytes32 channelId) internal view returns (Record storage record) {
        record = _records[channelId];
        if (record.payer == address(0)) revert ChannelNotFound();
        if (record.finalized) revert ChannelFinalized();
    }

    function _payeeOf(Record storage record) internal view returns (address) {
        return _payees[record.payeeNumber];
    }

    /// @dev Zero, which no channel has, for an address that is nobody's payee.
    function _payeeNumberOf(address payee) internal view returns (uint32) {
        return _payeeNumbers[payee];
    }

    function _signerOf(Record storage record) internal view returns (address signer) {
        signer = record.authorizedSigner;
        if (signer == address(0)) signer = record.payer;
    }

    function _numberPayee(address payee) private returns (uint32 number) {
        number = _payeeNumbers[payee];
        if (number != 0) return number;
        number = ++_payeeCount;
        _payeeNumbers[payee] = number;
        _payees[number] = payee;
    }

    function _open(
        address payer,
        address payee,
        address token_,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner
    ) internal returns (bytes32 channelId) {
        if (token_ != token) revert TokenNotAccepted();
        if (deposit == 0) revert ZeroDeposit();
        if (deposit > type(uint64).max) revert DepositOverflow();
        if (payer == address(0) || payee == address(0)) revert ZeroAddress();
        channelId = computeChannelId(payer, payee, token_, salt, authorizedSigner);
        Record storage record = _records[channelId];
        if (record.payer != address(0)) revert ChannelAlreadyExists();
        uint32 payeeNumber = _numberPayee(payee);
        record.payer = payer;
        record.authorizedSigner = authorizedSigner;
        record.deposit = uint64(deposit);
        record.payeeNumber = payeeNumber;
        emit ChannelOpened(channelId, payer, payee, token_, authorizedSigner, salt, deposit);
    }

    function _addDeposit(Record storage record, bytes32 channelId, uint128 additionalDeposit) internal {
        if (additionalDeposit == 0) revert ZeroDeposit();
        uint64 deposit = record.deposit;
        if (additionalDeposit > type(uint64).max - deposit) revert DepositOverflow();
        deposit += uint64(additionalDeposit);
        record.deposit = deposit;
        emit ChannelToppedUp(channelId, additionalDeposit, deposit);
    }

    function _hashClaim(bytes32 typeHash, bytes32 channelId, uint128 amount, uint256 nonce, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(typeHash, channelId, amount, nonce, deadline));
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
        _requireSignedByPayeeOrOperator(
            payee, _hashClaim(typeHash, channelId, amount, nonce, deadline), signature
        );
    }

    /// @dev The error that forbids a claim, or zero.
    function _refusalOfClaim(Record storage record, uint128 claimAmount, uint128 voucherAmount)
        internal
        view
        returns (bytes4)
    {
        if (claimAmount > voucherAmount) return ClaimExceedsVoucher.selector;
        if (claimAmount > record.deposit) return AmountExceedsDeposit.selector;
        return 0;
    }

    function _hashVoucher(bytes32 channelId, uint128 voucherAmount) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, voucherAmount));
    }

    function _requireCovered(
        Record storage record,
        bytes32 channelId,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) private view {
        bytes4 refusal = _refusalOfClaim(record, claimAmount, voucherAmount);
        if (refusal != 0) {
            assembly ("memory-safe") {
                mstore(0, refusal)
                revert(0, 4)
            }
        }
        _requireSignedBy(_signerOf(record), _hashVoucher(channelId, voucherAmount), voucherSignature);
    }

    function _claim(
        Record storage record,
        bytes32 channelId,
        address payee,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) internal {
        uint64 settledBefore = record.settled;
        uint128 rounded = claimAmount - (claimAmount % PARTIAL_CLAIM_UNIT);
        if (rounded <= settledBefore) revert AmountNotIncreasing();
        _requireCovered(record, channelId, claimAmount, voucherAmount, voucherSignature);
        // Not above the deposit, so it fits.
        uint64 settledAfter = uint64(rounded);
        record.settled = settledAfter;
        _payOut(payee, _share(channelId, settledBefore, settledAfter));
    }

    function _claimAndClose(
        Record storage record,
        bytes32 channelId,
        address payee,
        uint128 claimAmount,
        uint128 voucherAmount,
        bytes calldata voucherSignature
    ) internal {
        uint64 settledBefore = record.settled;
        if (claimAmount <= settledBefore) {
            _push(record.payer, _finalize(record, channelId, payee, settledBefore));
            return;
        }
        _requireCovered(record, channelId, claimAmount, voucherAmount, voucherSignature);
        Shares memory shares = _share(channelId, settledBefore, uint64(claimAmount));
        uint64 refund = _finalize(record, channelId, payee, uint64(claimAmount));
        _payOut(payee, shares);
        _push(record.payer, refund);
    }

    function _requestClose(bytes32 channelId) internal {
        // A second request must not move the date: the authorizedSigner could postpone the refund for ever.
        if (_closeRequestedAt[channelId] != 0) revert ClosePending();
        _closeRequestedAt[channelId] = uint64(block.timestamp);
        emit CloseRequested(channelId, uint64(block.timestamp));
    }

    /// @dev Unix seconds, or zero while no close is pending.
    function _requestedAt(bytes32 channelId) internal view returns (uint64) {
        return _closeRequestedAt[channelId];
    }

    function _cancelClose(bytes32 channelId) internal {
        if (_closeRequestedAt[channelId] == 0) return;
        _closeRequestedAt[channelId] = 0;
        emit CloseCancelled(channelId);
    }

    /// @dev Ends the channel; the caller pays the refund.
    function _finalize(Record storage record, bytes32 channelId, address payee, uint64 settled)
        internal
        returns (uint64 refund)
    {
        record.settled = settled;
        record.finalized = true;
        refund = record.deposit - settled;
        emit ChannelClosed(channelId, record.payer, payee, settled, refund);
    }
}
