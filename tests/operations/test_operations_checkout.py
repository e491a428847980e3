"""Where the state folder is, for whom, and that others may pass through it but not look around."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from operations.checkout import State, state_folder
from operations.errors import OperationError

ROOT = Path("/src/rail yard")
NAME = f"rail yard-{hashlib.sha256(b'/src/rail yard').hexdigest()[:8]}"


def test_a_folder_that_is_named_wins() -> None:
    assert state_folder(ROOT, {"RAILYARD_STATE": "/a b"}, as_root=True) == Path("/a b")


def test_a_relative_one_is_made_absolute() -> None:
    assert state_folder(ROOT, {"RAILYARD_STATE": "here"}, as_root=False) == Path.cwd() / "here"


def test_root_keeps_it_with_the_machines_state() -> None:
    assert state_folder(ROOT, {}, as_root=True) == Path("/var/lib/railyard") / NAME


def test_an_ordinary_user_keeps_it_with_their_own() -> None:
    assert state_folder(ROOT, {"XDG_STATE_HOME": "/x"}, as_root=False) == Path("/x/railyard") / NAME
    assert state_folder(ROOT, {}, as_root=False) == Path("~/.local/state/railyard").expanduser() / NAME


def test_two_checkouts_never_share_one() -> None:
    assert state_folder(Path("/a/railyard"), {}, as_root=True) != state_folder(Path("/b/railyard"), {}, as_root=True)


def test_others_may_pass_through_but_not_look_around(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.make()
    assert state.folder.stat().st_mode & 0o777 == 0o711
    assert state.pulumi_home.stat().st_mode & 0o777 == 0o700


def test_a_backend_address_may_hold_spaces_and_percents() -> None:
    assert State(Path("/a b/100%")).backend_url == "file:///a%20b/100%25"


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="set RAILYARD_STATE"):
        State(tmp_path / "file" / "state").make()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_foreign_state_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o555)
    with pytest.raises(OperationError, match=r"cannot be (written|made)"):
        State(tmp_path / "s").make()
