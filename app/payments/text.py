"""Text from outside: what may be stored and shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAXIMUM_METADATA_KEYS = 50


def _printable(value: str) -> str:
    if any((ord(letter) < 32 and letter not in "\n\t") or ord(letter) == 127 for letter in value):
        raise ValueError("control characters are not allowed")
    return value


def _at_most_639_bytes(value: str) -> str:
    if len(value.encode()) > 639:
        raise ValueError("at most 639 bytes of UTF-8, the limit of a BOLT11 description")
    return value


def _few(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAXIMUM_METADATA_KEYS:
        raise ValueError(f"at most {MAXIMUM_METADATA_KEYS} keys")
    return value


Memo = Annotated[str, AfterValidator(_printable), AfterValidator(_at_most_639_bytes)]
Note = Annotated[str, AfterValidator(_printable)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_printable)]
_Value = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Metadata = Annotated[dict[_Name, _Value], AfterValidator(_few)]
