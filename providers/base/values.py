"""Property values as they cross the wire, with unknowns and secrets kept.

Source: pulumi `sdk/go/common/resource/properties.go`, `plugin/rpc.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a secret
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_STRINGS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        _UNKNOWN_STRING,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

Properties = dict[str, Any]


class Unknown(Enum):
    """The type of `UNKNOWN`, a value that is not known during a preview."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must stay secret; its text never shows it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret([secret])"


def read(struct: Struct | None) -> Properties:
    """A Struct as properties: numbers that are whole as int, secrets as `Secret`, unknowns as `UNKNOWN`, no nulls."""
    if struct is None:
        return {}
    return {key: value for key in struct.fields if (value := _read(struct.fields[key])) is not None}


def _read(message: Value) -> Any:
    match message.WhichOneof("kind"):
        case "string_value":
            text = message.string_value
            return UNKNOWN if text in _UNKNOWN_STRINGS else text
        case "number_value":
            number = message.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "bool_value":
            return message.bool_value
        case "struct_value":
            value = read(message.struct_value)
            if value.get(SIGNATURE) == _SECRET:
                return Secret(value.get("value"))
            return value
        case "list_value":
            return [_read(item) for item in message.list_value.values]
    return None


def write(properties: Properties) -> Struct:
    """Properties as a Struct."""
    struct = Struct()
    for key, value in properties.items():
        if value is not None:
            _write(struct.fields[key], value)
    return struct


def _write(message: Value, value: Any) -> None:
    match value:
        case None:
            message.null_value = NULL_VALUE
        case bool():
            message.bool_value = value
        case Unknown():
            message.string_value = _UNKNOWN_STRING
        case str():
            message.string_value = value
        case int() | float():
            message.number_value = value
        case Secret():
            fields = message.struct_value.fields
            fields[SIGNATURE].string_value = _SECRET
            _write(fields["value"], value.value)
        case dict():
            message.struct_value.SetInParent()
            for key, item in value.items():
                if item is not None:
                    _write(message.struct_value.fields[key], item)
        case list() | tuple():
            message.list_value.SetInParent()
            for item in value:
                _write(message.list_value.values.add(), item)
        case _:
            raise TypeError(f"a {type(value).__name__} is no property value")


def plain(value: Any) -> Any:
    """The value with every secret, at any depth, replaced by what it holds."""
    match value:
        case Secret():
            return plain(value.value)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


def _any(value: Any, test: Callable[[Any], bool]) -> bool:
    match value:
        case Secret():
            return test(value) or _any(value.value, test)
        case dict():
            return any(_any(item, test) for item in value.values())
        case list():
            return any(_any(item, test) for item in value)
    return test(value)


def has_secret(value: Any) -> bool:
    """Whether the value is or holds a secret."""
    return _any(value, lambda item: isinstance(item, Secret))


def has_unknown(value: Any) -> bool:
    """Whether the value is or holds an unknown."""
    return _any(value, lambda item: item is UNKNOWN)


def marked_like(outputs: Properties, inputs: Properties) -> Properties:
    """Outputs with secrets where the input of the same name is or holds one."""
    marked = dict(outputs)
    for key, given in inputs.items():
        value = marked.get(key)
        if value is None or isinstance(value, Secret):
            continue
        if isinstance(value, dict) and isinstance(given, dict):
            marked[key] = marked_like(value, given)
        elif has_secret(given):
            marked[key] = Secret(value)
    return marked
