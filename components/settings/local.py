"""Settings of the platform `local` alone: fixed ports."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from components.settings.model import Model, setting
from components.settings.problems import NAMESPACE, Problem


def _port(what: str) -> Any:
    return Field(default=0, ge=0, le=65535, description=f"Port of {what}.")


class Ports(Model):
    """Fixed ports of the local stack. An absent one is chosen at random from 20000 to 31999 when the stack is made."""

    router: int = _port("the router, where the service is reached")
    router_admin: int = _port("Envoy's administration interface")
    postgres: int = _port("PostgreSQL")
    redis: int = _port("Redis")
    supervisor: int = _port("supervisord's interface")
    lnd_merchant: int = _port("the merchant's node of the Lightning counterpart")
    lnd_customer: int = _port("the customer's node of the Lightning counterpart")
    esplora: int = _port("the Bitcoin counterpart's Esplora")
    river: int = _port("the River counterpart")
    solana: int = _port("the Solana counterpart")
    web_blue: int = _port("the service's web role in slot blue, behind the router")
    worker_blue: int = _port("health and metrics of the worker in slot blue")


class LocalSettings(Model):
    """What the local platform alone reads."""

    ports: Ports = setting(Ports(), "Fixed ports, by name.", platforms=("local",))


def problems_of_ports(ports: Ports) -> list[Problem]:
    """Ports that two parts were given."""
    problems, purposes = [], dict[int, str]()
    for name, port in ports.model_dump(by_alias=True).items():
        if port and purposes.setdefault(port, name) != name:
            problems.append(
                Problem(
                    f"{NAMESPACE}:ports.{name}",
                    f"is {port}, which {purposes[port]} has",
                    f"Give it another with `pulumi config set --path {NAMESPACE}:ports.{name} <value>`.",
                )
            )
    return problems
