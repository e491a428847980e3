"""Headers of tar files, byte for byte as Go's `archive/tar` writes them: they are part of an archive's hash.

The standard library's `tarfile` differs in the device numbers and in how long names are kept.
"""

from __future__ import annotations

import posixpath
import tarfile

_NAME, _PREFIX = 100, 155
_MODE = 0o600
_MAGIC = 257


def header(name: str, size: int) -> bytes:
    """Return what stands before the content of the file `name`: one block, or three if the name needs a record."""
    raw = name.encode("utf-8", "surrogateescape")
    plain = raw.isascii()
    prefix, suffix = _split(name) if plain else (b"", b"")
    if plain and (len(raw) <= _NAME or suffix):
        return _block(suffix or raw, size, prefix=prefix)
    folder, file = posixpath.split(name)
    record = _record(b"path", raw)
    extended = _bare(_ascii(posixpath.normpath(posixpath.join(folder, "PaxHeaders.0", file)))[:_NAME], len(record))
    return extended + record + padding(len(record)) + _block(_ascii(name), size)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of `size` bytes."""
    return b"\0" * (-size % tarfile.BLOCKSIZE)


def _split(name: str) -> tuple[bytes, bytes]:
    """Split a long name in the parts that fit in the header, or return nothing."""
    length = len(name)
    if length <= _NAME:
        return b"", b""
    if length > _PREFIX + 1:
        length = _PREFIX + 1
    elif name.endswith("/"):
        length -= 1
    at = name.rfind("/", 0, length)
    if at <= 0 or at > _PREFIX or not 0 < len(name) - at - 1 <= _NAME:
        return b"", b""
    return name[:at].encode(), name[at + 1 :].encode()


def _ascii(name: str) -> bytes:
    return bytes(ord(character) for character in name if 0 < ord(character) < 0x80)


def _record(key: bytes, value: bytes) -> bytes:
    size = len(key) + len(value) + 3
    size += len(str(size))
    record = b"%d %s=%s\n" % (size, key, value)
    return record if len(record) == size else b"%d %s=%s\n" % (len(record), key, value)


def _block(name: bytes, size: int, *, prefix: bytes = b"") -> bytes:
    """Return the header of a plain file."""
    block = bytearray(tarfile.BLOCKSIZE)
    _text(block, 0, _NAME, name)
    _numbers(block, _MODE, size)
    block[156:157] = tarfile.REGTYPE
    _octal(block, 329, 8, 0)
    _octal(block, 337, 8, 0)
    _text(block, 345, _PREFIX, prefix)
    return _summed(block)


def _bare(name: bytes, size: int) -> bytes:
    """Return the header of the record that holds a long name."""
    block = bytearray(tarfile.BLOCKSIZE)
    _text(block, 0, _NAME, name.rstrip(b"/"))
    _numbers(block, 0, size)
    block[156:157] = tarfile.XHDTYPE
    return _summed(block)


def _numbers(block: bytearray, mode: int, size: int) -> None:
    for at, width, value in ((100, 8, mode), (108, 8, 0), (116, 8, 0), (124, 12, size), (136, 12, 0)):
        _octal(block, at, width, value)


def _octal(block: bytearray, at: int, width: int, value: int) -> None:
    _text(block, at, width, b"%0*o" % (width - 1, value))


def _text(block: bytearray, at: int, width: int, value: bytes) -> None:
    block[at : at + min(width, len(value))] = value[:width]
    if len(value) > width and block[at + width - 1] == ord("/"):
        block[at + len(value[: width - 1].rstrip(b"/"))] = 0


def _summed(block: bytearray) -> bytes:
    block[_MAGIC : _MAGIC + 8] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block)
