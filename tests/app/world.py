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
from typing import Any, Literal

from hypothesis import strategies as st

from payments.api_keys.schemas import Caller, Scope
from payments.core import Core
from payments.errors import ApiError
from payments.idempotency.service import key_of_request
from payments.invoices import service as invoices
from payments.invoices.schemas import Invoice, InvoiceView, NewInvoice
from payments.payouts import service as payouts
from payments.payouts.schemas import NewPayment
from payments.rails.protocol import (
    Arrival,
    Outcome,
    OutcomeState,
    OutcomeUnknownError,
    PreparedPayment,
    RailError,
    RailRefusedError,
    RailUnavailableError,
)
from payments.worker import registry
from payments.worker.following import credit
from payments.worker.sweeper import sweep_once
from tests.app.conftest import fund
from tests.app.interrupting import Interrupted, interrupt_at
from tests.app.memory_rail import MemoryRail

FUNDS = 10**7
FEE = 7
LATE_SECONDS = 0.01
Trouble = Literal["none", "slow", "unavailable", "unknown_before", "unknown_after", "refused", "in_flight", "dead"]
OperationKind = Literal["invoice", "accept", "send", "sweep", "arrive", "again"]


@dataclass(frozen=True)
class Operation:
    """`subject` picks the key or the payment; `cut` is the await to cancel at, 0 for none; `late` begins in the middle
    of the others."""

    kind: OperationKind
    subject: int
    cut: int
    amount: int = 1000
    late: bool = False


@dataclass(frozen=True)
class Step:
    """Operations at once, under one trouble of the rail; `time_passes` lets every lease run out afterwards."""

    operations: tuple[Operation, ...]
    trouble: Trouble
    time_passes: bool


OPERATIONS = st.builds(
    Operation,
    kind=st.sampled_from(("invoice", "accept", "send", "send", "send", "sweep", "sweep", "arrive", "again")),
    subject=st.integers(0, 2),
    cut=st.sampled_from((0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6)),
    amount=st.sampled_from((1000, 1000, 999, 1001)),
    late=st.booleans(),
)
# Where a wrong lease or a missing index would show: two at once on one subject while the rail is slow.
COLLISIONS = st.builds(
    lambda pair, subject, trouble: Step(
        (Operation(pair[0], subject, 0), Operation(pair[1], subject, 0, late=True)), trouble, time_passes=False
    ),
    pair=st.sampled_from((("send", "sweep"), ("send", "send"), ("invoice", "invoice"), ("arrive", "again"))),
    subject=st.integers(0, 2),
    trouble=st.sampled_from(("slow", "unknown_after")),
)
ANY_STEPS = st.builds(
    Step,
    operations=st.lists(OPERATIONS, min_size=2, max_size=5).map(tuple),
    trouble=st.sampled_from(
        (
            "none",
            "none",
            "unavailable",
            "unknown_before",
            "unknown_after",
            "unknown_after",
            "refused",
            "in_flight",
            "dead",
        )
    ),
    time_passes=st.booleans(),
)
STEPS = st.one_of(ANY_STEPS, COLLISIONS)
SCHEDULES = st.lists(STEPS, min_size=3, max_size=8)


class CountingRail(MemoryRail):
    """Every submission that reaches it is an effect: repeating blindly shows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.trouble: Trouble = "none"

    def _error(self, moment: str) -> RailError | None:
        if self.trouble == "unavailable" and moment == "before":
            return RailUnavailableError("down", rail=self.name)
        if self.trouble == "refused" and moment == "before":
            return RailRefusedError("refused", rail=self.name)
        if self.trouble == f"unknown_{moment}":
            return OutcomeUnknownError("no answer", rail=self.name)
        return None

    async def create_invoice(self, order: Any) -> Any:
        await asyncio.sleep(0)
        if error := self._error("before"):
            raise error
        made = await super().create_invoice(order)
        if error := self._error("after"):
            raise error
        return made

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        await asyncio.sleep(0)
        if error := self._error("before"):
            raise error
        if self.trouble == "slow":
            await asyncio.sleep(5 * LATE_SECONDS)
        # From here to the answer nothing is awaited: the rail itself does not forget what it did.
        self.sent[prepared.rail_id] += 1
        outcome = Outcome(OutcomeState.SUCCEEDED, fee=FEE, proof={"preimage": "00"})
        if self.trouble == "dead":
            outcome = Outcome(OutcomeState.DEAD, proof={"track": "FAILED"}, reason="no route")
        elif self.trouble == "in_flight":
            outcome = Outcome(OutcomeState.IN_FLIGHT, reason="on its way")
        self.payments[prepared.rail_id] = outcome
        await asyncio.sleep(0)
        if error := self._error("after"):
            raise error
        return outcome

    def arrive_everything(self) -> None:
        """What was on its way has arrived."""
        for rail_id, outcome in self.payments.items():
            if outcome.state is OutcomeState.IN_FLIGHT:
                self.payments[rail_id] = Outcome(OutcomeState.SUCCEEDED, fee=FEE, proof={"preimage": "00"})


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

    @classmethod
    async def new(cls, core: Core) -> World:
        """A world with a funded user."""
        number = next(_numbers)
        rail = CountingRail(f"r{number}")
        user = f"u{number}"
        world = dataclasses.replace(core, rails={rail.name: rail})
        await fund(core, FUNDS, user=user)
        caller = Caller(str(core.clock.new_id()), user, "test", frozenset(Scope))
        return cls(world, rail, caller, number)

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
                await payouts.send(self.core, rows[subject % len(rows)]["id"])
            except RailUnavailableError:
                return

    async def arrive(self, subject: int, amount: int) -> None:
        """Money arrives for an invoice, or for nobody, and is credited."""
        known = sorted(self.rail.invoices)
        rail_id = known[subject % len(known)] if known else f"nobody{self.number}"
        arrival = await self.rail.arrive(rail_id, amount, event_id=f"{self.number}:{next(_numbers)}")
        self.arrivals.append(arrival)
        await credit(self.core, self.rail.name, [arrival])

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
        for _ in range(4):
            await self.time_passes()
            await self.sweep()
            for name in list(self.answers):
                kind, subject = name.split()
                await (self.invoice if kind == "invoice" else self.accept)(int(subject))
            for payment in range(3):
                await self.send(payment)

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
