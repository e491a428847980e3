"""A world to try schedules in: one service, one rail that counts every effect, and what must be true at the end.

A schedule is a list of steps; a step is a group of operations that run at once, each cancelled at one of its awaits or
not. Between steps time may pass (leases run out), the rail may fail in a planned way, and the worker may work.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from payments.api_keys.schemas import Caller, Scope
from payments.core import Core
from payments.errors import ApiError
from payments.idempotency.service import key_of_request
from payments.invoices import service as invoices
from payments.invoices.schemas import Invoice, InvoiceView, NewInvoice
from payments.payouts import sending
from payments.payouts import service as payouts
from payments.payouts.schemas import NewPayment
from payments.rails.protocol import Arrival, OutcomeState, RailUnavailableError
from payments.refunds import service as refunds
from payments.refunds.schemas import NewPayee, NewRefund, RefundState
from payments.suspense import service as suspense
from payments.suspense.schemas import Acceptance
from payments.webhooks import repository as webhooks
from payments.worker import registry
from payments.worker.following import credit
from payments.worker.sweeper import sweep_once
from tests.app.conftest import fund
from tests.app.counting_rail import CountingRail
from tests.app.interrupting import Interrupted, interrupt_at
from tests.app.world_steps import LATE_SECONDS, Operation, Step

FUNDS = 10**7

_numbers = itertools.count(1)


@dataclass
class World:
    """One schedule's service, user and rail; many share a database, none sees another's."""

    core: Core
    rail: CountingRail
    caller: Caller
    number: int
    answers: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    endpoint: Any = None

    @classmethod
    async def new(cls, core: Core) -> World:
        """A world with a funded user."""
        number = next(_numbers)
        rail = CountingRail(f"r{number}")
        user = f"u{number}"
        world = dataclasses.replace(core, rails={rail.name: rail})
        await fund(core, FUNDS, user=user)
        caller = Caller(str(core.clock.new_id()), user, "test", frozenset(Scope))
        made = cls(world, rail, caller, number)
        async with core.database.statements() as transaction:
            row = await webhooks.insert(
                transaction,
                endpoint_id=core.clock.new_id(),
                user_id=user,
                environment="test",
                url="https://shop.example/hook",
                description="",
                event_types=[],
                now=core.clock.now(),
            )
        made.endpoint = row["id"]
        return made

    async def _answered(self, name: str, request: Coroutine[Any, Any, Any]) -> None:
        try:
            answer = await request
        except ApiError as error:
            if error.status == 500:
                raise
            return
        known = self.answers.setdefault(name, answer.body)
        assert known == answer.body, f"{name} was answered differently"

    async def invoice(self, subject: int) -> None:
        """Ask for the invoice of a key."""
        key = key_of_request(
            caller=self.caller, route="POST /i", header=f"i{subject}", raw_body=b"", clock=self.core.clock
        )

        def render(invoice: Invoice) -> object:
            return InvoiceView.of(invoice).model_dump(mode="json")

        new = NewInvoice(rail=self.rail.name, amount=1000)
        await self._answered(
            f"invoice {subject}", invoices.create(self.core, self.caller, new, key, status=201, render=render)
        )

    def request(self, subject: int) -> str:
        """The payment request of a subject, the same on every retry."""
        rail_id = hashlib.sha256(f"{self.number}:{subject}".encode()).hexdigest()
        return f"pay:{rail_id}:2000:4102444800"

    async def accept(self, subject: int) -> None:
        """Ask for the payment of a key."""
        key = key_of_request(
            caller=self.caller, route="POST /p", header=f"p{subject}", raw_body=b"", clock=self.core.clock
        )
        new = NewPayment(rail=self.rail.name, paymentRequest=self.request(subject), maxFeeMsat=10)
        await self._answered(f"payment {subject}", payouts.create(self.core, self.caller, new, key))

    async def send(self, subject: int) -> None:
        """Work on one of the accepted payments' jobs, which stays in the queue: it may come twice."""
        rows = await self.core.database.all(
            "SELECT id FROM payments.payments WHERE user_id = %s ORDER BY id", (self.caller.user_id,), name="test"
        )
        if rows:
            try:
                await sending.send(self.core, rows[subject % len(rows)]["id"])
            except RailUnavailableError:
                return

    async def arrive(self, subject: int, amount: int) -> None:
        """Money arrives for an invoice, or for nobody, and is credited."""
        known = sorted(self.rail.invoices)
        rail_id = known[subject % len(known)] if known else f"nobody{self.number}"
        arrival = await self.rail.arrive(rail_id, amount, event_id=f"{self.number}:{next(_numbers)}")
        self.arrivals.append(arrival)
        await credit(self.core, self.rail.name, [arrival])

    async def _key(self, route: str, name: str) -> Any:
        return key_of_request(caller=self.caller, route=route, header=name, raw_body=b"", clock=self.core.clock)

    async def _suspended(self, subject: int) -> Any:
        found = await suspense.page(self.core, self.caller, state=None, before=None, limit=50)
        return found[subject % len(found)] if found else None

    async def take(self, subject: int) -> None:
        """Accept an amount in suspense."""
        found = await self._suspended(subject)
        if found is not None:
            key = await self._key("POST /s", str(found.id))
            await self._answered(
                f"take {found.id}", suspense.accept(self.core, self.caller, found.id, Acceptance(), key)
            )

    def _payee(self, of: str, amount: int) -> str:
        rail_id = hashlib.sha256(f"{self.number}:{of}".encode()).hexdigest()
        return f"pay:{rail_id}:{amount}:4102444800"

    async def refund(self, subject: int) -> None:
        """Give an amount in suspense back; every other one waits for its payee first."""
        found = await self._suspended(subject)
        if found is not None:
            payee = self._payee(f"{found.id}:0", found.amount) if subject else None
            new = NewRefund(suspenseId=found.id, payee=payee, maxFeeMsat=10)
            key = await self._key("POST /r", f"{found.id}:{subject}")
            await self._answered(f"refund {found.id}:{subject}", refunds.create(self.core, self.caller, new, key))

    async def payee(self, subject: int) -> None:
        """Give a refund that awaits its payee one."""
        states = (RefundState.AWAITING_PAYEE,)
        waiting = await refunds.page(self.core, self.caller, states=states, external_id=None, before=None, limit=50)
        if waiting:
            refund = waiting[subject % len(waiting)]
            wish = NewPayee(payee=self._payee(f"{refund.id}:{refund.tries}", refund.amount), maxFeeMsat=10)
            key = await self._key("POST /rp", f"{refund.id}:{refund.tries}")
            await self._answered(
                f"payee {refund.id}:{refund.tries}", refunds.give_payee(self.core, self.caller, refund.id, wish, key)
            )

    async def relay(self) -> None:
        """Record events and make their deliveries; a job is sent by `send` here, so that it may come twice."""
        await self.core.database.all("SELECT id FROM payments.take_outbox(500)", name="test")

    async def again(self) -> None:
        """The rail tells everything a second time."""
        if self.arrivals:
            await credit(self.core, self.rail.name, list(self.arrivals))

    async def sweep(self) -> None:
        """The worker looks up what is due."""
        await sweep_once(self.core, registry.look_ups())

    async def time_passes(self) -> None:
        """Every lease of this world runs out."""
        await self.core.database.run(
            "UPDATE payments.attempts SET lease_until = now(), next_look_at = now() "
            "WHERE rail = %s AND state NOT IN ('dead', 'succeeded')",
            (self.rail.name,),
            name="test",
        )
        await self.core.database.run(
            "UPDATE payments.idempotency_keys SET lease_until = now() WHERE NOT done AND caller_id = %s",
            (self.caller.id,),
            name="test",
        )

    def _coroutine(self, operation: Operation) -> Coroutine[Any, Any, None]:
        made: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "invoice": lambda: self.invoice(operation.subject),
            "accept": lambda: self.accept(operation.subject),
            "send": lambda: self.send(operation.subject),
            "sweep": self.sweep,
            "arrive": lambda: self.arrive(operation.subject, operation.amount),
            "again": self.again,
            "take": lambda: self.take(operation.subject),
            "refund": lambda: self.refund(operation.subject),
            "payee": lambda: self.payee(operation.subject),
            "relay": self.relay,
        }
        return made[operation.kind]()

    async def _run(self, operation: Operation) -> None:
        if operation.late:
            await asyncio.sleep(LATE_SECONDS)
        try:
            await interrupt_at(operation.cut, self._coroutine(operation))
        except Interrupted:
            return

    async def run(self, schedule: list[Step]) -> None:
        """Accept payments, run a schedule, let everything heal, and look."""
        for subject in range(3):
            await self.accept(subject)
        for step in schedule:
            self.rail.trouble = step.trouble
            await asyncio.gather(*(self._run(operation) for operation in step.operations))
            if step.time_passes:
                await self.time_passes()
        await self.heal()
        await self.check()

    async def heal(self) -> None:
        """The rail works again, requests are sent again until they are answered, the worker catches up."""
        self.rail.trouble = "none"
        self.rail.arrive_everything()
        await self.again()
        for times in range(4):
            if times > 1 and await self._nothing_is_open():
                return
            await self.time_passes()
            await self.sweep()
            for name in list(self.answers):
                kind, subject = name.split()
                if kind in ("invoice", "payment"):
                    await (self.invoice if kind == "invoice" else self.accept)(int(subject))
            for payment in range(await self._payments()):
                await self.send(payment)

    async def _nothing_is_open(self) -> bool:
        return not await self.core.database.value(
            "SELECT EXISTS (SELECT FROM payments.attempts WHERE rail = %s AND state NOT IN ('dead', 'succeeded')) "
            "OR EXISTS (SELECT FROM payments.payments WHERE user_id = %s AND state NOT IN ('failed', 'succeeded')) "
            "OR EXISTS (SELECT FROM payments.idempotency_keys WHERE caller_id = %s AND NOT done)",
            (self.rail.name, self.caller.user_id, self.caller.id),
            name="test",
        )

    async def _payments(self) -> int:
        return int(
            await self.core.database.value(
                "SELECT count(*) FROM payments.payments WHERE user_id = %s", (self.caller.user_id,), name="test"
            )
        )

    async def check(self) -> None:
        """What must be true, whatever happened."""
        assert max(self.rail.created.values(), default=0) <= 1
        assert max(self.rail.sent.values(), default=0) <= 1, "a payment was submitted twice"
        rows = await self.core.database.all(
            "SELECT rail_id, state, amount, fee FROM payments.payments WHERE user_id = %s",
            (self.caller.user_id,),
            name="test",
        )
        spent = 0
        for row in rows:
            on_rail = self.rail.payments.get(row["rail_id"])
            if on_rail is not None and on_rail.state is OutcomeState.SUCCEEDED:
                assert row["state"] == "succeeded", "the rail paid and we do not know"
                spent += row["amount"] + row["fee"]
            else:
                assert row["state"] == "failed", f"{row['state']} though the rail paid nothing"
        await self._check_books(spent)
        await self._check_refunds()
        await self._check_webhooks()

    async def _check_refunds(self) -> None:
        """A refund is paid once and says so; an amount in suspense is taken or given back, never both."""
        rows = await self.core.database.all(
            "SELECT r.state, s.state AS suspense, (SELECT count(*) FROM payments.payments p "
            "WHERE p.refund_id = r.id AND p.state = 'succeeded') AS paid "
            "FROM payments.refunds r JOIN payments.suspense s ON s.id = r.suspense_id WHERE r.user_id = %s",
            (self.caller.user_id,),
            name="test",
        )
        for row in rows:
            expected = {"succeeded": (1, "refunded"), "awaiting_payee": (0, "refunding")}
            assert expected.get(row["state"]) == (row["paid"], row["suspense"]), dict(row)

    async def _check_webhooks(self) -> None:
        """Every event has one delivery to the endpoint, under the event's own id."""
        while True:
            await self.relay()
            if not await self.core.database.value(
                "SELECT count(*) FROM payments.outbox WHERE user_id = %s", (self.caller.user_id,), name="test"
            ):
                break
        row = await self.core.database.one(
            "SELECT (SELECT count(*) FROM payments.events WHERE user_id = %s) AS events, "
            "count(*) AS deliveries, count(DISTINCT event_id) AS different "
            "FROM payments.webhook_deliveries WHERE endpoint_id = %s",
            (self.caller.user_id, self.endpoint),
            name="test",
        )
        assert row is not None
        assert row["events"] == row["deliveries"] == row["different"] > 0

    async def _check_books(self, spent: int) -> None:
        arrived = sum(arrival.amount for arrival in self.arrivals)
        name, user = self.rail.name, self.caller.user_id
        credited = await self.core.database.value(
            "SELECT count(*) FROM payments.arrivals WHERE rail = %s", (name,), name="test"
        )
        assert credited == len(self.arrivals), "every arrival is credited once"
        books = {
            row["code"]: row["balance"]
            for row in await self.core.database.all(
                "SELECT code, balance FROM payments.balances WHERE code = ANY (%s)",
                (
                    [
                        f"assets:{name}",
                        f"liabilities:user:test:{user}",
                        f"liabilities:reserved:test:{user}",
                        f"liabilities:suspense:{name}",
                    ],
                ),
                name="test",
            )
        }
        assert books.get(f"assets:{name}", 0) == arrived - spent
        assert books.get(f"liabilities:reserved:test:{user}", 0) == 0, "nothing stays reserved"
        owed = books.get(f"liabilities:user:test:{user}", 0) + books.get(f"liabilities:suspense:{name}", 0)
        assert -owed == FUNDS + arrived - spent
