"""Runs a component under Pulumi's mocks and keeps what it declared; also from a mutated copy of the components."""

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

PACKAGE = "components.kubernetes"
FOLDER = Path(__file__).resolve().parents[3] / "components" / "kubernetes"
IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/payments@sha256:{'4d' * 32}"
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
# What a provider adds that a component reads parts of.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://example.gr7.eu-central-1.eks.amazonaws.com",
        "certificateAuthority": {"data": "QUJD"},
        "identities": [{"oidcs": [{"issuer": "https://oidc.eks.eu-central-1.amazonaws.com/id/A"}]}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-1", "subnetIds": []},
    }
}


@dataclass
class Declared(Mocks):
    """Every resource that was declared: objects of the API as they were sent, others by type."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    others: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    types: list[tuple[str, str]] = field(default_factory=list)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.types.append((args.typ, args.name))
        if args.typ.startswith("kubernetes:"):
            self.objects.append(args.inputs)
        else:
            self.others.append((args.typ, args.name, args.inputs))
        return f"{args.name}-id", {**args.inputs, **COMPUTED.get(args.typ, {})}

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"planning calls {args.token}, and must not call the cloud")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Objects of a kind by name."""
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] == kind}

    def one(self, kind: str, name: str = "") -> dict[str, Any]:
        """The object of that kind (and name)."""
        found = self.of(kind)
        return found[name] if name else next(iter(found.values()))

    def pods(self) -> dict[str, dict[str, Any]]:
        """The specification of every pod there can be, by the name of what makes it."""
        found = {f"Deployment {name}": it["spec"]["template"]["spec"] for name, it in self.of("Deployment").items()}
        found |= {f"Job {name}": it["spec"]["template"]["spec"] for name, it in self.of("Job").items()}
        for name, it in self.of("CronJob").items():
            found[f"CronJob {name}"] = it["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        return found


def declared(program: Callable[[], object], *, preview: bool = False) -> Declared:
    """What `program` declares."""
    # The SDK asks for the thread's event loop, and tests of coroutines that ran before leave none behind.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    kept = Declared()
    set_mocks(kept, project="railyard", stack="staging", preview=preview)

    run: Callable[[], None] = pulumi.runtime.test(program)  # type: ignore[no-untyped-call]
    try:
        run()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return kept


def application(package: Any = None, **changes: Any) -> Callable[[], object]:
    """A program that declares the whole application, of the components or of a mutated copy of them."""

    def program() -> object:
        modules = package or importlib.import_module(f"{PACKAGE}.application")
        secrets, network = sys.modules[f"{PACKAGE}.secrets"], sys.modules[f"{PACKAGE}.network_policy"]
        remote, destination = secrets.Remote, network.Destination
        url = secrets.Composed(
            template="postgresql://payments_app:{{ .password }}@db.example:5432/payments",
            parts={"password": remote(key=f"{SECRET_ARN}app", property="password")},
        )
        both = {
            "DATABASE_URL": url,
            "REDIS_URL": remote(key=f"{SECRET_ARN}redis"),
            "API_KEY_PEPPER": remote(key=f"{SECRET_ARN}pepper"),
            "INVOICE_SECRET": remote(key=f"{SECRET_ARN}invoice"),
            "LND_MACAROON": remote(key=f"{SECRET_ARN}lnd"),
            "SOLANA_RPC_URL": remote(key=f"{SECRET_ARN}solana"),
        }
        arguments: dict[str, Any] = {
            "namespace": "payments",
            "stack": "staging",
            "image": IMAGE,
            "release": "r-2026-11-25-1",
            "region": "eu-central-1",
            "environment": {"APP_ENV": "staging", "NETWORK": "testnet", "LND_URL": "https://10.60.0.10:8080"},
            "web_secrets": {**both, "JWT_SECRET": remote(key=f"{SECRET_ARN}jwt")},
            "worker_secrets": {
                **both,
                "LND_PAY_MACAROON": remote(key=f"{SECRET_ARN}pay"),
                "SOLANA_FEE_PAYER": remote(key=f"{SECRET_ARN}payer"),
            },
            "migration_secrets": {"DATABASE_OWNER_URL": remote(key=f"{SECRET_ARN}owner")},
            "lnd_certificate": remote(key=f"{SECRET_ARN}lnd-certificate"),
            "database": destination(cidrs=("10.40.128.0/24", "10.40.129.0/24"), port=5432),
            "cache": destination(cidrs=("10.40.128.0/24",), port=6379),
            "lightning": destination(cidrs=("10.60.0.10/32",), port=8080),
            "hostname": "pay.example.com",
            "archive_store": "s3://archive.example",
            "secret_role_arn": "arn:aws:iam::123456789012:role/payments-secrets",
            "runbook_url": "https://runbooks.example.com",
            **changes,
        }
        return modules.Application("payments", modules.ApplicationArgs(**arguments))

    return program


@contextmanager
def mutated(file: str, old: str, new: str) -> Iterator[Any]:
    """The module `application` of components whose `file` has `new` where the source has `old`."""
    path = FOLDER / file
    source = path.read_text(encoding="utf-8")
    assert source.count(old) >= 1, f"{file} has no {old!r}: write the mutant anew"
    before = {name: module for name, module in sys.modules.items() if name.startswith(PACKAGE)}
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        if Path(self.path) == path:
            return compile(source.replace(old, new), str(path), "exec")
        return original(self, fullname)

    for name in before:
        del sys.modules[name]
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    try:
        yield importlib.import_module(f"{PACKAGE}.application")
    finally:
        importlib.machinery.SourceFileLoader.get_code = original  # type: ignore[method-assign]
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(before)
