"""`./railyard version`."""

from __future__ import annotations


def version() -> None:
    """Show which engine, SDK and Python this checkout uses, and where its state is."""
    import os
    import platform
    import subprocess
    from importlib.metadata import version as installed

    from operations.checkout import ROOT, State
    from operations.engines import choose_engine, engine_environment

    state = State.of_this_checkout()
    state.make()
    engine = choose_engine(state, os.environ)
    said = subprocess.run(
        [engine.command, "version"],
        env=os.environ | engine_environment(state),
        capture_output=True,
        text=True,
        check=False,
    )
    for name, value in (
        ("checkout", ROOT),
        ("state", state.folder),
        (engine.title, said.stdout.strip() or said.stderr.strip()),
        ("Pulumi SDK", installed("pulumi")),
        ("Python", platform.python_version()),
    ):
        print(f"{name:<16} {value}")  # noqa: T201
