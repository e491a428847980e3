"""RPC methods that send, simulate and look up transactions."""

import base64
import json
import sqlite3
from typing import Any

from solders.transaction import VersionedTransaction

from sandbox.solana import base58, parsed, store, transactions
from sandbox.solana.bank import Outcome
from sandbox.solana.clock import CONFIRMED_AFTER, FINALIZED_AFTER, MAX_PROCESSING_AGE
from sandbox.solana.cluster import STATUS_CACHE_SLOTS, Cluster
from sandbox.solana.errors import (
    INTERNAL_ERROR,
    PREFLIGHT_FAILURE,
    SIGNATURE_VERIFICATION_FAILURE,
    RpcError,
    describe,
    invalid_params,
)
from sandbox.solana.methods_accounts import account_shape
from sandbox.solana.methods_chain import with_context
from sandbox.solana.params import Config, Params, read_pubkey, read_signature

MAX_STATUSES = 256
MAX_SIGNATURES = 1000
_ENCODINGS = ("json", "jsonParsed", "base58", "base64")


async def send_transaction(cluster: Cluster, params: Params) -> Any:
    """sendTransaction: checks by simulation unless skipPreflight, then puts it in a block.

    Like a real node it answers with the signature for a transaction that validators will drop, when it was not asked
    to look.
    """
    config = params.config(1)
    transaction = transactions.decode(params.value(0), config.get("encoding") or "base58")
    if not config.flag("skipPreflight"):
        slot = cluster.clock.slot(config.commitment(name="preflightCommitment"))
        config.check_context(slot)
        if not transactions.signatures_hold(transaction):
            raise _bad_signature()
        outcome = cluster.simulate(transaction, slot)
        if outcome.err is not None:
            words = f"Transaction simulation failed: {describe(outcome.err)}"
            raise RpcError(PREFLIGHT_FAILURE, words, simulation_shape(outcome))
    await cluster.submit(transaction)
    return str(transactions.first_signature(transaction))


async def simulate_transaction(cluster: Cluster, params: Params) -> Any:
    """simulateTransaction."""
    config = params.config(1)
    transaction = transactions.decode(params.value(0), config.get("encoding") or "base58")
    slot = cluster.clock.slot(config.commitment())
    config.check_context(slot)
    verify, replace = config.flag("sigVerify"), config.flag("replaceRecentBlockhash")
    if verify and replace:
        raise invalid_params("sigVerify may not be used with replaceRecentBlockhash")
    if verify and not transactions.signatures_hold(transaction):
        raise _bad_signature()
    outcome = cluster.simulate(transaction, slot, replace_blockhash=replace)
    shape = simulation_shape(outcome)
    shape["accounts"] = _asked_accounts(cluster, outcome, config)
    if config.flag("innerInstructions"):
        shape["innerInstructions"] = outcome.inner
    if replace:
        shape["replacementBlockhash"] = {
            "blockhash": str(cluster.clock.blockhash(slot)),
            "lastValidBlockHeight": slot + MAX_PROCESSING_AGE,
        }
    return with_context(slot, shape)


def simulation_shape(outcome: Outcome) -> dict[str, Any]:
    """RpcSimulateTransactionResult."""
    return {
        "err": outcome.err,
        "logs": outcome.logs,
        "accounts": None,
        "unitsConsumed": outcome.units,
        "returnData": outcome.return_data,
        "innerInstructions": None,
        "replacementBlockhash": None,
    }


def _asked_accounts(cluster: Cluster, outcome: Outcome, config: Config) -> Any:
    asked = config.get("accounts")
    if asked is None:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("addresses"), list):
        raise invalid_params("Invalid params: accounts needs `addresses`.")
    shown = Config(asked)
    if outcome.err is not None:
        return [None for _ in asked["addresses"]]
    shapes = []
    for text in asked["addresses"]:
        address = read_pubkey(text)
        account = outcome.accounts.get(address) or cluster.bank.account(address)
        shapes.append(account_shape(cluster, account, shown, None, "base64"))
    return shapes


def _bad_signature() -> RpcError:
    return RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")


async def get_signature_statuses(cluster: Cluster, params: Params) -> Any:
    """getSignatureStatuses."""
    listed = params.value(0)
    if not isinstance(listed, list):
        raise invalid_params("Invalid params: invalid type: expected a sequence.")
    if len(listed) > MAX_STATUSES:
        raise invalid_params(f"Too many inputs provided; max {MAX_STATUSES}")
    search = params.config(1).flag("searchTransactionHistory")
    newest = cluster.clock.slot()
    statuses = []
    for text in listed:
        row = store.find(cluster.reader, bytes(read_signature(text)))
        forgotten = row is not None and not search and newest - row["slot"] > STATUS_CACHE_SLOTS
        statuses.append(None if row is None or forgotten else _status(row, newest))
    return with_context(newest, statuses)


def _status(row: sqlite3.Row, newest: int) -> dict[str, Any]:
    err = _err(row)
    depth = max(0, newest - row["slot"])
    return {
        "slot": row["slot"],
        "confirmations": depth if depth < FINALIZED_AFTER else None,
        "err": err,
        "status": {"Ok": None} if err is None else {"Err": err},
        "confirmationStatus": _confirmation(depth),
    }


def _confirmation(depth: int) -> str:
    if depth >= FINALIZED_AFTER:
        return "finalized"
    return "confirmed" if depth >= CONFIRMED_AFTER else "processed"


def _err(row: sqlite3.Row) -> Any:
    return None if row["err"] is None else json.loads(row["err"])


async def get_transaction(cluster: Cluster, params: Params) -> Any:
    """getTransaction: null until it reached the commitment."""
    config = params.config_or_encoding(1)
    signature = params.signature(0)
    slot = cluster.clock.slot(config.commitment(least="confirmed"))
    encoding = config.get("encoding") or "json"
    if encoding not in _ENCODINGS:
        listed = ", ".join(f"`{name}`" for name in _ENCODINGS)
        raise invalid_params(f"Invalid params: unknown variant `{encoding}`, expected one of {listed}.")
    row = store.find(cluster.reader, bytes(signature))
    if row is None or row["slot"] > slot:
        return None
    transaction = VersionedTransaction.from_bytes(row["wire"])
    version = transaction.version()
    newest_readable = config.get("maxSupportedTransactionVersion")
    if version == 0 and newest_readable is None:
        raise transactions.unknown_version(version)
    meta = json.loads(row["meta"])
    answer = {
        "slot": row["slot"],
        "blockTime": cluster.clock.time_of(row["slot"]),
        "transaction": _encoded(transaction, row["wire"], meta, encoding),
        "meta": parsed.parsed_meta(transaction, meta) if encoding == "jsonParsed" else meta,
    }
    if newest_readable is not None:
        answer["version"] = 0 if version == 0 else "legacy"
    return answer


def _encoded(transaction: VersionedTransaction, wire: bytes, meta: dict[str, Any], encoding: str) -> Any:
    if encoding == "base64":
        return [base64.b64encode(wire).decode(), "base64"]
    if encoding == "base58":
        return [base58.encode(wire), "base58"]
    return parsed.parsed(transaction, meta) if encoding == "jsonParsed" else parsed.plain(transaction)


async def get_signatures_for_address(cluster: Cluster, params: Params) -> Any:
    """getSignaturesForAddress, newest first."""
    config = params.config(1)
    slot = cluster.clock.slot(config.commitment(least="confirmed"))
    config.check_context(slot)
    limit = MAX_SIGNATURES if config.get("limit") is None else config.get("limit")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_SIGNATURES:
        raise invalid_params(f"Invalid limit; max {MAX_SIGNATURES}")
    before, until = config.get("before"), config.get("until")
    rows = store.history(
        cluster.reader,
        bytes(params.pubkey(0)),
        newest_slot=slot,
        before=bytes(read_signature(before)) if before else None,
        until=bytes(read_signature(until)) if until else None,
        limit=limit,
    )
    newest = cluster.clock.slot()
    return [
        {
            "signature": base58.encode(row["signature"]),
            "slot": row["slot"],
            "err": _err(row),
            "memo": row["memo"],
            "blockTime": cluster.clock.time_of(row["slot"]),
            "confirmationStatus": _confirmation(max(0, newest - row["slot"])),
        }
        for row in rows
    ]


async def request_airdrop(cluster: Cluster, params: Params) -> Any:
    """requestAirdrop: a real transfer from the cluster's faucet."""
    to, lamports = params.pubkey(0), params.integer(1)
    transaction = await cluster.airdrop(to, lamports)
    if transaction is None:
        raise RpcError(INTERNAL_ERROR, "airdrop request failed: the faucet has not that many lamports")
    return str(transactions.first_signature(transaction))


METHODS = {
    "sendTransaction": send_transaction,
    "simulateTransaction": simulate_transaction,
    "getSignatureStatuses": get_signature_statuses,
    "getTransaction": get_transaction,
    "getSignaturesForAddress": get_signatures_for_address,
    "requestAirdrop": request_airdrop,
}
