"""What a domain gives the worker: handlers of jobs, look-ups of attempts, and duties. Listed by `worker.registry`.

A domain's `tasks.py` has any of `JOBS`, `LOOK_UPS` and `DUTIES`, tuples of the classes here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from payments.attempts.schemas import Attempt
from payments.core import Core


@dataclass(frozen=True, slots=True)
class Job:
    """Handles the jobs `name` of one contract version.

    A handler may run twice (after a kill -9) and must then find its effect done: it looks at its attempt first. It
    returns when the job is done or when the sweeper will see to the rest; it raises to be tried again.

    Attributes:
        name: "payments.send"; it may be enqueued one release after its handler shipped.
        contract_version: of the payload; the queue is named after it.
    """

    name: str
    handle: Callable[[Core, Mapping[str, Any]], Awaitable[None]]
    contract_version: int = 1


@dataclass(frozen=True, slots=True)
class LookUp:
    """Looks up what became of attempts of a kind whose lease ran out, and writes it. Never repeats the effect blindly.

    `handle` is given the attempt with a fresh lease in `attempt.token`. When it raises, the attempt is looked at again
    later.
    """

    kind: str
    handle: Callable[[Core, Attempt], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Duty:
    """Something done again and again. With several workers each does it: it must be harmless to do twice."""

    name: str
    every_seconds: float
    run: Callable[[Core], Awaitable[None]]


def queue_of(contract_version: int) -> str:
    """The queue of a contract version. A worker listens only to those it knows."""
    return f"v{contract_version}"
