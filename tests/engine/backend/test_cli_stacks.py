"""Stacks by the command line: made, chosen, listed, renamed, exported, imported, removed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulumi_embedded.cli.main import main
from pulumi_embedded.state import secrets
from pulumi_embedded.state.sealing import SECRET_SIG, SIG

from .conftest import Run

DATA = Path(__file__).parent / "data" / "checkpoint.json"
ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
R2 = "urn:pulumi:dev::proj::pulumi-python:dynamic:Resource::r2"
R = "urn:pulumi:dev::proj::my:mod:C$pulumi-python:dynamic:Resource::r"


@pytest.fixture
def cli_stack(stack: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stack whose state the Pulumi CLI wrote (its passphrase is `pw`)."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "pw")
    monkeypatch.setattr(secrets, "_ROUNDS", 1_000_000)
    folder = Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"))
    (folder / ".pulumi/stacks/proj/dev.json").write_text(DATA.read_text())
    salt = json.loads(DATA.read_text())["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]
    (project / "Pulumi.dev.yaml").write_text(f"encryptionsalt: {salt}\n")
    return stack


class TestLife:
    def test_a_stack_is_made_selected_and_listed(self, run: Run) -> None:
        assert run("stack", "init", "dev").err == "Created stack 'dev'\n"
        listed = run("stack", "ls", "--json").json()
        assert [(item["name"], item["current"], item["resourceCount"]) for item in listed] == [("dev", True, 0)]
        assert run("stack", "--show-name").out == "dev\n"

    def test_its_salt_is_in_the_settings_and_in_the_state(self, stack: Run, project: Path) -> None:
        exported = stack("stack", "export").json()
        salt = exported["deployment"]["secrets_providers"]["state"]["salt"]
        assert (project / "Pulumi.dev.yaml").read_text() == f"encryptionsalt: {salt}\n"

    def test_a_second_of_its_name_is_refused(self, stack: Run) -> None:
        result = stack("stack", "init", "dev")
        assert result.code == 1
        assert "stack 'organization/proj/dev' already exists" in result.err

    def test_without_a_passphrase_none_is_made(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
        result = run("stack", "init", "dev")
        assert result.code == 1
        assert "passphrase must be set with PULUMI_CONFIG_PASSPHRASE" in result.err
        assert run("stack", "ls", "--json").json() == []

    def test_an_unknown_stack_is_not_found_with_the_clis_code(self, stack: Run) -> None:
        result = stack("stack", "select", "nope")
        assert (result.code, result.err) == (6, "error: no stack named 'nope' found\n")

    def test_select_creates_when_asked(self, stack: Run) -> None:
        assert stack("stack", "select", "--create", "two").code == 0
        assert stack("stack", "--show-name").out == "two\n"

    def test_unselect_leaves_none(self, stack: Run) -> None:
        stack("stack", "unselect")
        result = stack("stack")
        assert result.code == 1
        assert "no stack selected" in result.err

    def test_selection_is_one_of_each_backend(
        self, stack: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'other'}")
        assert stack("stack").code == 1

    def test_a_stack_may_be_named_in_full(self, stack: Run) -> None:
        assert stack("stack", "export", "--stack", "organization/proj/dev").code == 0
        assert stack("stack", "ls", "-Q").out.splitlines()[1].startswith("organization/proj/dev*")

    def test_a_secrets_provider_of_the_cloud_is_refused_with_the_cli_named(self, run: Run) -> None:
        result = run("stack", "init", "dev", "--secrets-provider", "awskms://alias/x")
        assert result.code == 1
        assert "does not support the secrets provider 'awskms'" in result.err
        assert "Pulumi CLI" in result.err


class TestRemoval:
    def test_a_stack_with_resources_stays(self, cli_stack: Run) -> None:
        result = cli_stack("stack", "rm", "--yes")
        assert result.code == 1
        assert "'dev' still has resources; removal rejected" in result.err

    def test_force_removes_it_and_keeps_the_last_state_as_bak(self, cli_stack: Run, project: Path) -> None:
        assert cli_stack("stack", "rm", "--yes", "--force").code == 0
        assert not (project / "Pulumi.dev.yaml").exists()
        assert cli_stack("stack", "ls", "--json").json() == []
        assert list((project.parent / "backend/.pulumi/stacks/proj").glob("dev.json.bak"))

    def test_its_settings_may_be_preserved(self, stack: Run, project: Path) -> None:
        assert stack("stack", "rm", "--yes", "--preserve-config").code == 0
        assert (project / "Pulumi.dev.yaml").exists()

    def test_nobody_to_ask_means_yes_is_needed(self, stack: Run) -> None:
        result = stack("stack", "rm", "--non-interactive")
        assert (result.code, result.err) == (1, "error: non-interactive mode requires --yes flag\n")


class TestRename:
    def test_urns_settings_tags_and_selection_follow(self, cli_stack: Run, project: Path) -> None:
        cli_stack("stack", "tag", "set", "owner", "me")
        assert cli_stack("stack", "rename", "prod").code == 0
        text = cli_stack("stack", "export").out
        assert "urn:pulumi:dev::" not in text
        assert "::proj-prod" in text
        assert (project / "Pulumi.prod.yaml").exists()
        assert not (project / "Pulumi.dev.yaml").exists()
        assert cli_stack("stack", "--show-name").out == "prod\n"
        assert cli_stack("stack", "tag", "get", "owner").out == "me\n"

    def test_a_taken_name_is_refused(self, stack: Run) -> None:
        stack("stack", "init", "prod")
        assert "already exists" in stack("stack", "rename", "dev").err


class TestOutputs:
    def test_secrets_are_masked_without_a_passphrase(self, cli_stack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
        shown = cli_stack("stack", "output", "--json").json()
        assert shown == {"nested": {"x": "[secret]", "y": [1, True, None]}, "out": "[secret]", "size": 3}

    def test_secrets_are_shown_when_asked(self, cli_stack: Run) -> None:
        assert cli_stack("stack", "output", "--json", "--show-secrets").json()["nested"]["x"] == "s3cret"
        assert cli_stack("stack", "output", "out", "--show-secrets").out == "s3cret\n"

    def test_the_wrong_passphrase_is_one_sentence(self, cli_stack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
        result = cli_stack("stack", "output", "--show-secrets")
        assert result.code == 1
        assert result.err.count("\n") == 1
        assert "incorrect passphrase" in result.err

    def test_an_unknown_output_and_shell_form(self, cli_stack: Run) -> None:
        assert "does not have output property 'nope'" in cli_stack("stack", "output", "nope").err
        assert "size=3\n" in cli_stack("stack", "output", "--shell").out

    def test_the_tree_shows_resources_below_their_parents(self, cli_stack: Run) -> None:
        text = cli_stack("stack").out
        assert "Current stack resources (5):" in text
        assert "│  └─ pulumi-python:dynamic:Resource  r" in text


class TestExportAndImport:
    def test_an_export_is_what_stands_on_disk(self, cli_stack: Run) -> None:
        latest = json.loads(DATA.read_text())["checkpoint"]["latest"]
        assert cli_stack("stack", "export").json() == {"version": 3, "deployment": latest}

    def test_an_export_with_secrets_shown_imports_again(self, cli_stack: Run, project: Path) -> None:
        text = cli_stack("stack", "export", "--show-secrets").out
        assert '"plaintext": "\\"s3cret\\""' in text
        (project / "out.json").write_text(text)
        assert cli_stack("stack", "import", "--file", "out.json").code == 0
        stored = (project.parent / "backend/.pulumi/stacks/proj/dev.json").read_text()
        assert "s3cret" not in stored
        assert cli_stack("stack", "output", "out", "--show-secrets").out == "s3cret\n"

    def test_a_backup_file_imports_too_and_mends_a_damaged_state(self, cli_stack: Run, project: Path) -> None:
        path = project.parent / "backend/.pulumi/stacks/proj/dev.json"
        path.write_text("{")
        refused = cli_stack("stack", "export")
        assert refused.code == 1
        assert "is damaged" in refused.err
        assert path.read_text() == "{"
        assert cli_stack("stack", "import", "--file", str(DATA)).code == 0, "the copy aside remains"
        assert cli_stack("stack", "output", "size").out == "3\n"
        assert list(path.parent.glob("dev.json.corrupt-*"))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "not valid JSON"),
            ("[]", "not a JSON object"),
            ('{"version": 2}', "too old"),
            ('{"version": 9}', "newer"),
        ],
    )
    def test_what_is_no_deployment_is_refused(self, stack: Run, text: str, said: str) -> None:
        result = stack("stack", "import", stdin=text)
        assert result.code == 1
        assert said in result.err

    def test_a_deployment_of_another_stack_is_refused_unless_forced(self, stack: Run) -> None:
        resource = {"urn": "urn:pulumi:other::proj::t:m:R::a", "custom": False, "type": "t:m:R"}
        text = json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": [resource]}})
        assert "is not of stack 'dev'" in stack("stack", "import", stdin=text).err
        assert stack("stack", "import", "--force", stdin=text).code == 0

    def test_other_unknown_keys_survive_an_import(self, stack: Run) -> None:
        resource: dict[str, Any] = {"urn": ROOT, "custom": False, "type": "pulumi:pulumi:Stack", "someday": 1}
        text = json.dumps({"version": 3, "deployment": {"manifest": {"time": "t"}, "resources": [resource]}})
        assert stack("stack", "import", stdin=text).code == 0
        assert stack("stack", "export").json()["deployment"]["resources"] == [resource]


class TestState:
    def test_delete_rename_protect_and_taint(self, cli_stack: Run) -> None:
        assert cli_stack("state", "delete", R, "--yes").code == 1
        assert cli_stack("state", "rename", R2, "r3", "--yes").out == "Resource renamed\n"
        renamed = R2.replace("::r2", "::r3")
        assert cli_stack("state", "protect", renamed, "--yes").code == 0
        assert "--force" in cli_stack("state", "delete", renamed, "--yes").err
        assert cli_stack("state", "unprotect", "--all", "--yes").code == 0
        assert cli_stack("state", "taint", renamed, "--yes").code == 0
        assert cli_stack("stack", "export").json()["version"] == 4
        assert cli_stack("state", "untaint", "--all", "--yes").code == 0
        assert cli_stack("state", "rm", renamed, "--yes").out == "Resource deleted\n"
        assert len(cli_stack("stack", "export").json()["deployment"]["resources"]) == 4

    def test_a_rename_needs_no_passphrase(self, cli_stack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
        assert cli_stack("state", "rename", R2, "r3", "--yes").code == 0

    def test_repair_sorts_and_prunes(self, cli_stack: Run, project: Path) -> None:
        assert "already valid" in cli_stack("state", "repair", "--yes").out
        data = json.loads(DATA.read_text())
        data["checkpoint"]["latest"]["resources"].reverse()
        path = project.parent / "backend/.pulumi/stacks/proj/dev.json"
        path.write_text(json.dumps(data))
        assert cli_stack("state", "repair", "--yes").code == 0
        assert "already valid" in cli_stack("state", "repair", "--yes").out

    def test_get_masks_secrets(self, cli_stack: Run) -> None:
        assert cli_stack("state", "get", R).json()["inputs"]["a"] == "[secret]"
        shown = cli_stack("state", "get", R, "--show-secrets").json()["inputs"]["a"]
        assert shown == {SIG: SECRET_SIG, "plaintext": '"s3cret"'}

    def test_an_edit_asks_first(self, cli_stack: Run) -> None:
        assert cli_stack("state", "rename", R2, "r3").code == 1


class TestCancel:
    def lock(self, project: Path, pid: int, **extra: str) -> Path:
        path = project.parent / "backend/.pulumi/locks/organization/proj/dev/x.json"
        path.parent.mkdir(parents=True)
        content = {"pid": pid, "username": "a", "hostname": socket.gethostname(), "timestamp": "2026-01-02T03:04:05Z"}
        path.write_text(json.dumps({**content, **extra}))
        return path

    def test_a_dead_updates_lock_is_removed_after_its_journal_is_folded(self, stack: Run, project: Path) -> None:
        process = subprocess.Popen([sys.executable, "-c", "pass"])
        process.wait()
        path = self.lock(project, process.pid)
        refused = stack("state", "repair", "--yes")
        assert refused.code == 0  # a state that needs no repair is not changed, so no lock is taken
        refused = stack("state", "taint", ROOT, "--yes")
        assert refused.code == 1
        assert "the stack is currently locked by 1 lock(s)" in refused.err
        assert "no longer running" in refused.err
        assert stack("cancel", "--yes").code == 0
        assert not path.exists()

    @pytest.fixture
    def living(self) -> Iterator[subprocess.Popen[str]]:
        program = (
            "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); "
            "print('up', flush=True); signal.pause()"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
            process.kill()

    def test_a_living_update_is_asked_to_stop_and_waited_for(
        self, stack: Run, project: Path, living: subprocess.Popen[str]
    ) -> None:
        start = Path(f"/proc/{living.pid}/stat").read_text().rpartition(")")[2].split()[19]
        path = self.lock(project, living.pid, processStart=start)
        reaper = threading.Thread(target=living.wait)
        reaper.start()
        result = stack("cancel", "--yes")
        reaper.join(10)
        assert result.code == 0
        assert f"Asking the running update (pid {living.pid}) to stop" in result.out
        assert living.returncode == 0
        assert not path.exists()

    def test_a_process_that_may_be_another_is_left_alone(
        self, stack: Run, project: Path, living: subprocess.Popen[str]
    ) -> None:
        path = self.lock(project, living.pid)
        assert stack("cancel", "--yes").code == 0
        assert living.poll() is None
        assert not path.exists()

    def test_nothing_to_cancel_is_said(self, stack: Run) -> None:
        assert "nothing to cancel" in stack("cancel", "--yes").out


def test_tags_are_kept_in_the_clis_file(stack: Run, project: Path) -> None:
    stack("stack", "tag", "set", "a", "1")
    stack("stack", "tag", "set", "b", "2")
    assert stack("stack", "tag", "ls", "--json").json() == {"a": "1", "b": "2"}
    stack("stack", "tag", "rm", "a")
    path = project.parent / "backend/.pulumi/stacks/proj/dev.pulumi-tags"
    assert json.loads(path.read_text()) == {"version": 1, "tags": {"b": "2"}}
    stack("stack", "tag", "rm", "b")
    assert not path.exists()
    assert "not found" in stack("stack", "tag", "get", "b").err


def test_the_package_is_run_as_a_module() -> None:
    engine = Path(__file__).parents[3] / "engine"
    done = subprocess.run(
        [sys.executable, "-m", "pulumi_embedded", "version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(engine), "PATH": os.environ["PATH"]},
    )
    assert done.stdout == "v3.259.0\n"
    assert main(["version"]) == 0
