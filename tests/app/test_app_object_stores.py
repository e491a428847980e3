"""Channel backups in a bucket: S3's API as moto serves it, and AWS's own example of a signature."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from payments.object_stores import AwsKeys, FolderStore, S3Store, StoreConfigError, StoreError, sign_v4, store_of


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket `backups` at this endpoint."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="backups")
    yield endpoint
    server.stop()


async def test_what_is_put_is_listed_in_order_and_given_back(bucket: str) -> None:
    store = store_of("s3://backups/lnd/", setting="LND_BACKUP_STORE", region="us-east-1", endpoint=bucket)
    assert isinstance(store, S3Store)
    for name in ("02ab/2-b.multi", "02ab/1-a.multi", "03cd/1 +&.multi"):
        await store.put(name, name.encode())
    assert await store.names("02ab/") == ["02ab/1-a.multi", "02ab/2-b.multi"]
    assert await store.get("03cd/1 +&.multi") == b"03cd/1 +&.multi"
    keys = boto3.client("s3", endpoint_url=bucket, region_name="us-east-1").list_objects_v2(Bucket="backups")
    assert next(one["Key"] for one in keys["Contents"]) == "lnd/02ab/1-a.multi"
    with pytest.raises(StoreError, match="404"):
        await store.get("02ab/none.multi")


async def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreError, match="give the task a role"):
        await S3Store("backups", "", region="us-east-1").put("a.multi", b"a")


def test_the_signature_is_that_of_awss_example() -> None:
    """GET ?max-keys=2&prefix=J of examplebucket, from AWS's documentation of Signature Version 4 for S3."""
    headers = sign_v4(
        AwsKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        method="GET",
        url="https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
        region="us-east-1",
        payload_sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert headers["authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


def test_a_store_is_named_or_refused() -> None:
    assert store_of("", setting="LND_BACKUP_STORE", region="", endpoint="") is None
    assert isinstance(store_of("/var/backups", setting="LND_BACKUP_STORE", region="", endpoint=""), FolderStore)
    for text, sentence in (("backups", "absolute path"), ("s3://backups", "AWS_REGION")):
        with pytest.raises(StoreConfigError, match=sentence):
            store_of(text, setting="LND_BACKUP_STORE", region="", endpoint="")


async def test_what_is_there_already_is_left_when_it_is_added(bucket: str, tmp_path: Path) -> None:
    stores = (
        FolderStore(tmp_path),
        S3Store("backups", "", region="us-east-1", endpoint=bucket),
    )
    for store in stores:
        await store.add("a/b", b"first")
        await store.add("a/b", b"second")
        assert await store.get("a/b") == b"first"
        await store.put("a/b", b"third")
        assert await store.get("a/b") == b"third"
        await store.delete("a/b")
        assert await store.names("a/") == []
