"""IAM policy documents as `aws.iam.get_policy_document` renders them.

Source: terraform-provider-aws `internal/service/iam/policy_document_data_source.go`.
"""

from __future__ import annotations

import json
from typing import Any

from providers.base.values import Properties

VERSION = "2012-10-17"


def _principals(entries: list[dict[str, Any]]) -> Any:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry["type"], []).extend(entry["identifiers"])
    if found == {"*": ["*"]}:
        return "*"
    return {kind: _single(identifiers) for kind, identifiers in found.items()}


def _single(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _statement(given: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {}
    if given.get("sid"):
        statement["Sid"] = given["sid"]
    statement["Effect"] = given.get("effect") or "Allow"
    for key, name in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(key):
            statement[name] = _single(given[key])
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(key):
            statement[name] = _principals(given[key])
    conditions: dict[str, dict[str, Any]] = {}
    for condition in given.get("conditions") or []:
        conditions.setdefault(condition["test"], {})[condition["variable"]] = _single(condition["values"])
    if conditions:
        statement["Condition"] = conditions
    return statement


def policy_document(arguments: Properties) -> Properties:
    """The answer of `getPolicyDocument`: `json` and `minifiedJson`; documents to merge go before and over by Sid."""
    statements: list[dict[str, Any]] = []
    for source in arguments.get("sourcePolicyDocuments") or []:
        statements += json.loads(source).get("Statement", [])
    statements += [_statement(given) for given in arguments.get("statements") or []]
    for override in arguments.get("overridePolicyDocuments") or []:
        for statement in json.loads(override).get("Statement", []):
            same = [i for i, own in enumerate(statements) if own.get("Sid") and own.get("Sid") == statement.get("Sid")]
            if same:
                statements[same[0]] = statement
            else:
                statements.append(statement)
    document: dict[str, Any] = {"Version": arguments.get("version") or VERSION}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    document["Statement"] = statements
    return {
        **arguments,
        "id": "policy",
        "json": json.dumps(document, indent=2),
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }
