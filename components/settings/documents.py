"""The files that are made from the settings: the `config` of Pulumi.yaml, and docs/configuration.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.settings.cloud import CloudSettings
from components.settings.description import describe, kind_of
from components.settings.given import GivenSettings
from components.settings.kubernetes import KubernetesSettings
from components.settings.local import LocalSettings
from components.settings.model import Model
from components.settings.payments import RAIL_NETWORKS, PaymentSettings
from components.settings.secrets import GENERATED, GIVEN_URLS, ISSUED_BY_ALERTING, ISSUED_BY_RAIL, Generated
from components.settings.sentences import facts_of
from components.settings.service import ServiceSettings
from components.settings.stack import Settings
from components.settings.watching import WatchingSettings

HOW = "python -m components.settings"
_MARK = f"  # From here on generated from components/settings by `{HOW}`."
_GROUPS: tuple[tuple[str, type[Model]], ...] = (
    ("The payment service", PaymentSettings),
    ("The running service in a cloud", ServiceSettings),
    ("The AWS account", CloudSettings),
    ("Watching", WatchingSettings),
    ("Kubernetes alone", KubernetesSettings),
    ("A given database and cache, on Kubernetes alone", GivenSettings),
    ("Local alone", LocalSettings),
)
# A local stack's solanaPayTo is generated, so it has no default; ports are a map; the region is the provider's key.
_UNDECLARED = ("solana_pay_to", "ports", "region")
_KINDS = {"int": "integer", "bool": "boolean", "list": "array"}


def generated_files(checkout: Path) -> dict[Path, str]:
    """What the generated files must contain, by their paths.

    Args:
        checkout: root of the checkout; of Pulumi.yaml the part above the mark is kept.
    """
    project = checkout / "Pulumi.yaml"
    above = project.read_text(encoding="utf-8").partition(_MARK)[0]
    return {project: above + _MARK + "\n" + _declarations(), checkout / "docs" / "configuration.md": _page()}


def _declarations() -> str:
    lines: list[str] = []
    for name in ("platform", *(name for _, model in _GROUPS for name in model.model_fields)):
        if name in _UNDECLARED:
            continue
        field = Settings.model_fields[name]
        # A choice of numbers is a number to the engine, which refuses a default of another type than the declared one.
        kind = "integer" if type(field.default) is int else _KINDS.get(kind_of(field.annotation), "string")
        lines += [f"  {field.alias}:", f"    type: {kind}"]
        if kind == "array":
            lines += ["    items:", "      type: string"]
        default: Any = list(field.default) if isinstance(field.default, tuple) else field.default
        lines += [f"    default: {json.dumps(default)}", f"    description: {json.dumps(field.description)}"]
    return "\n".join(lines) + "\n"


def _page() -> str:
    lines = [
        f"<!-- Generated from components/settings by `{HOW}`; change the text there. -->",
        "# Configuration",
        "",
        "Every key of `Pulumi.<stack>.yaml`. `pulumi config set <key> <value>` sets one, `pulumi config set --secret`",
        "a secret. What is wrong with them is said all at once, before anything is planned.",
        "",
        _table(_rows(("platform",))),
    ]
    for title, model in _GROUPS:
        lines += ["", f"## {title}", "", _table(_rows(tuple(model.model_fields)))]
    lines += ["", "## One network for every rail", "", _networks(), "", *_secrets()]
    return "\n".join(lines) + "\n"


def _rows(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in names:
        field = Settings.model_fields[name]
        facts = facts_of(field)
        prefixes = {key.split(".")[0]: key for key, *_ in describe()}
        key = next(key for key in prefixes if key.endswith(f":{field.alias}"))
        for found, kind, default, text in describe():
            if found == key or found.startswith(f"{key}."):
                needed = ", required" if facts["required"] else ""
                rows.append((f"`{found}`", kind, default or "none", ", ".join(facts["platforms"]) + needed, text))
    return rows


def _table(rows: list[tuple[str, ...]]) -> str:
    head = ["| key | type | default | platforms | meaning |", "|---|---|---|---|---|"]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in cells)])


def _networks() -> str:
    rails = list(RAIL_NETWORKS["mainnet"])
    head = ["| `railyard:network` | " + " | ".join(rails) + " |", "|---" * (len(rails) + 1) + "|"]
    rows = [f"| {network} | " + " | ".join(names.values()) + " |" for network, names in RAIL_NETWORKS.items()]
    told = "A key or an address of another network is refused: `sk_live_...` off mainnet, a devnet address on it."
    return "\n".join([*head, *rows, "", told])


def _secrets() -> list[str]:
    def table(values: tuple[Generated, ...]) -> list[str]:
        return [f"| `railyard:{value.key}` | {value.description} |" for value in values]

    head = ["", "| key | meaning |", "|---|---|"]
    lines = [
        "## Secrets",
        "",
        "A local stack generates these by itself:",
        *[*head, *table(GENERATED)],
        "",
        "A stack in a cloud is given what others issued, each with `pulumi config set --secret <key>`, which reads the",
        "value from the terminal; an emulated stack generates stand-ins. Database passwords, the Redis AUTH token and",
        "the signing keys are made in the account and live in Secrets Manager alone.",
    ]
    for rail, values in ISSUED_BY_RAIL.items():
        lines += ["", f"For the rail {rail.value}:", *head, *table(values)]
    lines += ["", "For alarms, always:", *head, *table(ISSUED_BY_ALERTING)]
    for part, values in GIVEN_URLS.items():
        lines += ["", f"For a {part} that is given, on Kubernetes:", *head, *table(values)]
    return lines
