"""Hashes of archives are the CLI's: both engines must see the same content, or each plans a change after the other."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pulumi_embedded.deploy.assets import with_hashes
from pulumi_embedded.deploy.tar_headers import header
from pulumi_embedded.properties import ARCHIVE_SIG, ASSET_SIG, SIG

EMPTY_ARCHIVE = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("a.txt", "2dcd87108ec80f67fdb24b4751ce09e0486fc6896c63631b28d8b663c1d3b1da"),
        ("folder/é.txt", "bd400707d9a292dcede05b80e386a8c0b164f005f02b4cd5a0a1bda5f4fe0423"),
        ("n" * 120, "fb65f58a2346bb29aa994b67bb26544db85a493acc867eca7f6f7f953cb04c1e"),
        ("d" * 90 + "/" + "f" * 60, "2dbf4d82f7ef69c1b385f00674aea43ab469eed399e8300349293e4625bdbf97"),
        ("d" * 160 + "/f", "5206c176bf8f737cf1e35cc8ae8773d23713f98547b0ed0d7270dce0359c2337"),
        ("x/" * 49 + "abc", "fd93bdcbd5951a31cbd5468b966b6ed6d623aefaf4df71fe05db5998c526dd2a"),
        ("x/" * 60 + "abc", "66fff66faee60e07146b7249f7f32f1ddafd21301deee86928e09cd60bdd9663"),
    ],
)
def test_headers_are_those_of_go(name: str, digest: str) -> None:
    """The digests are of what Go's `archive/tar` writes for a file of five bytes."""
    assert hashlib.sha256(header(name, 5)).hexdigest() == digest


def _archive(**fields: Any) -> dict[str, Any]:
    return {SIG: ARCHIVE_SIG, **fields}


def _hash(value: dict[str, Any], folder: Path) -> str:
    return str(with_hashes({"it": value}, folder)["it"]["hash"])


def test_packed_members_count_like_a_folder(tmp_path: Path) -> None:
    """A folder, a tar, a compressed tar and a zip of the same files are the same inside another archive."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.txt").write_text("b")
    with tarfile.open(tmp_path / "it.tar", "w") as tar, tarfile.open(tmp_path / "it.tgz", "w:gz") as packed:
        tar.add(folder / "b.txt", "./b.txt")
        packed.add(folder / "b.txt", "b.txt")
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.write(folder / "b.txt", "b.txt")
    whole = {
        _hash(_archive(assets={"x": _archive(**place)}), tmp_path)
        for place in (
            {"path": "folder"},
            {"path": "it.tar"},
            {"path": "it.tgz"},
            {"path": "it.zip"},
            {"uri": f"file://{tmp_path}/it.zip"},
        )
    }
    assert len(whole) == 1


def test_nothing_is_an_empty_archive(tmp_path: Path) -> None:
    """However it is written."""
    assert _hash(_archive(), tmp_path) == _hash(_archive(assets={}), tmp_path) == EMPTY_ARCHIVE


def test_an_empty_text_is_left_out(tmp_path: Path) -> None:
    """As the CLI writes it."""
    (asset,) = with_hashes([{SIG: ASSET_SIG, "text": ""}], tmp_path)
    assert asset == {SIG: ASSET_SIG, "hash": hashlib.sha256(b"").hexdigest()}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the property that holds it."""
    (tmp_path / "bad.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r'asset hash for "code": .*missing.txt: No such file'):
        with_hashes({"code": {SIG: ASSET_SIG, "path": "missing.txt"}}, tmp_path)
    with pytest.raises(ValueError, match=r"failed to read the archive '.*bad.zip'"):
        with_hashes({"code": _archive(assets={"x": _archive(path="bad.zip")})}, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"neither a recognized archive type nor a directory"):
        with_hashes({"code": _archive(path="file")}, tmp_path)
