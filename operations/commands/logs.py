"""`./railyard logs`."""

from __future__ import annotations

from typing import Annotated

import typer


def logs(
    process: Annotated[
        str,
        typer.Argument(metavar="[PROCESS]", help="Such as web-blue, worker-blue, postgres; all of them if left out."),
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they are written, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many last lines of each.")] = 50,
) -> None:
    """Show the logs of the stack's processes, running or not."""
    from operations.checkout import State
    from operations.errors import OperationError
    from operations.log_files import show, tail
    from operations.stacks import not_deployed

    folder = State.of_this_checkout().local / "logs"
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not found:
        raise not_deployed("local")
    if process and process not in found:
        raise OperationError(f"no process is named {process!r}: there are {', '.join(found)}.", exit_code=2)
    chosen = {process: found[process]} if process else found
    show(chosen, lines)
    if follow:
        tail(chosen)
