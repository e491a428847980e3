"""What a command is, and how its help reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pulumi_embedded.cli.flags import GLOBAL_FLAGS, Flag
from pulumi_embedded.errors import EngineError

PROGRAM = "pulumi-embedded"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, what it does in a line, its flags, and where its code is (`module:function`).

    `arguments` is the (least, most) number of arguments, most None for any; `usage` shows them; `refused` names the
    feature of a command that is known and outside the contract.
    """

    words: str
    summary: str
    run: str = ""
    usage: str = ""
    flags: tuple[Flag, ...] = ()
    arguments: tuple[int, int | None] = (0, 0)
    details: str = ""
    aliases: tuple[str, ...] = ()
    refused: str = ""
    hidden: bool = False

    def check_arguments(self, arguments: list[str]) -> None:
        """Raise an EngineError unless the number of arguments fits."""
        least, most = self.arguments
        if len(arguments) < least:
            raise EngineError(
                f"`{PROGRAM} {self.words}` needs {least} argument{'s' if least > 1 else ''} ({self.usage}), "
                f"{len(arguments)} given"
            )
        if most is not None and len(arguments) > most:
            if most == 0:
                raise EngineError(f"`{PROGRAM} {self.words}` takes no argument, but '{arguments[0]}' was given")
            raise EngineError(
                f"`{PROGRAM} {self.words}` takes at most {most} argument{'s' if most > 1 else ''}, "
                f"{len(arguments)} given"
            )

    def load(self) -> object:
        """Import the command's code and return its function."""
        from importlib import import_module

        module, _, function = self.run.partition(":")
        loaded: object = getattr(import_module(f"pulumi_embedded.cli.{module}"), function)
        return loaded

    def help(self, subcommands: Iterable[Command]) -> str:
        """Return what `--help` prints."""
        children = [child for child in subcommands if not child.hidden and not child.refused]
        lines = [self.summary, ""]
        if self.details:
            lines += [self.details.strip(), ""]
        lines.append("Usage:")
        if self.run:
            lines.append("  " + " ".join(part for part in (PROGRAM, self.words, self.usage, "[flags]") if part))
        if children:
            lines.append(f"  {PROGRAM} {self.words} [command]".replace("  [", " ["))
        if self.aliases:
            lines += ["", "Aliases:", "  " + ", ".join((self.words.rpartition(" ")[2], *self.aliases))]
        if children:
            lines += ["", "Available Commands:"]
            width = max(len(child.words.rpartition(" ")[2]) for child in children) + 2
            lines += [f"  {child.words.rpartition(' ')[2]:<{width}}{child.summary}" for child in children]
        own = [flag for flag in self.flags if not flag.hidden]
        if own:
            lines += ["", "Flags:", *_flag_lines(own)]
        lines += ["", "Global Flags:", *_flag_lines(flag for flag in GLOBAL_FLAGS if not flag.hidden)]
        return "\n".join(lines) + "\n"


def _flag_lines(flags: Iterable[Flag]) -> list[str]:
    rows = []
    for flag in flags:
        kind = {"bool": "", "list": " stringArray", "csv": " strings"}.get(flag.kind, f" {flag.kind}")
        rows.append((f"  {f'-{flag.short},' if flag.short else '   '} --{flag.name}{kind}", flag.help))
    width = max(len(head) for head, _ in rows) + 3
    return [f"{head:<{width}}{text}" for head, text in sorted(rows, key=lambda row: row[0].lstrip(" -").lower())]
