"""What every command works in: the folder, the project, the backend, the chosen stack, and the terminal."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TextIO

from pulumi_embedded.backend.files import MAX_SETTINGS_BYTES, explain, read_limited, write_atomic
from pulumi_embedded.backend.layout import Layout, StackName, parse_stack_name
from pulumi_embedded.backend.location import Location, current_location, pulumi_home
from pulumi_embedded.cli.flags import Parsed
from pulumi_embedded.errors import CancelledError, EngineError, OutputError, StackNotFoundError, UsageError
from pulumi_embedded.project.settings import Project, find_project, read_project

_TRUTHY = {"1", "true", "t", "yes", "y"}


def is_truthy(name: str) -> bool:
    """Say whether an environment variable is switched on."""
    return os.environ.get(name, "").lower() in _TRUTHY


@contextmanager
def told_output() -> Iterator[None]:
    """Tell in a sentence that nothing can be printed; a reader that went away is told to nobody.

    Raises:
        OutputError: there is no room for what is printed, or the like.
        BrokenPipeError: nobody reads it.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(explain(error)) from None


class Context:
    """One invocation. Project and backend are read when first asked for."""

    def __init__(self, parsed: Parsed, out: TextIO | None = None, err: TextIO | None = None) -> None:
        """Enter the folder that `--cwd` names.

        Raises:
            UsageError: there is no such folder, or `--color` has an unknown value.
        """
        self.flags = parsed
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        color = parsed.text("color")
        if color not in ("always", "never", "raw", "auto"):
            raise UsageError(f"unsupported color option: '{color}'; supported values are: always, never, raw, auto")
        if parsed.text("cwd"):
            try:
                os.chdir(parsed.text("cwd"))
            except OSError as error:
                raise UsageError(
                    f"cannot enter --cwd '{parsed.text('cwd')}': {(error.strerror or '').lower()}"
                ) from None
        try:
            self.folder = Path.cwd()
        except FileNotFoundError:
            raise UsageError("the current folder no longer exists; run this command in another one") from None

    @property
    def interactive(self) -> bool:
        """True when there is a person at a terminal who may be asked."""
        return (
            not self.flags.on("non-interactive")
            and sys.stdin.isatty()
            and self.out.isatty()
            and not is_truthy("CI")
            and not is_truthy("PULUMI_NON_INTERACTIVE")
        )

    @property
    def colored(self) -> bool:
        """True when output is coloured."""
        color = self.flags.text("color")
        if color != "auto":
            return color == "always"
        return self.out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    @staticmethod
    def now_ns() -> int:
        """Return the time in nanoseconds since 1970."""
        return time.time_ns()

    @cached_property
    def project(self) -> Project:
        """The project of this folder."""
        return read_project(self.folder)

    @cached_property
    def project_or_none(self) -> Project | None:
        """The project of this folder, None when there is none."""
        return self.project if find_project(self.folder) is not None else None

    @cached_property
    def location(self) -> Location:
        """Where the state is."""
        project = self.project_or_none
        return current_location(project.backend_url if project else "", self.folder)

    @cached_property
    def layout(self) -> Layout:
        """The backend's files; stacks of the legacy layout beside them are told, as nothing else shows them."""
        layout = Layout(self.location, self.now_ns)
        legacy = layout.legacy_stacks()
        if legacy and not is_truthy("PULUMI_DIY_BACKEND_NO_LEGACY_WARNING"):
            self.note(
                f"warning: the state folder has stacks of the legacy layout, {', '.join(legacy)}; run `pulumi state "
                "upgrade` to move them (PULUMI_DIY_BACKEND_NO_LEGACY_WARNING=1 disables this warning)"
            )
        return layout

    @property
    def project_name(self) -> str | None:
        """The project's name, None outside a project."""
        project = self.project_or_none
        return project.name if project else None

    def shown_name(self, name: StackName) -> str:
        """Return a stack's name as this invocation shows it."""
        return name.full if self.flags.on("fully-qualify-stack-names") else name.short(self.project_name)

    def stack_name(self, text: str = "", *, must_exist: bool = True) -> StackName:
        """Return the stack that `--stack` (or `text`) names, else PULUMI_STACK, else the selected one.

        Raises:
            UsageError: none is chosen, or the name is malformed.
            StackNotFoundError: it does not exist.
        """
        given = text or self.flags.text("stack") or os.environ.get("PULUMI_STACK", "")
        name = parse_stack_name(given, self.project_name) if given else self.selected()
        if name is None:
            raise NoStackSelectedError
        if must_exist and not self.layout.exists(name):
            raise StackNotFoundError(given or name.stack)
        return name

    def _selection_path(self) -> Path:
        project = self.project
        digest = hashlib.sha1(str(project.path).encode(), usedforsecurity=False).hexdigest()
        return pulumi_home() / "workspaces" / f"{project.name}-{digest}-workspace.json"

    def selected(self) -> StackName | None:
        """Return the selected stack of this project and backend, None when there is none (or it is gone)."""
        if self.project_or_none is None:
            return None
        settings = self._read_selection()
        stacks = settings.get("stacks")
        text = (stacks.get(self.location.url) if isinstance(stacks, dict) else None) or settings.get("stack")
        if not isinstance(text, str) or not text:
            return None
        try:
            return parse_stack_name(text, self.project_name)
        except UsageError:
            return None

    def _read_selection(self) -> dict[str, object]:
        try:
            data = json.loads(read_limited(self._selection_path(), MAX_SETTINGS_BYTES))
        except (FileNotFoundError, ValueError, EngineError):
            return {}
        return data if isinstance(data, dict) else {}

    def select(self, name: StackName | None) -> None:
        """Make a stack the selected one of this project and backend; None for none."""
        settings = self._read_selection()
        stacks = settings.get("stacks")
        chosen = dict(stacks) if isinstance(stacks, dict) else {}
        settings.pop("stack", None)
        if name is None:
            chosen.pop(self.location.url, None)
        else:
            chosen[self.location.url] = name.full
        settings["stacks"] = chosen
        path = self._selection_path()
        if chosen:
            write_atomic(path, json.dumps(settings, indent=4).encode())
        else:
            path.unlink(missing_ok=True)

    def print(self, text: str = "") -> None:
        """Print a line."""
        with told_output():
            self.out.write(text + "\n")

    def print_json(self, value: object, indent: int = 2) -> None:
        """Print JSON as the CLI indents it."""
        self.print(json.dumps(value, indent=indent, ensure_ascii=False))

    def flush(self) -> None:
        """Let what was printed be seen."""
        with told_output():
            self.out.flush()

    def note(self, text: str) -> None:
        """Print a line to standard error."""
        self.err.write(text + "\n")

    def confirm(self, question: str, *, wanted: str | None = None) -> bool:
        """Ask the person at the terminal; True for yes (or for typing `wanted`)."""
        answer = self.ask(question + ("" if wanted else " [yes/no]"))
        return answer == wanted if wanted else answer.lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """Ask the person at the terminal and return the answer.

        Raises:
            CancelledError: nobody answers (end of input).
        """
        self.out.write(question + " ")
        self.out.flush()
        line = sys.stdin.readline()
        if not line:
            raise CancelledError("nobody answered, so nothing was done")
        return line.strip()


class NoStackSelectedError(UsageError):
    """A command needs a stack and none is chosen."""

    def __init__(self) -> None:
        super().__init__(
            "no stack selected; please use `pulumi stack select` or `pulumi stack init` to choose one, or name it with "
            "--stack"
        )
