"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

StackName = Annotated[str, typer.Argument(metavar="STACK", help="The stack; local is the one on this machine.")]
Emulated = Annotated[
    bool, typer.Option("--emulated", help="Run a cloud's stack on this machine: an emulated account, nothing real.")
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Look first at what an emulated account really has; of the local stack that is always looked at.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead, for programs.")]
Recorded = Annotated[
    bool,
    typer.Option("--recorded", help="List what an emulated account does not have or does not tell again, and why."),
]
