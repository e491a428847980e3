"""The policy pack as the engine's policy host runs it."""

from __future__ import annotations

import sys
from pathlib import Path

# The host runs this file as a script from its own folder, where `policies` is not yet a package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi_policy import EnforcementLevel, PolicyPack

from policies.rules import RULES

PolicyPack(
    name="railyard",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[rule.as_policy() for rule in RULES],
)
