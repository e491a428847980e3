"""`./railyard keys create`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from operations.commands.arguments import StackName

keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)
PERMISSIONS = ("read", "write", "admin")


class Environment(StrEnum):
    """What a key is for."""

    TEST = "test"
    LIVE = "live"


@keys.callback()
def _keys() -> None:
    """API keys of the service."""


@keys.command()
def create(
    stack: StackName = "local",
    environment: Annotated[Environment, typer.Option(help="What the key is for.")] = Environment.TEST,
    permissions: Annotated[
        str, typer.Option(metavar="LIST", help="What it may do: read, write, admin, with commas between.")
    ] = "read,write",
    name: Annotated[str, typer.Option(help="What to call it.")] = "made by ./railyard",
    user: Annotated[str, typer.Option(help="Whose money the key moves.")] = "railyard",
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Lift its rate limits; local stacks only.")] = False,
) -> None:
    """Make an API key and print it as one JSON object; its secret is shown this once."""
    from operations.errors import OperationError
    from operations.local_stack import deployed
    from operations.service import PaymentService

    wanted = [word.strip() for word in permissions.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in PERMISSIONS]
    if unknown or not wanted:
        raise OperationError(
            f"--permissions {permissions!r}: give one or more of {', '.join(PERMISSIONS)}, with commas between.",
            exit_code=2,
        )
    there = deployed(stack)
    with PaymentService(there.outputs.url) as service:
        made = service.create_key(
            there.outputs.bootstrap_admin_key,
            name=name,
            user=user,
            environment=environment.value,
            permissions=wanted,
            unlimited=unlimited,
        )
    print(json.dumps(made, indent=2))  # noqa: T201
