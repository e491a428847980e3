"""The node itself as the JSON of LND's REST answers: info, balances, channels; see shapes.py for the rules."""

import hashlib
import sqlite3
from typing import Any

from sandbox.lnd import channels, closing
from sandbox.lnd.network import Network
from sandbox.lnd.protojson import encode_bytes
from sandbox.lnd.shapes import features
from sandbox.lnd.store import commit_fee_sat

VERSION = "0.21.0-beta commit=railyard-sandbox"
"""The LND whose REST contract this follows, with who really answers."""

_NODE_FEATURES = (0, 5, 7, 8, 12, 14, 17, 19, 23, 25, 27, 31, 45, 47, 51, 55, 2023)


def amount(msat: int) -> dict[str, str]:
    """lnrpc.Amount."""
    return {"sat": str(msat // 1000), "msat": str(msat)}


def info(network: Network, node: str) -> dict[str, Any]:
    """lnrpc.GetInfoResponse."""
    moment = network.moment()
    active = len(_channels(network, node))
    since_block = (moment.height - channels.FIRST_HEIGHT) * channels.BLOCK_SECONDS
    block_hash = hashlib.sha256(f"{network.name} {network.genesis_at} {moment.height}".encode()).hexdigest()
    return {
        "version": VERSION,
        "commit_hash": "",
        "identity_pubkey": network.nodes[node].public_key.hex(),
        "alias": node,
        "color": "#3399ff",
        "num_pending_channels": 0,
        "num_active_channels": active,
        "num_inactive_channels": 0,
        "num_peers": active,
        "block_height": moment.height,
        "block_hash": block_hash,
        "best_header_timestamp": str(network.genesis_at + since_block),
        "synced_to_chain": True,
        "synced_to_graph": True,
        "testnet": network.name == "testnet",
        "chains": [{"chain": "bitcoin", "network": network.name}],
        "uris": [],
        "features": features(_NODE_FEATURES),
        "require_htlc_interceptor": False,
        "store_final_htlc_resolutions": False,
        "wallet_synced": True,
        "graph_cache_status": "GRAPH_CACHE_STATUS_LOADED",
    }


def channel_balance(network: Network, node: str) -> dict[str, Any]:
    """lnrpc.ChannelBalanceResponse."""
    local = remote = incoming = outgoing = 0
    for channel in _channels(network, node):
        mine, theirs = _sides(channel, node)
        local, remote = local + mine, remote + theirs
        for htlc in _locked(network, channel["id"]):
            if htlc["receiver"] == node:
                incoming += htlc["amount_msat"]
            else:
                outgoing += htlc["amount_msat"]
    return {
        "balance": str(local // 1000),
        "pending_open_balance": "0",
        "local_balance": amount(local),
        "remote_balance": amount(remote),
        "unsettled_local_balance": amount(incoming),
        "unsettled_remote_balance": amount(outgoing),
        "pending_open_local_balance": amount(0),
        "pending_open_remote_balance": amount(0),
        "custom_channel_data": "",
    }


def wallet_balance(network: Network, node: str) -> dict[str, Any]:
    """lnrpc.WalletBalanceResponse: what closed channels paid out."""
    swept = str(sum(_sides(channel, node)[0] // 1000 for channel in closing.closed_of(network.reader, node)))
    return {
        "total_balance": swept,
        "confirmed_balance": swept,
        "unconfirmed_balance": "0",
        "locked_balance": "0",
        "reserved_balance_anchor_chan": "0",
        "account_balance": {"default": {"confirmed_balance": swept, "unconfirmed_balance": "0"}},
    }


def closed_channels(network: Network, node: str) -> list[dict[str, Any]]:
    """lnrpc.ChannelCloseSummary, each."""
    return [
        {
            "channel_point": f"{channel['funding_txid'][::-1].hex()}:0",
            "chan_id": str(channel["id"]),
            "chain_hash": "",
            "closing_tx_hash": hashlib.sha256(b"closing" + channel["funding_txid"]).hexdigest(),
            "remote_pubkey": network.nodes[
                channel["other"] if channel["opener"] == node else channel["opener"]
            ].public_key.hex(),
            "capacity": str(channel["capacity_sat"]),
            "close_height": network.moment().height,
            "settled_balance": str(_sides(channel, node)[0] // 1000),
            "time_locked_balance": "0",
            "close_type": "LOCAL_FORCE_CLOSE" if channel["closer"] == node else "REMOTE_FORCE_CLOSE",
        }
        for channel in closing.closed_of(network.reader, node)
    ]


def channel_list(network: Network, node: str) -> list[dict[str, Any]]:
    """lnrpc.Channel, each."""
    return [_channel(network, node, channel) for channel in _channels(network, node)]


def _channel(network: Network, node: str, channel: sqlite3.Row) -> dict[str, Any]:
    mine, theirs = _sides(channel, node)
    opener = channel["opener"] == node
    peer = channel["other"] if opener else channel["opener"]
    sent = channel["opener_sent_msat"] if opener else channel["other_sent_msat"]
    received = channel["other_sent_msat"] if opener else channel["opener_sent_msat"]
    pending = [_pending(htlc, node) for htlc in _locked(network, channel["id"])]
    limits = {
        "csv_delay": 144,
        "chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "dust_limit_sat": "354",
        "max_pending_amt_msat": str(channel["capacity_sat"] * 990),
        "min_htlc_msat": "1",
        "max_accepted_htlcs": 483,
    }
    alive = str(int(network.sources.clock()) - network.genesis_at)
    return {
        "active": True,
        "remote_pubkey": network.nodes[peer].public_key.hex(),
        "channel_point": f"{channel['funding_txid'][::-1].hex()}:0",
        "chan_id": str(channel["id"]),
        "capacity": str(channel["capacity_sat"]),
        "local_balance": str(mine // 1000),
        "remote_balance": str(theirs // 1000),
        "commit_fee": str(commit_fee_sat()),
        "commit_weight": "1116",
        "fee_per_kw": "2500",
        "unsettled_balance": str(sum(int(htlc["amount"]) for htlc in pending)),
        "total_satoshis_sent": str(sent // 1000),
        "total_satoshis_received": str(received // 1000),
        "num_updates": str(channel["updates"]),
        "pending_htlcs": pending,
        "csv_delay": 144,
        "private": False,
        "initiator": opener,
        "chan_status_flags": "ChanStatusDefault",
        "local_chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "remote_chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "static_remote_key": False,
        "commitment_type": "ANCHORS",
        "lifetime": alive,
        "uptime": alive,
        "close_address": "",
        "push_amount_sat": str(channel["pushed_msat"] // 1000),
        "thaw_height": 0,
        "local_constraints": limits,
        "remote_constraints": limits,
        "alias_scids": [],
        "zero_conf": False,
        "zero_conf_confirmed_scid": "0",
        "peer_alias": "",
        "peer_scid_alias": "0",
        "memo": "",
        "custom_channel_data": "",
    }


def _pending(htlc: sqlite3.Row, node: str) -> dict[str, Any]:
    return {
        "incoming": htlc["receiver"] == node,
        "amount": str(htlc["amount_msat"] // 1000),
        "hash_lock": encode_bytes(htlc["payment_hash"]),
        "expiration_height": htlc["expiry_height"],
        "htlc_index": str(htlc["htlc_index"]),
        "forwarding_channel": "0",
        "forwarding_htlc_index": "0",
        "locked_in": True,
    }


def _channels(network: Network, node: str) -> list[sqlite3.Row]:
    return closing.known_to(network.reader, node)


def _locked(network: Network, channel_id: int) -> list[sqlite3.Row]:
    return network.reader.execute(
        "SELECT * FROM htlcs WHERE channel_id = ? AND state = 'LOCKED' ORDER BY attempt_id", (channel_id,)
    ).fetchall()


def _sides(channel: sqlite3.Row, node: str) -> tuple[int, int]:
    sides = channel["opener_msat"], channel["other_msat"]
    return sides if channel["opener"] == node else sides[::-1]
