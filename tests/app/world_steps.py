"""What a schedule is made of: operations, the steps that hold them, and how Hypothesis draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

LATE_SECONDS = 0.01
Trouble = Literal["none", "slow", "unavailable", "unknown_before", "unknown_after", "refused", "in_flight", "dead"]
OperationKind = Literal["invoice", "accept", "send", "sweep", "arrive", "again", "take", "refund", "payee", "relay"]


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
    kind=st.sampled_from(
        (
            *("invoice", "accept", "send", "send", "send", "sweep", "sweep", "arrive", "arrive", "again"),
            *("take", "refund", "payee", "relay"),
        )
    ),
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
    pair=st.sampled_from(
        (
            *(("send", "sweep"), ("send", "sweep"), ("send", "sweep"), ("send", "send")),
            *(("invoice", "invoice"), ("arrive", "again")),
            *(("refund", "take"), ("refund", "refund"), ("payee", "payee")),
        )
    ),
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
STEPS = st.one_of(ANY_STEPS, COLLISIONS, COLLISIONS)
SCHEDULES = st.lists(STEPS, min_size=3, max_size=8)
