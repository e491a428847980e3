"""Files of the backend: where they are, that they are whole, and that damage is kept aside."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from pulumi_embedded.backend import files
from pulumi_embedded.backend.history import UpdateRecord, add_backup, add_update, read_updates, rename_history
from pulumi_embedded.backend.layout import Layout, StackName, format_time, parse_stack_name
from pulumi_embedded.backend.location import Location, parse_url
from pulumi_embedded.errors import EngineError, StackNotFoundError, StateError, UnsupportedError, UsageError
from pulumi_embedded.state.deployment import Deployment

STACK = StackName("proj", "dev")


def deployment(*names: str) -> Deployment:
    resources = [{"urn": f"urn:pulumi:dev::proj::t:m:R::{name}", "custom": False, "type": "t:m:R"} for name in names]
    return Deployment(manifest={"time": "2026-01-01T00:00:00Z"}, resources=resources)


class TestCheckpoints:
    def test_a_stack_stands_where_the_cli_looks_for_it(self, layout: Layout) -> None:
        layout.write(STACK, deployment("a"))
        path = layout.location.folder / ".pulumi/stacks/proj/dev.json"
        data = json.loads(path.read_text())
        assert data["version"] == 3
        assert data["checkpoint"]["stack"] == "organization/proj/dev"
        assert (layout.root / "meta.yaml").read_text() == "version: 1\n"

    def test_the_digest_is_that_of_the_file(self, layout: Layout) -> None:
        digest = layout.write(STACK, deployment("a"))
        checkpoint = layout.read(STACK)
        assert checkpoint.digest == digest == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()

    def test_the_checkpoint_before_is_kept_as_bak(self, layout: Layout) -> None:
        layout.write(STACK, deployment("a"))
        before = layout.checkpoint_path(STACK).read_bytes()
        layout.write(STACK, deployment("b"))
        assert Path(f"{layout.checkpoint_path(STACK)}.bak").read_bytes() == before

    def test_a_compressed_checkpoint_is_read_and_gives_way_to_a_plain_one(self, layout: Layout) -> None:
        packed = layout.root / "stacks/proj/dev.json.gz"
        packed.parent.mkdir(parents=True)
        packed.write_bytes(gzip.compress(layout.encode(STACK, deployment("a"))))
        read = layout.read(STACK).deployment
        assert read is not None
        assert len(read.resources) == 1
        layout.write(STACK, deployment("a", "b"))
        assert not packed.exists()
        assert layout.stacks() == [STACK]

    def test_of_two_forms_the_newer_counts(self, layout: Layout) -> None:
        layout.write(STACK, deployment("a"))
        packed = layout.root / "stacks/proj/dev.json.gz"
        packed.write_bytes(gzip.compress(layout.encode(STACK, deployment("a", "b"))))
        os.utime(packed, (2_000_000_000, 2_000_000_000))
        assert layout.checkpoint_path(STACK) == packed

    def test_zstandard_is_refused_by_one_sentence_where_python_has_no_decoder(self, layout: Layout) -> None:
        path = layout.root / "stacks/proj/dev.json.zst"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 20)
        with pytest.raises((UnsupportedError, StateError), match="zstandard"):
            layout.read(STACK)

    def test_a_gzip_bomb_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb"
        path.write_bytes(gzip.compress(b"0" * 1_000_000))
        with pytest.raises(StateError, match="larger than"):
            files.read_limited(path, 10_000)

    def test_a_missing_stack_is_not_found(self, layout: Layout) -> None:
        with pytest.raises(StackNotFoundError, match="no stack named 'dev' found"):
            layout.read(STACK)


class TestDamage:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b'{"version":3}', b'{"version":9,"checkpoint":{"latest":{"a":1}}}']
    )
    def test_a_damaged_state_is_copied_aside_and_left_as_it_is(self, layout: Layout, content: bytes) -> None:
        layout.write(STACK, deployment("a"))
        path = layout.checkpoint_path(STACK)
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(StateError, match="damaged") as caught:
                layout.read(STACK)
            assert "\n" not in str(caught.value)
        assert path.read_bytes() == content
        copies = list(path.parent.glob("dev.json.corrupt-*"))
        assert [copy.read_bytes() for copy in copies] == [content]

    def test_the_last_backup_is_named(self, layout: Layout) -> None:
        layout.write(STACK, deployment("a"))
        add_backup(layout, STACK)
        layout.checkpoint_path(STACK).write_bytes(b"{")
        with pytest.raises(StateError, match=r"stack import .*backups/proj/dev/dev\.\d+\.json"):
            layout.read(STACK)

    def test_a_write_that_fails_leaves_the_old_content(self, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
        layout.write(STACK, deployment("a"))
        before = layout.checkpoint_path(STACK).read_bytes()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(EngineError, match="no space left on device"):
            layout.write(STACK, deployment("a", "b"))
        assert layout.checkpoint_path(STACK).read_bytes() == before
        assert not list(layout.root.rglob("*.tmp"))


class TestLayouts:
    def test_the_layout_before_projects_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        old = tmp_path / ".pulumi/stacks/dev.json"
        old.parent.mkdir(parents=True)
        old.write_text("{}")
        with pytest.raises(EngineError, match="run `pulumi state upgrade` once"):
            Layout(Location("file://x", tmp_path), lambda: 0)

    @pytest.mark.parametrize("meta", ["", "version: x", "version: 2"])
    def test_another_version_is_refused(self, tmp_path: Path, meta: str) -> None:
        (tmp_path / ".pulumi").mkdir()
        (tmp_path / ".pulumi/meta.yaml").write_text(meta)
        with pytest.raises((UnsupportedError, StateError)):
            Layout(Location("file://x", tmp_path), lambda: 0)

    def test_files_beside_the_stacks_are_no_stacks(self, layout: Layout) -> None:
        layout.write(STACK, deployment())
        folder = layout.root / "stacks/proj"
        for name in ("dev.json.attrs", "dev.pulumi-tags", "other.json.bak", "odd name.json", ".hidden.tmp"):
            (folder / name).write_text("")
        assert layout.stacks() == [STACK]


class TestNames:
    @pytest.mark.parametrize("text", ["dev", "organization/dev", "organization/proj/dev"])
    def test_the_three_forms(self, text: str) -> None:
        assert parse_stack_name(text, "proj") == STACK

    @pytest.mark.parametrize("text", ["", "a b", "acme/dev", "organization/p/q/dev", "../dev", "x" * 101])
    def test_other_forms_are_refused(self, text: str) -> None:
        with pytest.raises(UsageError):
            parse_stack_name(text, "proj")

    def test_a_bare_name_needs_a_project(self) -> None:
        with pytest.raises(UsageError, match=r"no Pulumi.yaml"):
            parse_stack_name("dev", None)

    def test_the_home_and_relative_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert parse_url("file://~/x", Path("/w")).folder == tmp_path / "x"
        assert parse_url("file://./x", Path("/w")).folder == Path("/w/x")
        assert parse_url("file:///a%20b", Path("/w")).folder == Path("/a b")

    def test_other_backends_are_refused_without_their_password(self) -> None:
        with pytest.raises(UnsupportedError) as caught:
            parse_url("postgres://me:hunter2@db/x", Path("/w"))
        assert "hunter2" not in str(caught.value)


class TestHistory:
    def record(self, kind: str) -> UpdateRecord:
        return UpdateRecord(kind=kind, start_time=1, end_time=2, result="succeeded", resource_changes={"create": 1})

    def test_updates_come_back_newest_first_in_pages(self, layout: Layout) -> None:
        layout.write(STACK, deployment())
        for kind in ("update", "refresh", "destroy"):
            add_update(layout, STACK, self.record(kind))
        assert [record.kind for record in read_updates(layout, STACK)] == ["destroy", "refresh", "update"]
        assert [record.kind for record in read_updates(layout, STACK, 1, 2)] == ["refresh"]

    def test_each_update_has_its_checkpoint_beside_it(self, layout: Layout) -> None:
        layout.write(STACK, deployment("a"))
        add_update(layout, STACK, self.record("update"))
        layout.write(STACK, deployment("b"))
        kept = list((layout.root / "history/proj/dev").glob("dev-*.checkpoint.json"))
        assert len(kept) == 1
        assert "::a" in kept[0].read_text()

    def test_ten_backups_are_kept(self, layout: Layout) -> None:
        for number in range(13):
            layout.write(STACK, deployment(str(number)))
            add_backup(layout, STACK)
        kept = sorted((layout.root / "backups/proj/dev").iterdir())
        assert len(kept) == 10
        assert "::12" in kept[-1].read_text()
        assert "::3" in kept[0].read_text()

    def test_history_moves_with_a_renamed_stack(self, layout: Layout) -> None:
        layout.write(STACK, deployment())
        add_update(layout, STACK, self.record("update"))
        rename_history(layout, STACK, StackName("proj", "prod"))
        assert len(read_updates(layout, StackName("proj", "prod"))) == 1
        assert not (layout.root / "history/proj/dev").exists()

    def test_a_damaged_history_file_is_named(self, layout: Layout) -> None:
        folder = layout.root / "history/proj/dev"
        folder.mkdir(parents=True)
        (folder / "dev-1.history.json").write_text("{}")
        with pytest.raises(StateError, match=r"dev-1.history.json"):
            read_updates(layout, STACK)


def test_times_are_written_as_go_writes_them() -> None:
    assert format_time(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    assert format_time(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"
