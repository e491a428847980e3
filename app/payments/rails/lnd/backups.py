"""Static channel backups: one is stored whenever the node's channels change, and tried against the node every day.

A static backup lets the peers close the channels and pay us out. It is the only thing to restore from: an old
`channel.db` shows old states, and a peer may take everything for it (docs/runbooks/lnd-restore.md).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.object_stores import ObjectStore, StoreError
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import LndAnswerError
from payments.rails.lnd.messages import NodeInfo


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


async def keep(client: LndClient, store: ObjectStore, *, now: datetime) -> bool:
    """Store a backup when the channels are not those of the newest one; whether one was stored.

    Raises:
        RailError: the node does not answer.
        StoreError: it was not stored, or is not what was stored.
    """
    backup = await export(client)
    known = await store.names(f"{backup.node}/")
    if known and known[-1].endswith(f"-{backup.digest}.multi"):
        return False
    if not backup.data or not await _is_good(client, backup.data):
        raise StoreError("The node does not accept the channel backup that it gave itself.")
    name = f"{backup.node}/{now.strftime('%Y%m%dT%H%M%S.%fZ')}-{backup.digest}.multi"
    await store.put(name, backup.data)
    if await store.get(name) != backup.data:
        raise StoreError(f"The stored channel backup {name} is not what was stored.")
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
    known = await store.names(f"{backup.node}/")
    if not known:
        return Drill(False, "there is no backup of this node")
    name = known[-1]
    if not await _is_good(client, await store.get(name)):
        return Drill(False, "the node cannot read the newest backup", name)
    if not name.endswith(f"-{backup.digest}.multi"):
        return Drill(False, "the newest backup has other channels than the node has now", name)
    return Drill(True, "", name)
