"""Refusals of the Bitcoin counterpart."""


class SandboxError(Exception):
    """The program cannot start or go on; the message is one sentence."""


class RefusedError(Exception):
    """A request that is answered with status 400 and this text, or 404 when `is_missing`."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing


class InvalidTransactionError(RefusedError):
    """A transaction that the network does not take; the words are Bitcoin Core's."""
