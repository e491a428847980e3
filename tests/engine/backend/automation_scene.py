"""A stack of a local program, driven by the official Automation API under the engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto

from tests.engine.conformance.conf_probe import Probe, serving

from .conftest import ENGINE, Project

REFUSED = "Pulumi CLI"


@dataclass
class Scene:
    """One stack with a program, and what calls before left behind."""

    project: Project
    stack: auto.Stack
    probe: Probe
    printed: list[str] = field(default_factory=list)
    events: list[auto.EngineEvent] = field(default_factory=list)
    exported: auto.Deployment | None = None

    @property
    def workspace(self) -> Any:
        """The stack's workspace."""
        return self.stack.workspace

    @property
    def urn(self) -> str:
        """The URN of the resource `a`."""
        return next(str(item["urn"]) for item in self.resources() if item.get("id") == "a")

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state."""
        deployment: Any = self.stack.export_stack().deployment
        return list(deployment["resources"])


@pytest.fixture
def scene(live_project: Project, tmp_path: Path) -> Iterator[Scene]:
    """A stack `dev` of a local program, driven by the official API."""
    path = tmp_path / "engine" / "bin" / "pulumi"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ENGINE}" exec "{sys.executable}" -m pulumi_embedded "$@"\n')
    path.chmod(0o755)
    live_project.write(
        'thing = Thing("a", value=pulumi.Config().get("value") or "v")\npulumi.export("v", thing.value)\n'
    )
    chosen = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", "PROBE_FOLDER")
    probe = Probe()
    with serving(probe) as port:
        environment = {name: live_project.environment[name] for name in chosen}
        options = auto.LocalWorkspaceOptions(
            pulumi_command=auto.PulumiCommand(root=str(tmp_path / "engine")),
            env_vars={**environment, "PULUMI_DEBUG_PROVIDERS": f"probe:{port}"},
        )
        stack = auto.create_or_select_stack("dev", work_dir=str(live_project.folder), opts=options)
        yield Scene(live_project, stack, probe)
