"""The archive of the audit log: segments of whole roots in an object store, each naming the digest of the one before.

A segment is gzipped JSON lines. The first is its head; each further one is a root with the rows that it seals, as text,
so that all can be recomputed without our database: root = SHA-256(root before, then for each row its length in 8 bytes
and its UTF-8 bytes). The name says number and digest: `audit/000000000007-<64 hex digits>.jsonl.gz`.

A segment is planned in the database before it is put, and what is in it never changes, so whoever repeats it after a
crash puts the same bytes under the same name.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

import orjson

from payments.audit import repository
from payments.audit.repository import Planned
from payments.database import Database
from payments.object_stores import ObjectStore, region_of_environment, store_of
from payments.settings import Settings

FOLDER: Final = "audit/"
FORMAT: Final = "railyard-audit-1"
SUFFIX: Final = ".jsonl.gz"
SEGMENT_ENTRIES: Final = 10_000


def archive_of(settings: Settings) -> ObjectStore | None:
    """The audit log's archive, None when AUDIT_ARCHIVE_STORE names none. Raises StoreConfigError."""
    return store_of(
        settings.audit_archive_store,
        setting="AUDIT_ARCHIVE_STORE",
        region=region_of_environment(),
        endpoint=settings.audit_archive_s3_endpoint,
        lock_days=settings.audit_archive_lock_days,
    )


async def export(database: Database, store: ObjectStore, *, entries: int = SEGMENT_ENTRIES) -> int:
    """Archive everything that is sealed and not archived yet.

    Args:
        entries: rows of one segment at most, unless a single root has more.

    Returns:
        How many segments were put there.

    Raises:
        StoreError: the archive does not take one; what it took before stays counted.
    """
    done = 0
    while (planned := await repository.plan_segment(database, entries)) is not None:
        content = await _content(database, planned)
        digest = hashlib.sha256(content).digest()
        name = f"{FOLDER}{planned.number:012d}-{digest.hex()}{SUFFIX}"
        await store.add(name, gzip.compress(content, mtime=0))
        await repository.mark_archived(database, planned.number, name, digest)
        done += 1
    return done


async def _content(database: Database, planned: Planned) -> bytes:
    """The lines of a segment, always the same ones."""
    found = await repository.roots(database, planned.first_root, planned.last_root)
    head = {
        "format": FORMAT,
        "segment": planned.number,
        "previous": planned.previous.hex(),
        "first_root": planned.first_root,
        "last_root": planned.last_root,
        "columns": await repository.columns(database),
    }
    lines = [orjson.dumps(head)]
    for root in found:
        entry = {
            "number": root["number"],
            "after_id": root["after_id"],
            "through_id": root["through_id"],
            "sealed_at": root["sealed_at"].astimezone(UTC),
            "root": bytes(root["root"]).hex(),
            "rows": await repository.lines(database, root["after_id"], root["through_id"]),
        }
        lines.append(orjson.dumps(entry))
    return b"\n".join(lines) + b"\n"


@dataclass(slots=True)
class Verdict:
    """What the archive holds, and every sentence that is wrong with it."""

    segments: int = 0
    roots: int = 0
    entries: int = 0
    breaks: list[str] = field(default_factory=list)


async def verify(store: ObjectStore, database: Database | None = None) -> Verdict:
    """Recompute every root of the archive from its rows, and the chain of the segments.

    Args:
        store: with the right to read.
        database: whose own roots and cursor are compared with the archive; None to believe the archive alone.

    Raises:
        StoreError: it cannot be read.
    """
    verdict = Verdict()
    chain = _Chain(verdict)
    names = sorted(name for name in await store.names(FOLDER) if name.endswith(SUFFIX))
    for name in names:
        chain.read(name, await store.get(name))
        if store.locks and await store.locked_until(name) is None:
            verdict.breaks.append(f"{name} is not locked: it can be deleted.")
    if database is not None:
        await _compare(database, names, chain)
    return verdict


class _Chain:
    """The position in the chain while segments are read in order."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.previous = b""
        self.root = b""
        self.number = 0
        self.through_id = 0

    def read(self, name: str, data: bytes) -> None:
        """Check one segment."""
        verdict = self.verdict
        try:
            content = gzip.decompress(data)
            head, *roots = [orjson.loads(line) for line in content.splitlines()]
            digest = hashlib.sha256(content).digest()
            if name != f"{FOLDER}{verdict.segments + 1:012d}-{digest.hex()}{SUFFIX}":
                verdict.breaks.append(f"{name} is not segment {verdict.segments + 1} with the content of its name.")
            if head["segment"] != verdict.segments + 1 or bytes.fromhex(head["previous"]) != self.previous:
                verdict.breaks.append(f"{name} does not follow the segment before it.")
            self._roots(name, roots)
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            verdict.breaks.append(f"{name} cannot be read ({type(error).__name__}).")
            digest = b""
        self.previous = digest
        verdict.segments += 1

    def _roots(self, name: str, roots: Iterable[dict[str, Any]]) -> None:
        for entry in roots:
            hashed = hashlib.sha256(self.root)
            for row in entry["rows"]:
                line = row.encode()
                hashed.update(len(line).to_bytes(8, "big") + line)
            follows = entry["number"] == self.number + 1 and entry["after_id"] == self.through_id
            if not follows or hashed.hexdigest() != entry["root"]:
                self.verdict.breaks.append(f"{name}: the rows do not lead to root {entry['number']}.")
            self.root, self.number = bytes.fromhex(entry["root"]), entry["number"]
            self.through_id = entry["through_id"]
            self.verdict.roots += 1
            self.verdict.entries += len(entry["rows"])


async def _compare(database: Database, names: list[str], chain: _Chain) -> None:
    """That the archive has every segment the database counts, and ends with the same root."""
    breaks, taken = chain.verdict.breaks, await repository.archived(database)
    kept = set(names)
    breaks += [f"{row['name']} was archived and is not there." for row in taken if row["name"] not in kept]
    if taken and chain.number:
        ours = await repository.roots(database, chain.number, chain.number)
        if not ours or bytes(ours[0]["root"]) != chain.root:
            breaks.append(f"root {chain.number} of the archive is not the database's.")
