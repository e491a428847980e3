"""A plan of the whole Kubernetes platform is cheap: what it loads and takes is looked at in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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

plain = {**committed("prod"), "railyard:platform": "kubernetes"}
settings = Settings.from_mapping(plain)

def program():
    from components.kubernetes.platform import KubernetesPlatform, KubernetesPlatformArgs
    secrets = Secrets({value.key: pulumi.Output.secret("planted") for value in settings.generated})
    KubernetesPlatform("railyard-prod", KubernetesPlatformArgs(
        checkout=Path.cwd(), stack="prod", settings=settings, secrets=secrets, tags=TAGS))

kept = declared(program, knows=False)
groups = {name.split(".")[1] for name, module in sys.modules.items()
          if name.startswith("pulumi_kubernetes.") and name.count(".") == 1 and hasattr(module, "__path__")
          and "_LazyModule" not in type(module).__name__}
used = {kind.split(":")[1].split("/")[0].split(".")[0] for kind, _ in kept.resources if kind.startswith("kubernetes:")}
# Not getrusage: that one counts the process this was forked from.
status = Path("/proc/self/status").read_text().splitlines()
peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
print(json.dumps({"resources": len(kept.resources), "idle": sorted(groups - used),
                  "mib": peak, "seconds": time.process_time()}))
"""
# Modules of the SDK that its own root loads, and the one of custom resources.
OF_THE_SDK = {"meta", "apiextensions"}


def test_a_plan_of_prod_on_kubernetes_loads_what_it_uses(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "RAILYARD_STATE": str(tmp_path), "PYTHONPATH": "."},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["resources"] >= 250
    assert found["mib"] < 300
    assert set(found["idle"]) <= OF_THE_SDK, found
