"""Following the chain, block by block: every output to an address of ours, credited once it is deep enough.

Blocks are read whole and matched here, so a provider sees no address, and a payment to any address that was ever given
out is found, however late. The cursor is the newest block (height and hash) below which nothing can be open any more;
above it blocks are read again after a restart, and an arrival that was credited before is known by its outpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from payments.database import Database
from payments.rails.onchain import repository
from payments.rails.onchain.blocks import Header, Output, keeps_difficulty, read_block
from payments.rails.onchain.confirmations import Confirmations
from payments.rails.onchain.errors import ASSET, MSAT_PER_SAT, EsploraUnreachableError
from payments.rails.onchain.esplora import Esplora
from payments.rails.onchain.repository import Address
from payments.rails.onchain.wallet import Branch, Coin
from payments.rails.protocol import Arrival, Progress, Reversal

# Blocks read before what was found so far is handed on.
CATCH_UP_BLOCKS: Final = 100
# How far back to begin when a reorganisation went below the cursor.
DEEP_REORG_BLOCKS: Final = 100
# Consensus: a coinbase's outputs are spendable in the 100th block after it.
COINBASE_MATURITY: Final = 101
# Clocks of miners may be so wrong (consensus: two hours).
_BLOCK_TIME_TOLERANCE: Final = timedelta(hours=3)
# Addresses are loaded again this far back: a row becomes visible when its transaction ends, not when it is stamped.
_OVERLAP: Final = timedelta(minutes=10)
_log = structlog.get_logger(__name__)

TIP = Gauge("onchain_tip_height", "Newest block that was read.", multiprocess_mode="livemax")
REORGS = Counter("onchain_reorganised_blocks_total", "Blocks that left the best chain after they were read.")


@dataclass(frozen=True)
class Read:
    """A block that was read, with what is ours in it."""

    height: int
    header: Header
    found: tuple[tuple[Output, Address], ...] = ()

    @property
    def cursor(self) -> str:
        """Position after this block."""
        return f"{self.height}:{self.header.hash}"


@dataclass
class _Window:
    """The blocks since the cursor; the first is the cursor's own."""

    blocks: list[Read]
    handed_on: set[str] = field(default_factory=set)

    @property
    def tip(self) -> Read:
        return self.blocks[-1]


class Watch:
    """The scripts to look for, kept up to date from PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: datetime | None = None
        self.scripts: dict[bytes, Address] = {}

    async def refresh(self, now: datetime) -> None:
        """Load what is new. An address is written down before it is shown, so before any block can pay it."""
        for address in await repository.filled_since(self._database, self._since):
            assert address.script is not None
            self.scripts[address.script] = address
        self._since = now - _OVERLAP


class ChainFollower:
    """Arrivals from a provider's chain.

    Args:
        esplora: the provider.
        database: addresses and coins.
        confirmations: how many a sum needs.
        poll_seconds: how often the tip is asked for.
        is_mainnet: whether blocks must have mainnet's difficulty; test networks have exceptions.
    """

    def __init__(
        self,
        esplora: Esplora,
        database: Database,
        *,
        confirmations: Confirmations,
        poll_seconds: float,
        is_mainnet: bool = False,
    ) -> None:
        self._esplora = esplora
        self._database = database
        self._confirmations = confirmations
        self._poll_seconds = poll_seconds
        self._is_mainnet = is_mainnet
        self._watch = Watch(database)

    async def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival | Progress | Reversal]:
        """Every arrival in blocks after `cursor`, then new ones as blocks come, until cancelled. What was credited and
        has left the best chain meanwhile, also while nobody followed it, is taken back.

        Raises:
            RailUnavailableError: the provider is gone; begin again from the saved cursor.
        """
        window = _Window([await self._base(cursor)])
        for reversal in await self._gone(window.tip.height):
            yield reversal
        yield Progress(window.blocks[0].cursor)
        while True:
            tip_hash = await self._esplora.tip_hash()
            is_at_tip = tip_hash == window.tip.header.hash
            if not is_at_tip:
                for reversal in await self._step_back(window):
                    yield reversal
                await self._watch.refresh(datetime.now(UTC))
                is_at_tip = await self._read_on(window)
                for arrival in await self._deep_enough(window):
                    yield arrival
                if self._close(window):
                    yield Progress(window.blocks[0].cursor)
            if is_at_tip:
                await asyncio.sleep(self._poll_seconds)

    async def arrivals_between(self, cursor: str | None, until: str) -> AsyncIterator[Arrival | Progress]:
        """Every arrival in the blocks after `cursor` up to the block of the cursor `until`, for reconciliation.

        Raises:
            RailUnavailableError: the provider is gone, or the chain was reorganised meanwhile.
        """
        window = _Window([await self._base(cursor)])
        await self._watch.refresh(datetime.now(UTC))
        last = int(until.partition(":")[0])
        while window.tip.height < last:
            before, window.blocks = window.tip, [window.tip]
            if await self._read_on(window, blocks=1) or window.tip is before:
                raise EsploraUnreachableError("The chain was reorganised while it was read again.")
            for output, owner in window.tip.found:
                if owner.branch is Branch.RECEIVE:
                    yield _arrival(output, owner, window.tip, cursor=before.cursor, confirmations=None)
            yield Progress(window.tip.cursor)

    async def _base(self, cursor: str | None) -> Read:
        """The block to go on from."""
        await self._esplora.ensure_network()
        if cursor:
            height, _, block_hash = cursor.partition(":")
            if not await self._esplora.has_left(block_hash, int(height)):
                return Read(int(height), Header.of(await self._esplora.header(block_hash)))
            _log.error("the chain was reorganised below the cursor", height=int(height), block=block_hash)
            return await self._at(max(0, int(height) - DEEP_REORG_BLOCKS))
        tip = await self._esplora.tip_height()
        first = await repository.earliest(self._database)
        if first is None:
            return await self._at(tip)
        wanted = (first - _BLOCK_TIME_TOLERANCE).timestamp()
        low, high = 0, tip
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if (await self._at(middle)).header.time <= wanted else (low, middle - 1)
        return await self._at(low)

    async def _at(self, height: int) -> Read:
        block_hash = await self._esplora.block_hash_at(height)
        if block_hash is None:
            raise EsploraUnreachableError(f"Esplora has no block {height}.")
        return Read(height, Header.of(await self._esplora.header(block_hash)))

    async def _step_back(self, window: _Window) -> list[Reversal]:
        """Drop blocks that are no longer in the best chain; what was handed on of them, and what was credited."""
        taken: dict[str, Reversal] = {}
        is_reorganised = False
        while await self._esplora.has_left(window.tip.header.hash, window.tip.height):
            gone = window.blocks.pop()
            is_reorganised = True
            REORGS.inc()
            events = {_event(output) for output, _ in gone.found} & window.handed_on
            # Handed on again when a block has it again.
            window.handed_on -= events
            taken |= {event: _reversal(event, gone.header.hash) for event in events}
            _log.warning("a block left the best chain", height=gone.height, credited=sorted(events))
            if not window.blocks:
                _log.error("the chain was reorganised below the cursor", height=gone.height, block=gone.header.hash)
                await self._esplora.ensure_network()
                window.blocks.append(await self._at(max(0, gone.height - DEEP_REORG_BLOCKS)))
        if is_reorganised:
            taken |= {reversal.event_id: reversal for reversal in await self._gone(window.tip.height)}
        return list(taken.values())

    async def _gone(self, height: int) -> list[Reversal]:
        """Deposits that are credited, and whose block above `height` is not in the best chain."""
        credited = await repository.credited_above(self._database, height)
        gone = {place for place in set(credited.values()) if await self._esplora.has_left(*place)}
        return [_reversal(event, place[0]) for event, place in credited.items() if place in gone]

    async def _read_on(self, window: _Window, *, blocks: int = CATCH_UP_BLOCKS) -> bool:
        """Read blocks after the window's tip; True at the chain's tip, False when there may be more."""
        for _ in range(blocks):
            height = window.tip.height + 1
            block_hash = await self._esplora.block_hash_at(height)
            if block_hash is None:
                return True
            data = await self._esplora.block(block_hash)
            block = await asyncio.to_thread(read_block, data, block_hash)
            if block.header.previous != window.tip.header.hash:
                return False  # reorganised while we read
            if self._is_mainnet and not keeps_difficulty(window.tip.header, block.header, height):
                raise EsploraUnreachableError(
                    f"Esplora's block {height} has not the difficulty that the chain demands."
                )
            found = tuple(
                (output, self._watch.scripts[output.script])
                for output in block.outputs
                if output.script in self._watch.scripts and output.sats > 0
            )
            await self._save([(one, owner) for one, owner in found if not one.is_coinbase], height)
            window.blocks.append(Read(height, block.header, found))
            TIP.set(height)
        return False

    async def _save(self, found: Sequence[tuple[Output, Address]], height: int) -> None:
        """Note coins that may be spent."""
        coins = [Coin(one.txid, one.vout, owner.branch, owner.number, one.sats) for one, owner in found]
        if coins:
            await repository.save_coins(self._database, coins, height)

    def _needed(self, output: Output) -> int:
        """Confirmations of an output; a block's subsidy as many as make it spendable."""
        needed = self._confirmations.needed(output.sats)
        return max(needed, COINBASE_MATURITY) if output.is_coinbase else needed

    async def _deep_enough(self, window: _Window) -> list[Arrival]:
        """What has its confirmations now and was not handed on yet, in the order of the chain."""
        arrivals = []
        for block in window.blocks[1:]:
            confirmations = window.tip.height - block.height + 1
            for output, owner in block.found:
                event = _event(output)
                is_ours_to_credit = owner.branch is Branch.RECEIVE and event not in window.handed_on
                if not is_ours_to_credit or confirmations < self._needed(output):
                    continue
                window.handed_on.add(event)
                if output.is_coinbase:
                    await self._save([(output, owner)], block.height)
                arrivals.append(
                    _arrival(output, owner, block, cursor=window.blocks[0].cursor, confirmations=confirmations)
                )
        return arrivals

    def _close(self, window: _Window) -> bool:
        """Let go of blocks that are as deep as any sum needs; whether the cursor moved."""
        moved = False
        while len(window.blocks) > 1 and self._is_settled(window.blocks[1], window.tip.height):
            window.blocks.pop(0)
            window.handed_on -= {_event(output) for output, _ in window.blocks[0].found}
            moved = True
        return moved

    def _is_settled(self, block: Read, tip: int) -> bool:
        """Whether nothing in a block can be open any more."""
        most = max([self._confirmations.most, *(self._needed(output) for output, _ in block.found)])
        return tip - block.height + 1 >= most


def _arrival(output: Output, owner: Address, block: Read, *, cursor: str, confirmations: int | None) -> Arrival:
    proof = {
        "txid": output.txid,
        "vout": output.vout,
        "block_hash": block.header.hash,
        "block_height": block.height,
    }
    return Arrival(
        event_id=_event(output),
        rail_id=owner.rail_id,
        asset=ASSET,
        amount=output.sats * MSAT_PER_SAT,
        arrived_at=datetime.fromtimestamp(block.header.time, UTC),
        cursor=cursor,
        proof=proof if confirmations is None else {**proof, "confirmations": confirmations},
    )


def _reversal(event: str, block_hash: str) -> Reversal:
    return Reversal(event, {"left_the_best_chain": block_hash})


def _event(output: Output) -> str:
    return f"{output.txid}:{output.vout}"
