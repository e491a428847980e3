"""Property values as the CLI's messages show them (Go's `%v` of a `PropertyValue`), secrets redacted.

Source: pulumi `sdk/go/common/resource/properties.go` (`String`, `RedactSecrets`).
"""

from __future__ import annotations

from typing import Any

from pulumi_embedded.deploy.property_path import parse_path
from pulumi_embedded.properties import Properties, downgrade_outputs, is_secret, is_unknown, signature
from pulumi_embedded.state.sealing import MASK


def go_text(value: Any) -> str:
    """Return one value, as in `{text}`, `{[{1} {2}]}`, `{map[key:{true}]}`."""
    if is_unknown(value):
        return "output<string>{}"
    return f"{{{_inside(value)}}}"


def _inside(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if is_secret(value):
        return MASK
    if isinstance(value, list):
        return f"[{' '.join(go_text(item) for item in value)}]"
    if isinstance(value, dict):
        if signature(value):
            return "..."  # an asset, archive or reference: the CLI prints an address here
        return f"map[{' '.join(f'{key}:{go_text(item)}' for key, item in sorted(value.items()))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def problems_text(message: str, problems: list[tuple[str, str]], inputs: Properties) -> str:
    """Return an error's message with what is wrong with which input, and that input's value."""
    plain = downgrade_outputs(inputs)
    for path, reason in problems:
        found, value = _at(path, plain)
        shown = f" with value '{go_text(value)}'" if found else ""
        message += f"\n\t\t- property {path}{shown} has a problem: {reason}"
    return message


def _at(path: str, value: Any) -> tuple[bool, Any]:
    try:
        for key in parse_path(path):
            if is_secret(value):
                return True, value
            value = value[key]
    except (ValueError, KeyError, IndexError, TypeError):
        return False, None
    return True, value
