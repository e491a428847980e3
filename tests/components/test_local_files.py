"""Files of the stack: written whole, seen when they were changed, gone when deleted."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from components.local.durable_file import last_line, write_durably
from components.local.errors import LocalPlatformError
from components.local.folder import MARK, FolderProvider
from components.local.locks import exclusively
from components.local.secret_file import SecretFileProvider
from components.local.seed_file import SeedFileProvider
from components.local.text_file import TextFileProvider


def text_inputs(path: Path, content: str = "one") -> dict[str, str]:
    return {"path": str(path), "content": content, "mode": "0644"}


class TestTextFile:
    def test_an_edit_by_hand_is_seen_and_written_back(self, tmp_path: Path) -> None:
        provider, path = TextFileProvider(), tmp_path / "deep" / "file"
        identifier, outputs = provider.make(text_inputs(path))
        path.write_text("edited")
        found = provider.observe(identifier, outputs)
        assert found is not None
        assert provider.diff(identifier, found, outputs).changes is True
        provider.change(identifier, found, outputs)
        assert path.read_text() == "one"

    def test_a_loosened_mode_is_seen(self, tmp_path: Path) -> None:
        provider, path = TextFileProvider(), tmp_path / "file"
        identifier, outputs = provider.make(text_inputs(path))
        path.chmod(0o666)
        assert (provider.observe(identifier, outputs) or {})["mode"] == "0666"

    def test_a_removed_file_is_gone_for_the_engine(self, tmp_path: Path) -> None:
        provider, path = TextFileProvider(), tmp_path / "file"
        identifier, outputs = provider.make(text_inputs(path))
        path.unlink()
        assert provider.read(identifier, outputs).id == ""

    def test_deleting_twice_succeeds(self, tmp_path: Path) -> None:
        provider = TextFileProvider()
        identifier, outputs = provider.make(text_inputs(tmp_path / "file"))
        provider.remove(identifier, outputs)
        provider.remove(identifier, outputs)
        assert list(tmp_path.iterdir()) == []


class TestSecretFile:
    def test_only_its_owner_can_read_it_or_list_its_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "secrets" / "web" / "JWT_SECRET"
        SecretFileProvider().make({"path": str(path), "content": "s", "mode": "0600"})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_it_returns_nothing_but_its_inputs(self, tmp_path: Path) -> None:
        inputs = {"path": str(tmp_path / "X"), "content": "planted", "mode": "0600"}
        assert SecretFileProvider().make(inputs)[1] == inputs


class TestSeedFile:
    def test_what_its_owner_wrote_is_never_overwritten(self, tmp_path: Path) -> None:
        provider, path = SeedFileProvider(), tmp_path / "weights.json"
        first = {"path": str(path), "content": "100/0"}
        identifier, outputs = provider.make(first)
        path.write_text("60/40")
        second = {**first, "content": "other"}
        assert provider.diff(identifier, provider.observe(identifier, outputs) or {}, second).changes is False
        provider.make(second)
        assert path.read_text() == "60/40"


class TestDurableWriting:
    def test_a_reader_never_sees_half_a_file_and_no_scrap_is_left(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_durably(path, "old", 0o600)
        before = path.stat().st_ino
        write_durably(path, "new", 0o600)
        assert path.stat().st_ino != before
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]

    def test_the_scrap_of_a_kill_is_no_obstacle(self, tmp_path: Path) -> None:
        (tmp_path / ".file.unfinished").write_text("half")
        write_durably(tmp_path / "file", "whole", 0o600)
        assert (tmp_path / "file").read_text() == "whole"

    def test_a_symbolic_link_is_replaced_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text("theirs")
        (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
        write_durably(tmp_path / "file", "ours", 0o600)
        assert (tmp_path / "elsewhere").read_text() == "theirs"


class TestLastLine:
    def test_the_line_that_names_the_error_goes_before_the_last(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("LOG:  starting\nFATAL:  no such parameter\nLOG:  database system is shut down\n\n")
        assert last_line(log) == "FATAL:  no such parameter … LOG:  database system is shut down"

    def test_what_an_earlier_start_said_is_left_out(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("FATAL:  long ago\n")
        assert last_line(log, since_byte=log.stat().st_size) == ""


class TestFolder:
    def test_it_and_what_is_in_it_is_removed(self, tmp_path: Path) -> None:
        provider, path = FolderProvider(), tmp_path / "state" / "local"
        identifier, outputs = provider.make({"path": str(path)})
        (path / "logs").mkdir()
        (path / "logs" / "a.log").write_text("x")
        provider.remove(identifier, outputs)
        assert not path.exists()
        provider.remove(identifier, outputs)

    def test_a_folder_that_railyard_did_not_make_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("x")
        with pytest.raises(LocalPlatformError, match=f"was not made by Railyard .*{MARK}"):
            FolderProvider().remove("x", {"path": str(tmp_path)})
        assert (tmp_path / "thesis.txt").exists()

    def test_a_path_that_supervisord_cannot_quote_is_refused_before_anything_is_made(self) -> None:
        failures = FolderProvider().check({}, {"path": "/tmp/a #b/local"}).failures
        assert ["RAILYARD_STATE" in failure.reason for failure in failures] == [True]


class TestLocks:
    def test_the_second_waits_for_the_first_and_then_says_so(self, tmp_path: Path) -> None:
        with (
            exclusively(tmp_path, "redis"),
            pytest.raises(LocalPlatformError, match="An interrupted update has worked on redis"),
            exclusively(tmp_path, "redis", wait_seconds=0.1),
        ):
            pass

    def test_another_name_is_another_lock_and_it_is_free_afterwards(self, tmp_path: Path) -> None:
        with exclusively(tmp_path, "redis"), exclusively(tmp_path, "postgres", wait_seconds=0.1):
            pass
        with exclusively(tmp_path, "redis", wait_seconds=0.1):
            pass

    def test_a_child_that_outlives_its_parent_keeps_the_lock(self, tmp_path: Path) -> None:
        with exclusively(tmp_path, "migrate") as lock:
            child = subprocess.Popen(["/bin/sleep", "600"], pass_fds=lock)
        try:
            with (
                pytest.raises(LocalPlatformError, match="An interrupted update"),
                exclusively(tmp_path, "migrate", wait_seconds=0.1),
            ):
                pass
        finally:
            child.kill()
            child.wait()
        with exclusively(tmp_path, "migrate", wait_seconds=0.1):
            pass

    def test_a_stack_that_is_gone_is_not_made_again_by_locking(self, tmp_path: Path) -> None:
        with exclusively(tmp_path / "gone", "redis"):
            pass
        assert not (tmp_path / "gone").exists()
