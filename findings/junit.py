"""Findings as JUnit XML, which every CI reads."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from findings.finding import Finding, ordered


def junit(findings: Sequence[Finding], *, suite: str, checked: Sequence[str]) -> str:
    """A test case for each rule in `checked`; one with a blocking finding has failed, with all findings in its text.

    Args:
        suite: the suite's name.
        checked: ids of all rules that ran, so that passing is shown too.
    """
    by_rule: dict[str, list[Finding]] = {rule: [] for rule in checked}
    for finding in ordered(findings):
        by_rule.setdefault(finding.rule, []).append(finding)
    failed = sum(any(f.blocks for f in found) for found in by_rule.values())
    root = ElementTree.Element("testsuite", name=suite, tests=str(len(by_rule)), failures=str(failed))
    for rule, found in by_rule.items():
        case = ElementTree.SubElement(root, "testcase", classname=suite, name=rule)
        blocking = [f for f in found if f.blocks]
        if blocking:
            failure = ElementTree.SubElement(case, "failure", message=blocking[0].message)
            failure.text = "\n".join(f"{f.place}: {f.message} {f.fix}" for f in blocking)
        warnings = [f for f in found if not f.blocks]
        if warnings:
            ElementTree.SubElement(case, "system-out").text = "\n".join(f"{f.place}: {f.message}" for f in warnings)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
