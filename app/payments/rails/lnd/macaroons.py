"""What a macaroon of LND's may do, read from its own bytes: so that a process never holds more rights than it needs.

The outside is libmacaroons' binary format, version 2; the identifier is macaroon-bakery's version 3: the byte 3, then a
protobuf message with nonce (1), root key id (2) and operations (3), each an entity (1) with its actions (2).
"""

from collections.abc import Iterator
from typing import Final

_FORMAT: Final = 2
_BAKERY: Final = 3
_END, _LOCATION, _IDENTIFIER = 0, 1, 2
_OPERATIONS_FIELD, _ENTITY_FIELD, _ACTIONS_FIELD = 3, 1, 2
_LENGTH_DELIMITED = 2

# Rights by which money leaves the node, or by which such rights can be made.
SPENDING: Final = frozenset({"offchain:write", "onchain:write", "macaroon:generate", "macaroon:write"})
# What paying invoices takes; `uri:` rights are single calls, which whoever baked them has chosen one by one.
PAYING: Final = frozenset({"offchain:write"})


class MacaroonError(ValueError):
    """The bytes are no macaroon of LND's."""


def rights(macaroon: bytes) -> frozenset[str]:
    """The operations a macaroon grants, as "entity:action".

    Caveats are not looked at: they only take rights away.

    Raises:
        MacaroonError: it cannot be read.
    """
    try:
        identifier = _identifier(macaroon)
        if identifier[0] != _BAKERY:
            raise MacaroonError("its identifier is not macaroon-bakery's version 3")
        granted = set()
        for field, operation in _fields(identifier[1:]):
            if field == _OPERATIONS_FIELD:
                parts = list(_fields(operation))
                entity = next(value.decode() for number, value in parts if number == _ENTITY_FIELD)
                granted |= {f"{entity}:{value.decode()}" for number, value in parts if number == _ACTIONS_FIELD}
        return frozenset(granted)
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise MacaroonError("it is cut off or malformed") from error


def _identifier(data: bytes) -> bytes:
    if not data or data[0] != _FORMAT:
        raise MacaroonError("it is not in the binary format of version 2")
    position = 1
    while data[position] != _END:
        kind = data[position]
        length, position = _varint(data, position + 1)
        if position + length > len(data):
            raise MacaroonError("it is cut off")
        if kind == _IDENTIFIER:
            return data[position : position + length]
        if kind != _LOCATION:
            raise MacaroonError("its identifier is missing")
        position += length
    raise MacaroonError("its identifier is missing")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 != _LENGTH_DELIMITED:
            raise MacaroonError("its identifier has a field of an unknown kind")
        length, position = _varint(message, position)
        if position + length > len(message):
            raise MacaroonError("it is cut off")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > 35:
            raise MacaroonError("it has an impossible length")
