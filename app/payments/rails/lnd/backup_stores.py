"""Where static channel backups are kept: a bucket (S3's API), or a folder on this machine for the local stack."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from payments.rails.lnd.errors import LndConfigError
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

_CREDENTIALS_HOST: Final = "http://169.254.170.2"  # ECS gives a task its role's credentials there
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()


class StoreError(Exception):
    """The store did not take or give a backup; the message is one sentence."""


class BackupStore(Protocol):
    """A place for small immutable objects."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep an object. Raises StoreError."""

    async def get(self, name: str) -> bytes:
        """An object's bytes. Raises StoreError."""

    async def names(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`, sorted. Raises StoreError."""


class FolderStore:
    """A folder. Args: folder: made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, data: bytes) -> None:
        """As `BackupStore.put`, durable at the end."""
        await asyncio.to_thread(self._write, self._folder / name, data)

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(file.name + ".part")
            with part.open("wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        except OSError as error:
            raise StoreError(f"The folder {file.parent} cannot be written: {error.strerror}.") from error

    async def get(self, name: str) -> bytes:
        """As `BackupStore.get`."""
        try:
            return await asyncio.to_thread((self._folder / name).read_bytes)
        except OSError as error:
            raise StoreError(f"The backup {name} cannot be read: {error.strerror}.") from error

    async def names(self, prefix: str) -> list[str]:
        """As `BackupStore.names`."""

        def found() -> list[str]:
            files = self._folder.rglob("*.multi") if self._folder.is_dir() else ()
            return sorted(str(file.relative_to(self._folder)) for file in files)

        return [name for name in await asyncio.to_thread(found) if name.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Credentials for one request."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def sign_v4(keys: AwsKeys, *, method: str, url: str, region: str, payload_sha256: str, now: datetime) -> dict[str, str]:
    """Headers of AWS Signature Version 4 for S3; the query in `url` must be sorted and encoded already."""
    parts = urlsplit(url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": parts.netloc, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            method,
            parts.path,
            parts.query,
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            payload_sha256,
        ]
    )
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    mark = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key_id}/{scope}, SignedHeaders={names}, Signature={mark}"
    )
    return headers


class S3Store:
    """A bucket, with the credentials of the environment or of the ECS task's role.

    Args:
        bucket: its name.
        prefix: before every object's name.
        region: of the bucket.
        endpoint: another service with S3's API; AWS when empty.
        clock: the time now, in UTC.
        patience: of its circuit breaker.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        region: str,
        endpoint: str = "",
        clock: Callable[[], datetime] = _utc_now,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self._base = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._region = region
        self._clock = clock
        self._guard = guarded_by(patience.breaker("channel-backups"))

    async def _keys(self, session: aiohttp.ClientSession) -> AwsKeys:
        key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if key_id and secret:
            return AwsKeys(key_id, secret, os.environ.get("AWS_SESSION_TOKEN", ""))
        relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = _CREDENTIALS_HOST + relative if relative else os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not url:
            raise StoreError("There are no AWS credentials to keep channel backups with: give the task a role.")
        token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        headers = {}
        if token_file:
            headers["Authorization"] = (await asyncio.to_thread(Path(token_file).read_text)).strip()
        async with session.get(url, headers=headers) as answer:
            found = orjson.loads(await answer.read())
        return AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))

    async def _call(self, method: str, path: str, query: str = "", data: bytes = b"") -> bytes:
        url = self._base + path + (f"?{query}" if query else "")
        digest = hashlib.sha256(data).hexdigest() if data else _EMPTY_SHA256
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
                keys = await self._keys(session)
                headers = sign_v4(
                    keys, method=method, url=url, region=self._region, payload_sha256=digest, now=self._clock()
                )
                from yarl import URL  # aiohttp's own; an encoded URL must go out as it was signed

                async with session.request(
                    method, URL(url, encoded=True), data=data, headers=headers, middlewares=self._guard
                ) as answer:
                    body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, orjson.JSONDecodeError) as error:
            raise StoreError(f"The bucket of the channel backups is not reached ({type(error).__name__}).") from error
        if answer.status >= 300:
            raise StoreError(f"The bucket of the channel backups refuses with status {answer.status}.")
        return body

    async def put(self, name: str, data: bytes) -> None:
        """As `BackupStore.put`."""
        await self._call("PUT", "/" + quote(self._prefix + name), data=data)

    async def get(self, name: str) -> bytes:
        """As `BackupStore.get`."""
        return await self._call("GET", "/" + quote(self._prefix + name))

    async def names(self, prefix: str) -> list[str]:
        """As `BackupStore.names`, also beyond S3's pages of 1,000."""
        found: list[str] = []
        token = ""
        while True:
            parts = {"list-type": "2", "prefix": self._prefix + prefix}
            if token:
                parts["continuation-token"] = token
            query = "&".join(f"{key}={quote(parts[key], safe='')}" for key in sorted(parts))
            root = ElementTree.fromstring(await self._call("GET", "/", query))  # noqa: S314 - the bucket's own answer
            for one in root.iter():
                if one.tag.endswith("}Key") and one.text:
                    found.append(one.text.removeprefix(self._prefix))
            token = next((one.text or "" for one in root.iter() if one.tag.endswith("}NextContinuationToken")), "")
            if not token:
                return sorted(found)


def store_of(text: str, *, region: str, endpoint: str) -> BackupStore | None:
    """The store of LND_BACKUP_STORE: a folder's absolute path, s3://bucket/prefix, or "" for none.

    Raises:
        LndConfigError: it is none of these.
    """
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme == "s3" and parts.hostname:
        if not region:
            raise LndConfigError("LND_BACKUP_STORE is a bucket, so AWS_REGION must say where.")
        return S3Store(parts.hostname, parts.path, region=region, endpoint=endpoint)
    if text.startswith("/"):
        return FolderStore(Path(text))
    raise LndConfigError("LND_BACKUP_STORE must be s3://bucket/prefix or the absolute path of a folder.")
