"""What the SDKs' packages give when they load on demand is what they give when loaded whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ["pulumi_aws.sns", "pulumi_aws.iam", "pulumi_aws.ecs", "pulumi_aws.lambda_", "pulumi_kubernetes.apps.v1"]
NAMES = f"""
import importlib
found = {{}}
for package in {PACKAGES}:
    module = importlib.import_module(package)
    hasattr(module, "any")  # the SDK's own laziness ends at the first look
    for name in wanted.get(package) or dir(module):
        if not name.startswith("_") and name not in ("typing", "outputs"):
            value = getattr(module, name)
            found[f"{{package}}.{{name}}"] = f"{{getattr(value, '__module__', '')}} {{getattr(value, '__name__', '')}}"
"""


def told(program: str, **values: object) -> Any:
    """What a Python of its own prints as JSON."""
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join([*lines, program])],
        cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": "."}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_every_name_is_the_same_thing() -> None:
    whole = told(f"{NAMES}\nimport json; print(json.dumps(found))", wanted={})
    wanted: dict[str, list[str]] = {}
    for name in whole:
        package, _, last = name.rpartition(".")
        wanted.setdefault(package, []).append(last)
    on_demand = "from components.on_demand import load_on_demand\nload_on_demand()"
    assert len(whole) > 500
    assert told(f"{on_demand}\n{NAMES}\nimport json; print(json.dumps(found))", wanted=wanted) == whole


def test_a_resource_loads_its_own_file_and_a_function_outlives_the_import_of_its_file() -> None:
    seen = told("""
import json, sys
from components.on_demand import load_on_demand
load_on_demand()
import pulumi_aws as aws
aws.sns.Topic, aws.sns.TopicArgs, aws.ec2.Vpc, aws.s3.BucketLifecycleConfigurationRuleArgs, aws.iam.outputs
loaded = [name for name in sys.modules if name.startswith("pulumi_aws.")]
import pulumi_aws.iam.get_policy_document
try:
    aws.ec2.NoSuchThing
except AttributeError as error:
    missing = str(error)
print(json.dumps({"loaded": loaded, "function": callable(aws.iam.get_policy_document), "missing": missing}))
""")
    assert {"pulumi_aws.sns.topic", "pulumi_aws.ec2.vpc", "pulumi_aws.s3._inputs"} <= set(seen["loaded"])
    assert not {"pulumi_aws.sns.topic_policy", "pulumi_aws.ec2.subnet"} & set(seen["loaded"])
    assert seen["function"]
    assert seen["missing"] == "module 'pulumi_aws.ec2' has no attribute 'NoSuchThing'"
