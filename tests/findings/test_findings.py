"""Formatters are pure: the same findings give the same text, in the same order, whatever order they came in."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from findings.finding import Finding, Severity, ordered
from findings.junit import junit
from findings.markdown import markdown
from findings.sarif import sarif
from findings.terminal import terminal

REDIS = "urn:pulumi:local::railyard::railyard:local:Cache$pulumi-python:dynamic/railyard:Process::redis"
PUBLIC = Finding(
    "loopback-only", Severity.HIGH, "redis listens on 0.0.0.0.", "Use 127.0.0.1.", REDIS, True, ("x4-db",), "PCI"
)
SLOW = Finding("ready-check", Severity.LOW, "router | has <no> log.", "Give it one.", blocks=False)
FATAL = Finding("payment-ceilings", Severity.CRITICAL, "no fee cap is set.", "Set railyard:maxFeeMsat.", REDIS)


def test_what_blocks_comes_first_and_the_worst_of_it_before_the_rest() -> None:
    assert ordered([SLOW, PUBLIC, FATAL]) == [FATAL, PUBLIC, SLOW]


def test_a_place_is_the_resource_name_or_the_stack() -> None:
    assert (PUBLIC.place, SLOW.place) == ("redis", "the stack")


@pytest.mark.parametrize("findings", [[SLOW, PUBLIC, FATAL], [FATAL, SLOW, PUBLIC]])
def test_the_order_of_arrival_does_not_matter(findings: list[Finding]) -> None:
    assert terminal(findings) == terminal([PUBLIC, SLOW, FATAL])
    assert sarif(findings, tool="t", version="1") == sarif([PUBLIC, SLOW, FATAL], tool="t", version="1")


def test_the_terminal_names_place_fault_and_fix_and_counts() -> None:
    lines = terminal([SLOW, PUBLIC]).splitlines()
    assert lines[0] == "✗ redis: redis listens on 0.0.0.0. [loopback-only, high]"
    assert lines[1] == "  fix: Use 127.0.0.1."
    assert lines[-1] == "2 findings, 1 of them block."


def test_a_single_finding_is_counted_as_people_do() -> None:
    assert terminal([PUBLIC]).splitlines()[-1] == "1 finding, which blocks."
    assert terminal([SLOW]).splitlines()[-1] == "1 finding, which only warns."


def test_no_findings_is_said() -> None:
    assert terminal([]) == "No findings.\n"
    assert "No findings" in markdown([])


def test_a_finding_cannot_break_out_of_its_markdown_cell() -> None:
    row = markdown([SLOW]).splitlines()[-1]
    assert row.count("|") - row.count("\\|") == 7
    assert "<no>" not in row


def test_sarif_lists_each_rule_once_and_each_result() -> None:
    run = json.loads(sarif([PUBLIC, PUBLIC, SLOW], tool="railyard", version="1"))["runs"][0]
    assert [r["id"] for r in run["tool"]["driver"]["rules"]] == ["loopback-only", "ready-check"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("loopback-only", "error"), ("loopback-only", "error"), ("ready-check", "warning"),
    ]  # fmt: skip
    assert run["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == REDIS


def test_junit_fails_a_rule_that_blocks_and_passes_the_others() -> None:
    root = ElementTree.fromstring(
        junit([PUBLIC, SLOW], suite="policies", checked=["loopback-only", "ready-check", "quiet"])
    )
    assert root.attrib["tests"] == "3"
    assert root.attrib["failures"] == "1"
    assert [case.attrib["name"] for case in root if case.find("failure") is not None] == ["loopback-only"]
