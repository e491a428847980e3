"""A plan of the whole platform is cheap: what it loads and what it takes is looked at in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.components.aws.declaring import CHECKOUT

PROGRAM = """
import json, sys, time
from components.quick_start import start_quickly
start_quickly()
import pulumi
from pathlib import Path
from tests.components.aws.declaring import TAGS, declared
from tests.components.test_settings_of_clouds import committed
from components.settings import Secrets, Settings

settings = Settings.from_mapping(committed("prod"))

def program():
    from components.aws.platform import EcsPlatform, EcsPlatformArgs
    secrets = Secrets({value.key: pulumi.Output.secret("planted") for value in settings.generated})
    EcsPlatform("railyard-prod", EcsPlatformArgs(checkout=Path.cwd(), settings=settings, secrets=secrets, tags=TAGS))

kept = declared(program, knows=False)
packages = {name.split(".")[1] for name, module in sys.modules.items()
            if name.startswith("pulumi_aws.") and name.count(".") == 1 and hasattr(module, "__path__")
            and "_LazyModule" not in type(module).__name__}
used = {kind.split(":")[1].split("/")[0] for kind, _ in kept.resources if kind.startswith("aws:")}
# Not getrusage: that one counts the process this was forked from.
status = Path("/proc/self/status").read_text().splitlines()
peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
modules = sum(name.startswith("pulumi_aws.") and name.count(".") == 2 for name in sys.modules)
print(json.dumps({"resources": len(kept.resources), "mib": peak, "modules": modules,
                  "idle": sorted(packages - {"lambda_"} - used),
                  "seconds": time.process_time()}))
"""


def plan(state: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "", "PYTHONPATH": "."}
    environment["RAILYARD_STATE"] = str(state)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_plan_of_prod_loads_what_it_uses_and_keeps_its_byte_code(tmp_path: Path) -> None:
    first = plan(tmp_path)
    assert first["resources"] >= 300
    assert first["mib"] < 300
    # Whole services would be 700.
    assert first["modules"] < 250
    assert first["idle"] in ([], ["config"])
    assert any((tmp_path / "bytecode").rglob("vpc.*.pyc"))
