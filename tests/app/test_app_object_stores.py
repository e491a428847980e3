"""Channel backups in a bucket: S3's API as moto serves it, and AWS's own example of a signature."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from moto.server import ThreadedMotoServer

from payments.aws_credentials import AwsKeys, find_keys
from payments.object_stores import FolderStore, S3Store, StoreConfigError, StoreError, sign_v4, store_of


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
    for name in (
        *("AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreError, match="give the task a role"):
        await S3Store("backups", "", region="us-east-1").put("a.multi", b"a")


@pytest.fixture
def pod(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What EKS gives a pod whose ServiceAccount has a role: two variables and a token, this file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    token = tmp_path / "token"
    token.write_text("the.pods.token\n")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", bucket)
    return token


async def test_a_pods_token_is_traded_for_its_role(bucket: str, pod: Path) -> None:
    store = S3Store("backups", "", region="us-east-1", endpoint=bucket)
    await store.put("a.multi", b"a")
    assert await store.get("a.multi") == b"a"
    async with aiohttp.ClientSession() as session:
        keys = await find_keys(session, "us-east-1")
    assert keys.key_id.startswith("ASIA")
    assert keys.token
    assert keys.secret not in repr(keys)


async def test_a_pods_token_that_sts_does_not_trust(bucket: str, pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append(dict(await request.post()))
        return web.Response(status=403, text="<ErrorResponse/>")

    application = web.Application()
    application.router.add_post("/", refuse)
    async with TestServer(application) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", str(server.make_url("/")))
        with pytest.raises(StoreError, match="trust policy"):
            await S3Store("backups", "", region="us-east-1", endpoint=bucket).put("a.multi", b"a")
    assert seen[0]["WebIdentityToken"] == "the.pods.token"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(pod) + ".gone")
    with pytest.raises(StoreError, match="not reached"):
        await S3Store("backups", "", region="us-east-1", endpoint=bucket).put("a.multi", b"a")


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
