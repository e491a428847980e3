"""Esplora's JSON of transactions, outputs, blocks (API.md of Blockstream/esplora)."""

from __future__ import annotations

from typing import Any

from sandbox.esplora.addresses import address_of
from sandbox.esplora.encoding import Block, OutPoint, Output, Transaction
from sandbox.esplora.ledger import Ledger


def _kind(script: bytes) -> str:
    if script[:1] == b"\x6a":
        return "op_return"
    if script[:2] == b"\x00\x14" and len(script) == 22:
        return "v0_p2wpkh"
    if script[:2] == b"\x00\x20" and len(script) == 34:
        return "v0_p2wsh"
    return "v1_p2tr" if script[:2] == b"\x51\x20" and len(script) == 34 else "unknown"


def output(one: Output, network: str) -> dict[str, Any]:
    """An output."""
    shape: dict[str, Any] = {
        "scriptpubkey": one.script.hex(),
        "scriptpubkey_asm": "",
        "scriptpubkey_type": _kind(one.script),
        "value": one.value,
    }
    address = address_of(one.script, network)
    return {**shape, "scriptpubkey_address": address} if address else shape


def status(ledger: Ledger, txid: str) -> dict[str, Any]:
    """Whether and where a transaction is confirmed."""
    place = ledger.place(txid)
    if place is None:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "block_height": place.block.height,
        "block_hash": place.block.hash,
        "block_time": place.block.time,
    }


def transaction(ledger: Ledger, one: Transaction, network: str) -> dict[str, Any]:
    """A transaction with what it spends."""
    inputs = []
    for entry in one.inputs:
        spent = ledger.output(entry.previous)
        inputs.append(
            {
                "txid": entry.previous.txid,
                "vout": entry.previous.vout,
                "prevout": output(spent, network) if spent else None,
                "scriptsig": entry.script.hex(),
                "scriptsig_asm": "",
                "witness": [item.hex() for item in entry.witness],
                "is_coinbase": one.is_coinbase,
                "sequence": entry.sequence,
            }
        )
    return {
        "txid": one.txid,
        "version": one.version,
        "locktime": one.lock_time,
        "vin": inputs,
        "vout": [output(entry, network) for entry in one.outputs],
        "size": len(one.encoded()),
        "weight": one.weight,
        "sigops": len(one.inputs),
        "fee": ledger.fee(one),
        "status": status(ledger, one.txid),
    }


def outspend(ledger: Ledger, point: OutPoint) -> dict[str, Any]:
    """Whether and by what an output is spent."""
    spender = ledger.spender(point)
    if spender is None:
        return {"spent": False}
    found = ledger.transaction(spender)
    number = next((n for n, one in enumerate(found.inputs) if one.previous == point), 0) if found else 0
    return {"spent": True, "txid": spender, "vin": number, "status": status(ledger, spender)}


def block(one: Block) -> dict[str, Any]:
    """A block without its transactions."""
    return {
        "id": one.hash,
        "height": one.height,
        "version": one.version,
        "timestamp": one.time,
        "tx_count": len(one.transactions),
        "size": len(one.encoded()),
        "weight": 4 * 81 + sum(entry.weight for entry in one.transactions),
        "merkle_root": one.root[::-1].hex(),
        "previousblockhash": one.previous if one.height else None,
        "mediantime": one.time,
        "nonce": one.nonce,
        "bits": one.bits,
        "difficulty": 0,
    }


def summary(ledger: Ledger, hashed: str, scripts: set[str]) -> dict[str, Any]:
    """Sums of a script's history, of the chain and of the mempool."""
    sums = {
        name: dict.fromkeys(("funded_txo_count", "funded_txo_sum", "spent_txo_count", "spent_txo_sum", "tx_count"), 0)
        for name in ("chain_stats", "mempool_stats")
    }
    for txid in ledger.history(hashed):
        found = ledger.transaction(txid)
        assert found is not None
        into = sums["chain_stats" if ledger.place(txid) else "mempool_stats"]
        into["tx_count"] += 1
        for one in found.outputs:
            if one.script.hex() in scripts:
                into["funded_txo_count"] += 1
                into["funded_txo_sum"] += one.value
        for entry in found.inputs:
            spent = ledger.output(entry.previous)
            if spent and spent.script.hex() in scripts:
                into["spent_txo_count"] += 1
                into["spent_txo_sum"] += spent.value
    return sums
