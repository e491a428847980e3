"""Transactions as JSON: the plain form, and jsonParsed for the programs that payments use."""

from typing import Any

from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sandbox.solana import base58, tokens, transactions
from sandbox.solana.genesis import SYSTEM_PROGRAM

_TOKEN_INSTRUCTIONS = {
    3: "transfer",
    7: "mintTo",
    8: "burn",
    9: "closeAccount",
    12: "transferChecked",
    14: "mintToChecked",
}


def plain(transaction: VersionedTransaction) -> dict[str, Any]:
    """UiTransaction with a raw message."""
    message = transaction.message
    header = message.header
    body: dict[str, Any] = {
        "accountKeys": [str(key) for key in message.account_keys],
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": base58.encode(instruction.data),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        body["addressTableLookups"] = _lookups(message)
    return {"signatures": [str(signature) for signature in transaction.signatures], "message": body}


def parsed(transaction: VersionedTransaction, meta: dict[str, Any]) -> dict[str, Any]:
    """UiTransaction with a parsed message; instructions of other programs stay partially decoded."""
    message = transaction.message
    keys = all_keys(message, meta)
    body: dict[str, Any] = {
        "accountKeys": _described_keys(message, meta),
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            instruction_shape(keys[one.program_id_index], [keys[index] for index in one.accounts], one.data, 1)
            for one in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        body["addressTableLookups"] = _lookups(message)
    return {"signatures": [str(signature) for signature in transaction.signatures], "message": body}


def parsed_meta(transaction: VersionedTransaction, meta: dict[str, Any]) -> dict[str, Any]:
    """The meta of a transaction with its inner instructions parsed; loaded addresses are in the keys then."""
    keys = all_keys(transaction.message, meta)
    groups = [
        {
            "index": group["index"],
            "instructions": [
                instruction_shape(
                    keys[inner["programIdIndex"]],
                    [keys[index] for index in inner["accounts"]],
                    base58.decode(inner["data"]),
                    inner["stackHeight"],
                )
                for inner in group["instructions"]
            ],
        }
        for group in meta["innerInstructions"]
    ]
    return {**{name: value for name, value in meta.items() if name != "loadedAddresses"}, "innerInstructions": groups}


def all_keys(message: Message | MessageV0, meta: dict[str, Any]) -> list[Pubkey]:
    """Static and looked-up keys of a landed transaction."""
    loaded = meta["loadedAddresses"]
    return list(message.account_keys) + [Pubkey.from_string(key) for key in loaded["writable"] + loaded["readonly"]]


def instruction_shape(program: Pubkey, accounts: list[Pubkey], data: bytes, height: int) -> dict[str, Any]:
    """One instruction, parsed when its program and kind are known."""
    known = _parse(program, accounts, data)
    if known is None:
        listed = [str(account) for account in accounts]
        return {"programId": str(program), "accounts": listed, "data": base58.encode(data), "stackHeight": height}
    name, body = known
    return {"program": name, "programId": str(program), "parsed": body, "stackHeight": height}


def _parse(program: Pubkey, accounts: list[Pubkey], data: bytes) -> tuple[str, Any] | None:
    names = [str(account) for account in accounts]
    if program in transactions.MEMO_PROGRAMS:
        return "spl-memo", data.decode(errors="replace")
    if program == SYSTEM_PROGRAM and data[:4] == b"\x02\0\0\0" and len(data) == 12 and len(names) >= 2:
        info: dict[str, Any] = {"source": names[0], "destination": names[1]}
        info["lamports"] = int.from_bytes(data[4:], "little")
        return "system", {"info": info, "type": "transfer"}
    if program == tokens.ASSOCIATED_TOKEN_PROGRAM and data in (b"", b"\0", b"\1") and len(names) >= 6:
        fields = ("source", "account", "wallet", "mint", "systemProgram", "tokenProgram")
        kind = "createIdempotent" if data == b"\1" else "create"
        return "spl-associated-token-account", {"info": dict(zip(fields, names, strict=False)), "type": kind}
    if program in tokens.PROGRAMS:
        body = _parse_token(names, data)
        return None if body is None else (tokens.PROGRAMS[program], body)
    return None


def _parse_token(names: list[str], data: bytes) -> dict[str, Any] | None:
    kind = _TOKEN_INSTRUCTIONS.get(data[0]) if data else None
    if kind is None or len(names) < 3:
        return None
    if kind == "closeAccount":
        fields: tuple[str, ...] = ("account", "destination", "owner")
    elif len(data) < 9:
        return None
    else:
        fields = {
            "transfer": ("source", "destination", "authority"),
            "transferChecked": ("source", "mint", "destination", "authority"),
            "mintTo": ("mint", "account", "mintAuthority"),
            "mintToChecked": ("mint", "account", "mintAuthority"),
            "burn": ("account", "mint", "authority"),
        }[kind]
    if len(names) < len(fields):
        return None
    info: dict[str, Any] = dict(zip(fields, names, strict=False))
    if len(names) > len(fields):  # several signers of a multisig authority
        info["multisig" + fields[-1].capitalize()] = info.pop(fields[-1])
        info["signers"] = names[len(fields) :]
    if kind.endswith("Checked"):
        info["tokenAmount"] = tokens.ui_amount(int.from_bytes(data[1:9], "little"), data[9])
    elif kind != "closeAccount":
        info["amount"] = str(int.from_bytes(data[1:9], "little"))
    return {"info": info, "type": kind}


def _described_keys(message: Message | MessageV0, meta: dict[str, Any]) -> list[dict[str, Any]]:
    header = message.header
    signers = header.num_required_signatures
    static = [str(key) for key in message.account_keys]
    described = []
    for index, key in enumerate(static):
        if index < signers:
            writable = index < signers - header.num_readonly_signed_accounts
        else:
            writable = index < len(static) - header.num_readonly_unsigned_accounts
        described.append({"pubkey": key, "signer": index < signers, "writable": writable, "source": "transaction"})
    for kind in ("writable", "readonly"):
        for key in meta["loadedAddresses"][kind]:
            described.append({"pubkey": key, "signer": False, "writable": kind == "writable", "source": "lookupTable"})
    return described


def _lookups(message: MessageV0) -> list[dict[str, Any]]:
    return [
        {
            "accountKey": str(lookup.account_key),
            "writableIndexes": list(lookup.writable_indexes),
            "readonlyIndexes": list(lookup.readonly_indexes),
        }
        for lookup in message.address_table_lookups
    ]
