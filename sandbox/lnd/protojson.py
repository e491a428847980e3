"""JSON as protobuf's mapping has it: 64-bit integers travel as strings, bytes as base64, unknown fields are refused."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.lnd.errors import Code, RpcError

_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_TYPES: dict[str, type] = {"string": str, "bool": bool, "list": list, "map": dict}
_DEFAULTS: dict[str, Any] = {"string": "", "bytes": b"", "bool": False, "double": 0.0, "list": [], "map": {}}
Fields = Mapping[str, str]
"""Field name -> string, bytes, bool, double, int32, uint32, int64, uint64, list or map."""


def encode_bytes(data: bytes | None) -> str:
    """Standard base64 with padding; empty when absent."""
    return base64.b64encode(data).decode() if data else ""


def decode_bytes(text: str) -> bytes:
    """Base64 in the standard or the URL alphabet, padded or not (grpc-gateway's runtime.Bytes takes both).

    Raises:
        ValueError: neither of them.
    """
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as refusal:
        raise ValueError(str(refusal)) from refusal


def parse_body(body: bytes, fields: Fields) -> dict[str, Any]:
    """Read a request body; absent fields get protobuf's defaults.

    Raises:
        RpcError: INVALID_ARGUMENT, as grpc-gateway answers for a body that is not the message.
    """
    values = {name: _default(kind) for name, kind in fields.items()}
    if not body.strip():
        return values
    text = body.decode(errors="replace")
    try:
        given = json.loads(text)
    except ValueError as refusal:
        raise RpcError(f"proto: syntax error: {refusal}", Code.INVALID_ARGUMENT) from refusal
    if not isinstance(given, dict):
        raise RpcError(f"proto: syntax error (line 1:1): unexpected token {text[:1]}", Code.INVALID_ARGUMENT)
    for name, value in given.items():
        known = name if name in fields else _snake(name)
        if known not in fields:
            column = text.find(json.dumps(name)) + 1
            raise RpcError(f'proto: (line 1:{column}): unknown field "{name}"', Code.INVALID_ARGUMENT)
        if value is not None:
            values[known] = _convert(known, fields[known], value)
    return values


def parse_query(query: Mapping[str, str], fields: Fields) -> dict[str, Any]:
    """Read query parameters; unknown ones are ignored, as grpc-gateway does.

    Raises:
        RpcError: INVALID_ARGUMENT for a value that is not of the field's type.
    """
    values = {name: _default(kind) for name, kind in fields.items()}
    for name, text in query.items():
        kind = fields.get(name)
        if kind is None:
            continue
        if kind == "bool":
            if text not in ("true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"):
                raise _mismatch(name, "ParseBool", text)
            values[name] = text in ("true", "1", "t", "T", "TRUE", "True")
        elif kind in _RANGES:
            if not re.fullmatch(r"-?\d+", text) or not _RANGES[kind][0] <= int(text) <= _RANGES[kind][1]:
                raise _mismatch(name, "ParseUint" if kind.startswith("u") else "ParseInt", text)
            values[name] = int(text)
        elif kind == "bytes":
            try:
                values[name] = decode_bytes(text)
            except ValueError as refusal:
                raise RpcError(
                    f"type mismatch, parameter: {name}, error: illegal base64 data", Code.INVALID_ARGUMENT
                ) from refusal
        else:
            values[name] = text
    return values


def _default(kind: str) -> Any:
    default = _DEFAULTS.get(kind, 0)
    return default.copy() if isinstance(default, list | dict) else default


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def _mismatch(name: str, parser: str, text: str) -> RpcError:
    return RpcError(
        f'type mismatch, parameter: {name}, error: strconv.{parser}: parsing "{text}": invalid syntax',
        Code.INVALID_ARGUMENT,
    )


def _convert(name: str, kind: str, value: Any) -> Any:
    converted: Any = None
    if isinstance(value, _TYPES.get(kind, ())):
        converted = value
    elif kind == "double" and isinstance(value, int | float) and not isinstance(value, bool):
        converted = float(value)
    elif kind == "bytes" and isinstance(value, str):
        try:
            converted = decode_bytes(value)
        except ValueError:
            converted = None
    elif kind in _RANGES:
        converted = _integer(kind, value)
    if converted is None:
        raise RpcError(f"proto: invalid value for {kind} field {name}: {json.dumps(value)}", Code.INVALID_ARGUMENT)
    return converted


def _integer(kind: str, value: Any) -> int | None:
    decimal = isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value)
    if decimal or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    low, high = _RANGES[kind]
    return value if low <= value <= high else None
