"""SPL token accounts and mints: their bytes (spl-token's state.rs) and their parsed JSON."""

import struct
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
PROGRAMS = {TOKEN_PROGRAM: "spl-token", TOKEN_2022_PROGRAM: "spl-token-2022"}

ACCOUNT_SIZE = 165
MINT_SIZE = 82
_ACCOUNT = struct.Struct("<32s32sQI32sBIQQI32s")
_MINT = struct.Struct("<I32sQB?I32s")
_STATES = {1: "initialized", 2: "frozen"}
# Token-2022 accounts with extensions say what they are in the byte behind the base state.
_TYPE_OFFSET, _TYPE_MINT, _TYPE_ACCOUNT = 165, 1, 2


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """A holding of one mint."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    state: int
    native_reserve: int | None
    delegated_amount: int
    close_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Mint:
    """A token."""

    authority: Pubkey | None
    supply: int
    decimals: int
    freeze_authority: Pubkey | None


def associated_address(owner: Pubkey, mint: Pubkey, program: Pubkey = TOKEN_PROGRAM) -> Pubkey:
    """The address of an owner's associated token account."""
    return Pubkey.find_program_address([bytes(owner), bytes(program), bytes(mint)], ASSOCIATED_TOKEN_PROGRAM)[0]


def read_account(account: Account | None) -> TokenAccount | None:
    """The token account in an account, None when it is none or not initialised."""
    if account is None or account.owner not in PROGRAMS:
        return None
    data = account.data
    extended = len(data) > _TYPE_OFFSET and data[_TYPE_OFFSET] == _TYPE_ACCOUNT
    if len(data) != ACCOUNT_SIZE and not extended:
        return None
    fields = _ACCOUNT.unpack_from(data)
    mint, owner, amount, has_delegate, delegate, state, is_native, reserve, delegated, has_close, close = fields
    if state not in _STATES:
        return None
    return TokenAccount(
        Pubkey(mint),
        Pubkey(owner),
        amount,
        Pubkey(delegate) if has_delegate else None,
        state,
        reserve if is_native else None,
        delegated,
        Pubkey(close) if has_close else None,
    )


def read_mint(account: Account | None) -> Mint | None:
    """The mint in an account, None when it is none or not initialised."""
    if account is None or account.owner not in PROGRAMS:
        return None
    data = account.data
    extended = len(data) > _TYPE_OFFSET and data[_TYPE_OFFSET] == _TYPE_MINT
    if len(data) != MINT_SIZE and not extended:
        return None
    has_authority, authority, supply, decimals, initialised, has_freeze, freeze = _MINT.unpack_from(data)
    if not initialised:
        return None
    return Mint(Pubkey(authority) if has_authority else None, supply, decimals, Pubkey(freeze) if has_freeze else None)


def pack_account(mint: Pubkey, owner: Pubkey, amount: int) -> bytes:
    """The bytes of a plain, initialised token account."""
    return _ACCOUNT.pack(bytes(mint), bytes(owner), amount, 0, bytes(32), 1, 0, 0, 0, 0, bytes(32))


def pack_mint(authority: Pubkey, supply: int, decimals: int) -> bytes:
    """The bytes of an initialised mint without a freeze authority."""
    return _MINT.pack(1, bytes(authority), supply, decimals, True, 0, bytes(32))


def ui_amount(amount: int, decimals: int) -> dict[str, Any]:
    """UiTokenAmount."""
    text = f"{amount // 10**decimals}.{amount % 10**decimals:0{decimals}d}" if decimals else str(amount)
    if decimals:
        text = text.rstrip("0").rstrip(".")
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": amount / 10**decimals,
        "uiAmountString": text,
    }


def parsed_account(token: TokenAccount, decimals: int) -> dict[str, Any]:
    """The `parsed` member of a token account in jsonParsed."""
    info: dict[str, Any] = {
        "isNative": token.native_reserve is not None,
        "mint": str(token.mint),
        "owner": str(token.owner),
        "state": _STATES[token.state],
        "tokenAmount": ui_amount(token.amount, decimals),
    }
    if token.delegate is not None:
        info["delegate"] = str(token.delegate)
        info["delegatedAmount"] = ui_amount(token.delegated_amount, decimals)
    if token.close_authority is not None:
        info["closeAuthority"] = str(token.close_authority)
    if token.native_reserve is not None:
        info["rentExemptReserve"] = ui_amount(token.native_reserve, decimals)
    return {"info": info, "type": "account"}


def parsed_mint(mint: Mint) -> dict[str, Any]:
    """The `parsed` member of a mint in jsonParsed."""
    info = {
        "decimals": mint.decimals,
        "freezeAuthority": str(mint.freeze_authority) if mint.freeze_authority else None,
        "isInitialized": True,
        "mintAuthority": str(mint.authority) if mint.authority else None,
        "supply": str(mint.supply),
    }
    return {"info": info, "type": "mint"}
