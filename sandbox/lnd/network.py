"""The Lightning network of this program: its nodes over one database, with durable changes and wake-ups for streams."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from coincurve import PrivateKey

from sandbox.durable import Writer
from sandbox.json_log import log
from sandbox.lnd import channels, closing, invoices, macaroons, payments
from sandbox.lnd.errors import RpcError
from sandbox.lnd.permissions import Op
from sandbox.lnd.topics import Topics

T = TypeVar("T")
_LOGGER = logging.getLogger("sandbox.lnd")


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's name and keys."""

    name: str
    key: PrivateKey
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Sources:
    """What the network takes from outside: unix time in seconds, and n random bytes."""

    clock: Callable[[], float]
    randomness: Callable[[int], bytes]


class Network:
    """All nodes, their channels, invoices and payments."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        reader: sqlite3.Connection,
        fees: channels.Fees,
        sources: Sources,
        secret: bytes,
    ) -> None:
        self.reader = reader
        """Sees committed changes only."""
        self.sources = sources
        self.fees = fees
        self.topics = Topics()
        self.stopping = asyncio.Event()
        meta = dict(reader.execute("SELECT key, value FROM meta").fetchall())
        self.name: str = meta["network"]
        self.genesis_at = int(meta["genesis_at"])
        self.nodes = {
            row["name"]: Identity(row["name"], PrivateKey(row["private_key"]), row["public_key"])
            for row in reader.execute("SELECT * FROM nodes")
        }
        self._by_key = {identity.public_key: name for name, identity in self.nodes.items()}
        self._root_key_ids = {(row["node"], row["id"]) for row in reader.execute("SELECT * FROM root_keys")}
        self._secret = secret
        self._writer = Writer(connection, asyncio.get_running_loop())
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Finish the attempts that a crash left on the way, then watch for invoices that run out."""
        for attempt in payments.in_flight(self.reader):
            await self._deliver(attempt)
        self._spawn(self._watch_expiry())

    async def stop(self) -> None:
        """End the streams, finish what is queued, close the database."""
        self.stopping.set()
        self.topics.fire_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._writer.close)

    def moment(self) -> payments.Moment:
        """Now, with the chain's height."""
        now = self.sources.clock()
        return payments.Moment(now, channels.height_at(self.genesis_at, now))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several reads see one state; nothing may be awaited inside."""
        self.reader.execute("BEGIN")
        try:
            yield
        finally:
            self.reader.execute("COMMIT")

    def node_of(self, public_key: bytes) -> str | None:
        """The name of the node with this key."""
        return self._by_key.get(public_key)

    # macaroons

    def root_key(self, node: str, root_key_id: bytes) -> bytes:
        """The root key of an id in use.

        Raises:
            RpcError: no macaroon was ever baked with this id.
        """
        if (node, root_key_id.decode(errors="replace")) not in self._root_key_ids:
            raise RpcError(
                f"cannot get macaroon: root key with id {root_key_id.decode(errors='replace')} doesn't exist"
            )
        return macaroons.derive_root_key(self._secret, node, root_key_id)

    async def bake(self, node: str, root_key_id: int, ops: list[Op]) -> bytes:
        """Bake a macaroon, and remember its root key id."""
        name = str(root_key_id)
        if (node, name) not in self._root_key_ids:
            await self._writer.run(
                lambda connection: connection.execute("INSERT OR IGNORE INTO root_keys VALUES (?, ?)", (node, name))
            )
            self._root_key_ids.add((node, name))
        return macaroons.bake(self.root_key(node, name.encode()), name.encode(), self.sources.randomness(16), ops)

    # invoices

    async def add_invoice(self, node: str, draft: invoices.Draft) -> tuple[int, invoices.NewInvoice]:
        """Sign and store an invoice; returns its add_index and the invoice."""
        entropy = self.sources.randomness(64)
        new = invoices.sign(draft, self.nodes[node].key, self.name, self.sources.clock(), entropy)

        async def store() -> int:
            index = await self._writer.run(lambda connection: invoices.add(connection, node, new))
            self.topics.fire(("invoices", node))
            return index

        return await self._whole(store()), new

    async def settle_held(self, node: str, preimage: bytes) -> None:
        """Settle an accepted hold invoice, and so the payment that it held."""

        def change(connection: sqlite3.Connection) -> int | None:
            moment = self.moment()
            attempt = invoices.settle_held(connection, node, preimage, moment.now)
            if attempt is not None:
                payments.succeed(connection, attempt, preimage, moment)
            return attempt

        async def settle() -> None:
            attempt = await self._writer.run(change)
            if attempt is not None:
                self._announce(attempt)

        await self._whole(settle())

    async def cancel_invoice(self, node: str, payment_hash: bytes) -> None:
        """Cancel an invoice; a held payment goes back to its payer."""

        def change(connection: sqlite3.Connection) -> int | None:
            attempt = invoices.cancel(connection, node, payment_hash)
            if attempt is not None:
                hops = connection.execute("SELECT count(*) FROM htlcs WHERE attempt_id = ?", (attempt,)).fetchone()[0]
                reason = "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"
                code = "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
                payments.fail(connection, attempt, code, hops, reason, self.moment())
            return attempt

        async def cancel() -> None:
            attempt = await self._writer.run(change)
            self.topics.fire(("invoice", node, payment_hash))
            if attempt is not None:
                self._announce(attempt)

        await self._whole(cancel())

    # channels

    async def close_channel(self, node: str, funding_txid: str) -> bool:
        """Close a channel by force; whether it was there."""
        done = await self._whole(self._writer.run(lambda connection: closing.close(connection, node, funding_txid)))
        self._channels_changed()
        return done

    async def restore_channels(self, node: str, points: list[str]) -> int:
        """Have the peers close the lost channels of a backup; how many they closed."""
        done = await self._whole(self._writer.run(lambda connection: closing.restore(connection, node, points)))
        self._channels_changed()
        return len(done)

    def _channels_changed(self) -> None:
        for node in self.nodes:
            self.topics.fire(("channels", node))

    # payments

    async def pay(self, node: str, intent: payments.Intent) -> None:
        """Start a payment; it goes on by itself, whoever listens.

        Raises:
            RpcError: the payment hash is paid or in flight.
        """

        async def begin() -> None:
            attempt = await self._writer.run(
                lambda connection: payments.begin(connection, node, intent, self.fees, self.moment())
            )
            self.topics.fire(("payment", node, intent.payment_hash))
            if attempt is not None:
                self._spawn(self._deliver(attempt))

        await self._whole(begin())

    async def _deliver(self, attempt: int) -> None:
        await self._writer.run(lambda connection: payments.deliver(connection, attempt, self.moment()))
        self._announce(attempt)

    def _announce(self, attempt_id: int) -> None:
        attempt = self.reader.execute("SELECT * FROM attempts WHERE id = ?", (attempt_id,)).fetchone()
        if attempt is None:
            return
        payer, payee, payment_hash = attempt["node"], attempt["destination"], attempt["payment_hash"]
        self.topics.fire(("payment", payer, payment_hash))
        self.topics.fire(("invoice", payee, payment_hash))
        self.topics.fire(("invoices", payee))
        log(
            _LOGGER,
            "payment",
            payer=payer,
            payee=payee,
            payment_hash=payment_hash.hex(),
            amount_msat=attempt["amount_msat"],
            fee_msat=attempt["fee_msat"],
            status=attempt["status"],
        )

    async def _watch_expiry(self) -> None:
        while not self.stopping.is_set():
            moment = self.moment()
            for node, payment_hash in invoices.due(self.reader, moment.now, moment.height):
                try:
                    await self.cancel_invoice(node, payment_hash)
                except RpcError:
                    continue  # paid in the meantime
            await asyncio.sleep(0.5)

    async def _whole(self, work: Coroutine[None, None, T]) -> T:
        """Run a change and what follows from it to the end, even when the caller hangs up meanwhile."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[None, None, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
