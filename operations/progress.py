"""What a long command shows while it works: its phases, one line each when done, and a live line in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


@dataclass
class Phase:
    """A phase in progress.

    Attributes:
        outcome: what the line says when it is done, beside the time.
    """

    title: str
    _show: Callable[[str], None]
    outcome: str = ""

    def doing(self, what: str) -> None:
        """Show what is being done right now; in a terminal only."""
        self._show(what)


@dataclass
class Phases:
    """The phases of one command.

    Args:
        clock: seconds of a monotonic clock.
    """

    console: Console
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """One phase: times it, shows it live, and leaves one line behind."""
        started = self.clock()
        with self._live(title) as show:
            phase = Phase(title, show)
            try:
                yield phase
            except BaseException:
                self.seconds[title] = self.clock() - started
                self._line("✗", "red", phase, self.seconds[title])
                raise
            self.seconds[title] = self.clock() - started
            self._line("✓", "green", phase, self.seconds[title])

    def add(self, title: str, seconds: float) -> None:
        """Record a phase that took place before this command began."""
        self.seconds[title] = seconds
        self._line("✓", "green", Phase(title, lambda _: None), seconds)

    def note(self, sentence: str) -> None:
        """Say something that stays on the screen."""
        self.say(f"  {sentence}")

    def say(self, text: str) -> None:
        """Print text as it is."""
        self.console.print(Text(text))

    def _line(self, mark: str, colour: str, phase: Phase, seconds: float) -> None:
        line = Text.assemble((mark, colour), " ", (f"{phase.title:<13}", "bold"), f" {seconds:5.1f} s")
        if phase.outcome:
            line.append(f"  {phase.outcome}")
        self.console.print(line)

    @contextmanager
    def _live(self, title: str) -> Iterator[Callable[[str], None]]:
        if not self.console.is_terminal:
            yield lambda _: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn(f"{title:<13}", style="bold", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.description}", style="dim", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("")
            width = max(20, self.console.width - 28)
            yield lambda text: progress.update(task, description=text[:width])
