"""Updates by the command line: what is shown, what is written, and what is left when they are interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import ENGINE, Project

THREE = """
a = Thing("a")
b = Thing("b", opts=pulumi.ResourceOptions(depends_on=[a]))
Thing("c", opts=pulumi.ResourceOptions(depends_on=[b]))
"""


def journals(project: Project) -> list[Path]:
    return list((project.backend / ".pulumi/journals").rglob("*.jsonl*"))


def locks(project: Project) -> list[Path]:
    return list((project.backend / ".pulumi/locks").rglob("*.json"))


class TestUp:
    def test_the_words_are_the_clis_and_everything_is_written(self, live_project: Project) -> None:
        live_project.write(
            't = Thing("a")\npulumi.export("v", t.value)\npulumi.export("s", pulumi.Output.secret("hush"))\n'
        )
        result = live_project.up("--message", "first")
        assert result.code == 0, result.out + result.err
        assert result.err == ""
        lines = result.out.splitlines()
        assert lines[0] == "Updating (dev):"
        assert " +  pulumi-python:dynamic/test:Thing a creating (0s)" in lines
        assert any(re.match(r" \+  pulumi-python:dynamic/test:Thing a created \(\d+\.\d\ds\)$", line) for line in lines)
        assert lines[lines.index("Outputs:") :][:3] == ["Outputs:", "    s: [secret]", '    v: "v"']
        assert lines[lines.index("Resources:") :][:3] == ["Resources:", "    + 2 created", ""]
        assert re.fullmatch(r"Duration: \d+s", lines[lines.index("Resources:") + 3])
        assert "hush" not in result.out
        history = live_project.run("stack", "history", "--json").json()
        assert [(item["kind"], item["result"], item["message"]) for item in history] == [
            ("update", "succeeded", "first")
        ]
        assert history[0]["resourceChanges"] == {"create": 2}
        assert len(list((live_project.backend / ".pulumi/backups/proj/dev").iterdir())) == 1
        assert journals(live_project) == locks(live_project) == []

    def test_the_second_plans_no_change_and_the_preview_writes_nothing(self, live_project: Project) -> None:
        live_project.write('Thing("a")\n')
        live_project.up()
        before = {path: path.read_bytes() for path in live_project.backend.rglob("*") if path.is_file()}
        preview = live_project.run("preview", "--expect-no-changes")
        assert preview.code == 0
        assert "    2 unchanged" in preview.out
        assert before == {path: path.read_bytes() for path in live_project.backend.rglob("*") if path.is_file()}
        assert live_project.up("--expect-no-changes").code == 0

    def test_expecting_no_change_fails_with_the_clis_code(self, live_project: Project) -> None:
        live_project.write('Thing("a")\n')
        result = live_project.run("preview", "--expect-no-changes")
        assert result.code == 7
        assert "no changes were expected for preview but changes were proposed" in result.err
        assert live_project.up("--expect-no-changes").code == 7

    def test_secrets_are_shown_only_when_asked(self, live_project: Project) -> None:
        live_project.write('pulumi.export("s", pulumi.Output.secret("hush"))\n')
        assert "hush" not in live_project.up().out
        assert '    s: "hush"' in live_project.up("--show-secrets").out
        assert "Outputs:" not in live_project.up("--suppress-outputs").out

    def test_config_given_on_the_command_line_is_kept(self, live_project: Project) -> None:
        live_project.write('pulumi.export("n", pulumi.Config().require_int("n"))\n')
        assert "    n: 7" in live_project.up("--config", "n=7").out
        assert live_project.run("config", "get", "n").out == "7\n"

    def test_a_missing_value_that_the_project_requires_is_one_sentence(self, live_project: Project) -> None:
        text = "name: proj\nruntime: python\nconfig:\n  size:\n    type: integer\n"
        (live_project.folder / "Pulumi.yaml").write_text(text)
        result = live_project.up()
        assert result.code == 1
        assert result.err.startswith("error: Stack 'dev' is missing configuration value 'size'")
        live_project.run("config", "set", "size", "many")
        assert "must be of type 'integer'" in live_project.up().err

    def test_destroy_empties_and_remove_takes_the_stack_along(self, live_project: Project) -> None:
        live_project.write(THREE)
        live_project.up()
        result = live_project.run("destroy", "--yes")
        assert result.code == 0
        assert live_project.lines("gone") == ["c", "b", "a"]
        assert "have been deleted, but the history" in result.out
        assert live_project.run("destroy", "--yes", "--remove").code == 0
        assert live_project.run("stack", "ls", "--json").json() == []


class TestFailures:
    def test_a_program_that_raises_shows_the_persons_frames_once(self, live_project: Project) -> None:
        live_project.write('def broken():\n    raise ValueError("boom")\n\nbroken()\n')
        result = live_project.up()
        assert result.code == 1
        assert "Program failed with an unhandled exception" in result.out
        assert result.out.count("ValueError: boom") == 1
        frames = re.findall(r'File "([^"]*)"', result.out)
        assert frames
        assert {Path(frame).name for frame in frames} == {"__main__.py"}
        assert all(str(live_project.folder) in frame for frame in frames)
        assert "Traceback" not in result.err

    def test_a_step_that_fails_is_named_and_the_rest_is_kept(self, live_project: Project) -> None:
        live_project.write('Thing("a")\nThing("b")\n')
        live_project.up()
        live_project.write('Thing("a", value="fail")\nThing("b")\n')
        result = live_project.up()
        assert result.code == 1
        assert "**updating failed**" in result.out
        assert result.out.count("RuntimeError: the provider says no") == 1
        assert "errored" in result.out
        assert sorted(live_project.resources()) == ["a", "b"]
        assert live_project.run("stack", "history", "--json").json()[0]["result"] == "failed"
        assert locks(live_project) == []

    def test_a_missing_program_and_interpreter_are_one_sentence(self, live_project: Project) -> None:
        (live_project.folder / "Pulumi.yaml").write_text(
            "name: proj\nruntime:\n  name: python\n  options:\n    virtualenv: none\n"
        )
        result = live_project.up()
        assert result.code != 0
        assert "Traceback" not in result.out + result.err
        assert "none" in result.err + result.out
        assert locks(live_project) == []

    def test_a_full_disk_stops_the_update_with_one_sentence(self, live_project: Project) -> None:
        live_project.write('Thing("a")\n')
        folder = live_project.backend / ".pulumi/journals"
        folder.mkdir(parents=True)
        (folder / "proj").write_text("not a folder")
        result = live_project.up()
        assert result.code == 1
        assert "journals/proj" in result.err
        assert live_project.lines("made") == []
        assert locks(live_project) == []

    def test_a_disk_that_fills_up_in_the_middle_loses_nothing(self, live_project: Project) -> None:
        live_project.write(
            "last = []\nfor number in range(12):\n"
            '    last = [Thing(f"t{number}", opts=pulumi.ResourceOptions(depends_on=last))]\n'
        )
        live_project.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        limit = (20_000, 20_000)
        with live_project.start(
            "up", "--yes", "--skip-preview", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        ) as process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert re.search(r"error: the journal \S.* cannot be written: file too large", err)
        assert "Traceback" not in err
        made = live_project.lines("made")
        assert 1 <= len(made) < 12
        recorded = live_project.run("stack", "export").json()["deployment"]
        pending = [item["resource"]["urn"] for item in recorded.get("pending_operations", [])]
        known = {*live_project.resources(), *(urn.rpartition("::")[2] for urn in pending)}
        assert set(made) <= known, "every resource that was made is in the state, if only as pending"
        assert live_project.up().code == 0
        assert len(live_project.resources()) == 12


class TestInterruption:
    def start_and_kill(self, project: Project, at: str) -> None:
        (project.probe / f"gate-{at}").touch()
        with project.start("up", "--yes", "--skip-preview", start_new_session=True) as process:
            project.await_file(f"at-{at}")
            process.kill()
            process.communicate()
        (project.probe / f"gate-{at}").unlink()

    def test_after_a_kill_the_lock_stays_the_preview_is_true_and_cancel_loses_nothing(
        self, live_project: Project
    ) -> None:
        live_project.write(THREE)
        self.start_and_kill(live_project, "b")
        assert len(locks(live_project)) == len(journals(live_project)) == 1
        preview = live_project.run("preview", "--json").json()
        assert preview["changeSummary"] == {"create": 2, "same": 2}
        assert "The last update was interrupted" in live_project.run("stack").out
        refused = live_project.up()
        assert refused.code == 1
        assert refused.err.startswith("error: the stack is currently locked by 1 lock(s)")
        assert "that process is no longer running" in refused.err
        assert live_project.lines("made") in (["a"], ["a", "b"])
        cancelled = live_project.run("cancel", "--yes")
        assert cancelled.code == 0
        assert re.search(
            r"journal \(\d+ entries\) was folded into the state before the stack was unlocked", cancelled.out
        )
        assert "creating urn:pulumi:dev::proj::pulumi-python:dynamic/test:Thing::b" in cancelled.out
        assert journals(live_project) == locks(live_project) == []
        assert live_project.resources() == ["a"]
        again = live_project.up()
        assert again.code == 0, again.out + again.err
        assert sorted(live_project.resources()) == ["a", "b", "c"]
        assert live_project.run("preview", "--expect-no-changes").code == 0

    def test_a_left_journal_without_a_lock_is_folded_first_thing(self, live_project: Project) -> None:
        live_project.write(THREE)
        self.start_and_kill(live_project, "b")
        for lock in locks(live_project):
            lock.unlink()
        result = live_project.up()
        assert result.code == 0
        assert "an earlier update was interrupted; its journal" in result.err
        assert sorted(live_project.resources()) == ["a", "b", "c"]

    def test_one_interrupt_finishes_what_runs_and_starts_nothing(self, live_project: Project) -> None:
        live_project.write(THREE)
        (live_project.probe / "gate-a").touch()
        with live_project.start("up", "--yes", "--skip-preview", start_new_session=True) as process:
            live_project.await_file("at-a")
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            (live_project.probe / "gate-a").unlink()
            out, err = process.communicate(timeout=60)
        assert process.returncode == 8, out + err
        assert "^C received; cancelling" in err
        assert live_project.lines("made") == ["a"]
        assert live_project.resources() == ["a"]
        assert journals(live_project) == locks(live_project) == []

    def test_two_interrupts_stop_at_once_and_keep_what_was_done(self, live_project: Project) -> None:
        live_project.write(THREE)
        (live_project.probe / "gate-b").touch()
        with live_project.start("up", "--yes", "--skip-preview", start_new_session=True) as process:
            live_project.await_file("at-b")
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            assert time.monotonic() - started < 10
        assert process.returncode == 8, out + err
        assert live_project.resources() == ["a"]
        assert locks(live_project) == []
        (live_project.probe / "gate-b").unlink()
        assert live_project.up().code == 0
        assert sorted(live_project.resources()) == ["a", "b", "c"]

    def test_two_updates_at_once_are_refused_with_who_since_when(self, live_project: Project) -> None:
        live_project.write(THREE)
        (live_project.probe / "gate-a").touch()
        with live_project.start("up", "--yes", "--skip-preview") as process:
            live_project.await_file("at-a")
            refused = live_project.up()
            (live_project.probe / "gate-a").unlink()
            process.communicate(timeout=60)
        assert refused.code == 1
        assert f"(pid {process.pid})" in refused.err
        assert "no longer running" not in refused.err
        assert process.returncode == 0


class TestSecrets:
    PLANTED = "PLANTED-5ecret-value"

    def test_a_planted_secret_is_nowhere_in_plain_text(self, live_project: Project, tmp_path: Path) -> None:
        live_project.run("config", "set", "--secret", "word", self.PLANTED)
        live_project.write(
            'word = pulumi.Config().require_secret("word")\n'
            'a = Thing("a", value=word)\n'
            'pulumi.export("word", {"deep": [word]})\n'
            'word.apply(lambda text: pulumi.log.info(f"told: {text}"))\n'
            'word.apply(lambda text: print("printed:", text))\n'
        )
        log = tmp_path / "events.log"
        shown = ""
        for arguments in (["preview", "--diff"], ["up", "--yes", "--event-log", str(log)], ["preview", "--json"]):
            result = live_project.run(*arguments)
            assert result.code == 0, result.out + result.err
            shown += result.out + result.err
        (live_project.probe / "gate-a-update").touch()
        live_project.write('Thing("a", value=pulumi.Output.concat(pulumi.Config().require_secret("word"), "2"))\n')
        with live_project.start("up", "--yes", "--skip-preview", start_new_session=True) as process:
            live_project.await_file("at-a-update")
            process.kill()
            process.communicate()
        assert len(journals(live_project)) == 1
        live_project.write('raise RuntimeError(pulumi.Config().require("word"))\n')
        failed = live_project.run("preview")
        shown += failed.out + failed.err
        assert self.PLANTED not in shown
        for path in [log, *live_project.backend.rglob("*"), *(tmp_path / "home").rglob("*")]:
            if path.is_file():
                assert self.PLANTED.encode() not in path.read_bytes(), path

    def test_what_providers_and_policies_say_about_a_secret_is_masked(
        self, live_project: Project, tmp_path: Path
    ) -> None:
        pack, log = tmp_path / "pack", tmp_path / "events.log"
        pack.mkdir()
        (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
        (pack / "__main__.py").write_text(
            "from pulumi_policy import *\n"
            "def tell(args, report):\n"
            "    report('the value is ' + str(args.props.get('value')))\n"
            "policy = ResourceValidationPolicy('tell', 'tells', tell, EnforcementLevel.ADVISORY)\n"
            "PolicyPack('telling', policies=[policy])\n"
        )
        live_project.run("config", "set", "--secret", "word", self.PLANTED)
        live_project.write(
            "class Telling(Provider):\n"
            "    def create(self, props):\n"
            '        raise RuntimeError("cannot use " + props["value"])\n'
            'class Leaky(Resource, module="test", name="Leaky"):\n'
            "    def __init__(self, name, value):\n"
            '        super().__init__(Telling(), name, {"name": name, "value": value})\n'
            'Leaky("l", pulumi.Config().require_secret("word"))\n'
        )
        failed = live_project.up("--policy-pack", str(pack), "--event-log", str(log))
        shown = failed.out + failed.err
        assert failed.code == 1
        assert "cannot use [secret]" in shown
        assert "the value is" in shown
        assert self.PLANTED not in shown
        for path in [log, *live_project.backend.rglob("*"), *(tmp_path / "home").rglob("*")]:
            if path.is_file():
                assert self.PLANTED.encode() not in path.read_bytes(), path


class TestJson:
    def test_a_preview_is_one_document_of_the_clis_shape(self, live_project: Project) -> None:
        live_project.write('Thing("a")\npulumi.log.warn("careful")\n')
        document = live_project.run("preview", "--json").json()
        assert {"steps", "diagnostics", "duration", "changeSummary"} <= set(document)
        step = next(step for step in document["steps"] if step["urn"].endswith("::a"))
        assert step["op"] == "create"
        assert step["newState"]["inputs"]["value"] == "v"
        assert step["newState"]["custom"] is True
        assert [(item["message"], item["severity"]) for item in document["diagnostics"]] == [
            ("warning: careful\n", "warning")
        ]
        assert document["changeSummary"] == {"create": 2}

    def test_an_update_is_the_event_stream(self, live_project: Project) -> None:
        live_project.write('Thing("a")\n')
        events = [json.loads(line) for line in live_project.up("--json").out.splitlines()]
        assert [event["sequence"] for event in events] == list(range(len(events)))
        assert "summaryEvent" in events[-2]
        assert "cancelEvent" in events[-1]
        assert all(isinstance(event["timestamp"], int) for event in events)

    def test_a_failed_preview_is_still_one_document(self, live_project: Project) -> None:
        live_project.write('raise ValueError("boom")\n')
        result = live_project.run("preview", "--json")
        assert result.code == 1
        assert "ValueError: boom" in "".join(item["message"] for item in result.json()["diagnostics"])


class TestDisplay:
    def test_a_diff_shows_before_and_after(self, live_project: Project) -> None:
        live_project.write('Thing("a")\n')
        live_project.up()
        live_project.write('Thing("a", value="w")\n')
        out = live_project.run("preview", "--diff").out
        assert '      ~ value: "v" => "w"' in out
        assert " ~  pulumi-python:dynamic/test:Thing a update [diff: ~value]" in live_project.run("preview").out

    def test_losing_a_data_store_is_said_before_it_happens(self, live_project: Project) -> None:
        live_project.write('PostgresDatabase("orders")\nThing("plain")\n')
        live_project.up()
        live_project.write('PostgresDatabase("orders", kind="other")\nThing("plain", kind="other")\n')
        out = live_project.run("preview", "--color", "always").out
        red = "\x1b[1;31m"
        assert f"{red}Data will be lost:" in out
        assert "PostgresDatabase orders: would be replaced, data will be lost" in out
        assert "plain: would be" not in out
        live_project.write("")
        assert "orders: would be deleted, data will be lost" in live_project.run("preview").out

    def test_a_terminal_has_a_live_tree(self, live_project: Project) -> None:
        live_project.write(
            'g = pulumi.ComponentResource("my:mod:Group", "group")\n'
            'for name in ("inner", "outer"):\n    Thing(name, opts=pulumi.ResourceOptions(parent=g))\n'
        )
        master, slave = pty.openpty()
        environment = {**live_project.environment, "TERM": "xterm-256color", "COLUMNS": "150", "LINES": "40"}
        environment.pop("CI", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "pulumi_embedded", "up", "--yes", "--skip-preview"],
            cwd=live_project.folder, env=environment, stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        seen = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    chunk = os.read(master, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                seen += chunk
        os.close(master)
        assert process.wait(timeout=10) == 0
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
        assert "├─ pulumi-python:dynamic/test:Thing" in text or "└─ pulumi-python:dynamic/test:Thing" in text
        assert "created (" in text
        assert "+ 4 created" in text


class TestCost:
    def test_the_engines_process_stays_below_150_megabytes(self, live_project: Project) -> None:
        live_project.write('for number in range(30):\n    Thing(f"t{number}")\n')
        # Not getrusage: its largest size is inherited from the process that forked, here pytest.
        program = (
            "import sys; from pulumi_embedded.cli.main import main; code = main(sys.argv[1:]); "
            "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM:')); "
            "print(peak.split()[1], file=sys.stderr); sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, "up", "--yes", "--skip-preview"],
            cwd=live_project.folder, env=live_project.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert 10 * 1024 < int(done.stderr.split()[-1]) < 150 * 1024, "kilobytes"


PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy


def check(args, report):
    if "Thing" in args.resource_type and args.props.get("value") == "bad":
        report("value must not be bad")


PolicyPack(
    "pack",
    policies=[
        ResourceValidationPolicy("no-bad", "No bad values.", check, EnforcementLevel.MANDATORY),
        ResourceValidationPolicy("advice", "Advice.", check, EnforcementLevel.ADVISORY),
    ],
)
"""


class TestPolicies:
    @pytest.fixture
    def packed(self, live_project: Project) -> Project:
        pack = live_project.folder / "pack"
        pack.mkdir()
        (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
        (pack / "__main__.py").write_text(PACK)
        return live_project

    def test_findings_are_shown_once_worst_first_and_in_json(self, packed: Project) -> None:
        packed.write('Thing("a", value="bad")\n')
        result = packed.run("preview", "--policy-pack", "pack")
        assert result.code == 1
        assert "Policies:" in result.out
        assert re.search(
            r"\[mandatory\]  no-bad  \(.*Thing: a\)\n +No bad values\.\n +value must not be bad", result.out
        )
        assert result.out.index("[mandatory]") < result.out.index("[advisory]")
        document = packed.run("preview", "--policy-pack", "pack", "--json").json()
        levels = sorted(finding["enforcementLevel"] for finding in document["policyFindings"])
        assert levels == ["advisory", "mandatory"]
        refused = packed.up("--policy-pack", "pack")
        assert refused.code == 1
        assert packed.lines("made") == []

    def test_a_state_is_analyzed_without_its_program(self, packed: Project) -> None:
        packed.write('Thing("a", value="bad")\n')
        packed.up()
        packed.write("raise SystemExit(1)\n")
        result = packed.run("policy", "analyze", "--policy-pack", "pack")
        assert result.code == 1
        assert "no-bad" in result.out
        assert "mandatory policy violations were found" in result.err
        packed.run("stack", "export", "--file", "out.json")
        assert packed.run("policy", "analyze", "--policy-pack", "pack", "--file", "out.json").code == 1
        events: list[dict[str, Any]] = [
            json.loads(line)
            for line in packed.run("policy", "analyze", "--policy-pack", "pack", "--json").out.splitlines()
        ]
        assert sum("policyEvent" in event for event in events) == 2


def test_the_package_stands_alone() -> None:
    program = (
        "import sys, importlib, pkgutil, pulumi_embedded\n"
        "for module in pkgutil.walk_packages(pulumi_embedded.__path__, 'pulumi_embedded.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "rooms = {'components', 'operations', 'policies', 'payments', 'findings', 'verify', 'sandbox'}\n"
        "sys.exit(bool(rooms & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ENGINE), "PATH": os.environ["PATH"]}, check=False
    )
    assert done.returncode == 0
