"""RPC methods about accounts and tokens. Each answers as of the asked commitment, finalized when none is given."""

import base64
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sandbox.solana import base58, tokens
from sandbox.solana.cluster import Cluster
from sandbox.solana.errors import invalid_params
from sandbox.solana.methods_chain import with_context
from sandbox.solana.params import Config, Params, read_pubkey
from sandbox.solana.store import MAX_U64

MAX_MULTIPLE_ACCOUNTS = 100
_BASE58_LIMIT = 128


def account_shape(cluster: Cluster, account: Account | None, config: Config, slot: int | None, default: str) -> Any:
    """UiAccount, or None.

    Raises:
        RpcError: an encoding that this account cannot have.
    """
    if account is None:
        return None
    return {
        "lamports": account.lamports,
        "data": _data(cluster, account, config, slot, config.encoding(default)),
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": MAX_U64,
        "space": len(account.data),
    }


def _data(cluster: Cluster, account: Account, config: Config, slot: int | None, encoding: str) -> Any:
    if encoding == "jsonParsed":
        known = _parsed(cluster, account, slot)
        if known is not None:
            return {"program": tokens.PROGRAMS[account.owner], "parsed": known, "space": len(account.data)}
        encoding = "base64"
    data = account.data
    cut = config.get("dataSlice")
    if isinstance(cut, dict):
        offset, length = cut.get("offset"), cut.get("length")
        if not isinstance(offset, int) or not isinstance(length, int) or offset < 0 or length < 0:
            raise invalid_params("Invalid params: dataSlice needs offset and length.")
        data = data[offset : offset + length]
    if encoding == "base64":
        return [base64.b64encode(data).decode(), "base64"]
    if encoding == "base64+zstd":
        raise invalid_params("base64+zstd is not offered by the sandbox; ask for base64")
    if len(data) > _BASE58_LIMIT:
        raise invalid_params(
            f"Encoded binary (base 58) data should be less than {_BASE58_LIMIT} bytes, please use Base64 encoding."
        )
    text = base58.encode(data)
    return text if encoding == "binary" else [text, "base58"]


def _parsed(cluster: Cluster, account: Account, slot: int | None) -> dict[str, Any] | None:
    mint = tokens.read_mint(account)
    if mint is not None:
        return tokens.parsed_mint(mint)
    token = tokens.read_account(account)
    if token is None:
        return None
    mint = tokens.read_mint(cluster.bank.account(token.mint, slot))
    return None if mint is None else tokens.parsed_account(token, mint.decimals)


async def get_balance(cluster: Cluster, params: Params) -> Any:
    """getBalance."""
    config = params.config(1)
    slot = _slot(cluster, config)
    account = cluster.bank.account(params.pubkey(0), slot)
    return with_context(slot, 0 if account is None else account.lamports)


async def get_account_info(cluster: Cluster, params: Params) -> Any:
    """getAccountInfo."""
    config = params.config(1)
    slot = _slot(cluster, config)
    account = cluster.bank.account(params.pubkey(0), slot)
    return with_context(slot, account_shape(cluster, account, config, slot, "binary"))


async def get_multiple_accounts(cluster: Cluster, params: Params) -> Any:
    """getMultipleAccounts."""
    listed = params.value(0)
    if not isinstance(listed, list):
        raise invalid_params("Invalid params: invalid type: expected a sequence.")
    if len(listed) > MAX_MULTIPLE_ACCOUNTS:
        raise invalid_params(f"Too many inputs provided; max {MAX_MULTIPLE_ACCOUNTS}")
    config = params.config(1)
    slot = _slot(cluster, config)
    accounts = [cluster.bank.account(read_pubkey(text), slot) for text in listed]
    return with_context(slot, [account_shape(cluster, account, config, slot, "base64") for account in accounts])


async def get_token_account_balance(cluster: Cluster, params: Params) -> Any:
    """getTokenAccountBalance."""
    slot = _slot(cluster, params.config(1))
    account = cluster.bank.account(params.pubkey(0), slot)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    token = tokens.read_account(account)
    mint = None if token is None else tokens.read_mint(cluster.bank.account(token.mint, slot))
    if token is None or mint is None:
        raise invalid_params("Invalid param: not a Token account")
    return with_context(slot, tokens.ui_amount(token.amount, mint.decimals))


async def get_token_supply(cluster: Cluster, params: Params) -> Any:
    """getTokenSupply."""
    slot = _slot(cluster, params.config(1))
    account = cluster.bank.account(params.pubkey(0), slot)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    mint = tokens.read_mint(account)
    if mint is None:
        raise invalid_params("Invalid param: not a Token mint")
    return with_context(slot, tokens.ui_amount(mint.supply, mint.decimals))


async def get_token_accounts_by_owner(cluster: Cluster, params: Params) -> Any:
    """getTokenAccountsByOwner."""
    owner, wanted, config = params.pubkey(0), params.value(1), params.config(2)
    slot = _slot(cluster, config)
    mint, program = _filter(cluster, wanted, slot)
    found = []
    for address in cluster.bank.holdings(owner):
        account = cluster.bank.account(address, slot)
        token = tokens.read_account(account)
        if account is None or token is None or token.owner != owner:
            continue
        if (mint is None or token.mint == mint) and (program is None or account.owner == program):
            shape = account_shape(cluster, account, config, slot, "binary")
            found.append({"pubkey": str(address), "account": shape})
    return with_context(slot, found)


def _filter(cluster: Cluster, wanted: Any, slot: int) -> tuple[Pubkey | None, Pubkey | None]:
    if isinstance(wanted, dict) and "mint" in wanted:
        mint = read_pubkey(wanted["mint"])
        account = cluster.bank.account(mint, slot)
        if account is None:
            raise invalid_params("Invalid param: could not find mint")
        if tokens.read_mint(account) is None:
            raise invalid_params("Invalid param: not a Token mint")
        return mint, None
    if isinstance(wanted, dict) and "programId" in wanted:
        program = read_pubkey(wanted["programId"])
        if program not in tokens.PROGRAMS:
            raise invalid_params("Invalid param: unrecognized Token program id")
        return None, program
    raise invalid_params("Invalid params: expected `mint` or `programId`.")


async def get_minimum_balance(cluster: Cluster, params: Params) -> Any:
    """getMinimumBalanceForRentExemption."""
    return cluster.bank.rent(params.integer(0))


def _slot(cluster: Cluster, config: Config) -> int:
    slot = cluster.clock.slot(config.commitment())
    config.check_context(slot)
    return slot


METHODS = {
    "getBalance": get_balance,
    "getAccountInfo": get_account_info,
    "getMultipleAccounts": get_multiple_accounts,
    "getTokenAccountBalance": get_token_account_balance,
    "getTokenSupply": get_token_supply,
    "getTokenAccountsByOwner": get_token_accounts_by_owner,
    "getMinimumBalanceForRentExemption": get_minimum_balance,
}
