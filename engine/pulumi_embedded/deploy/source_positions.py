"""Where in the program a resource was registered, as the state keeps it: relative to the project.

Source: pulumi `pkg/resource/deploy/source_eval.go` (`sourcePositions`).
"""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import Any

_LAUNCHER = Path(__file__).with_name("run_program.py").as_uri()
"""What runs a program; its frames say nothing about the program and would name a folder of this machine."""


class SourcePositions:
    """Turns the positions in a program's requests into `project:///file#line` texts."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.normpath(root)
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, request: Any) -> tuple[str, list[dict[str, Any]]]:
        """Return the position and the stack trace of a request; frames without a position stay empty."""
        known = request.HasField("sourcePosition") and request.sourcePosition.uri != _LAUNCHER
        position = self._text(request.sourcePosition) if known else ""
        trace: list[dict[str, Any]] = []
        if request.HasField("stackTrace"):
            for frame in request.stackTrace.frames:
                if frame.HasField("pc") and frame.pc.uri == _LAUNCHER:
                    continue
                text = self._text(frame.pc) if frame.HasField("pc") else ""
                trace.append({"sourcePosition": text} if text else {})
        return position, trace

    def _text(self, position: Any) -> str:
        key = (position.uri, position.line, position.column)
        if key not in self._known:
            self._known[key] = self._make(*key)
        return self._known[key]

    def _make(self, uri: str, line: int, column: int) -> str:
        if line < 0 or column < 0:
            return ""
        parts = urllib.parse.urlsplit(uri)
        path = urllib.parse.unquote(parts.path)
        if parts.scheme != "file" or not os.path.isabs(path):  # noqa: PTH117 - texts are faster here
            return ""
        relative = urllib.parse.quote(os.path.relpath(path, self._root), safe="/:@!$&'()*+,;=~")
        return f"project:///{relative}#{line}" + (f",{column}" if column else "")
