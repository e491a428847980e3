"""Policy packs judge, remediate and stop."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

PACK = """
from pulumi_policy import (EnforcementLevel, PolicyPack, PolicyConfigSchema, ResourceValidationPolicy,
                           StackValidationPolicy, ReportViolation)

def no_red(args, report):
    if args.resource_type == "probe:index:Thing" and args.props.get("color") == "red":
        report("red is not allowed")

def small(args, report):
    limit = args.get_config().get("limit", 10)
    if args.resource_type == "probe:index:Thing" and (args.props.get("size") or 0) > limit:
        report(f"size over {limit}")

def remediate(args):
    if args.resource_type == "probe:index:Thing" and args.props.get("tagged") is None and "tagme" in args.props:
        return {**args.props, "tagged": True}

def few(args, report):
    things = [r for r in args.resources if r.resource_type == "probe:index:Thing"]
    if len(things) > 2:
        report(f"{len(things)} things are too many")

PolicyPack("conf-pack", policies=[
    ResourceValidationPolicy("no-red", "Nothing is red.", no_red, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("small", "Things are small.", small, EnforcementLevel.ADVISORY,
                             PolicyConfigSchema({"limit": {"type": "integer", "default": 10}})),
    ResourceValidationPolicy("tagged", "Things are tagged.", remediate=remediate,
                             enforcement_level=EnforcementLevel.REMEDIATE),
    StackValidationPolicy("few", "Few things.", few, EnforcementLevel.MANDATORY),
])
"""


@pytest.fixture
def pack(tmp_path: Path) -> str:
    """A policy pack."""
    folder = tmp_path / "pack"
    folder.mkdir()
    settings = {"runtime": {"name": "python", "options": {"virtualenv": sys.prefix}}, "version": "0.0.7"}
    (folder / "PulumiPolicy.yaml").write_text(json.dumps(settings))
    (folder / "__main__.py").write_text(textwrap.dedent(PACK))
    return str(folder)


def test_a_mandatory_violation_fails_preview_and_update_before_anything_is_made(
    stack: Stack, probe: Probe, pack: str
) -> None:
    """The finding names policy, pack and resource."""
    program = 'Thing("a", color="red")'
    preview = stack.preview(program, "--policy-pack", pack, fails=True)
    up = stack.up(program, "--policy-pack", pack, fails=True)
    for run in (preview, up):
        (finding,) = [item for item in run.findings if item["policyName"] == "no-red"]
        assert finding["enforcementLevel"] == "mandatory"
        assert finding["policyPackName"] == "conf-pack"
        assert finding["policyPackVersion"] == "0.0.7"
        assert finding["resourceUrn"].endswith("::a")
        assert "red is not allowed" in finding["message"]
    assert probe.methods() == []


def test_an_advisory_violation_warns_and_goes_on(stack: Stack, probe: Probe, pack: str) -> None:
    """It is reported, and the resource is made."""
    run = stack.up('Thing("a", size=11)', "--policy-pack", pack)
    assert [item["policyName"] for item in run.findings] == ["small"]
    assert probe.methods() == ["create a"]


def test_remediations_change_the_inputs(stack: Stack, probe: Probe, pack: str) -> None:
    """The provider gets the remedied ones, and it is told."""
    run = stack.up('Thing("a", tagme=True)', "--policy-pack", pack)
    assert probe.of("create", "a").properties("properties")["tagged"] is True
    assert stack.state("a")["inputs"]["tagged"] is True
    events = [event["policyRemediationEvent"] for event in run.events if "policyRemediationEvent" in event]
    assert events[0]["after"]["tagged"] is True


def test_stack_policies_judge_all_resources_together(stack: Stack, pack: str) -> None:
    """After the resources are there; the update fails."""
    run = stack.up("[Thing(str(i)) for i in range(3)]", "--policy-pack", pack, fails=True)
    (finding,) = run.findings
    assert finding["policyName"] == "few"
    assert "3 things are too many" in finding["message"]


def test_settings_of_a_pack_change_levels_and_properties(stack: Stack, tmp_path: Path, pack: str) -> None:
    """From a file."""
    config = tmp_path / "policy-config.json"
    config.write_text(json.dumps({"no-red": "disabled", "small": {"enforcementLevel": "mandatory", "limit": 3}}))
    run = stack.up(
        'Thing("a", color="red", size=4)', "--policy-pack", pack, "--policy-pack-config", str(config), fails=True
    )
    assert [(item["policyName"], item["enforcementLevel"]) for item in run.findings] == [("small", "mandatory")]
    assert "size over 3" in run.findings[0]["message"]


def test_wrong_settings_of_a_pack_are_refused(stack: Stack, tmp_path: Path, pack: str) -> None:
    """With the property that is wrong."""
    config = tmp_path / "policy-config.json"
    config.write_text(json.dumps({"small": {"limit": "many"}}))
    run = stack.up('Thing("a")', "--policy-pack", pack, "--policy-pack-config", str(config), fails=True)
    assert "limit" in run.text


def test_a_pack_that_raises_fails_the_update(stack: Stack, tmp_path: Path, pack: str) -> None:
    """Its error is the message."""
    (Path(pack) / "__main__.py").write_text("raise RuntimeError('the pack is broken')\n")
    run = stack.up('Thing("a")', "--policy-pack", pack, fails=True)
    assert "the pack is broken" in run.text


def test_a_policy_that_raises_fails_the_update(stack: Stack, probe: Probe, pack: str) -> None:
    """Its error is the message; the embedded engine gives the pack no green mark (the CLI does)."""
    text = textwrap.dedent(PACK).replace('report("red is not allowed")', 'raise RuntimeError("judge is ill")')
    (Path(pack) / "__main__.py").write_text(text)
    for run in (
        stack.preview('Thing("a", color="red")', "--policy-pack", pack, fails=True),
        stack.up(None, "--policy-pack", pack, fails=True),
    ):
        assert "judge is ill" in run.errors
        if stack.engine == "embedded":
            assert "❌ conf-pack@v0.0.7 (failed: not every resource was judged)" in run.out
            assert "✅" not in run.out
    assert probe.methods() == []


def test_unknown_values_do_not_hide_violations_of_known_ones(stack: Stack, pack: str) -> None:
    """In a preview a resource with unknowns is judged by what is known."""
    run = stack.preview('a = Thing("a"); Thing("b", color="red", value=a.out)', "--policy-pack", pack, fails=True)
    assert [item["policyName"] for item in run.findings] == ["no-red"]
