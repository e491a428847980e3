"""The first accounts of a cluster: the mint, the token accounts and the lamports that genesis.json asks for."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sandbox.solana import tokens
from sandbox.solana.errors import SandboxError

SYSTEM_PROGRAM = Pubkey.default()
_MAX_U64 = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Genesis:
    """What genesis.json says: a mint, and who begins with what. Amounts in base units."""

    mint: Pubkey
    decimals: int
    authority: Pubkey
    lamports: dict[Pubkey, int]
    tokens: dict[Pubkey, int]

    @property
    def hash(self) -> bytes:
        """The genesis hash: of all it says."""
        said = [
            [str(self.mint), self.decimals, str(self.authority)],
            sorted((str(key), amount) for key, amount in self.lamports.items()),
            sorted((str(key), amount) for key, amount in self.tokens.items()),
        ]
        return hashlib.sha256(json.dumps(said).encode()).digest()


def read(path: Path) -> Genesis:
    """Read genesis.json.

    Raises:
        SandboxError: missing, no JSON, or a field that does not fit; the message names it.
    """
    try:
        data = json.loads(path.read_text())
    except OSError as refusal:
        raise SandboxError(
            f"{path} cannot be read ({refusal.strerror}); --genesis names the cluster's first state"
        ) from refusal
    except ValueError as refusal:
        raise SandboxError(f"{path} is no JSON ({refusal})") from refusal
    if not isinstance(data, dict) or not isinstance(data.get("mint"), dict):
        raise SandboxError(f"{path} has no object `mint`; it needs address, decimals and authority")
    mint = data["mint"]
    decimals = mint.get("decimals", 6)
    if not isinstance(decimals, int) or isinstance(decimals, bool) or not 0 <= decimals <= 18:
        raise SandboxError(f"{path}: mint.decimals is {decimals!r}; give a number from 0 to 18")
    genesis = Genesis(
        mint=_key(path, "mint.address", mint.get("address")),
        decimals=decimals,
        authority=_key(path, "mint.authority", mint.get("authority")),
        lamports=_amounts(path, "lamports", data.get("lamports", {})),
        tokens=_amounts(path, "tokens", data.get("tokens", {})),
    )
    if sum(genesis.tokens.values()) > _MAX_U64:
        raise SandboxError(f"{path}: tokens sum up to more than a mint can have ({_MAX_U64})")
    return genesis


def first_accounts(genesis: Genesis, rent_of_account: int, rent_of_mint: int) -> dict[Pubkey, Account]:
    """The accounts of a new cluster."""
    supply = sum(genesis.tokens.values())
    mint_data = tokens.pack_mint(genesis.authority, supply, genesis.decimals)
    accounts = {genesis.mint: Account(rent_of_mint, mint_data, tokens.TOKEN_PROGRAM, False, _MAX_U64)}
    for owner, amount in genesis.tokens.items():
        data = tokens.pack_account(genesis.mint, owner, amount)
        address = tokens.associated_address(owner, genesis.mint)
        accounts[address] = Account(rent_of_account, data, tokens.TOKEN_PROGRAM, False, _MAX_U64)
    for owner, amount in genesis.lamports.items():
        if amount:
            accounts[owner] = Account(amount, b"", SYSTEM_PROGRAM, False, _MAX_U64)
    return accounts


def _key(path: Path, name: str, text: Any) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except (TypeError, ValueError) as refusal:
        raise SandboxError(f"{path}: {name} is {text!r}; give a base58 public key") from refusal


def _amounts(path: Path, name: str, given: Any) -> dict[Pubkey, int]:
    if not isinstance(given, dict):
        raise SandboxError(f"{path}: {name} must be an object of public keys and amounts")
    amounts = {}
    for text, amount in given.items():
        if not isinstance(amount, int) or isinstance(amount, bool) or not 0 <= amount <= _MAX_U64:
            raise SandboxError(f"{path}: {name}.{text} is {amount!r}; give a whole number of base units")
        amounts[_key(path, f"a key of {name}", text)] = amount
    return amounts
