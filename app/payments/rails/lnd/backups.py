"""Static channel backups: one is stored as soon as the node's channels change, and tried against the node every day.

A static backup lets the peers close the channels and pay us out. It is the only thing to restore from: an old
`channel.db` shows old states, and a peer may take everything for it (docs/runbooks/lnd-restore.md).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from payments.object_stores import ObjectStore, StoreError, region_of_environment, store_of
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import LndAnswerError
from payments.rails.lnd.messages import NodeInfo
from payments.settings import Settings

SUFFIX: Final = ".multi"
KEPT: Final = 50
# A half-open connection would stay silent for ever; meanwhile the poll looks every few seconds.
IDLE_SECONDS: Final = 300.0


def backup_store(settings: Settings) -> ObjectStore | None:
    """The store of LND_BACKUP_STORE, None when it is empty. Raises StoreConfigError."""
    return store_of(
        settings.lnd_backup_store,
        setting="LND_BACKUP_STORE",
        region=region_of_environment(),
        endpoint=settings.lnd_backup_s3_endpoint,
    )


@dataclass(frozen=True, slots=True)
class Backup:
    """What the node exports: `channels` are funding outputs as txid:vout, sorted."""

    node: str
    channels: tuple[str, ...]
    data: bytes

    @property
    def digest(self) -> str:
        """Names the set of channels; the bytes differ each time, for they are encrypted with a new nonce."""
        return hashlib.sha256("\n".join(self.channels).encode()).hexdigest()[:16]


def _points(answer: dict[str, Any]) -> tuple[str, ...]:
    found = []
    for point in answer.get("chan_points") or []:
        text = point.get("funding_txid_str")
        txid = text or base64.b64decode(point.get("funding_txid_bytes") or "")[::-1].hex()
        found.append(f"{txid}:{int(point.get('output_index') or 0)}")
    return tuple(sorted(found))


async def export(client: LndClient) -> Backup:
    """All channels of the node; takes offchain:read and info:read. Raises RailError."""
    node = NodeInfo.from_json(await client.get("/v1/getinfo")).identity_pubkey
    multi = (await client.get("/v1/channels/backup")).get("multi_chan_backup") or {}
    return Backup(node, _points(multi), base64.b64decode(multi.get("multi_chan_backup") or ""))


async def _is_good(client: LndClient, data: bytes) -> bool:
    body = {"multi_chan_backup": {"multi_chan_backup": base64.b64encode(data).decode()}}
    try:
        await client.post("/v1/channels/backup/verify", body)
    except LndAnswerError:
        return False
    return True


def _named(backup: Backup, now: datetime) -> str:
    """`<node>/<time>-<channels>-<bytes>.multi`: digests of which channels it has and of what is in the file."""
    digest = hashlib.sha256(backup.data).hexdigest()[:16]
    return f"{backup.node}/{now.strftime('%Y%m%dT%H%M%S.%fZ')}-{backup.digest}-{digest}{SUFFIX}"


def _is_whole(name: str, data: bytes) -> bool:
    return name.removesuffix(SUFFIX).endswith("-" + hashlib.sha256(data).hexdigest()[:16])


async def stored(store: ObjectStore, node: str) -> list[str]:
    """Names of a node's backups, the newest last. Raises StoreError."""
    return [name for name in await store.names(f"{node}/") if name.endswith(SUFFIX)]


async def newest(store: ObjectStore, node: str) -> tuple[str, bytes]:
    """Name and bytes of a node's newest backup.

    Raises:
        StoreError: there is none, or it is not what was stored.
    """
    known = await stored(store, node)
    if not known:
        raise StoreError(f"There is no channel backup of the node {node}.")
    data = await store.get(known[-1])
    if not _is_whole(known[-1], data):
        raise StoreError(f"The channel backup {known[-1]} is not what was stored: its checksum differs.")
    return known[-1], data


async def changes(client: LndClient) -> AsyncGenerator[None]:
    """Once for each change of the channels, as LND tells of it (SubscribeChannelBackups), until the stream ends.

    Raises:
        TimeoutError: nothing has changed for `IDLE_SECONDS`; subscribe again.
        RailError: the node is gone.
    """
    async for _ in client.stream("GET", "/v1/channels/backup/subscribe", idle_seconds=IDLE_SECONDS):
        yield None


async def keep(client: LndClient, store: ObjectStore, *, now: datetime) -> bool:
    """Store a backup when the channels are not those of the newest one; whether one was stored.

    Raises:
        RailError: the node does not answer.
        StoreError: it was not stored, or is not what was stored.
    """
    backup = await export(client)
    known = await stored(store, backup.node)
    if known and f"-{backup.digest}-" in known[-1]:
        return False
    if not backup.data or not await _is_good(client, backup.data):
        raise StoreError("The node does not accept the channel backup that it gave itself.")
    name = _named(backup, now)
    await store.put(name, backup.data)
    if await store.get(name) != backup.data:
        raise StoreError(f"The stored channel backup {name} is not what was stored.")
    # An old one closes channels that were closed long ago; only the newest is ever restored from.
    for old in known[: -KEPT + 1]:
        await store.delete(old)
    return True


@dataclass(frozen=True, slots=True)
class Drill:
    """What a trial of the newest backup showed."""

    is_usable: bool
    reason: str
    name: str = ""


async def drill(client: LndClient, store: ObjectStore) -> Drill:
    """Fetch the newest backup, have the node decrypt and check it, and compare its channels with today's.

    Raises:
        RailError, StoreError.
    """
    backup = await export(client)
    known = await stored(store, backup.node)
    if not known:
        return Drill(False, "there is no backup of this node")
    name = known[-1]
    data = await store.get(name)
    if not _is_whole(name, data):
        return Drill(False, "the newest backup is not what was stored", name)
    if not await _is_good(client, data):
        return Drill(False, "the node cannot read the newest backup", name)
    if f"-{backup.digest}-" not in name:
        return Drill(False, "the newest backup has other channels than the node has now", name)
    return Drill(True, "", name)
