"""A register of what must hold of what components declare; tests and mutants use the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.components.aws.declaring import Declared, Inputs

Check = Callable[[Declared], bool]


class Properties:
    """The properties of some components, a function each. `checks`: component -> name of the property -> the check."""

    def __init__(self) -> None:
        self.checks: dict[str, dict[str, Check]] = {}

    def of(self, *components: str) -> Callable[[Check], Check]:
        """Decorate a check that each of the components must pass."""

        def keep(check: Check) -> Check:
            for component in components:
                self.checks.setdefault(component, {})[check.__name__] = check
            return check

        return keep

    def failing(self, component: str, declared: Declared) -> set[str]:
        """Names of the properties of a component that do not hold; one that cannot even be looked up does not."""
        broken = set()
        for name, check in self.checks[component].items():
            try:
                holds = check(declared)
            except (KeyError, ValueError, IndexError, TypeError):
                holds = False
            if not holds:
                broken.add(name)
        return broken


FOUNDATION = Properties()
"""Of what is there before the service: `foundation_properties.py`."""
WORKLOAD = Properties()
"""Of the service half: `front_properties.py`, `watching_properties.py`, `service_properties.py`."""


def all_of(declared: Declared, kind: str, wanted: Callable[[Inputs], bool]) -> bool:
    """Whether there is a resource of the kind, and all are as wanted."""
    found = declared.of(kind).values()
    return bool(found) and all(wanted(inputs) for inputs in found)


def statements(document: str) -> list[dict[str, Any]]:
    """Of a policy document."""
    return list(json.loads(document)["Statement"])
