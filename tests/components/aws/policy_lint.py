"""Policy documents under parliament, the linter of AWS policies: unknown actions, resources that do not fit."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.components.aws.declaring import Declared

# Whole families of findings that are no mistake: a trust or key policy is a resource's, whose resource is itself.
# S3's condition on a key's ARN takes the operators of strings, as AWS' own examples use them.
IGNORED = frozenset({"RESOURCE_STAR", "MISMATCHED_TYPE_BUT_USABLE"})
KEYS = ("policy", "assumeRolePolicy", "inlinePolicy", "accessPolicy", "resourcePolicy")


def _parliament() -> Any:
    """The linter; it asks pkg_resources, which setuptools no longer has, for the paths of two files of its own."""
    if "pkg_resources" not in sys.modules and importlib.util.find_spec("pkg_resources") is None:
        shim = ModuleType("pkg_resources")
        shim.resource_filename = lambda package, name: str(  # type: ignore[attr-defined]
            Path(str(importlib.util.find_spec(package).origin)).parent / name  # type: ignore[union-attr]
        )
        sys.modules["pkg_resources"] = shim
    import parliament

    return parliament


def documents(declared: Declared) -> Iterator[tuple[str, str]]:
    """Every policy document that was declared: where, and its text."""
    for (kind, name), inputs in declared.resources.items():
        for key in KEYS:
            text = inputs.get(key)
            if kind.startswith("aws:") and isinstance(text, str) and '"Statement"' in text:
                yield f"{kind} {name} {key}", text


def _is_no_mistake(finding: Any) -> bool:
    """Whole families; and that a load balancer's rule is an application's and not also a network's."""
    if finding.issue != "RESOURCE_MISMATCH":
        return finding.issue in IGNORED
    return all("/net/" in it["required_format"] for it in finding.detail)


def findings(text: str) -> list[str]:
    """What is wrong with a document."""
    document = json.loads(text)
    found = []
    for statement in document["Statement"]:
        # Parliament knows identities' policies; without principal, a resource's is one over the resource it is of.
        plain = {key: value for key, value in statement.items() if key != "Principal"}
        plain.setdefault("Resource", "*")
        linted = _parliament().analyze_policy_string(json.dumps({**document, "Statement": [plain]}))
        found += [f"{it.issue} {it.detail} {it.location}" for it in linted.findings if not _is_no_mistake(it)]
    return found
