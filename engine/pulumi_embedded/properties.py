"""The value model: property values as plain JSON values, and how they travel as protobuf Structs.

Secrets, assets, archives, resource references and outputs are dicts with a signature under `SIG`, as they are on the
wire; an unknown is one of the `UNKNOWNS` strings. Values are never changed in place once a resource's state holds them.
Source: pulumi `pkg/resource/plugin/rpc.go`, `sdk/go/common/resource/properties.go`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct, Value

SIG = "4dabf18193072939515e22adb298388d"
SECRET_SIG = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a secret
ASSET_SIG = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIG = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIG = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIG = "d0e6a833031e9bbcd3f4e8bde6ca49a4"

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        UNKNOWN,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

MASK = "[secret]"

Properties = dict[str, Any]


class UnexpectedUnknownError(ValueError):
    """A provider answered with an unknown where every value must be known."""

    def __init__(self, key: str) -> None:
        super().__init__(f'unexpected unknown property value for "{key}"')


def is_unknown(value: Any) -> bool:
    """Say whether `value` is an unknown of any type."""
    return isinstance(value, str) and value in UNKNOWNS


def signature(value: Any) -> str:
    """Return the signature of a special value, "" for plain ones."""
    if isinstance(value, dict):
        found = value.get(SIG)
        if isinstance(found, str):
            return found
    return ""


def is_secret(value: Any) -> bool:
    """Say whether `value` itself (not something in it) is a secret."""
    return signature(value) == SECRET_SIG


def make_secret(value: Any) -> Properties:
    """Return `value` marked as secret."""
    return {SIG: SECRET_SIG, "value": value}


def unwrap_secret(value: Any) -> Any:
    """Return what a secret holds; anything else as it is."""
    while is_secret(value):
        value = value.get("value")
    return value


def without_secrets(value: Any) -> Any:
    """Return `value` with every secret, at any depth, replaced by what it holds."""
    if isinstance(value, dict):
        if is_secret(value):
            return without_secrets(value.get("value"))
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def _any(value: Any, test: Callable[[Any], bool]) -> bool:
    if test(value):
        return True
    if isinstance(value, dict):
        return any(_any(item, test) for item in value.values())
    if isinstance(value, list):
        return any(_any(item, test) for item in value)
    return False


def contains_secrets(value: Any) -> bool:
    """Say whether `value` is or holds a secret."""
    return _any(value, lambda item: is_secret(item) or (signature(item) == OUTPUT_SIG and item.get("secret") is True))


def contains_unknowns(value: Any) -> bool:
    """Say whether `value` is or holds an unknown."""
    return _any(value, lambda item: is_unknown(item) or (signature(item) == OUTPUT_SIG and "value" not in item))


def has_value(value: Any) -> bool:
    """Say whether `value` counts when objects are compared: a null counts as absent."""
    return value is not None


def deep_equals(left: Any, right: Any) -> bool:
    """Compare as the CLI does: assets by hash, absent keys equal to nulls, true different from 1."""
    if left is right:
        return True
    if isinstance(left, dict):
        return isinstance(right, dict) and _equal_objects(left, right)
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(deep_equals(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(right, dict | list):
        return False
    if is_unknown(left) and is_unknown(right):
        return True
    return bool(left == right)


def _equal_objects(left: Properties, right: Properties) -> bool:
    kind = signature(left)
    if kind != signature(right):
        return False
    if kind in (ASSET_SIG, ARCHIVE_SIG) and left.get("hash") and right.get("hash"):
        return bool(left["hash"] == right["hash"])
    if kind == RESOURCE_SIG:
        return left.get("urn") == right.get("urn") and deep_equals(left.get("id"), right.get("id"))
    for key, value in left.items():
        if key in right:
            if not deep_equals(value, right[key]):
                return False
        elif has_value(value):
            return False
    return not any(key not in left and has_value(value) for key, value in right.items())


def annotate_secrets(outputs: Properties | None, inputs: Properties | None) -> Properties:
    """Mark outputs as secret where the input of the same name is or holds a secret.

    This is how values stay secret with a provider that does not understand secrets.
    """
    annotated = dict(outputs or {})
    for key, given in (inputs or {}).items():
        if key not in annotated:
            continue
        value = annotated[key]
        if isinstance(value, dict) and isinstance(given, dict) and not signature(value) and not signature(given):
            annotated[key] = annotate_secrets(value, given)
        elif not is_secret(value) and contains_secrets(given):
            annotated[key] = make_secret(value)
    return annotated


def output_dependencies(value: Any) -> Iterator[str]:
    """Yield the URNs that the output values inside `value` depend on."""
    if isinstance(value, dict):
        if signature(value) == OUTPUT_SIG:
            yield from value.get("dependencies") or []
        for item in value.values():
            yield from output_dependencies(item)
    elif isinstance(value, list):
        for item in value:
            yield from output_dependencies(item)


def downgrade_outputs(value: Any) -> Any:
    """Replace output values by secrets, unknowns and plain values."""
    if isinstance(value, dict):
        if signature(value) == OUTPUT_SIG:
            plain = downgrade_outputs(value["value"]) if "value" in value else UNKNOWN
            return make_secret(plain) if value.get("secret") else plain
        return {key: downgrade_outputs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [downgrade_outputs(item) for item in value]
    return value


def masked(value: Any, *, show_secrets: bool = False) -> Any:
    """Return `value` as events show it: secrets masked as the CLI does, texts of assets left out."""
    if isinstance(value, dict):
        kind = signature(value)
        if kind == SECRET_SIG:
            if show_secrets:
                return {SIG: SECRET_SIG, "plaintext": json.dumps(without_secrets(value.get("value")))}
            return {SIG: SECRET_SIG, "ciphertext": MASK}
        if kind == ASSET_SIG and value.get("text"):
            return {**value, "text": "<contents elided>"}
        return {key: masked(item, show_secrets=show_secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, show_secrets=show_secrets) for item in value]
    return value


def restore_elided_assets(original: Any, value: Any) -> Any:
    """Give assets and archives that came back as a bare hash their contents again."""
    known: dict[str, Properties] = {}
    _collect_assets(original, known)
    return _restore(value, known) if known else value


def _collect_assets(value: Any, found: dict[str, Properties]) -> None:
    if isinstance(value, dict):
        if signature(value) in (ASSET_SIG, ARCHIVE_SIG) and value.get("hash"):
            found[value["hash"]] = value
        for item in value.values():
            _collect_assets(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect_assets(item, found)


def _restore(value: Any, known: dict[str, Properties]) -> Any:
    if isinstance(value, dict):
        if signature(value) in (ASSET_SIG, ARCHIVE_SIG):
            bare = not any(value.get(key) for key in ("text", "path", "uri", "assets"))
            return known.get(value.get("hash", ""), value) if bare else value
        return {key: _restore(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, known) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Marshal:
    """What a receiver understands; what it does not is unwrapped (secrets, references) or left out (unknowns)."""

    unknowns: bool = True
    secrets: bool = True
    resources: bool = True
    outputs: bool = False
    assets: bool = True
    internal_keys: bool = True

    def struct(self, properties: Properties | None) -> Struct:
        """Return `properties` as a Struct."""
        from google.protobuf.struct_pb2 import Struct

        struct = Struct()
        if properties:
            self.fill(struct, properties)
        return struct

    def fill(self, struct: Struct, properties: Properties) -> None:
        """Write `properties` into an empty Struct."""
        fields = struct.fields
        for key in sorted(properties):
            if not self.internal_keys and key.startswith("__"):
                continue
            value = self._prepare(properties[key])
            if value is not _DROP:
                self._write(fields[key], value)

    def value(self, value: Any) -> Value:
        """Return one value as a protobuf Value."""
        from google.protobuf.struct_pb2 import Value

        message = Value()
        prepared = self._prepare(value)
        self._write(message, None if prepared is _DROP else prepared)
        return message

    def _prepare(self, value: Any) -> Any:
        """Unwrap what the receiver does not understand; `_DROP` when nothing is left."""
        while True:
            if isinstance(value, str):
                return value if self.unknowns or value not in UNKNOWNS else _DROP
            kind = signature(value)
            if kind == SECRET_SIG and not self.secrets:
                value = value.get("value")
            elif kind == OUTPUT_SIG and not self.outputs:
                value = downgrade_outputs(value)
            elif kind == RESOURCE_SIG and not self.resources:
                value = value.get("id") if "id" in value else value.get("urn")
            elif kind in (ASSET_SIG, ARCHIVE_SIG) and not self.assets:
                return {SIG: kind, "hash": value.get("hash", "")}
            elif kind == RESOURCE_SIG and is_unknown(value.get("id")):
                return {**value, "id": ""}
            else:
                return value

    def _write(self, message: Value, value: Any) -> None:
        from google.protobuf.struct_pb2 import NULL_VALUE

        if value is None:
            message.null_value = NULL_VALUE
        elif isinstance(value, bool):
            message.bool_value = value
        elif isinstance(value, str):
            message.string_value = value
        elif isinstance(value, int | float):
            message.number_value = value
        elif isinstance(value, dict):
            struct = message.struct_value
            struct.SetInParent()
            fields = struct.fields
            for key, item in value.items():
                prepared = self._prepare(item)
                if prepared is not _DROP:
                    self._write(fields[key], prepared)
        else:
            values = message.list_value
            values.SetInParent()
            for item in value:
                prepared = self._prepare(item)
                if prepared is not _DROP:
                    self._write(values.values.add(), prepared)


class _Drop:
    """The mark of a value that is left out."""


_DROP = _Drop()


@dataclass(frozen=True, slots=True)
class Unmarshal:
    """How a Struct is read: unknowns kept, left out or refused; output values kept or downgraded."""

    unknowns: bool = True
    reject_unknowns: bool = False
    outputs: bool = False

    def properties(self, struct: Struct | None) -> Properties:
        """Return a Struct as properties.

        Raises:
            UnexpectedUnknownError: an unknown where none may be.
            ValueError: a special value is malformed.
        """
        if struct is None:
            return {}
        return self._object(struct)

    def value(self, message: Value, key: str = "") -> Any:
        """Return one protobuf Value; None when it is an unknown that is left out."""
        read = self._read(message, key)
        return None if read is _DROP else read

    def _object(self, struct: Struct) -> Properties:
        result: Properties = {}
        fields = struct.fields
        for key in sorted(fields):
            value = self._read(fields[key], key)
            if value is not _DROP:
                result[key] = value
        return result

    def _read(self, message: Value, key: str) -> Any:
        kind = message.WhichOneof("kind")
        if kind == "string_value":
            text = message.string_value
            return self._unknown(text, key) if text in UNKNOWNS else text
        if kind == "number_value":
            number = message.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        if kind == "bool_value":
            return message.bool_value
        if kind == "struct_value":
            value = self._object(message.struct_value)
            return self._special(value, key) if SIG in value else value
        if kind == "list_value":
            items = (self._read(item, key) for item in message.list_value.values)
            return [None if item is _DROP else item for item in items]
        return None

    def _unknown(self, text: str, key: str) -> Any:
        if self.reject_unknowns:
            raise UnexpectedUnknownError(key)
        return text if self.unknowns else _DROP

    def _special(self, value: Properties, key: str) -> Any:
        kind = signature(value)
        if kind == SECRET_SIG and "value" not in value:
            raise ValueError(f'malformed secret for "{key}": it holds no value')
        if kind == RESOURCE_SIG:
            if not isinstance(value.get("urn"), str):
                raise ValueError(f'malformed resource reference for "{key}": it has no urn')
            if value.get("id") == "":
                return {**value, "id": UNKNOWN}
        if kind == OUTPUT_SIG and not self.outputs:
            plain = value["value"] if "value" in value else self._unknown(UNKNOWN, key)
            if plain is _DROP:
                return _DROP
            return make_secret(plain) if value.get("secret") else plain
        return value
