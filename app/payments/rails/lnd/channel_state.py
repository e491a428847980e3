"""Nothing is sent over a node whose channels are older than they were seen to be: an old `channel.db`, or a lost one.

Such a node shows states that were replaced, and a peer may take a whole channel for it. LND counts the updates of each
channel (`num_updates`), and the count never falls; the highest ones seen are kept beside the channel backups, in
`<node>/channel-state.json`. A channel that is neither open nor closing nor closed, though it was open, is a loss, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from prometheus_client import Gauge

from payments.object_stores import ObjectStore, StoreError
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import RAIL, LndAnswerError
from payments.rails.lnd.messages import NodeInfo
from payments.rails.protocol import RailUnavailableError

MARKER: Final = "channel-state.json"
CHECK_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)
OLDER = Gauge(
    "lnd_channel_state_older",
    "1: the node's channels are older than they were seen to be, and nothing is sent.",
    multiprocess_mode="livemax",
)


@dataclass(frozen=True, slots=True)
class Differences:
    """What a node has otherwise than it was seen, by funding output.

    Attributes:
        node: its identity.
        older: channels in an older state than they were seen in.
        lost: channels that were open and are neither open nor closing nor closed.
    """

    node: str
    older: list[str]
    lost: list[str]


class LndOldStateError(RailUnavailableError):
    """The node has an old or a lost channel state, or nobody can tell: nothing was sent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, rail=RAIL, retry_after_seconds=60)


class StateGuard:
    """Compares the node's channels with the highest counts seen.

    Args:
        client: with offchain:read and info:read.
        store: where the counts are kept; the one of the channel backups.
        monotonic: seconds that only grow.
    """

    def __init__(
        self, client: LndClient, store: ObjectStore, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._store = store
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._seen: dict[str, dict[str, int]] = {}  # by node, once it was read from the store
        self._kept: dict[str, dict[str, int]] = {}  # what the store was last given
        self._checked_at: float | None = None
        self.problem = ""

    async def admit(self) -> None:
        """Look at the node unless that was done within `CHECK_SECONDS`.

        Raises:
            LndOldStateError: its channels are older than they were, or what was seen cannot be read.
            RailUnavailableError: the node does not answer.
        """
        now = self._monotonic()
        if self._checked_at is None or self.problem or now - self._checked_at >= CHECK_SECONDS:
            await self.check()
        if self.problem:
            raise LndOldStateError(self.problem)

    async def check(self) -> None:
        """Look at the node now and keep what is new; `problem` is one sentence when it is too old to send over.

        Raises:
            LndOldStateError: what was seen cannot be read, so nobody can tell.
            RailUnavailableError: the node does not answer.
        """
        async with self._lock:
            info = NodeInfo.from_json(await self._client.get("/v1/getinfo"))
            node = info.identity_pubkey
            seen = await self._recorded(node)
            now = _counts(await self._client.get("/v1/channels"))
            found = await self._compare(node, seen, now)
            if found.lost and await self._were_forgotten(node, found.lost):
                found = await self._compare(node, self._seen[node], now)
            self.problem = _sentence(found)
            OLDER.set(int(bool(self.problem)))
            if not self.problem:
                self._seen[node] = now
                if now != self._kept[node]:
                    await self._keep(node, now)
                self._checked_at = self._monotonic()

    async def differences(self) -> Differences:
        """What the node has otherwise than the store says it was seen.

        Raises:
            LndOldStateError: what was seen cannot be read.
            RailUnavailableError: the node does not answer.
        """
        node = NodeInfo.from_json(await self._client.get("/v1/getinfo")).identity_pubkey
        return await self._compare(node, await self._recorded(node), _counts(await self._client.get("/v1/channels")))

    async def forget(self, lost: Differences) -> None:
        """Take lost channels out of what was seen, on a person's word that they are gone. Nothing else changes.

        Raises:
            StoreError: the store does not take it.
        """
        assert not lost.older, "an older state is never forgotten"
        kept = {point: count for point, count in (await self._read(lost.node)).items() if point not in lost.lost}
        await self._store.put(f"{lost.node}/{MARKER}", orjson.dumps({"node": lost.node, "channels": kept}))

    async def _compare(self, node: str, seen: Mapping[str, int], now: Mapping[str, int]) -> Differences:
        older = sorted(point for point, count in seen.items() if point in now and now[point] < count)
        gone = [point for point in seen if point not in now]
        lost = sorted(set(gone) - await self._closing()) if gone else []
        return Differences(node, older, lost)

    async def _were_forgotten(self, node: str, lost: list[str]) -> bool:
        """Whether a person has taken lost channels out of the store since; this process forgets them, too."""
        try:
            stored = await self._read(node)
        except (StoreError, orjson.JSONDecodeError, ValueError, AttributeError):
            return False
        # What the store was never given is not forgotten by its absence there.
        forgotten = [point for point in lost if point in self._kept[node] and point not in stored]
        for point in forgotten:
            self._seen[node].pop(point, None)
            self._kept[node].pop(point, None)
        return bool(forgotten)

    async def _recorded(self, node: str) -> dict[str, int]:
        """What was seen: this process' own memory, at first the store's."""
        if node not in self._seen:
            try:
                self._kept[node] = await self._read(node)
                self._seen[node] = dict(self._kept[node])
            except (StoreError, orjson.JSONDecodeError, ValueError, AttributeError) as error:
                raise LndOldStateError(
                    "Nothing is sent over LND: the newest state its channels were seen in cannot be read from "
                    f"LND_BACKUP_STORE ({error})."
                ) from error
        return self._seen[node]

    async def _read(self, node: str) -> dict[str, int]:
        name = f"{node}/{MARKER}"
        if name not in await self._store.names(f"{node}/"):
            return {}
        found = orjson.loads(await self._store.get(name))
        return {str(point): int(count) for point, count in found["channels"].items()}

    async def _keep(self, node: str, now: Mapping[str, int]) -> None:
        """While the store is away this process' memory has to do; the next check writes again."""
        try:
            # Another worker may have seen more meanwhile.
            theirs = await self._read(node)
            merged = {point: max(count, theirs.get(point, 0)) for point, count in now.items()}
            await self._store.put(f"{node}/{MARKER}", orjson.dumps({"node": node, "channels": merged}))
        except (StoreError, ValueError, AttributeError) as error:
            _log.warning("the newest state of the channels is not kept", error=str(error))
        else:
            self._kept[node] = dict(now)

    async def _closing(self) -> set[str]:
        """Channels that are closing or closed, by funding output."""
        points: set[str] = set()
        pending = await self._maybe("/v1/channels/pending")
        for kind in ("pending_closing_channels", "pending_force_closing_channels", "waiting_close_channels"):
            points |= {str((one.get("channel") or {}).get("channel_point")) for one in pending.get(kind) or []}
        closed = await self._maybe("/v1/channels/closed")
        return points | {str(one.get("channel_point")) for one in closed.get("channels") or []}

    async def _maybe(self, path: str) -> dict[str, Any]:
        try:
            return await self._client.get(path)
        except LndAnswerError as error:
            if error.code not in (LndAnswerError.NOT_FOUND, LndAnswerError.UNIMPLEMENTED):
                raise
            return {}


def _counts(answer: Mapping[str, Any]) -> dict[str, int]:
    """Updates of each open channel, by funding output."""
    return {str(one["channel_point"]): int(one.get("num_updates") or 0) for one in answer.get("channels") or []}


def _sentence(found: Differences) -> str:
    older, lost = found.older, found.lost
    if older:
        what = f"{len(older)} of its channels are in an older state than they were seen in, {older[0]} first"
    elif lost:
        what = f"it no longer knows {len(lost)} of its channels, {lost[0]} first"
    else:
        return ""
    return (
        f"Nothing is sent over LND: {what}. Stop the node {found.node[:16]}: its channel.db is old or lost, and the "
        "only way back is docs/runbooks/lnd-restore.md."
    )
