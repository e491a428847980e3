"""What an engine's failed command comes to: the one line that helps, out of all it printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from operations.errors import OperationError

FRAME = re.compile(r'^\s*File "')
# Where the errors of the program's own rooms are defined.
OURS = ("components.",)
COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
# What the engine adds after the reason itself.
EMPTY = re.compile(
    r"^(update failed|preview failed|refresh failed|destroy failed|update cancell?ed|one or more errors occurred"
    r"|resource registration failed|an unhandled error occurred.*|program failed with an unhandled exception:?"
    r"|running program .* failed.*|(the )?program exited with non-zero exit code.*)$",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Text of the engine without its colour directives."""
    return COLOUR.sub("", text).strip()


def useful_line(diagnostics: Sequence[str], stderr: str, stdout: str) -> str:
    """The first reason that says something.

    Args:
        diagnostics: error messages the engine sent as events, in order; a program's traceback is one of them.
        stderr, stdout: what the engine printed.
    """
    for message in [plain(text) for text in diagnostics]:
        line = _of_message(message)
        if line:
            return line
    for printed in (stderr, stdout):
        lines = [plain(line) for line in printed.splitlines()]
        reasons = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
        for reason in [*reasons, *reversed([] if reasons else [line for line in lines if line])]:
            if not EMPTY.match(reason):
                return reason
    return "the engine gave no reason"


def _of_message(message: str) -> str:
    """The part of a diagnostic that names the fault; of a traceback, the error with the user's own last frame."""
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    frames = [index for index, line in enumerate(lines) if FRAME.match(line)]
    if frames:
        return _of_traceback(lines, frames)
    kept = [line.strip() for line in lines if not EMPTY.match(line.strip())]
    return kept[0] if kept else ""


def _of_traceback(lines: list[str], frames: list[int]) -> str:
    # After the last frame come its indented source line and marks, then the error, which may be several lines.
    error = next((i for i in range(frames[-1] + 1, len(lines)) if not lines[i].startswith(" ")), None)
    if error is None:
        return lines[-1].strip()
    kind, _, said = "\n".join(lines[error:]).partition(": ")
    if said and kind.startswith(OURS):
        # Written for people: the sentence says all there is to say.
        return said
    own = [lines[i].strip() for i in frames if "site-packages" not in lines[i]] or [lines[frames[-1]].strip()]
    return f"{lines[error]} ({own[-1]})"


def with_our_commands(sentence: str) -> str:
    """Commands a sentence suggests as people have to type them here: only ./railyard knows the backend."""
    return sentence.replace("`pulumi ", "`./railyard pulumi ")


@contextmanager
def in_one_sentence(diagnostics: Iterable[str] = ()) -> Iterator[None]:
    """Turn the engine's failure into an `OperationError`.

    Args:
        diagnostics: filled while the command runs; read only when it fails.
    """
    from pulumi.automation.errors import CommandError, InvalidVersionError

    try:
        yield
    except CommandError as error:
        stdout, stderr = printed(error)
        raise OperationError(with_our_commands(useful_line(list(diagnostics), stderr, stdout))) from error
    except InvalidVersionError as error:
        raise OperationError(str(error)) from error


def printed(error: Exception) -> tuple[str, str]:
    """(stdout, stderr) of a failed command, which the SDK keeps only within the exception's text."""
    found = re.search(r"\n stdout: (?P<stdout>.*)\n stderr: (?P<stderr>.*)\Z", str(error), re.DOTALL)
    return (found["stdout"], found["stderr"]) if found else ("", str(error))
