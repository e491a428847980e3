"""`python -m providers.recorded`: providers/README.md, or with --json what the emulated account lacks, by type."""

from __future__ import annotations

import argparse
import json
import sys

from providers.aws.functions import ANSWERS
from providers.aws.kind import Kind
from providers.aws.scope import mentioned
from providers.aws.table import kinds
from providers.docker.provider import IMAGE, NOT_EMULATED

HEAD = """<!-- Made by `python -m providers.recorded > providers/README.md`; a test keeps it fresh. -->
# Offline providers

Ordinary Pulumi provider processes for emulated stacks (`./railyard up staging --emulated`), under either engine. They
are attached by `PULUMI_DEBUG_PROVIDERS`, never named in Pulumi.yaml, and refuse every endpoint that is not on loopback.

| package | what it does |
|---|---|
| `aws` | boto3 against a moto server: `aws/services/` is a table of resource types, `aws/lifecycle.py` reads it |
| `emulation` | what the moto server does beside moto, in its process: operations and fields that moto lacks |
| `kubernetes` | server-side apply to an API server of this machine |
| `docker` | builds an image and pushes it, where the registry is on this machine |
| `random` | values made once and kept in the state |

Which change replaces a resource is a fact of the real provider (the docstrings of pulumi_aws, and the source of
terraform-provider-aws that each file of `aws/services/` names); `aws/replacements.yaml` has what was read in that
source itself, and a test holds the table against it. What the account does not tell again is **recorded, not
emulated**: the stack's state keeps it, a refresh gives it back. `up --emulated` counts it by type, `status --recorded`
lists each property with the reason, and `status --json` has the same. What a resource is looked up by counts as told.

One process serves the packages of a command (`python -m providers aws=<endpoint> docker random`), for most of what a
provider costs is its start. All provider resources of a stack reach it: default tags of all are united, and a second
region is a resource's own `region`. Importing an existing resource tells outputs, not inputs.
"""


UNREAD = "kept in the state: write-only, the provider's own, or not compared with an answer"


def lacking() -> dict[str, dict[str, str]]:
    """Type -> property ("*" for the whole type, words in parentheses for an operation) -> why it is only recorded."""
    found = {}
    for name, kind in sorted(kinds().items()):
        unread = {} if "*" in kind.recorded else dict.fromkeys(_untold(kind), UNREAD)
        if reasons := {**unread, **kind.recorded}:
            found[name] = reasons
    return {**found, IMAGE: {"*": NOT_EMULATED}}


def _untold(kind: Kind) -> list[str]:
    """The properties that no answer tells, but for those that the resource was found by."""
    found_by = set(mentioned(kind.read.fixed)) if kind.read is not None else set()
    if kind.read is not None and isinstance(kind.id, str) and "id" in found_by:
        found_by |= set(mentioned(kind.id))
    return [name for name in kind.unread if name not in found_by]


def readme() -> str:
    """The whole of providers/README.md."""
    known = sorted(kinds())
    lines = [HEAD, "## Recorded, not emulated\n", "| type | property | why |", "|---|---|---|"]
    for name, reasons in lacking().items():
        lines += [
            f"| `{name}` | {'the whole type' if key == '*' else key if key.startswith('(') else f'`{key}`'} | {why} |"
            for key, why in reasons.items()
        ]
    lines += [f"\n## The {len(known)} types of `aws`\n", ", ".join(f"`{name}`" for name in known)]
    lines += ["\nIts functions: " + ", ".join(f"`{name}`" for name in sorted(ANSWERS)) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print one of the two."""
    parser = argparse.ArgumentParser(prog="python -m providers.recorded", description=__doc__)
    parser.add_argument("--json", action="store_true", help="by type, for programs")
    sys.stdout.write(json.dumps(lacking()) if parser.parse_args().json else readme())


if __name__ == "__main__":
    main()
