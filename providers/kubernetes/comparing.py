"""What an object looks like in the shape of its inputs: what the cluster added is left out, drift is kept.

Source of the idea: pulumi-kubernetes `provider/pkg/provider/provider.go`, `pruneLiveState`.
"""

from __future__ import annotations

from typing import Any

from kubernetes.utils.quantity import parse_quantity

from providers.base.values import UNKNOWN, Properties

_WRITE_ONLY = ("stringData",)


def observed(inputs: Properties, live: Properties) -> Properties:
    """The inputs as they are found in the cluster; a value that is only spelled differently keeps its spelling.

    Args:
        inputs: the last inputs, without secrets' wrappers.
        live: the object.
    """
    return {
        key: value if key in _WRITE_ONLY else _observed(value, live.get(key))
        for key, value in inputs.items()
        if key in _WRITE_ONLY or key in live or _empty(value)
    }


def _observed(given: Any, found: Any) -> Any:
    if given is UNKNOWN or (found is None and _empty(given)):
        return given
    if isinstance(given, dict) and isinstance(found, dict):
        return {key: _observed(value, found.get(key)) for key, value in given.items() if key in found or _empty(value)}
    if isinstance(given, list) and isinstance(found, list):
        if len(given) != len(found):
            return found
        return [_observed(*pair) for pair in zip(given, found, strict=True)]
    return given if same_value(given, found) else found


def same_value(given: Any, found: Any) -> bool:
    """Whether two values mean the same to the API, which writes 2000m as 2 and 1 as "1" where a quantity is meant."""
    if given == found and isinstance(given, bool) == isinstance(found, bool):
        return True
    if isinstance(given, bool) or isinstance(found, bool):
        return False
    if not isinstance(given, str | int | float) or not isinstance(found, str | int | float):
        return False
    try:
        return bool(parse_quantity(given) == parse_quantity(found))
    except (ValueError, ArithmeticError):
        return False


def _empty(value: Any) -> bool:
    """What the API leaves out when it writes an object: nothing, or nothing in it."""
    return value is None or value in ({}, [], "", False, 0)
