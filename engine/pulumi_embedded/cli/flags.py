"""Reading flags as the Pulumi CLI reads them (the rules of Go's pflag): anywhere among the arguments, until `--`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi_embedded.errors import EngineError, UsageError

Kind = Literal["bool", "string", "int", "list", "csv"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    `kind` "list" collects every use, "csv" also splits at commas; `implied` is the value of a bare `--name` where a
    value may be left out; `refused` names the feature of a flag that is known and outside the contract; `hidden` flags
    are read and not shown in `--help`.
    """

    name: str
    help: str
    kind: Kind = "bool"
    short: str = ""
    default: Any = None
    implied: str | None = None
    refused: str = ""
    hidden: bool = False


GLOBAL_FLAGS = (
    Flag("color", 'Colorize output: always, never, raw, auto (default "auto")', "string", default="auto"),
    Flag("cwd", "Run as if it had been started in another directory", "string", "C", default=""),
    Flag("disable-integrity-checking", "Disable integrity checking of checkpoint files"),
    Flag("emoji", "Enable emojis in the output", short="e"),
    Flag("fully-qualify-stack-names", "Show fully-qualified stack names", short="Q"),
    Flag("help", "Print this help", short="h"),
    Flag("logflow", "Flow log settings to child processes (like plugins)"),
    Flag("logtostderr", "Log to stderr instead of to files"),
    Flag("memprofilerate", "", "int", refused="memory profiling (--memprofilerate)", hidden=True),
    Flag("non-interactive", "Disable interactive mode for all commands"),
    Flag("otel-traces", "", "string", refused="OpenTelemetry tracing (--otel-traces)", hidden=True),
    Flag("profiling", "", "string", refused="profiling (--profiling)", hidden=True),
    Flag("tracing", "", "string", refused="tracing (--tracing)", hidden=True),
    Flag("tracing-header", "", "string", refused="tracing (--tracing-header)", hidden=True),
    Flag("verbose", "Enable verbose logging (e.g., v=3)", "int", "v", default=0),
)


@dataclass
class Parsed:
    """A command line taken apart: flag values by name, what stood beside them, and which flags were given."""

    values: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """Return a string flag's value, "" when it was not given."""
        return str(self.values.get(name) or "")

    def on(self, name: str) -> bool:
        """Return a bool flag's value."""
        return bool(self.values.get(name))

    def list(self, name: str) -> list[str]:
        """Return the uses of a repeated flag."""
        return list(self.values.get(name) or [])

    def number(self, name: str, default: int) -> int:
        """Return an int flag's value."""
        value = self.values.get(name)
        return default if value is None else int(value)


_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


def split_command(argv: list[str], names: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the words of the command at the head of `argv` and the rest, global flags before it moved behind.

    Args:
        argv: the command line without the program's name.
        names: the tree of commands: a word to its subcommands (an empty dict for none).
    """
    words: list[str] = []
    before: list[str] = []
    tree = names
    position = 0
    by_name = {flag.name: flag for flag in GLOBAL_FLAGS} | {flag.short: flag for flag in GLOBAL_FLAGS if flag.short}
    while position < len(argv):
        word = argv[position]
        if word == "--":
            break
        if word.startswith("-") and len(word) > 1:
            before.append(word)
            flag = by_name.get(word.lstrip("-").partition("=")[0])
            if flag is not None and flag.kind != "bool" and "=" not in word and position + 1 < len(argv):
                position += 1
                before.append(argv[position])
            position += 1
            if flag is None and words:
                break
            continue
        if word not in tree:
            break
        words.append(word)
        tree = tree[word]
        position += 1
        if not tree:
            break
    return words, before + argv[position:]


def parse(argv: list[str], flags: tuple[Flag, ...]) -> Parsed:
    """Take a command line apart.

    Raises:
        UsageError: a flag's value is missing or of the wrong kind.
        EngineError: a flag is unknown.
        UnsupportedError: a flag asks for something outside the contract.
    """
    known = (*flags, *(flag for flag in GLOBAL_FLAGS if flag.name not in {own.name for own in flags}))
    longs = {flag.name: flag for flag in known}
    shorts: dict[str, Flag] = {}
    for flag in known:
        if flag.short:
            shorts.setdefault(flag.short, flag)
    parsed = Parsed(values={flag.name: flag.default for flag in known})
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.arguments += rest
            break
        if word.startswith("--"):
            name, has_value, value = word[2:].partition("=")
            if name not in longs:
                raise EngineError(f"unknown flag: --{name}")
            _store(parsed, longs[name], f"--{name}", value if has_value else None, rest)
        elif word.startswith("-") and len(word) > 1:
            _shorts(parsed, shorts, word[1:], rest)
        else:
            parsed.arguments.append(word)
    return parsed


def _shorts(parsed: Parsed, shorts: dict[str, Flag], letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = shorts.get(letter)
        if flag is None:
            raise EngineError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
        if flag.kind == "bool" and not letters.startswith("="):
            _store(parsed, flag, f"-{letter}", None, rest)
            continue
        _store(parsed, flag, f"-{letter}", letters.removeprefix("=") if letters else None, rest)
        return


def _store(parsed: Parsed, flag: Flag, shown: str, value: str | None, rest: list[str]) -> None:
    if value is None:
        if flag.kind == "bool":
            value = "true"
        elif flag.implied is not None:
            value = flag.implied
        elif rest:
            value = rest.pop(0)
        else:
            raise EngineError(f"flag needs an argument: {shown}")
    if flag.refused and not (flag.kind == "bool" and value in _FALSE):
        from pulumi_embedded.errors import UnsupportedError

        raise UnsupportedError(flag.refused)
    parsed.given.add(flag.name)
    if flag.kind == "bool":
        if value not in _TRUE | _FALSE:
            raise UsageError(f'invalid argument "{value}" for "{shown}" flag: it has to be true or false')
        parsed.values[flag.name] = value in _TRUE
    elif flag.kind == "int":
        try:
            parsed.values[flag.name] = int(value)
        except ValueError:
            raise UsageError(f'invalid argument "{value}" for "{shown}" flag: it has to be a whole number') from None
    elif flag.kind in ("list", "csv"):
        items = [value] if flag.kind == "list" else [item for item in value.split(",") if item]
        parsed.values[flag.name] = [*(parsed.values[flag.name] or []), *items]
    else:
        parsed.values[flag.name] = value
