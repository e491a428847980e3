"""The rail of the schedules: in memory, with a trouble that each step plans, and every effect counted."""

from __future__ import annotations

import asyncio
from typing import Any

from payments.rails.protocol import (
    Outcome,
    OutcomeState,
    OutcomeUnknownError,
    PreparedPayment,
    RailError,
    RailRefusedError,
    RailUnavailableError,
)
from tests.app.memory_rail import MemoryRail
from tests.app.world_steps import LATE_SECONDS, Trouble

FEE = 7


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
