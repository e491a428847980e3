"""supervisord: its settings files, whether it runs, and its XML-RPC interface."""

from __future__ import annotations

import base64
import http.client
import os
import re
import shlex
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from components.local.errors import LocalPlatformError
from components.local.leftovers import PROCESS_VARIABLE, STACK_VARIABLE, is_alive

USERNAME = "railyard"
RPC_TIMEOUT_SECONDS = 15.0
LOG_BYTES = 20_000_000
QUICK_SECONDS, RETRIES = 10, 5
# What supervisord calls a process that runs: the second for its first `QUICK_SECONDS`.
RUNS = frozenset({"RUNNING", "STARTING"})
# Where a comment begins.
COMMENT = re.compile(r"\s[;#]")
# Relative to supervisord.conf in secrets/supervisor/: an absolute pattern is split at its spaces.
INCLUDED = "../../supervisor/processes/*.conf"
# supervisord's fault codes (supervisor.xmlrpc.Faults).
BAD_NAME, ALREADY_ADDED, STILL_RUNNING, NOT_RUNNING, ALREADY_STARTED, SPAWN_ERROR = 10, 90, 91, 70, 60, 50


def _taken_whole(what: str, value: str) -> str:
    """`value` if supervisord's settings can hold it: they know no escapes, and one bad file makes it refuse all."""
    if "\n" in value or "\r" in value or COMMENT.search(value):
        raise LocalPlatformError(
            f"{what} has a line break, or a space before ; or #, which supervisord's settings cannot hold: reword it."
        )
    return value


def _quoted(variable: str, value: str) -> str:
    """`value` between quotes for supervisord's `environment`, which takes quotes off both ends."""
    if ('"' in value and "'" in value) or value[:1] in ("'", '"') or value[-1:] in ("'", '"'):
        raise LocalPlatformError(
            f"The environment variable {variable} begins or ends with a quote, or has both kinds of quotes, which "
            "supervisord's settings cannot hold: reword it."
        )
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


def daemon_settings(stack: Path, port: int, password: str) -> str:
    """supervisord.conf of the stack in folder `stack`. It holds the password: write it to a 0600 file."""
    folder = stack / "supervisor"

    def escaped(value: object) -> str:
        return str(value).replace("%", "%%")

    # It stays root to give each process its account; without a word about it, it would warn.
    root = "user=root\n" if os.geteuid() == 0 else ""
    return f"""\
[supervisord]
{root}logfile={escaped(stack / "logs" / "supervisord.log")}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={escaped(folder / "supervisord.pid")}
directory=/
childlogdir={escaped(stack / "logs")}
umask=077
nodaemon=false
nocleanup=true

[inet_http_server]
port=127.0.0.1:{port}
username={USERNAME}
password={escaped(password)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={INCLUDED}
"""


@dataclass(frozen=True)
class Program:
    """What supervisord runs under one name."""

    name: str
    command: Sequence[str]
    directory: str
    environment: Mapping[str, str]
    account: str
    log: str
    stop_signal: str
    stop_wait_seconds: int

    def settings(self, stack: Path) -> str:
        """The program's section. Not started by itself, but started again when it crashes.

        One that dies within `QUICK_SECONDS` is tried again after 1 s, 2 s, ..., `RETRIES` times, and then stays down.
        """
        variables = {**self.environment, STACK_VARIABLE: str(stack), PROCESS_VARIABLE: self.name}
        lines = {
            "command": shlex.join(self.command),
            "directory": self.directory,
            "environment": ",".join(f"{key}={_quoted(key, value)}" for key, value in sorted(variables.items())),
            "autostart": "false",
            "autorestart": "unexpected",
            "startsecs": str(QUICK_SECONDS),
            "startretries": str(RETRIES),
            "stopsignal": self.stop_signal,
            "stopwaitsecs": str(self.stop_wait_seconds),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": self.log,
            "stdout_logfile_maxbytes": str(LOG_BYTES),
            "stdout_logfile_backups": "1",
        }
        if self.account:
            lines["user"] = self.account
        body = "\n".join(
            f"{key}={_taken_whole(f'{key} of {self.name}', value).replace('%', '%%')}" for key, value in lines.items()
        )
        return f"[program:{self.name}]\n{body}\n"


def running_daemon(stack: Path) -> psutil.Process | None:
    """The supervisord of this stack, by its pidfile; None when that pid is dead or is another program by now."""
    pidfile = stack / "supervisor" / "supervisord.pid"
    try:
        process = psutil.Process(int(pidfile.read_text().strip()))
        if is_alive(process) and any(argument.startswith(f"{stack}/") for argument in process.cmdline()):
            return process
    except (FileNotFoundError, ValueError, psutil.Error):
        pass
    return None


class _Transport(xmlrpc.client.Transport):
    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = RPC_TIMEOUT_SECONDS
        return connection


class SupervisorDownError(LocalPlatformError):
    """Nobody answers at supervisord's address, or it is a stranger who refuses our password."""


class Supervision:
    """A client of one supervisord.

    Args:
        address: "127.0.0.1:<port>".
        password_file: the 0600 file with its password.
    """

    def __init__(self, address: str, password_file: Path) -> None:
        try:
            password = password_file.read_text().strip()
        except FileNotFoundError:
            raise SupervisorDownError(
                f"The password of supervisord, {password_file}, is gone: run `up` again."
            ) from None
        # In a header, never in the URL, which xmlrpc.client would print in its errors.
        token = base64.b64encode(f"{USERNAME}:{password}".encode()).decode()
        transport = _Transport(headers=[("Authorization", f"Basic {token}")])
        self._address = address
        self._rpc = xmlrpc.client.ServerProxy(f"http://{address}/RPC2", transport=transport).supervisor

    def _call(self, method: str, *arguments: object, unless: Sequence[int] = ()) -> Any:
        try:
            return getattr(self._rpc, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in unless:
                return None
            raise LocalPlatformError(f"supervisord refused {method}: {fault.faultString}.") from None
        except xmlrpc.client.ProtocolError as error:
            raise SupervisorDownError(
                f"On {self._address} is another than this stack's supervisord (HTTP {error.errcode}): run `up` again."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorDownError(
                f"supervisord does not answer on {self._address} ({error}): run `up` again."
            ) from None

    def state(self, name: str) -> str:
        """State name of a process ("RUNNING", "EXITED", ...); "" when supervisord does not know it."""
        information = self._call("getProcessInfo", name, unless=[BAD_NAME])
        return str(information["statename"]) if information else ""

    def pid(self, name: str) -> int:
        """Process id, 0 when it does not run."""
        information = self._call("getProcessInfo", name, unless=[BAD_NAME])
        return int(information["pid"]) if information else 0

    def request_stop(self, name: str) -> None:
        """Ask supervisord to stop a process; it sends SIGKILL itself when the process takes too long."""
        self._call("stopProcess", name, False, unless=[NOT_RUNNING, BAD_NAME])

    def forget(self, name: str) -> None:
        """Take a stopped process out of supervisord; one that runs stays."""
        self._call("removeProcessGroup", name, unless=[BAD_NAME, STILL_RUNNING])

    def learn(self, name: str) -> None:
        """Read the settings files again and take in the process `name`."""
        self._call("reloadConfig")
        self._call("addProcessGroup", name, unless=[ALREADY_ADDED])

    def request_start(self, name: str) -> None:
        """Start a process; whether it lives is for the caller to watch."""
        self._call("startProcess", name, False, unless=[ALREADY_STARTED, SPAWN_ERROR])
