"""The emulated account: a process of its own that lives as long as the stack, whatever becomes of the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from operations.checkout import ROOT
from operations.errors import OperationError

if TYPE_CHECKING:
    import psutil

START_SECONDS, END_SECONDS = 90.0, 10.0


@dataclass(frozen=True)
class Account:
    """The emulated account of one stack.

    Attributes:
        folder: where its announcement and its log are.
    """

    folder: Path

    @property
    def _announced(self) -> Path:
        return self.folder / "account.json"

    @property
    def log(self) -> Path:
        return self.folder / "account.log"

    def was_started(self) -> bool:
        """Whether one was started and never ended by us: its process may have died since."""
        return self._announced.exists()

    def url(self) -> str:
        """Where it answers; "" when it does not run."""
        return f"http://127.0.0.1:{self._told()['port']}" if self.process() is not None else ""

    def process(self) -> psutil.Process | None:
        """Its process; None when there is none, or the number is another process's now."""
        import psutil

        told = self._told()
        try:
            process = psutil.Process(int(told["pid"]))
            same = abs(process.create_time() - float(told["started"])) < 0.02
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, KeyError, ValueError):
            return None

    def start(self, number: str) -> str:
        """Start it, in a session of its own; returns its URL.

        Args:
            number: the account's, 12 digits.

        Raises:
            OperationError: it did not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._announced.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "providers.emulator", "--announce", str(self._announced)]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [*command, "--account", number],
                cwd=ROOT,
                env=without_own_account(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._announced.exists():
            if process.poll() is not None:
                raise OperationError(
                    f"the emulated account did not start: {self._last_line()} (all of it in {self.log})"
                )
            if time.monotonic() > deadline:
                process.kill()
                raise OperationError(
                    f"the emulated account did not answer within {START_SECONDS:.0f} s: see {self.log}"
                )
            time.sleep(0.02)
        return self.url()

    def end(self) -> None:
        """End it, and with it everything in it."""
        import psutil

        process = self.process()
        if process is not None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
        self._announced.unlink(missing_ok=True)

    def _told(self) -> dict[str, float]:
        try:
            told = json.loads(self._announced.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def without_own_account(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """The environment without anything that leads to an account, a proxy or a metadata service of the person's own."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("AWS_") and name.upper() not in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    }
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
