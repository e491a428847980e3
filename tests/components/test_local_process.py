"""supervisord and its processes, for real: started, killed, seen, healed, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.local import supervision
from components.local.errors import LocalPlatformError
from components.local.leftovers import is_alive, processes_of
from components.local.process import ProcessProvider
from components.local.supervision import Supervision, SupervisorDownError, running_daemon
from components.local.supervisor import SupervisorProvider
from operations.outputs import Health, Service
from operations.probes import crashes, probe
from tests.components.conftest import PASSWORD, Properties, wait_until

Build = Callable[..., Properties]
Reserve = Callable[[str], int]


def pid_of(outputs: Properties) -> int:
    return Supervision(outputs["supervisor"], Path(outputs["passwordFile"])).pid(outputs["process"])


@pytest.fixture
def web(process_inputs: Build, free_port: Reserve) -> Properties:
    """A running web server named "web"."""
    return ProcessProvider().make(process_inputs("web", free_port("web")))[1]


class TestSupervisor:
    def test_it_runs_in_a_session_of_its_own_with_no_pipe_of_ours(self, stack: Path, supervisor: Properties) -> None:
        daemon = running_daemon(stack)
        assert daemon is not None
        assert os.getsid(daemon.pid) != os.getsid(0)
        streams = {number: Path(f"/proc/{daemon.pid}/fd/{number}").resolve() for number in (0, 1, 2)}
        assert not [number for number, target in streams.items() if "pipe" in str(target)]

    def test_neither_password_nor_callers_environment_reaches_arguments_or_environment(
        self, stack: Path, supervisor: Properties, web: Properties
    ) -> None:
        for process in processes_of(stack):
            assert PASSWORD not in " ".join(process.cmdline())
            assert PASSWORD not in str(process.environ())
            assert not [key for key in process.environ() if key.startswith(("PYTEST", "PULUMI"))]

    def test_a_stranger_without_the_password_is_refused(self, supervisor: Properties, tmp_path: Path) -> None:
        (tmp_path / "wrong").write_text("wrong")
        with pytest.raises(SupervisorDownError) as caught:
            Supervision(supervisor["address"], tmp_path / "wrong").state("x")
        assert "wrong" not in str(caught.value)

    def test_a_pidfile_that_names_another_program_is_not_believed(self, stack: Path, supervisor: Properties) -> None:
        pidfile = stack / "supervisor" / "supervisord.pid"
        kept = pidfile.read_text()
        pidfile.write_text(str(os.getpid()))
        try:
            assert running_daemon(stack) is None
        finally:
            pidfile.write_text(kept)
        assert running_daemon(stack) is not None


class TestProcess:
    def test_it_is_ready_when_made_and_observed_as_running(self, web: Properties) -> None:
        assert (ProcessProvider().observe("web", web) or {})["running"] is True

    def test_a_kill_is_seen_and_healed(self, web: Properties) -> None:
        provider, pid = ProcessProvider(), pid_of(web)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not (provider.observe("web", web) or {})["running"])
        found = provider.observe("web", web) or {}
        assert provider.diff("web", found, {**web, "running": True}).changes is True
        healed = provider.change("web", found, {**web, "running": True})
        assert healed["running"] is True
        assert pid_of(healed) not in (0, pid)

    @pytest.mark.parametrize("quick_seconds", [0, 10], ids=["later", "soon after its start"])
    def test_a_crash_is_mended_at_once_and_stays_a_difference_until_up_has_started_it(
        self,
        stack: Path,
        process_inputs: Build,
        free_port: Reserve,
        monkeypatch: pytest.MonkeyPatch,
        quick_seconds: int,
    ) -> None:
        monkeypatch.setattr(supervision, "QUICK_SECONDS", quick_seconds)
        web = ProcessProvider().make(process_inputs("web", free_port("web")))[1]
        provider, pid = ProcessProvider(), pid_of(web)
        service = Service(name="web", address=web["listens"][0], health=Health(kind="http", path="/"), log=web["log"])
        assert crashes(service) == 0
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid_of(web) not in (0, pid) and probe(service))
        assert (provider.observe("web", web) or {})["running"] is False, "it serves, and it is not as it was left"
        wait_until(lambda: crashes(service) == 1)
        healed = provider.change("web", web, web)
        assert (provider.observe("web", healed) or {})["running"] is True
        assert len(processes_of(stack, "web")) == 1

    def test_one_that_crashes_again_and_again_is_tried_later_and_can_be_removed(
        self, stack: Path, process_inputs: Build, free_port: Reserve
    ) -> None:
        port, fuse = free_port("fuse"), stack / "blown"
        program = f"import os, http.server as h; os.path.exists({str(fuse)!r}) and os._exit(3); " + (
            f"h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
        )
        made = ProcessProvider().make(process_inputs("fuse", port, command=[sys.executable, "-c", program]))[1]
        fuse.touch()
        os.kill(pid_of(made), signal.SIGKILL)
        client = Supervision(made["supervisor"], Path(made["passwordFile"]))
        wait_until(lambda: client.state("fuse") == "BACKOFF", 60)
        assert (ProcessProvider().observe("fuse", made) or {})["running"] is False
        ProcessProvider().remove("fuse", made)
        assert client.state("fuse") == ""

    def test_making_it_again_does_not_make_a_second_one(self, stack: Path, web: Properties) -> None:
        ProcessProvider().make(web)
        assert len(processes_of(stack, "web")) == 1

    def test_a_changed_environment_starts_it_again(self, web: Properties) -> None:
        before = pid_of(web)
        value = '100% "sure", a=b;$HOME#1'
        changed = ProcessProvider().change("web", web, {**web, "environment": {"PLANTED": value}})
        assert pid_of(changed) != before
        assert psutil.Process(pid_of(changed)).environ()["PLANTED"] == value

    def test_deleting_it_ends_it_and_deleting_it_twice_succeeds(self, stack: Path, web: Properties) -> None:
        provider = ProcessProvider()
        provider.remove("web", web)
        provider.remove("web", web)
        assert processes_of(stack, "web") == []
        assert (provider.observe("web", web) or {})["running"] is False
        assert not (stack / "supervisor" / "processes" / "web.conf").exists()


class TestTrouble:
    def test_a_program_that_ends_is_told_with_its_last_words(self, process_inputs: Build, free_port: Reserve) -> None:
        command = [sys.executable, "-c", "print('warming up', flush=True); raise SystemExit('the moon is full')"]
        with pytest.raises(LocalPlatformError, match="brief will not start; its log ends: 'the moon is full'"):
            ProcessProvider().make(process_inputs("brief", free_port("brief"), command=command))

    def test_one_that_never_gets_ready_is_ended_again(
        self, stack: Path, process_inputs: Build, free_port: Reserve
    ) -> None:
        command = [sys.executable, "-c", "import time; print('thinking', flush=True); time.sleep(600)"]
        inputs = process_inputs("slow", free_port("slow"), command=command, readyWithinSeconds=1)
        with pytest.raises(LocalPlatformError, match="is not ready after 1 s; its log ends: 'thinking'"):
            ProcessProvider().make(inputs)
        assert processes_of(stack, "slow") == []

    def test_a_port_held_by_a_stranger_is_told_with_its_name(self, process_inputs: Build, free_port: Reserve) -> None:
        port = free_port("contested")
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(LocalPlatformError, match=rf"cannot listen on 127.0.0.1:{port}: .*\(pid {os.getpid()}\)"),
        ):
            ProcessProvider().make(process_inputs("contested", port))

    def test_a_missing_program_is_one_sentence(self, process_inputs: Build, free_port: Reserve) -> None:
        with pytest.raises(LocalPlatformError, match=r"supervisord refused startProcess: .*/no/such/program"):
            ProcessProvider().make(process_inputs("ghost", free_port("ghost"), command=["/no/such/program"]))

    @pytest.mark.parametrize("value", ["two\nlines", "a #comment", "both \" and '", "'quoted'"])
    def test_a_value_supervisord_cannot_hold_is_refused_and_spoils_nothing(
        self, process_inputs: Build, free_port: Reserve, value: str
    ) -> None:
        inputs = process_inputs("odd", free_port("odd"), environment={"VALUE": value})
        with pytest.raises(LocalPlatformError, match="supervisord's settings cannot hold: reword it"):
            ProcessProvider().make(inputs)
        ProcessProvider().make({**inputs, "environment": {}})
        ProcessProvider().remove("odd", inputs)

    def test_children_that_outlived_it_are_ended_before_it_starts_again(
        self, stack: Path, process_inputs: Build, free_port: Reserve
    ) -> None:
        port = free_port("forking")
        program = stack / "forking.py"
        program.write_text(
            "import os, sys, time, http.server as h\n"
            "if os.fork(): time.sleep(600)\n"
            "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()\n"
        )
        command = [sys.executable, str(program), str(port)]
        made = ProcessProvider().make(process_inputs("forking", port, command=command))[1]
        parent = psutil.Process(pid_of(made))
        (child,) = parent.children()
        parent.kill()
        wait_until(lambda: pid_of(made) == 0)
        assert is_alive(child)
        ProcessProvider().change("forking", made, made)
        assert not is_alive(child)
        ProcessProvider().remove("forking", made)


class TestSupervisorKilled:
    """Last in this file: it gives the module's supervisord a new life."""

    def test_orphans_are_ended_and_a_new_incarnation_makes_all_start_again(
        self, stack: Path, supervisor: Properties, web: Properties
    ) -> None:
        provider, orphan = SupervisorProvider(), psutil.Process(pid_of(web))
        daemon = running_daemon(stack)
        assert daemon is not None
        daemon.kill()
        wait_until(lambda: not is_alive(daemon))
        found = provider.observe("x", supervisor) or {}
        assert found["running"] is False
        assert (ProcessProvider().observe("web", web) or {})["running"] is False
        assert is_alive(orphan)
        wanted: dict[str, Any] = {key: value for key, value in supervisor.items() if key != "incarnation"}
        assert provider.diff("x", found, wanted).changes is True
        again = provider.change("x", found, wanted)
        assert again["incarnation"] != supervisor["incarnation"]
        assert not is_alive(orphan)
        healed = ProcessProvider().change("web", web, {**web, "incarnation": again["incarnation"]})
        assert (ProcessProvider().observe("web", healed) or {})["running"] is True

    def test_deleting_it_ends_everything_even_what_it_no_longer_knows(
        self, stack: Path, supervisor: Properties
    ) -> None:
        daemon = running_daemon(stack)
        assert daemon is not None
        daemon.kill()
        wait_until(lambda: not is_alive(daemon))
        assert processes_of(stack) != []
        SupervisorProvider().remove("x", supervisor)
        assert processes_of(stack) == []
        SupervisorProvider().remove("x", supervisor)


def test_start_keeps_no_pipe_open_that_the_engine_would_wait_for(tmp_path: Path) -> None:
    """A program that starts supervisord with its output on a pipe ends for its reader when it ends."""
    script = """
import sys
from pathlib import Path
from components.local.folder import FolderProvider
from components.local.port import PortProvider
from components.local.supervision import daemon_settings
from components.local.secret_file import SecretFileProvider
from components.local.supervisor import SupervisorProvider
stack = Path(sys.argv[1])
FolderProvider().make({"path": str(stack)})
port = PortProvider().make({"purpose": "s", "stackFolder": str(stack), "configured": 0})[1]["port"]
secrets = stack / "secrets" / "supervisor"
for name, content in (("supervisord.conf", daemon_settings(stack, port, "pw")), ("PASSWORD", "pw")):
    SecretFileProvider().make({"path": str(secrets / name), "content": content, "mode": "0600"})
SupervisorProvider().make({"stackFolder": str(stack), "address": f"127.0.0.1:{port}",
    "settingsFile": str(secrets / "supervisord.conf"), "passwordFile": str(secrets / "PASSWORD")})
"""
    stack = tmp_path / "local"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(stack)], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        assert running_daemon(stack) is not None
    finally:
        SupervisorProvider().remove("x", {"stackFolder": str(stack)})
