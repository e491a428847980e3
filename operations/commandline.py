"""All commands of `./railyard` put together."""

from __future__ import annotations

import typer

from operations.commands.cost import cost
from operations.commands.down import down
from operations.commands.keys import keys
from operations.commands.logs import logs
from operations.commands.pay import pay
from operations.commands.preview import preview
from operations.commands.pulumi import pulumi
from operations.commands.status import status
from operations.commands.test import check_project
from operations.commands.up import up
from operations.commands.version import version

STACK, SERVICE, PROJECT = "The stack", "The running service", "The project"

app = typer.Typer(
    name="railyard",
    help="Deploys, checks and pays a multi-rail payment service, on this machine.",
    epilog="Begin with [bold]./railyard up[/bold]. Each command explains itself with --help.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command(rich_help_panel=STACK)(up)
app.command(rich_help_panel=STACK)(preview)
app.command(rich_help_panel=STACK)(status)
app.command(rich_help_panel=STACK)(down)
app.command(rich_help_panel=STACK)(cost)
app.command(
    rich_help_panel=STACK,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)(pulumi)
app.command(rich_help_panel=SERVICE)(pay)
app.add_typer(keys, name="keys", rich_help_panel=SERVICE)
app.command(rich_help_panel=SERVICE)(logs)
app.command(
    "test",
    rich_help_panel=PROJECT,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(check_project)
app.command(rich_help_panel=PROJECT)(version)
