"""Macaroons in LND's binary form: bake, read, verify.

The outside is libmacaroons' V2 binary format with its HMAC-SHA256 chain, the identifier is macaroon-bakery's version 3:
the byte 3, then a protobuf of nonce, root key id and the granted operations.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.lnd.errors import RpcError
from sandbox.lnd.permissions import Op, canonical

_KEY_GENERATOR = b"macaroons-key-generator".ljust(32, b"\0")
_VERSION = 2
_BAKERY_VERSION = 3
_LOCATION, _IDENTIFIER, _VERIFICATION_ID, _SIGNATURE = 1, 2, 4, 6
DEFAULT_ROOT_KEY_ID = b"0"


@dataclass(frozen=True, slots=True)
class Macaroon:
    """A macaroon as it was read; nothing of it is trusted until `verify` said so."""

    identifier: bytes
    caveats: tuple[bytes, ...]
    signature: bytes
    root_key_id: bytes
    ops: frozenset[Op]


def bake(root_key: bytes, root_key_id: bytes, nonce: bytes, ops: Iterable[Op], caveats: Iterable[bytes] = ()) -> bytes:
    """Make a macaroon.

    Args:
        root_key: 32 bytes, the secret of `root_key_id`.
        root_key_id: decimal digits, as LND names its root keys.
        nonce: 16 random bytes.
        ops: what it grants.
        caveats: first-party conditions, for example b"time-before 2030-01-01T00:00:00Z".
    """
    identifier = bytes((_BAKERY_VERSION,)) + _encode_identifier(nonce, root_key_id, canonical(ops))
    listed = tuple(caveats)
    out = bytes((_VERSION,)) + _field(_LOCATION, b"lnd") + _field(_IDENTIFIER, identifier) + b"\0"
    out += b"".join(_field(_IDENTIFIER, caveat) + b"\0" for caveat in listed)
    return out + b"\0" + _field(_SIGNATURE, sign(root_key, identifier, listed))


def sign(root_key: bytes, identifier: bytes, caveats: Iterable[bytes]) -> bytes:
    """The end of the HMAC chain: over the identifier with the root key, then over each caveat with the link before."""
    link = hmac.digest(hmac.digest(_KEY_GENERATOR, root_key, "sha256"), identifier, "sha256")
    for caveat in caveats:
        link = hmac.digest(link, caveat, "sha256")
    return link


def read(data: bytes) -> Macaroon:
    """Parse a macaroon without checking it.

    Raises:
        RpcError: not a version-2 macaroon with a version-3 bakery identifier.
    """
    if not data:
        raise RpcError("empty macaroon data")
    if data[0] != _VERSION:
        raise RpcError("cannot determine data format of binary-encoded macaroon")
    try:
        header, position = _section(data, 1)
        caveats: list[bytes] = []
        while data[position] != 0:
            section, position = _section(data, position)
            if _VERIFICATION_ID in section:
                raise RpcError("third party caveats are not supported")
            caveats.append(section[_IDENTIFIER])
        kind, signature, end = _read_field(data, position + 1)
        identifier = header[_IDENTIFIER]
    except (IndexError, KeyError) as refusal:
        raise RpcError("cannot unmarshal macaroon: truncated data") from refusal
    if kind != _SIGNATURE or len(signature) != 32 or end != len(data):
        raise RpcError("cannot unmarshal macaroon: bad signature field")
    if len(identifier) < 1 or identifier[0] != _BAKERY_VERSION:
        raise RpcError("invalid ID")
    root_key_id, ops = _decode_identifier(identifier[1:])
    return Macaroon(identifier, tuple(caveats), signature, root_key_id, ops)


def verify(macaroon: Macaroon, root_key: bytes, *, now: float, client_ip: str) -> None:
    """Check the signature chain and every caveat.

    Raises:
        RpcError: in the words of LND's bakery.
    """
    if not hmac.compare_digest(sign(root_key, macaroon.identifier, macaroon.caveats), macaroon.signature):
        raise RpcError("verification failed: signature mismatch after caveat verification")
    for caveat in macaroon.caveats:
        refusal = _unmet(caveat.decode(errors="replace"), now, client_ip)
        if refusal:
            raise RpcError(f'caveat "{caveat.decode(errors="replace")}" not satisfied: {refusal}')


def allows(macaroon: Macaroon, needed: Op, method: str) -> bool:
    """True when the macaroon grants the permission, or the very method by its URI."""
    return needed in macaroon.ops or Op("uri", method) in macaroon.ops


def derive_root_key(secret: bytes, node: str, root_key_id: bytes) -> bytes:
    """The root key of one id of one node: LND draws one for each, here they come from one secret."""
    return hmac.digest(secret, b"lnd root key\0" + node.encode() + b"\0" + root_key_id, hashlib.sha256)


def _unmet(caveat: str, now: float, client_ip: str) -> str | None:
    condition, _, argument = caveat.partition(" ")
    if condition == "time-before":
        try:
            end = datetime.fromisoformat(argument)
        except ValueError:
            return f"cannot parse {argument!r} as time"
        end = end if end.tzinfo else end.replace(tzinfo=UTC)
        return None if now < end.timestamp() else "macaroon has expired"
    if condition == "ipaddr":
        return None if argument == client_ip else "macaroon locked to different IP address"
    return "caveat not recognized"


def _encode_identifier(nonce: bytes, root_key_id: bytes, ops: list[Op]) -> bytes:
    actions: dict[str, list[str]] = {}
    for op in ops:
        actions.setdefault(op.entity, []).append(op.action)
    out = _proto(1, nonce) + _proto(2, root_key_id)
    for entity, names in actions.items():
        out += _proto(3, _proto(1, entity.encode()) + b"".join(_proto(2, name.encode()) for name in names))
    return out


def _decode_identifier(data: bytes) -> tuple[bytes, frozenset[Op]]:
    root_key_id = b""
    ops: set[Op] = set()
    try:
        for number, value in _proto_fields(data):
            if number == 2:
                root_key_id = value
            elif number == 3:
                fields = _proto_fields(value)
                entity = next((text.decode() for field, text in fields if field == 1), "")
                ops.update(Op(entity, text.decode()) for field, text in fields if field == 2)
    except (IndexError, UnicodeDecodeError) as refusal:
        raise RpcError("invalid ID") from refusal
    return root_key_id, frozenset(ops)


def _proto(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(value)) + value


def _proto_fields(data: bytes) -> list[tuple[int, bytes]]:
    fields, position = [], 0
    while position < len(data):
        key, position = _read_varint(data, position)
        if key & 7 != 2:
            raise IndexError
        size, position = _read_varint(data, position)
        if position + size > len(data):
            raise IndexError
        fields.append((key >> 3, data[position : position + size]))
        position += size
    return fields


def _field(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + _varint(len(value)) + value


def _read_field(data: bytes, position: int) -> tuple[int, bytes, int]:
    kind = data[position]
    size, position = _read_varint(data, position + 1)
    if position + size > len(data):
        raise IndexError
    return kind, data[position : position + size], position + size


def _section(data: bytes, position: int) -> tuple[dict[int, bytes], int]:
    fields: dict[int, bytes] = {}
    while data[position] != 0:
        kind, value, position = _read_field(data, position)
        fields[kind] = value
    return fields, position + 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise IndexError
