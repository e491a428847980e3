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


PLACES = """
import json
import pulumi.runtime.resource as sdk
from components.quick_start import _frames_of_the_program
from tests.components.aws.declaring import TAGS, declared

theirs, told = sdk._get_stack_trace, []

def both():
    trace = theirs()
    told.append([[(at.pc.uri, at.pc.line) for at in each.frames] for each in (trace, _frames_of_the_program())])
    return trace

sdk._get_stack_trace = both

def program():
    from components.aws.budget import Budget, BudgetArgs
    args = BudgetArgs(monthly_usd=5, topic_arn="arn:aws:sns:eu-west-1:123456789012:t", emails=["a@b.ex"], tags=TAGS)
    Budget("month", args)

declared(program, knows=False)
print(json.dumps(told))
"""


def test_where_a_resource_is_declared_is_what_the_sdk_says_without_what_is_not_the_programs() -> None:
    environment = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLACES],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    traces = json.loads(done.stdout.splitlines()[-1])
    program = f"{CHECKOUT.as_uri()}/"
    assert len(traces) >= 2
    for theirs, ours in traces:
        assert ours == [place for place in theirs if place[0].startswith(program)]
    # A resource within the component's own file.
    assert any(ours and ours[0][0].endswith("components/aws/budget.py") for _, ours in traces)
    assert any(len(theirs) > len(ours) for theirs, ours in traces)
