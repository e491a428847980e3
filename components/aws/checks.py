"""Checks that arguments of several components share. Outputs, whose value is not known yet, pass."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import pulumi

from components.arguments import ArgumentError


def _refuse(args: object, key: str, what: str, fix: str) -> ArgumentError:
    return ArgumentError(type(args).__name__, key, what, fix)


def check_between(args: object, key: str, low: int, high: int, fix: str) -> None:
    """Refuse a number outside low..high."""
    value: Any = getattr(args, key)
    if not isinstance(value, pulumi.Output) and not low <= value <= high:
        raise _refuse(args, key, f"is {value} and must be from {low} to {high}", fix)


def check_one_of(args: object, key: str, allowed: Collection[Any], fix: str) -> None:
    """Refuse a value that is not one of `allowed`."""
    value: Any = getattr(args, key)
    if not isinstance(value, pulumi.Output) and value not in allowed:
        raise _refuse(args, key, f"is {value!r} and must be one of {', '.join(map(str, allowed))}", fix)


def check_matches(args: object, key: str, pattern: str, what: str, fix: str) -> None:
    """Refuse text that does not match `pattern` as a whole; `what` follows the value: "and must be ..."."""
    value: Any = getattr(args, key)
    if not isinstance(value, pulumi.Output) and not re.fullmatch(pattern, value):
        raise _refuse(args, key, f"is {value!r} and must be {what}", fix)


def check_not_empty(args: object, key: str, fix: str) -> None:
    """Refuse an empty list or text."""
    value: Any = getattr(args, key)
    if not isinstance(value, pulumi.Output) and not value:
        raise _refuse(args, key, "is empty", fix)
