// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IERC3009} from "./IERC3009.sol";
import {IOrienEscrow} from "./IOrienEscrow.sol";

/// @title Payouts (ours): the three shares, pushes, and the credits that failed pushes leave behind.
abstract contract Payouts is ReentrancyGuardTransient, IOrienEscrow {
    using SafeERC20 for IERC20;

    /// @dev What one payout pays to whom.
    struct Shares {
        uint128 payeeAmount;
        uint128 platformAmount;
        uint128 reserveAmount;
    }

    uint256 private constant PAYEE_BASIS_POINTS = 9_000;
    uint256 private constant PLATFORM_BASIS_POINTS = 700;
    uint256 private constant BASIS_POINTS = 10_000;

    /// @notice Partial claims are rounded down to a multiple of this, so that all three shares are whole numbers.
    uint128 public constant PARTIAL_CLAIM_UNIT = 100;

    /// @notice What a push may spend. USDC's transfer takes less than 65,000; a token that burns gas for one
    /// receiver takes no more than this from the others in the transaction.
    uint256 public constant PUSH_GAS = 200_000;

    /// @notice The one token of this escrow. Others could keep a fee, call back, or burn the gas of a batch.
    address public immutable token;
    /// @notice Receives 7 % of every payout.
    address public immutable platform;
    /// @notice Receives 3 % of every payout, and the closing claim's remainder.
    address public immutable reserve;

    /// @notice What failed pushes left for an account, in the token's base units.
    mapping(address account => uint256 amount) public credits;

    constructor(address token_, address platform_, address reserve_) {
        if (token_ == address(0) || platform_ == address(0) || reserve_ == address(0)) revert ZeroAddress();
        token = token_;
        platform = platform_;
        reserve = reserve_;
    }

    /// @notice The shares of a cumulative amount: payee and platform rounded down, the rest to the reserve.
    /// @dev Differences of these never shrink a share as long as the lower amount is a multiple of
    /// PARTIAL_CLAIM_UNIT. On arbitrary amounts they could: from 14 to 15 the reserve's would be negative.
    function sharesOf(uint128 cumulativeAmount)
        public
        pure
        returns (uint128 payeeAmount, uint128 platformAmount, uint128 reserveAmount)
    {
        payeeAmount = uint128((uint256(cumulativeAmount) * PAYEE_BASIS_POINTS) / BASIS_POINTS);
        platformAmount = uint128((uint256(cumulativeAmount) * PLATFORM_BASIS_POINTS) / BASIS_POINTS);
        reserveAmount = cumulativeAmount - payeeAmount - platformAmount;
    }

    /// @notice Sends the caller's whole credit to `to`.
    function withdrawCredit(address to) external nonReentrant {
        _withdrawCredit(msg.sender, to);
    }

    /// @notice Sends an account's credit to that account. Anyone may call: an agent without gas gets a refund
    /// that met a paused token, too.
    function deliverCredit(address account) external nonReentrant {
        _withdrawCredit(account, account);
    }

    function _withdrawCredit(address account, address to) private {
        uint256 amount = credits[account];
        if (amount == 0) revert NoCredit();
        credits[account] = 0;
        emit CreditWithdrawn(account, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    /// @dev The shares of what lies between two cumulative amounts, told in the channel's event.
    function _share(bytes32 channelId, uint64 settledBefore, uint64 settledAfter)
        internal
        returns (Shares memory shares)
    {
        (uint128 payeeBefore, uint128 platformBefore, uint128 reserveBefore) = sharesOf(settledBefore);
        (uint128 payeeAfter, uint128 platformAfter, uint128 reserveAfter) = sharesOf(settledAfter);
        shares.payeeAmount = payeeAfter - payeeBefore;
        shares.platformAmount = platformAfter - platformBefore;
        shares.reserveAmount = reserveAfter - reserveBefore;
        emit ChannelSettled(
            channelId, settledAfter, shares.payeeAmount, shares.platformAmount, shares.reserveAmount
        );
    }

    /// @dev The caller has recorded all that makes these payments due.
    function _payOut(address payee, Shares memory shares) internal {
        _push(payee, shares.payeeAmount);
        _push(platform, shares.platformAmount);
        _push(reserve, shares.reserveAmount);
    }

    /// @dev Never reverts because of the receiver, so that one blocklisted receiver holds up nobody else.
    function _push(address to, uint256 amount) internal {
        if (amount == 0 || _tryTransfer(to, amount)) return;
        credits[to] += amount;
        emit Credited(to, amount);
    }

    /// @dev A call gets at most 63/64 of the gas that is left (EIP-150). Without the check a caller could choose a
    /// gas limit with which a payment fails that would have succeeded, and force a credit on its receiver.
    function _tryTransfer(address to, uint256 amount) private returns (bool paid) {
        if (gasleft() < PUSH_GAS + PUSH_GAS / 63 + 5_000) revert InsufficientGas();
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        address target = token;
        assembly ("memory-safe") {
            mstore(0, 0)
            let answered := call(PUSH_GAS, target, 0, add(data, 0x20), mload(data), 0, 0x20)
            let saysYes := and(gt(returndatasize(), 0x1f), eq(mload(0), 1))
            let saysNothing := and(iszero(returndatasize()), gt(extcodesize(target), 0))
            paid := and(answered, or(saysYes, saysNothing))
        }
    }

    /// @dev Draft: the escrow must not be used with tokens that move less than the requested amount.
    function _pullExactly(address from, uint256 amount) internal {
        uint256 balanceBefore = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _requireReceived(balanceBefore, amount);
    }

    /// @dev receiveWithAuthorization, unlike transferWithAuthorization, lets only the receiver use the signature.
    function _receiveExactly(
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) internal {
        uint256 balanceBefore = IERC20(token).balanceOf(address(this));
        IERC3009(token).receiveWithAuthorization(
            from, address(this), amount, validAfter, validBefore, nonce, signature
        );
        _requireReceived(balanceBefore, amount);
    }

    function _requireReceived(uint256 balanceBefore, uint256 amount) private view {
        if (IERC20(token).balanceOf(address(this)) != balanceBefore + amount) revert DepositMismatch();
    }
}
