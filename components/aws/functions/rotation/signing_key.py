"""Keys that only the service reads: what signs session tokens, and the pepper of the API keys' digests.

The service signs with the current one and accepts both, so a token or key of before stays good for one rotation more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .steps import RotationError, Value

KEY_HEX_DIGITS = 64


class SigningKey:
    """`{"current", "previous", "version", "prefix"}`: keys are the prefix and 32 random bytes in hexadecimal digits."""

    def __init__(self, generate: Callable[[], str] = lambda: secrets.token_hex(KEY_HEX_DIGITS // 2)) -> None:
        self._generate = generate

    def make(self, secret_id: str, current: Value) -> Value:
        """The current key becomes the previous one."""
        return {
            **current,
            "current": current.get("prefix", "") + self._generate(),
            "previous": current["current"],
            "version": str(int(current.get("version", 1)) + 1),
        }

    def apply(self, current: Value, pending: Value) -> None:
        """Nobody but the service knows it: nothing to tell."""

    def test(self, pending: Value) -> None:
        """It is as long as the service asks for, and no repetition."""
        key = pending["current"].removeprefix(pending.get("prefix", ""))
        if len(key) != KEY_HEX_DIGITS or pending["current"] == pending["previous"]:
            raise RotationError("The new signing key is not 64 new hexadecimal digits: start the rotation again.")
