"""`./railyard test`."""

from __future__ import annotations

from typing import Annotated

import typer


def check_project(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Add the slow lanes.")] = False,
) -> None:
    """Check style, types and who imports whom, then run the tests.

    Anything else is handed to pytest, and then the tests alone are run: ./railyard test tests/engine -k journal
    """
    from operations.project_checks import run_checks, run_tests

    failed = [] if context.args else run_checks()
    code = run_tests(context.args, full=full)
    raise typer.Exit(code or (1 if failed else 0))
