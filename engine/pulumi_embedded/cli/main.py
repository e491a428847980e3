"""From a command line to an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, cast

from pulumi_embedded.cli.command import PROGRAM, Command
from pulumi_embedded.cli.commands import COMMANDS, by_words, children, word_tree
from pulumi_embedded.cli.flags import GLOBAL_FLAGS, Parsed, parse, split_command
from pulumi_embedded.errors import EXIT_CANCELLED, EXIT_INTERNAL, EngineError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulumi_embedded.cli.context import Context


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code, which is the Pulumi CLI's for the same outcome."""
    arguments = sys.argv[1:] if argv is None else argv
    context: Context | None = None
    _prepare_streams()
    try:
        table = by_words()
        words, rest = split_command(arguments, word_tree(table))
        if not words:
            return _no_command(rest)
        command = table[" ".join(words)]
        if command.refused:
            raise UnsupportedError(command.refused)
        if any(word in ("-h", "--help", "--help=true") for word in _before_separator(rest)):
            sys.stdout.write(command.help(children(command)))
            return 0
        if not command.run:
            return _group(command, rest)
        parsed = parse(rest, command.flags)
        command.check_arguments(parsed.arguments)
        if not command.words.startswith("version"):
            from pulumi_embedded.cli.context import Context

            context = Context(parsed)
        return _run(command, context, parsed)
    except EngineError as error:
        _flush()
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return EXIT_CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # anything else is a fault of ours: one sentence, and the rest in a report
        from pulumi_embedded.cli.crash import report

        _flush()
        sys.stderr.write(f"error: {report(error, arguments, context)}\n")
        return EXIT_INTERNAL


def _run(command: Command, context: Context | None, parsed: Parsed) -> int:
    if context is None:
        return cast("Callable[[Parsed], int]", command.load())(parsed)
    code = cast("Callable[[Context], int]", command.load())(context)
    context.flush()
    return code


def _before_separator(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _prepare_streams() -> None:
    """Make the standard streams fit to print on.

    A closed one becomes the null device: else the next file that is opened gets its number, and what is printed. One
    of the C locale takes UTF-8, as the CLI writes it everywhere; a sign that cannot be shown must not end an update.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and isinstance(stream, io.TextIOWrapper):
            plain = stream.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968")
            stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def _flush() -> None:
    """Print what waits to be printed; what cannot be is dropped, that the interpreter's end does not try again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _group(command: Command, rest: list[str]) -> int:
    others = [word for word in rest if not word.startswith("-")]
    if others:
        raise EngineError(f'unknown command "{others[0]}" for "{PROGRAM} {command.words}"')
    sys.stdout.write(command.help(children(command)))
    return 0


def _no_command(rest: list[str]) -> int:
    parsed = parse([word for word in rest if word not in ("-h", "--help")], ())
    if parsed.arguments:
        raise EngineError(
            f'unknown command "{parsed.arguments[0]}" for "{PROGRAM}"\nRun \'{PROGRAM} --help\' for usage.'
        )
    sys.stdout.write(overview())
    return 0


def overview() -> str:
    """Return what `--help` of the program itself prints."""
    top = [command for command in COMMANDS if " " not in command.words and not command.refused and not command.hidden]
    width = max(len(command.words) for command in top) + 2
    lines = [
        "The embedded Pulumi engine: Python programs, dynamic providers, providers by path and policy packs, with the",
        "state, the flags and the answers of the Pulumi CLI.",
        "",
        "Usage:",
        f"  {PROGRAM} [command]",
        "",
        "Available Commands:",
        *(f"  {command.words:<{width}}{command.summary}" for command in top),
        "",
        "Flags:",
    ]
    shown = [flag for flag in GLOBAL_FLAGS if not flag.hidden]
    flag_width = max(len(flag.name) for flag in shown) + 10
    for flag in shown:
        short = f"-{flag.short}," if flag.short else "   "
        lines.append(f"  {short} --{flag.name:<{flag_width}}{flag.help}")
    lines += ["", f'Use "{PROGRAM} [command] --help" for more information about a command.']
    return "\n".join(lines) + "\n"
