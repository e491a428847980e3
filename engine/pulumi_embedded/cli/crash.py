"""Reports of unexpected errors: one sentence for the person, the traceback in a file, no secret in either."""

from __future__ import annotations

import os
import re
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi_embedded.version import CLI_VERSION, ENGINE_VERSION

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_PLAIN_WORD = re.compile(r"^-{0,2}[a-z][a-z-]*$")


def report(error: BaseException, arguments: list[str], context: Context | None) -> str:
    """Write a crash report and return the sentence that names it.

    The report holds the kind of error and the frames (files, lines, functions) without their values: messages and
    arguments may carry secrets, so of the command line only words that are commands or names of flags are kept.
    """
    frames = traceback.extract_tb(error.__traceback__)
    words = [word.partition("=")[0] for word in arguments]
    lines = [
        f"pulumi-embedded {ENGINE_VERSION} (contract of Pulumi {CLI_VERSION})",
        f"time: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
        "command: " + " ".join(word if _PLAIN_WORD.match(word) else "..." for word in words),
        f"error: {_kind(error)}",
        "",
        *(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames),
    ]
    cause = error.__cause__ or error.__context__
    while cause is not None:
        lines += ["", f"caused by: {_kind(cause)}"]
        lines += [
            f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
            for frame in traceback.extract_tb(cause.__traceback__)
        ]
        cause = cause.__cause__ or cause.__context__
    where = frames[-1] if frames else None
    place = f" at {Path(where.filename).name}:{where.lineno}" if where else ""
    path = _write("\n".join(lines) + "\n", context)
    told = f"a report without secrets is in {path}" if path else "no report could be written"
    return f"the embedded engine met an unexpected error ({_kind(error)}{place}); {told}"


def _kind(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name


def _write(text: str, context: Context | None) -> Path | None:
    folders = []
    try:
        if context is not None:
            folders.append(context.layout.crash_folder())
    except Exception:  # noqa: S110 - the backend may be what failed: the report goes elsewhere then
        pass
    if os.environ.get("PULUMI_HOME"):
        folders.append(Path(os.environ["PULUMI_HOME"]) / "crashes")
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"{time.time_ns()}.txt"
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
        except OSError:
            continue
        return path
    return None
