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

    uint256 private constant PAYEE_BASIS_POINTS = 9_000;
    uint256 private constant PLATFORM_BASIS_POINTS = 700;
    uint256 private constant BASIS_POINTS = 10_000;

    /// @notice Partial claims are rounded down to a multiple of this, so that all three shares are whole numbers.
    uint128 public constant PARTIAL_CLAIM_UNIT = 100;

    /// @notice Receives 7 % of every payout.
    address public immutable platform;
    /// @notice Receives 3 % of every payout, and the closing claim's remainder.
    address public immutable reserve;

    /// @notice What failed pushes left for an account, in the token's base units.
    mapping(address account => mapping(address token => uint256 amount)) public credits;

    constructor(address platform_, address reserve_) {
        if (platform_ == address(0) || reserve_ == address(0)) revert ZeroAddress();
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
    function withdrawCredit(address token, address to) external nonReentrant {
        _withdrawCredit(msg.sender, token, to);
    }

    /// @notice Sends an account's credit to that account. Anyone may call: an agent without gas gets a refund
    /// that met a paused token, too.
    function deliverCredit(address account, address token) external nonReentrant {
        _withdrawCredit(account, token, account);
    }

    function _withdrawCredit(address account, address token, address to) private {
        uint256 amount = credits[account][token];
        if (amount == 0) revert NoCredit();
        credits[account][token] = 0;
        emit CreditWithdrawn(account, token, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    /// @dev Pays the difference between two cumulative amounts. The caller has recorded `settledAfter` already.
    function _payOut(bytes32 channelId, address token, address payee, uint128 settledBefore, uint128 settledAfter)
        internal
    {
        (uint128 payeeBefore, uint128 platformBefore, uint128 reserveBefore) = sharesOf(settledBefore);
        (uint128 payeeAmount, uint128 platformAmount, uint128 reserveAmount) = sharesOf(settledAfter);
        payeeAmount -= payeeBefore;
        platformAmount -= platformBefore;
        reserveAmount -= reserveBefore;
        emit ChannelSettled(channelId, settledAfter, payeeAmount, platformAmount, reserveAmount);
        _push(token, payee, payeeAmount);
        _push(token, platform, platformAmount);
        _push(token, reserve, reserveAmount);
    }

    /// @dev Never reverts because of the receiver, so that one blocklisted receiver holds up nobody else.
    /// A push that fails for want of gas is none of these: it leaves a 64th of the gas or two (EIP-150), too
    /// little to store a credit, so the whole call reverts. This holds for tokens whose transfer takes less than
    /// 150,000; USDC's takes less than 65,000.
    function _push(address token, address to, uint256 amount) internal {
        if (amount == 0) return;
        if (IERC20(token).trySafeTransfer(to, amount)) return;
        credits[to][token] += amount;
        emit Credited(to, token, amount);
    }

    /// @dev Draft: the escrow must not be used with tokens that move less than the requested amount.
    function _pullExactly(address token, address from, uint256 amount) internal {
        uint256 balanceBefore = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _requireReceived(token, balanceBefore, amount);
    }

    /// @dev receiveWithAuthorization, unlike transferWithAuthorization, lets only the receiver use the signature.
    function _receiveExactly(
        address token,
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
        _requireReceived(token, balanceBefore, amount);
    }

    function _requireReceived(address token, uint256 balanceBefore, uint256 amount) private view {
        if (IERC20(token).balanceOf(address(this)) != balanceBefore + amount) revert DepositMismatch();
    }
}
