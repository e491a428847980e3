"""What ends a command early: one sentence for the person, and the exit code."""

from __future__ import annotations


class OperationError(Exception):
    """Something a person can mend.

    Attributes:
        sentence: what happened, where, and how to mend it.
        exit_code: what the command exits with.
    """

    def __init__(self, sentence: str, *, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


class StoppedError(OperationError):
    """The person pressed Ctrl-C."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, exit_code=130)
