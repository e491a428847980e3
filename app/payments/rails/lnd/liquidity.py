"""What the node can still send and receive, and what a forced closing has locked up: for metrics and alarms."""

from dataclasses import dataclass
from typing import Any

from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import LndAccessError, LndAnswerError


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Sums over all channels, in msat.

    Attributes:
        sendable_msat: on our side of the active channels, above the reserve that the peers demand.
        receivable_msat: on the other side, above the reserve that we demand.
        in_flight_msat: in payments that are neither here nor there.
        force_closing_channels: channels closed without agreement, whose money is locked for a while.
        limbo_msat: that money.
        active_channels, inactive_channels: an inactive one has an unreachable peer.
    """

    sendable_msat: int
    receivable_msat: int
    in_flight_msat: int
    force_closing_channels: int
    limbo_msat: int
    active_channels: int
    inactive_channels: int


async def read_liquidity(client: LndClient) -> Liquidity:
    """Asks the node; takes offchain:read and info:read.

    Raises:
        RailUnavailableError: no answer.
        LndAnswerError: it refuses.
    """
    balance = await client.get("/v1/balance/channels")
    channels = (await client.get("/v1/channels", {"active_only": "true"})).get("channels") or []
    info = await client.get("/v1/getinfo")
    try:
        pending = await client.get("/v1/channels/pending")
    except LndAnswerError as error:
        if error.code not in (LndAnswerError.NOT_FOUND, LndAnswerError.UNIMPLEMENTED):
            raise
        pending = {}
    forced = pending.get("pending_force_closing_channels") or []
    return Liquidity(
        sendable_msat=sum(_spendable_msat(one, "local") for one in channels),
        receivable_msat=sum(_spendable_msat(one, "remote") for one in channels),
        in_flight_msat=_msat(balance, "unsettled_local_balance") + _msat(balance, "unsettled_remote_balance"),
        force_closing_channels=len(forced),
        limbo_msat=1000 * sum(int(channel.get("limbo_balance") or 0) for channel in forced),
        active_channels=int(info.get("num_active_channels") or 0),
        inactive_channels=int(info.get("num_inactive_channels") or 0),
    )


def _msat(balance: dict[str, Any], name: str) -> int:
    amount = balance.get(name)
    return int(amount.get("msat") or 0) if isinstance(amount, dict) else 0


async def read_wallet_msat(client: LndClient) -> int | None:
    """What is ours on the chain, in msat: confirmed or not, and what LND has set aside, which its total leaves out.

    Takes onchain:read; None when the macaroon has it not.

    Raises:
        RailUnavailableError: no answer.
        LndAnswerError: it refuses.
    """
    try:
        balance = await client.get("/v1/balance/blockchain")
    except LndAccessError:
        return None
    return 1000 * (int(balance.get("total_balance") or 0) + int(balance.get("locked_balance") or 0))


async def read_held_msat(client: LndClient) -> int:
    """All that is ours in channels, in msat. Takes offchain:read.

    That is our side, what is on its way out, channels being opened, what a closing has locked, and the commitment fees
    that we bear as openers.

    Raises:
        RailUnavailableError: no answer.
        LndAnswerError: it refuses.
    """
    balance = await client.get("/v1/balance/channels")
    channels = (await client.get("/v1/channels")).get("channels") or []
    try:
        pending = await client.get("/v1/channels/pending")
    except LndAnswerError as error:
        if error.code not in (LndAnswerError.NOT_FOUND, LndAnswerError.UNIMPLEMENTED):
            raise
        pending = {}
    commitment_sats = sum(int(channel.get("commit_fee") or 0) for channel in channels if channel.get("initiator"))
    return (
        _msat(balance, "local_balance")
        + _msat(balance, "unsettled_remote_balance")
        + _msat(balance, "pending_open_local_balance")
        + 1000 * (int(pending.get("total_limbo_balance") or 0) + commitment_sats)
    )


def _spendable_msat(channel: dict[str, Any], side: str) -> int:
    """What a side can send. LND tells whole satoshis, and of the reserve in each side's constraints (BOLT 2)."""
    reserve = int((channel.get(f"{side}_constraints") or {}).get("chan_reserve_sat") or 0)
    return 1000 * max(0, int(channel.get(f"{side}_balance") or 0) - reserve)
