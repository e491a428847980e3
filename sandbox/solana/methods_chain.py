"""RPC methods about the cluster, its slots and its blockhashes."""

from importlib.metadata import version
from typing import Any

from solders.hash import Hash

from sandbox.solana import store
from sandbox.solana.clock import MAX_PROCESSING_AGE, SLOTS_PER_EPOCH
from sandbox.solana.cluster import Cluster
from sandbox.solana.errors import invalid_params
from sandbox.solana.params import Config, Params
from sandbox.solana.transactions import base_fee, decode_message, priority_fee

API_VERSION = "2.2.0"
"""The agave whose JSON-RPC shapes these are."""


def with_context(slot: int, value: Any) -> dict[str, Any]:
    """RpcResponse."""
    return {"context": {"apiVersion": API_VERSION, "slot": slot}, "value": value}


async def get_health(_cluster: Cluster, _params: Params) -> Any:
    """getHealth."""
    return "ok"


async def get_version(_cluster: Cluster, _params: Params) -> Any:
    """getVersion: whose RPC this speaks, and the virtual machine that really runs."""
    return {
        "solana-core": API_VERSION,
        "feature-set": 0,
        "sandbox": f"railyard, solders {version('solders')} (LiteSVM)",
    }


async def get_genesis_hash(cluster: Cluster, _params: Params) -> Any:
    """getGenesisHash."""
    return str(Hash.from_bytes(bytes.fromhex(store.meta(cluster.reader)["genesis_hash"])))


async def get_slot(cluster: Cluster, params: Params) -> Any:
    """getSlot and getBlockHeight: no slot is ever skipped, so they are the same."""
    return _slot(cluster, params.config(0))


async def get_latest_blockhash(cluster: Cluster, params: Params) -> Any:
    """getLatestBlockhash."""
    slot = _slot(cluster, params.config(0))
    value = {"blockhash": str(cluster.clock.blockhash(slot)), "lastValidBlockHeight": slot + MAX_PROCESSING_AGE}
    return with_context(slot, value)


async def is_blockhash_valid(cluster: Cluster, params: Params) -> Any:
    """isBlockhashValid."""
    text = params.value(0)
    try:
        blockhash = Hash.from_string(text)
    except (TypeError, ValueError) as refusal:
        raise invalid_params("Invalid param: Invalid") from refusal
    slot = _slot(cluster, params.config(1))
    return with_context(slot, cluster.clock.is_valid(blockhash, slot))


async def get_fee_for_message(cluster: Cluster, params: Params) -> Any:
    """getFeeForMessage: null when the blockhash is too old."""
    message = decode_message(params.value(0))
    slot = _slot(cluster, params.config(1))
    if not cluster.clock.is_valid(message.recent_blockhash, cluster.clock.slot()):
        return with_context(slot, None)
    return with_context(slot, base_fee(message) + priority_fee(message))


async def get_block_time(cluster: Cluster, params: Params) -> Any:
    """getBlockTime: null for a slot that is not there yet."""
    slot = params.integer(0)
    return cluster.clock.time_of(slot) if slot <= cluster.clock.slot() else None


async def get_epoch_info(cluster: Cluster, params: Params) -> Any:
    """getEpochInfo."""
    slot = _slot(cluster, params.config(0))
    return {
        "absoluteSlot": slot,
        "blockHeight": slot,
        "epoch": slot // SLOTS_PER_EPOCH,
        "slotIndex": slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": store.count(cluster.reader),
    }


async def get_transaction_count(cluster: Cluster, _params: Params) -> Any:
    """getTransactionCount."""
    return store.count(cluster.reader)


async def get_recent_prioritization_fees(cluster: Cluster, _params: Params) -> Any:
    """getRecentPrioritizationFees: the blocks here are never full, so the least fee is always zero."""
    newest = cluster.clock.slot()
    return [{"slot": slot, "prioritizationFee": 0} for slot in range(newest - 149, newest + 1)]


def _slot(cluster: Cluster, config: Config) -> int:
    slot = cluster.clock.slot(config.commitment())
    config.check_context(slot)
    return slot


METHODS = {
    "getHealth": get_health,
    "getVersion": get_version,
    "getGenesisHash": get_genesis_hash,
    "getSlot": get_slot,
    "getBlockHeight": get_slot,
    "getLatestBlockhash": get_latest_blockhash,
    "isBlockhashValid": is_blockhash_valid,
    "getFeeForMessage": get_fee_for_message,
    "getBlockTime": get_block_time,
    "getEpochInfo": get_epoch_info,
    "getTransactionCount": get_transaction_count,
    "getRecentPrioritizationFees": get_recent_prioritization_fees,
}
