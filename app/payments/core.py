"""What every service works with, built once a process and handed down: settings, database, limits, rails, clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

from payments.clock import Clock
from payments.database import Database
from payments.errors import NotFound
from payments.limits.limiter import Limiter
from payments.rails.protocol import Rail
from payments.settings import Settings
from payments.switches.service import Switches

if TYPE_CHECKING:
    from payments.api_keys.service import KeyRing
    from payments.tokens.verifier import TokenVerifier

Kind = TypeVar("Kind", bound=Rail)


@runtime_checkable
class KeepsRecords(Protocol):
    """A rail with tables of its own."""

    def attach(self, database: Database) -> None:
        """Given before `start`."""


# isinstance of a runtime protocol compares every member; what a class can do does not change.
_abilities: dict[tuple[type, type], bool] = {}


def _can(rail: Rail, kind: type) -> bool:
    known = _abilities.get((type(rail), kind))
    if known is None:
        known = _abilities[type(rail), kind] = isinstance(rail, kind)
    return known


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a running process.

    Attributes:
        rails: by name; only those that are configured.
        key_ring: who may call with an API key; None in the worker.
        tokens: who may call with a token; None in the worker.
        switches: what is stopped now, as of at most a second ago.
    """

    settings: Settings
    database: Database
    limiter: Limiter
    rails: Mapping[str, Rail]
    clock: Clock
    key_ring: KeyRing | None = None
    tokens: TokenVerifier | None = None
    switches: Switches = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "switches", Switches(self.database, self.clock))

    def rail(self, name: str, kind: type[Kind]) -> Kind:
        """The rail `name` as one that can do what the protocol `kind` says.

        Raises:
            NotFound: it is not configured here, or cannot do that.
        """
        rail = self.rails.get(name)
        if rail is None or not _can(rail, kind):
            able = sorted(key for key, value in self.rails.items() if isinstance(value, kind))
            raise NotFound(f"The rail {name!r} is not offered here for this: use one of {able}.")
        return cast(Kind, rail)

    async def start(self) -> None:
        """Open connections; nothing fails because a network is down, /ready tells."""
        await self.database.open()
        for rail in self.rails.values():
            if isinstance(rail, KeepsRecords):
                rail.attach(self.database)
            await rail.start()

    async def close(self) -> None:
        """Close them in reverse order."""
        for rail in reversed(list(self.rails.values())):
            await rail.close()
        await self.limiter.close()
        await self.database.close()
