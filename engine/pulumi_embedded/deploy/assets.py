"""Hashes of assets and archives, computed exactly as the CLI does, so that both engines see the same content.

Source: pulumi `sdk/go/common/resource/asset`, `archive`.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import tarfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from pulumi_embedded.deploy.tar_headers import header, padding
from pulumi_embedded.properties import ARCHIVE_SIG, ASSET_SIG, Properties, signature

_ARCHIVE_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".zip", ".jar")
_CHUNK = 1024 * 1024


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def has_unhashed(value: Any) -> bool:
    """Say whether there is an asset or archive without a hash in `value`."""
    if isinstance(value, dict):
        if signature(value) in (ASSET_SIG, ARCHIVE_SIG):
            return not value.get("hash")
        return any(has_unhashed(item) for item in value.values())
    return isinstance(value, list) and any(has_unhashed(item) for item in value)


def with_hashes(value: Any, directory: Path, key: str = "") -> Any:
    """Return `value` with a hash in every asset and archive; relative paths are below `directory`.

    Raises:
        ValueError: a file cannot be read.
    """
    if isinstance(value, list):
        return [with_hashes(item, directory, key) for item in value]
    if not isinstance(value, dict):
        return value
    kind = signature(value)
    if kind not in (ASSET_SIG, ARCHIVE_SIG):
        return {name: with_hashes(item, directory, name) for name, item in value.items()}
    if value.get("hash"):
        return value
    value = {name: item for name, item in value.items() if item != ""}
    try:
        if kind == ASSET_SIG:
            return {**value, "hash": _asset_hash(value, directory)}
        if isinstance(assets := value.get("assets"), dict):
            value["assets"] = {name: with_hashes(item, directory, name) for name, item in assets.items()}
        return {**value, "hash": _archive_hash(value, directory)}
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        what = "asset" if kind == ASSET_SIG else "archive"
        raise ValueError(f'failed to compute {what} hash for "{key}": {reason}') from None


def _asset_hash(asset: Properties, directory: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _asset_chunks(asset, directory):
        digest.update(chunk)
    return digest.hexdigest()


def _asset_chunks(asset: Properties, directory: Path) -> Iterator[bytes]:
    if asset.get("path"):
        yield from _file_chunks(directory / asset["path"])
    elif asset.get("uri"):
        yield _fetch(asset["uri"])
    else:
        yield str(asset.get("text") or "").encode()


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _fetch(uri: str) -> bytes:
    scheme = urllib.parse.urlsplit(uri).scheme
    if scheme not in ("file", "http", "https"):
        raise ValueError(f"failed to compute asset hash: unrecognized URI scheme '{scheme}' in {uri}")
    with urllib.request.urlopen(uri, timeout=60) as answer:  # noqa: S310 - the schemes were checked
        return bytes(answer.read())


def _archive_hash(archive: Properties, directory: Path) -> str:
    digest = hashlib.sha256()
    path = archive.get("path")
    if path and str(path).endswith(_ARCHIVE_SUFFIXES):
        for chunk in _file_chunks(directory / path):
            digest.update(chunk)
    elif archive.get("uri"):
        digest.update(_fetch(archive["uri"]))
    else:
        _write_tar(archive, directory, digest)
    return digest.hexdigest()


def _write_tar(archive: Properties, directory: Path, out: _Hash) -> None:
    """Write the archive as the tar that the CLI would make of it: bare headers, names once, two blocks at the end."""
    seen: set[str] = set()
    for name, data in _members(archive, directory):
        if name in seen:
            continue
        seen.add(name)
        out.update(header(name, len(data)))
        out.update(data)
        out.update(padding(len(data)))
    out.update(b"\0" * (2 * tarfile.BLOCKSIZE))


def _members(archive: Properties, directory: Path) -> Iterator[tuple[str, bytes]]:
    assets = archive.get("assets")
    if isinstance(assets, dict):
        for name in sorted(assets):
            item = assets[name]
            if signature(item) == ARCHIVE_SIG:
                for inner, data in _members(item, directory):
                    yield posixpath.join(name, inner), data
            else:
                yield name, b"".join(_asset_chunks(item, directory))
        return
    path, uri = archive.get("path"), archive.get("uri")
    if uri:
        yield from _packed(urllib.parse.urlsplit(uri).path, io.BytesIO(_fetch(uri)))
        return
    if not path:
        return
    folder = directory / path
    if str(path).endswith(_ARCHIVE_SUFFIXES):
        with folder.open("rb") as file:
            yield from _packed(str(path), file)
        return
    if not folder.is_dir():
        raise ValueError(f"'{folder}' is neither a recognized archive type nor a directory")
    for file_path in _walk(folder):
        yield posixpath.normpath(file_path.relative_to(folder).as_posix()), file_path.read_bytes()


def _packed(name: str, file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a packed archive.

    Raises:
        ValueError: it is no archive of the kind that its name says.
    """
    try:
        if name.endswith((".zip", ".jar")):
            with zipfile.ZipFile(file) as packed:
                for entry in packed.infolist():
                    if not entry.is_dir():
                        yield entry.filename, packed.read(entry)
        elif name.endswith(_ARCHIVE_SUFFIXES):
            with tarfile.open(fileobj=file) as tar:
                for member in tar:
                    data = tar.extractfile(member) if member.isreg() else None
                    if data is not None:
                        yield posixpath.normpath(member.name), data.read()
        else:
            raise ValueError(f"'{name}' is not a recognized archive type")
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise ValueError(f"failed to read the archive '{name}': {error}") from None


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in the CLI's order: by name, folders where they stand among the files."""
    for entry in sorted(os.scandir(folder), key=lambda item: item.name):
        if entry.name == ".pulumi":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif not entry.is_dir():
            yield Path(entry.path)
