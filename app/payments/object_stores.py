"""Where what must outlive this machine is kept: a bucket (S3's API), or a folder on this machine for the local stack.

Channel backups and the audit log's archive go there. A handful of calls to a bucket are all we need of S3; why they are
written by hand is in docs/decisions/0002.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import os
import secrets
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from payments.aws_credentials import AwsKeys, NoCredentialsError, find_keys
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_UPSTREAMS: Final = {"LND_BACKUP_STORE": "channel-backups", "AUDIT_ARCHIVE_STORE": "audit-archive"}
_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()


class StoreError(Exception):
    """The store did not take or give an object; the message is one sentence."""


class StoreConfigError(Exception):
    """The store that a setting names cannot be used; the message is one sentence."""


class ObjectStore(Protocol):
    """A place for small immutable objects."""

    @property
    def locks(self) -> bool:
        """Whether it can keep an object from being deleted before its time."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep an object, locked for the store's `lock_days` if it has any. Raises StoreError."""

    async def add(self, name: str, data: bytes) -> None:
        """As `put`, for a name that says what is in it: an object that is there already is left. Raises StoreError."""

    async def get(self, name: str) -> bytes:
        """An object's bytes. Raises StoreError."""

    async def names(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`, sorted. Raises StoreError."""

    async def delete(self, name: str) -> None:
        """Take an object away. Raises StoreError."""

    async def locked_until(self, name: str) -> datetime | None:
        """Until when nobody can delete it, None without a lock. Raises StoreError."""


class FolderStore:
    """A folder. Args: folder: made when it is missing."""

    locks = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def add(self, name: str, data: bytes) -> None:
        """As `ObjectStore.add`."""
        if not await asyncio.to_thread((self._folder / name).exists):
            await self.put(name, data)

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`, durable at the end."""
        await asyncio.to_thread(self._write, self._folder / name, data)

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")  # two may write at once
            with part.open("wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        except OSError as error:
            raise StoreError(f"The folder {file.parent} cannot be written: {error.strerror}.") from error

    async def get(self, name: str) -> bytes:
        """As `ObjectStore.get`."""
        try:
            return await asyncio.to_thread((self._folder / name).read_bytes)
        except OSError as error:
            raise StoreError(f"The object {name} cannot be read: {error.strerror}.") from error

    async def names(self, prefix: str) -> list[str]:
        """As `ObjectStore.names`."""

        def found() -> list[str]:
            files = self._folder.rglob("*") if self._folder.is_dir() else ()
            return sorted(
                str(file.relative_to(self._folder)) for file in files if file.is_file() and file.suffix != ".part"
            )

        return [name for name in await asyncio.to_thread(found) if name.startswith(prefix)]

    async def delete(self, name: str) -> None:
        """As `ObjectStore.delete`."""
        try:
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)
        except OSError as error:
            raise StoreError(f"The object {name} cannot be deleted: {error.strerror}.") from error

    async def locked_until(self, name: str) -> datetime | None:
        """None: a folder locks nothing."""
        return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


def sign_v4(
    keys: AwsKeys,
    *,
    method: str,
    url: str,
    region: str,
    payload_sha256: str,
    now: datetime,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Headers of AWS Signature Version 4 for S3, with those of `more` (lower-case names) signed, too.

    The query in `url` must be sorted and encoded already.
    """
    parts = urlsplit(url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": parts.netloc, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp, **(more or {})}
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
    """A bucket, with the credentials that this process has (`aws_credentials.py`).

    Args:
        bucket: its name.
        prefix: before every object's name.
        region: of the bucket.
        endpoint: another service with S3's API; AWS when empty.
        lock_days: how long each object is locked in compliance mode; 0 leaves it to the bucket's own rule.
        upstream: what the breaker's metrics call it.
        clock: the time now, in UTC.
        patience: of its circuit breaker.
    """

    locks = True

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        region: str,
        endpoint: str = "",
        lock_days: int = 0,
        upstream: str = "object-store",
        clock: Callable[[], datetime] = _utc_now,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self._base = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._bucket = bucket
        self._region = region
        self._lock_days = lock_days
        self._clock = clock
        self._guard = guarded_by(patience.breaker(upstream))

    async def _call(self, method: str, path: str, query: str = "", data: bytes = b"") -> bytes:
        """The body of an answer that is no refusal. Raises StoreError."""
        status, body, _headers = await self._ask(method, path, query, data)
        if status >= 300:
            raise StoreError(f"The bucket {self._bucket} refuses with status {status}.")
        return body

    async def _ask(
        self, method: str, path: str, query: str = "", data: bytes = b"", more: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        url = self._base + path + (f"?{query}" if query else "")
        digest = hashlib.sha256(data).hexdigest() if data else _EMPTY_SHA256
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
                keys = await find_keys(session, self._region)
                headers = sign_v4(
                    keys,
                    method=method,
                    url=url,
                    region=self._region,
                    payload_sha256=digest,
                    now=self._clock(),
                    more=more,
                )
                from yarl import URL  # aiohttp's own; an encoded URL must go out as it was signed

                async with session.request(
                    method, URL(url, encoded=True), data=data, headers=headers, middlewares=self._guard
                ) as answer:
                    return answer.status, await answer.read(), answer.headers
        except NoCredentialsError as error:
            raise StoreError(str(error)) from error
        except (
            *(aiohttp.ClientError, TimeoutError, OSError),
            *(KeyError, orjson.JSONDecodeError, ElementTree.ParseError),
        ) as error:
            raise StoreError(f"The bucket {self._bucket} is not reached ({type(error).__name__}).") from error

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`."""
        await self._put(name, data, {})

    async def add(self, name: str, data: bytes) -> None:
        """As `ObjectStore.add`: a conditional write, which takes no right to read."""
        await self._put(name, data, {"if-none-match": "*"})

    async def _put(self, name: str, data: bytes, more: Mapping[str, str]) -> None:
        # A bucket with object lock takes nothing without a checksum of its own.
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        headers = {**more, "x-amz-checksum-sha256": checksum, "x-amz-sdk-checksum-algorithm": "SHA256"}
        if self._lock_days:
            until = self._clock() + timedelta(days=self._lock_days)
            headers["x-amz-object-lock-mode"] = "COMPLIANCE"
            headers["x-amz-object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        status, _body, _headers = await self._ask("PUT", "/" + quote(self._prefix + name), data=data, more=headers)
        if status >= 300 and not (status == 412 and "if-none-match" in more):
            raise StoreError(f"The bucket {self._bucket} refuses with status {status}.")

    async def delete(self, name: str) -> None:
        """As `ObjectStore.delete`."""
        await self._call("DELETE", "/" + quote(self._prefix + name))

    async def locked_until(self, name: str) -> datetime | None:
        """As `ObjectStore.locked_until`; takes s3:GetObjectRetention."""
        status, _body, headers = await self._ask("HEAD", "/" + quote(self._prefix + name))
        if status >= 300:
            raise StoreError(f"The bucket {self._bucket} refuses with status {status}.")
        until = headers.get("x-amz-object-lock-retain-until-date")
        return datetime.fromisoformat(until) if until else None

    async def get(self, name: str) -> bytes:
        """As `ObjectStore.get`."""
        return await self._call("GET", "/" + quote(self._prefix + name))

    async def names(self, prefix: str) -> list[str]:
        """As `ObjectStore.names`, also beyond S3's pages of 1,000."""
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


@functools.lru_cache(maxsize=8)  # one breaker a bucket, however often its duty runs
def store_of(text: str, *, setting: str, region: str, endpoint: str, lock_days: int = 0) -> ObjectStore | None:
    """The store that a setting names: a folder's absolute path, s3://bucket/prefix, or "" for none.

    Args:
        setting: its name, for the sentence and the breaker's metrics.

    Raises:
        StoreConfigError: it is none of these.
    """
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme == "s3" and parts.hostname:
        if not region:
            raise StoreConfigError(f"{setting} is a bucket, so AWS_REGION must say where.")
        return S3Store(
            parts.hostname,
            parts.path,
            region=region,
            endpoint=endpoint,
            lock_days=lock_days,
            upstream=_UPSTREAMS[setting],
        )
    if text.startswith("/"):
        return FolderStore(Path(text))
    raise StoreConfigError(f"{setting} must be s3://bucket/prefix or the absolute path of a folder.")


def region_of_environment() -> str:
    """AWS_REGION, as ECS and EKS set it; "" outside of AWS."""
    return os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", ""))
