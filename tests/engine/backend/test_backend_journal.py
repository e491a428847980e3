"""The journal loses nothing that was acknowledged, and tells whose it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pulumi_embedded.backend.journal import JournalError, JournalWriter, mark_finished, read_journal
from pulumi_embedded.backend.layout import Layout, StackName
from pulumi_embedded.backend.recovery import fold_to_disk, read_current
from pulumi_embedded.errors import EngineError, StateError
from pulumi_embedded.state.deployment import Deployment
from pulumi_embedded.state.sealing import SECRET_SIG, SIG, Sealer

STACK = StackName("proj", "dev")


class Crypter:
    state = "v1:a:b"

    def encrypt(self, plaintext: str) -> str:
        return "sealed:" + plaintext.encode().hex()

    def decrypt(self, ciphertext: str) -> str:
        return bytes.fromhex(ciphertext.removeprefix("sealed:")).decode()


def thing(name: str, **extra: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::proj::test:index:Thing::{name}"
    return {"urn": urn, "custom": True, "id": name, "type": "test:index:Thing", **extra}


def created(number: int, name: str, **extra: Any) -> list[dict[str, Any]]:
    """Return the entries of a creation, as the deployment engine writes them."""
    return [
        {"kind": "begin", "id": number, "operation": "creating", "resource": thing(name)},
        {"kind": "end", "id": number, "state": thing(name, **extra)},
    ]


@pytest.fixture
def journal(layout: Layout) -> JournalWriter:
    digest = layout.write(STACK, Deployment(manifest={"time": "t"}, resources=[thing("base")]))
    return JournalWriter(layout.journal_path(STACK), Sealer(Crypter()), digest, {"update": "up"})


class TestWriting:
    def test_entries_come_back_in_order(self, layout: Layout, journal: JournalWriter) -> None:
        journal.append({"kind": "a", "n": 1})
        journal.append_many([{"kind": "b"}, {"kind": "c"}])
        read = read_journal(layout.journal_path(STACK))
        assert read is not None
        assert [entry["kind"] for entry in read.entries] == ["a", "b", "c"]
        assert read.head["update"] == "up"

    def test_secrets_are_sealed_wherever_they_stand(self, layout: Layout, journal: JournalWriter) -> None:
        secret = {SIG: SECRET_SIG, "value": "PLANTED"}
        journal.append({"kind": "end", "state": thing("a", inputs={"x": secret}), "other": [secret]})
        assert b"PLANTED" not in layout.journal_path(STACK).read_bytes()
        assert b"504c414e544544" in layout.journal_path(STACK).read_bytes()

    def test_an_entry_is_on_disk_when_append_returns(self, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        real_write, real_sync = os.write, os.fdatasync
        digest = layout.write(STACK, Deployment())
        writer = JournalWriter(layout.journal_path(STACK), Sealer(None), digest, {})

        def write(descriptor: int, data: bytes) -> int:
            calls.append("write")
            return real_write(descriptor, data)

        def sync(descriptor: int) -> None:
            calls.append("sync")
            real_sync(descriptor)

        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "fdatasync", sync)
        writer.append({"kind": "a"})
        assert calls == ["write", "sync"]

    def test_a_full_disk_is_an_error_of_ours(self, journal: JournalWriter, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_descriptor: int, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(EngineError, match="no space left on device"):
            journal.append({"kind": "a"})

    def test_what_could_not_be_read_again_is_refused_and_what_came_before_is_kept(
        self, layout: Layout, journal: JournalWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pulumi_embedded.backend.journal.MAX_STATE_BYTES", 10_000)
        journal.append_many(created(1, "a"))
        with pytest.raises(EngineError, match="keep large contents in files"):
            journal.append_many(created(2, "b", outputs={"big": "x" * 10_000}))
        journal.close()
        assert {item["id"] for item in fold_to_disk(layout, STACK).deployment.resources} == {"base", "a"}

    def test_a_checkpoint_that_could_not_be_read_again_is_not_written(
        self, layout: Layout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layout.write(STACK, Deployment(resources=[thing("a")]))
        monkeypatch.setattr("pulumi_embedded.backend.layout.MAX_STATE_BYTES", 10_000)
        with pytest.raises(EngineError, match="keep large contents in files"):
            layout.write(STACK, Deployment(resources=[thing("b", outputs={"big": "x" * 10_000})]))
        read = layout.read(STACK).deployment
        assert read is not None
        assert [item["id"] for item in read.resources] == ["a"]

    def test_a_journal_is_never_begun_over_another(self, layout: Layout, journal: JournalWriter) -> None:
        with pytest.raises(EngineError, match="cannot be written"):
            JournalWriter(layout.journal_path(STACK), Sealer(None), "d", {})


class TestReading:
    def test_a_torn_last_line_is_dropped(self, layout: Layout, journal: JournalWriter) -> None:
        journal.append({"kind": "a"})
        journal.append({"kind": "b"})
        path = layout.journal_path(STACK)
        whole = path.read_bytes()
        start_of_b = whole.rindex(b"\n", 0, -1) + 1
        for length in range(start_of_b, len(whole) - 1):
            path.write_bytes(whole[:length])
            read = read_journal(path)
            assert read is not None
            assert [entry["kind"] for entry in read.entries] == ["a"]

    def test_a_journal_torn_in_its_first_line_says_nothing(self, layout: Layout, journal: JournalWriter) -> None:
        path = layout.journal_path(STACK)
        path.write_bytes(path.read_bytes()[:10])
        assert read_journal(path) is None
        assert fold_to_disk(layout, STACK).folded == 0
        assert not path.exists()

    def test_a_flipped_bit_in_the_middle_keeps_the_file_aside(self, layout: Layout, journal: JournalWriter) -> None:
        for entry in created(1, "a") + created(2, "b"):
            journal.append(entry)
        path = layout.journal_path(STACK)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(JournalError, match="damaged in the middle"):
            read_current(layout, STACK)
        assert path.read_bytes() == bytes(data), "only the holder of the lock moves it"
        with pytest.raises(StateError, match=r"kept aside as dev\.jsonl\.corrupt-1"):
            fold_to_disk(layout, STACK)
        assert not path.exists()
        assert path.with_name("dev.jsonl.corrupt-1").read_bytes() == bytes(data)


class TestFolding:
    def test_the_state_holds_what_was_created_and_what_was_under_way(
        self, layout: Layout, journal: JournalWriter
    ) -> None:
        journal.append({"kind": "same", "id": 9, "old": 0})
        for entry in created(1, "a"):
            journal.append(entry)
        journal.append(created(2, "b")[0])
        current = read_current(layout, STACK)
        assert [item["id"] for item in current.deployment.resources] == ["base", "a"]
        assert [item["type"] for item in current.deployment.pending_operations] == ["creating"]
        assert layout.journal_path(STACK).exists(), "reading writes nothing"

    def test_folding_to_disk_removes_the_journal_and_is_done_once(self, layout: Layout, journal: JournalWriter) -> None:
        for entry in created(1, "a"):
            journal.append(entry)
        assert fold_to_disk(layout, STACK).folded == 2
        assert not layout.journal_path(STACK).exists()
        assert fold_to_disk(layout, STACK).folded == 0
        read = layout.read(STACK).deployment
        assert read is not None
        assert {item["id"] for item in read.resources} == {"base", "a"}

    def test_folding_needs_no_passphrase(self, layout: Layout, journal: JournalWriter) -> None:
        for entry in created(1, "a", outputs={"s": {SIG: SECRET_SIG, "value": "x"}}):
            journal.append(entry)
        deployment = fold_to_disk(layout, STACK).deployment
        outputs = next(item for item in deployment.resources if item["id"] == "a")["outputs"]
        assert outputs["s"]["ciphertext"] == Crypter().encrypt('"x"')

    def test_a_journal_that_was_folded_before_its_removal_is_not_folded_again(
        self, layout: Layout, journal: JournalWriter
    ) -> None:
        for entry in created(1, "a"):
            journal.append(entry)
        path = layout.journal_path(STACK)
        kept = path.read_bytes()
        fold_to_disk(layout, STACK)
        path.write_bytes(kept)
        mark_finished(path, layout.read(STACK).digest)
        assert read_current(layout, STACK).folded == 0
        assert fold_to_disk(layout, STACK).folded == 0
        assert not path.exists()

    def test_a_journal_of_another_state_is_set_aside_and_said_once(
        self, layout: Layout, journal: JournalWriter
    ) -> None:
        journal.append({"kind": "same", "id": 1, "old": 0})
        layout.write(STACK, Deployment(manifest={"time": "by somebody else"}))
        with pytest.raises(JournalError, match="belongs to another state"):
            read_current(layout, STACK)
        assert layout.journal_path(STACK).exists()
        with pytest.raises(StateError, match="kept aside"):
            fold_to_disk(layout, STACK)
        assert layout.journal_path(STACK).with_name("dev.jsonl.foreign-1").exists()
        assert read_current(layout, STACK).folded == 0

    def test_an_entry_of_another_version_of_the_engine_is_told(self, layout: Layout, journal: JournalWriter) -> None:
        journal.append({"kind": "of the future"})
        with pytest.raises(StateError, match="another version"):
            read_current(layout, STACK)


def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from pulumi_embedded.backend.journal import JournalWriter
        from pulumi_embedded.state.sealing import Sealer
        writer = JournalWriter(Path(sys.argv[1]), Sealer(None), "base", {})
        for number in range(100000):
            writer.append({"kind": "n", "n": number})
            print(number, flush=True)
        """
    )
    path = tmp_path / "journal"
    engine = Path(__file__).parents[3] / "engine"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(engine)}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 50:
                process.send_signal(signal.SIGKILL)
                break
        acknowledged = [int(line) for line in process.stdout.read().split()] or [50]
    read = read_journal(path)
    assert read is not None
    assert [entry["n"] for entry in read.entries][: acknowledged[-1] + 1] == list(range(acknowledged[-1] + 1))


def test_the_file_is_lines_of_checksum_and_json(layout: Layout, journal: JournalWriter) -> None:
    journal.append({"kind": "a", "text": "ü"})
    line = layout.journal_path(STACK).read_text().splitlines()[1]
    checksum, _, text = line.partition(" ")
    assert len(checksum) == 8
    assert json.loads(text)["entry"] == {"kind": "a", "text": "ü"}
