// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The words of the escrow: its channel record, events and errors.
/// @notice Error names are those that draft-evm-session-00 recommends. Names under "ours" are additions.
interface IOrienEscrow {
    /// @notice A channel as the draft lists its fields. Amounts are in the token's base units (micro-USDC).
    /// None is ever above 2^64 - 1: that is the escrow's bound of a deposit.
    struct Channel {
        address payer;
        address payee;
        address token;
        /// Zero means that the payer itself signs the vouchers.
        address authorizedSigner;
        uint128 deposit;
        /// Cumulative amount already paid out, all three shares together.
        uint128 settled;
        /// Unix seconds; zero while no close is pending.
        uint64 closeRequestedAt;
        bool finalized;
    }

    /// @notice One channel in a batch, with the voucher that covers the claim.
    /// @dev `r` and `vs` are the voucher's signature in EIP-2098's form, which the draft allows to accept. Nobody
    /// signs differently for it: whoever encodes the batch folds the 65 bytes.
    struct BatchClaim {
        bytes32 channelId;
        uint128 claimAmount;
        uint128 voucherAmount;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice The claims of one provider under one signature of its payee or of the payee's operator.
    struct ProviderBatch {
        address payee;
        /// Unix seconds.
        uint256 deadline;
        bytes32 r;
        bytes32 vs;
        BatchClaim[] claims;
    }

    // Errors of the draft.
    error ChannelAlreadyExists();
    error ChannelNotFound();
    error ChannelFinalized();
    error NotPayee();
    error NotPayer();
    error AmountNotIncreasing();
    error AmountExceedsDeposit();
    error InvalidSignature();
    error NonceMismatch();
    error NonceAlreadyUsed();
    error AuthorizationExpired();
    error CloseNotReady();
    error ZeroDeposit();
    error DepositOverflow();

    // Errors of ours.
    /// The claim is higher than the voucher that is shown for it.
    error ClaimExceedsVoucher();
    /// A close is pending: no relayed top-up and no second request until it ends.
    error ClosePending();
    /// The token did not move exactly the deposit, as a token with a transfer fee would.
    error DepositMismatch();
    /// There is nothing to withdraw or deliver for this account.
    error NoCredit();
    /// The escrow was deployed for another token.
    error TokenNotAccepted();
    /// The payee, the token, the platform or the reserve is the zero address.
    error ZeroAddress();
    /// The call has too little gas left to hand a payment all that it may need.
    error InsufficientGas();
    /// The grace period given to the constructor is zero or longer than 30 days.
    error InvalidGracePeriod();

    event ChannelOpened(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        address token,
        address authorizedSigner,
        bytes32 salt,
        uint128 deposit
    );
    event ChannelToppedUp(bytes32 indexed channelId, uint128 additionalDeposit, uint128 deposit);
    /// @notice One payout. `cumulativeAmount` is the new total, the three shares are those of this payout alone.
    event ChannelSettled(
        bytes32 indexed channelId,
        uint128 cumulativeAmount,
        uint128 payeeAmount,
        uint128 platformAmount,
        uint128 reserveAmount
    );
    event ChannelClosed(
        bytes32 indexed channelId, address indexed payer, address indexed payee, uint128 settled, uint128 refund
    );
    event CloseRequested(bytes32 indexed channelId, uint64 closeRequestedAt);
    event CloseCancelled(bytes32 indexed channelId);
    event OperatorSet(address indexed owner, address indexed operator, bool allowed);
    /// @notice A push to `account` failed; the amount waits in `credits`.
    event Credited(address indexed account, uint256 amount);
    event CreditWithdrawn(address indexed account, address indexed to, uint256 amount);
    /// @notice A claim of a batch was left out, for the reason that the error with this selector names.
    event ClaimRefused(bytes32 indexed channelId, bytes4 reason);
    /// @notice All claims of a provider were left out: its signature is wrong or too old.
    event BatchRefused(address indexed payee, bytes4 reason);
    /// @notice A call of `tryAll` reverted, with this selector.
    event CallRefused(uint256 index, bytes4 reason);
}
