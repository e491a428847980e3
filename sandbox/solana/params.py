"""Parameters of a JSON-RPC call, read with Solana's own refusals."""

from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.solana import base58
from sandbox.solana.clock import COMMITMENTS
from sandbox.solana.errors import MIN_CONTEXT_SLOT_NOT_REACHED, RpcError, invalid_params

ENCODINGS = ("binary", "base58", "base64", "base64+zstd", "jsonParsed")


class Params:
    """The positional parameters of one call."""

    def __init__(self, given: Any) -> None:
        if given is None:
            given = []
        if not isinstance(given, list):
            raise invalid_params("Invalid params: invalid type: map, expected a sequence.")
        self._given = given

    def value(self, index: int) -> Any:
        """A parameter that must be there."""
        if index >= len(self._given):
            raise invalid_params(f"`params` should have at least {index + 1} argument(s)")
        return self._given[index]

    def integer(self, index: int) -> int:
        """An unsigned 64-bit number."""
        value = self.value(index)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
            raise invalid_params(f"Invalid params: invalid type: {value!r}, expected u64.")
        return value

    def pubkey(self, index: int) -> Pubkey:
        """An address."""
        return read_pubkey(self.value(index))

    def signature(self, index: int) -> Signature:
        """A transaction's id."""
        return read_signature(self.value(index))

    def config(self, index: int) -> "Config":
        """The options, which may be missing."""
        value = self._given[index] if index < len(self._given) else None
        if value is not None and not isinstance(value, dict):
            raise invalid_params("Invalid params: invalid type: expected a struct of options.")
        return Config(value or {})

    def config_or_encoding(self, index: int) -> "Config":
        """The options; getTransaction also takes an encoding alone."""
        value = self._given[index] if index < len(self._given) else None
        return Config({"encoding": value}) if isinstance(value, str) else self.config(index)


class Config:
    """The options of one call; unknown ones are ignored, as Solana ignores them."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def get(self, name: str) -> Any:
        """An option as it was given, or None."""
        return self._given.get(name)

    def flag(self, name: str) -> bool:
        """An option that is on or off."""
        value = self._given.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid_params(f"Invalid params: invalid type for `{name}`, expected a boolean.")
        return bool(value)

    def commitment(self, *, least: str = "processed", name: str = "commitment") -> str:
        """The commitment level; finalized when none is given.

        Raises:
            RpcError: INVALID_PARAMS for an unknown level, or one below `least`.
        """
        value = self._given.get(name) or "finalized"
        if value not in COMMITMENTS:
            levels = ", ".join(f"`{level}`" for level in COMMITMENTS)
            raise invalid_params(f"Invalid params: unknown variant `{value}`, expected one of {levels}.")
        if least == "confirmed" and value == "processed":
            raise invalid_params("Method does not support commitment below `confirmed`")
        return str(value)

    def encoding(self, default: str) -> str:
        """The encoding of accounts."""
        value = self._given.get("encoding") or default
        if value not in ENCODINGS:
            listed = ", ".join(f"`{name}`" for name in ENCODINGS)
            raise invalid_params(f"Invalid params: unknown variant `{value}`, expected one of {listed}.")
        return str(value)

    def check_context(self, slot: int) -> None:
        """Refuse when the caller has seen a newer slot than this view has.

        Raises:
            RpcError: MIN_CONTEXT_SLOT_NOT_REACHED.
        """
        least = self._given.get("minContextSlot")
        if isinstance(least, int) and slot < least:
            raise RpcError(
                MIN_CONTEXT_SLOT_NOT_REACHED, "Minimum context slot has not been reached", {"contextSlot": slot}
            )


def read_pubkey(text: Any) -> Pubkey:
    """An address in base58.

    Raises:
        RpcError: INVALID_PARAMS.
    """
    return Pubkey(_read_base58(text, 32))


def read_signature(text: Any) -> Signature:
    """A signature in base58.

    Raises:
        RpcError: INVALID_PARAMS.
    """
    return Signature(_read_base58(text, 64))


def _read_base58(text: Any, size: int) -> bytes:
    if not isinstance(text, str):
        raise invalid_params("Invalid params: invalid type: expected a string.")
    if len(text) > 2 * size:
        raise invalid_params("Invalid param: WrongSize")
    try:
        data = base58.decode(text)
    except ValueError as refusal:
        raise invalid_params("Invalid param: Invalid") from refusal
    if len(data) != size:
        raise invalid_params("Invalid param: WrongSize")
    return data
