"""Runs components of AWS under Pulumi's mocks and keeps what they declared; also from a mutated copy of the sources."""

from __future__ import annotations

import asyncio
import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks, set_mocks

# What a mutant may be of: the platform, and the list it shares with the others.
PACKAGES = ("components.aws", "components.maintenance_jobs")
CHECKOUT = Path(__file__).resolve().parents[3]
FOLDER = CHECKOUT / "components" / "aws"
ACCOUNT, REGION = "123456789012", "eu-central-1"
TAGS = {
    "project": "railyard",
    "stack": "staging",
    "environment": "staging",
    "owner": "payments-team",
    "cost-center": "payments",
    "managed-by": "pulumi",
}
Inputs = dict[str, Any]


def unwrapped(value: Any) -> Any:
    """A value as the provider sees it, without the marks of secrets."""
    if isinstance(value, dict):
        if "value" in value and len(value) == 2 and any(len(key) == 32 for key in value):
            return unwrapped(value["value"])
        return {key: unwrapped(item) for key, item in value.items()}
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


@dataclass
class Declared(Mocks):
    """Every resource that was declared, with its inputs.

    Attributes:
        knows: whether computed outputs are known, as after a deployment, or not, as in a first plan.
        resources: (type, name) -> inputs.
        raw: the same with the marks of secrets.
    """

    knows: bool
    resources: dict[tuple[str, str], Inputs] = field(default_factory=dict)
    raw: dict[tuple[str, str], Inputs] = field(default_factory=dict)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, Inputs]:
        key = (args.typ, args.name)
        assert key not in self.resources, f"{key} is declared twice"
        self.raw[key], self.resources[key] = args.inputs, unwrapped(args.inputs)
        if not args.custom:
            return "", dict(args.inputs)
        return f"{args.name}-id", {**(_computed(args.typ, args.name) if self.knows else {}), **args.inputs}

    def call(self, args: MockCallArgs) -> Any:
        # The one question a later plan asks, of the provider: the token with which the image is pushed.
        assert args.token == "aws:ecr/getAuthorizationToken:getAuthorizationToken", f"planning calls {args.token}"
        return {"userName": "AWS", "password": "planted-token", "proxyEndpoint": "", "authorizationToken": ""}

    def of(self, kind: str) -> dict[str, Inputs]:
        """Inputs of all resources of a type by name; the type as `rds/instance:Instance`."""
        return {name: inputs for (found, name), inputs in self.resources.items() if found == f"aws:{kind}"}

    def one(self, kind: str) -> Inputs:
        """Inputs of the only resource of that type."""
        (found,) = self.of(kind).values()
        return found


def _computed(kind: str, name: str) -> Inputs:
    """What a provider computes, as far as anything here reads it."""
    service = kind.split(":")[1].split("/")[0]
    place = "logs" if service == "cloudwatch" else service
    # The formats that policies are linted against.
    prefix = {"cloudwatch": "log-group:", "secretsmanager": "secret:", "ecr": "repository/"}.get(service, "")
    arn = f"arn:aws:{place}:{REGION}:{ACCOUNT}:{prefix}{name}"
    arn = {"s3": f"arn:aws:s3:::{name}", "ecs": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1"}.get(
        service, arn
    )
    return {
        "arn": arn,
        "name": name,
        "keyId": f"{name}-key",
        "address": f"{name}.example.internal",
        "primaryEndpointAddress": f"{name}.example.internal",
        "resourceId": "db-EXAMPLE",
        "masterUserSecrets": [{"secretArn": f"{arn}-master", "kmsKeyId": "", "secretStatus": "active"}],
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}",
        "registryId": ACCOUNT,
        "repoDigest": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}@sha256:{'4d' * 32}",
        "hex": "ab" * 32,
        "arnSuffix": f"suffix/{name}",
        "bucket": name,
        "bucketRegionalDomainName": f"{name}.s3.{REGION}.amazonaws.com",
        "domainName": f"{name}.example.net",
        "dnsName": f"{name}.example.net",
        "zoneId": "Z0123456789ABC",
        "fqdn": f"{name}.example.net",
        "dbSubnetGroupName": name,
        "domainValidationOptions": [
            {"resourceRecordName": "_x.example.com", "resourceRecordType": "CNAME", "resourceRecordValue": "_y.acm.aws"}
        ],
    }


def declared(program: Callable[[], object], *, knows: bool = True) -> Declared:
    """What `program` declares.

    Args:
        knows: whether what providers compute is known; else the program runs with unknowns, as in a first plan.
    """
    # The SDK asks for the thread's event loop, and tests of coroutines that ran before leave none behind.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    kept = Declared(knows)
    set_mocks(kept, project="railyard", stack="staging", preview=not knows)
    run: Callable[[], None] = pulumi.runtime.test(program)  # type: ignore[no-untyped-call]
    try:
        run()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return kept


@contextmanager
def mutated(file: str, old: str, new: str) -> Iterator[None]:
    """Import components of AWS anew, with `new` where the source of `file` has `old`."""
    path = (FOLDER / file).resolve()
    source = path.read_text(encoding="utf-8")
    assert old in source, f"{file} has no {old!r}: write the mutant anew"
    before = {name: module for name, module in sys.modules.items() if name.startswith(PACKAGES)}
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        if Path(self.path) == path:
            return compile(source.replace(old, new), str(path), "exec")
        return original(self, fullname)

    for name in before:
        del sys.modules[name]
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    try:
        yield
    finally:
        importlib.machinery.SourceFileLoader.get_code = original  # type: ignore[method-assign]
        for name in [name for name in sys.modules if name.startswith(PACKAGES)]:
            del sys.modules[name]
        sys.modules.update(before)
