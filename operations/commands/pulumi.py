"""`./railyard pulumi`."""

from __future__ import annotations

import typer

# Commands that run the program, by all their names.
PLANNING = frozenset({"preview", "pre", "up", "update"})


def pulumi(context: typer.Context) -> None:
    """Run any Pulumi command by the engine that was chosen, on this checkout's program and state.

    For example: ./railyard pulumi config set railyard:maxFeeMsat 20000. The stack is local unless --stack says another;
    the policy pack is added to preview and up.
    """
    import os

    from operations.checkout import ROOT, State
    from operations.engines import choose_engine, engine_environment, ensure_passphrase, forget_foreign_settings
    from operations.settings_file import restore
    from operations.stacks import LOCAL

    state = State.of_this_checkout()
    state.make()
    ensure_passphrase(state)
    engine = choose_engine(state, os.environ)
    forget_foreign_settings()
    # After `down` the settings are beside the state: what is read or changed now is what the next `up` takes.
    restore(state)
    arguments = with_policies(list(context.args), str(ROOT / "policies"))
    os.chdir(ROOT)
    environment = {"PULUMI_STACK": LOCAL, **os.environ, **engine_environment(state)}
    os.execve(engine.command, [str(engine.command), *arguments], environment)  # noqa: S606


def with_policies(arguments: list[str], pack: str) -> list[str]:
    """The arguments of a Pulumi command, with the policy pack where the command runs the program."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command not in PLANNING or any(word.split("=")[0] == "--policy-pack" for word in arguments):
        return arguments
    place = arguments.index(command) + 1
    return [*arguments[:place], "--policy-pack", pack, *arguments[place:]]
