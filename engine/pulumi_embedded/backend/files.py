"""Writing files so that a crash or a power cut leaves either the old content or the new, and reading with a limit."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import uuid
import zlib
from pathlib import Path

from pulumi_embedded.errors import EngineError, StateError, UnsupportedError

MAX_STATE_BYTES = 256 * 1024 * 1024
"""The largest state, journal or history file that is read, after decompression."""
MAX_SETTINGS_BYTES = 4 * 1024 * 1024
"""The largest settings file that is read."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def explain(error: OSError) -> str:
    """Return what the system said, without the number and the path."""
    return (error.strerror or str(error)).lower()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, readable by its owner alone.

    Raises:
        EngineError: the system refuses.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"the folder {folder} cannot be made: {explain(error)}") from None


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`, all of it or nothing, on disk when this returns.

    Raises:
        EngineError: the system refuses (no space, no permission); the old content is untouched.
    """
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise EngineError(f"{path} cannot be written: {explain(error)}; its old content is untouched") from None


def copy_atomic(source: Path, target: Path) -> None:
    """Make `target` what `source` is now, by a second name for the same content where the file system can.

    Safe because no file of the backend is ever written in place, by either engine: only replaced.

    Raises:
        EngineError: the system refuses.
    """
    make_folder(target.parent)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise EngineError(f"{target} cannot be written: {explain(error)}") from None


def read_limited(path: Path, limit: int = MAX_STATE_BYTES) -> bytes:
    """Return a file's content, decompressed when it is gzip or zstandard.

    Raises:
        FileNotFoundError: there is no such file.
        StateError: it cannot be read, is larger than `limit` bytes, or its compression is damaged.
        UnsupportedError: it is zstandard and this Python has no decoder.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateError(f"{path} cannot be read: {explain(error)}") from None
    if data.startswith(_GZIP_MAGIC):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
                data = unpacked.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise StateError(f"{path} is damaged: its gzip compression cannot be undone ({error})") from None
    elif data.startswith(_ZSTD_MAGIC):
        data = _unpack_zstandard(path, data, limit)
    if len(data) > limit:
        raise StateError(f"{path} is larger than {limit // (1024 * 1024)} MB, the most that this engine reads")
    return data


def _unpack_zstandard(path: Path, data: bytes, limit: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 and newer
    except ImportError:
        raise UnsupportedError(
            f"zstandard compression (of {path.name}) on a Python older than 3.14",
            "use Python 3.14 or the Pulumi CLI (https://www.pulumi.com/docs/install/), or have the CLI write the "
            "state without PULUMI_DIY_BACKEND_COMPRESSION",
        ) from None
    try:
        return bytes(zstd.ZstdDecompressor().decompress(data, max_length=limit + 1))
    except zstd.ZstdError as error:
        raise StateError(f"{path} is damaged: its zstandard compression cannot be undone ({error})") from None
