"""The emulated cluster without running it: what it is built of, what it keeps to itself, what it defines."""

from __future__ import annotations

import datetime
import json
import os
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from providers.kubernetes.emulated import __main__ as program
from providers.kubernetes.emulated.building import PROGRAMS, BuildError, build, cached, go_problem, missing
from providers.kubernetes.emulated.credentials import credentials
from providers.kubernetes.emulated.definitions import DEFINITIONS, NODES, definition, node
from providers.kubernetes.kinds import Kind

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)


def _go(folder: Path, version: str) -> str:
    fake = folder / "go"
    fake.write_text(f"#!/bin/sh\necho {version}\n")
    fake.chmod(0o755)
    return str(fake)


def test_an_old_go_and_none_are_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert go_problem(_go(tmp_path, "go1.26.1")) == ""
    assert "needs Go 1.26 or newer" in go_problem(_go(tmp_path, "go1.21.4"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "not on PATH: install Go 1.26" in go_problem()
    with pytest.raises(BuildError, match="not on PATH"):
        build(tmp_path)


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    folder = cached(tmp_path)
    folder.mkdir(parents=True)
    for name in (*PROGRAMS, "stages.yaml"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    assert missing(tmp_path) == []
    assert build(tmp_path) == folder
    (folder / "kwok").unlink()
    assert missing(tmp_path) == ["kwok"]


def test_credentials_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    made = credentials(tmp_path / "c", NOW)
    files = [made.key, made.account_key, made.token_file, made.certificate]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert len(set(made.tokens.values())) == len(made.tokens) == 4
    assert credentials(tmp_path / "c", NOW) == made
    before = made.certificate.read_bytes()
    credentials(tmp_path / "c", NOW + datetime.timedelta(days=364, hours=12))
    assert made.certificate.read_bytes() != before
    names = x509.load_pem_x509_certificate(before).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(name.value) for name in names.value} == {"localhost", "127.0.0.1"}


def test_nodes_are_in_three_zones_two_each() -> None:
    zones = [node(index)["metadata"]["labels"]["topology.kubernetes.io/zone"] for index in range(NODES)]
    assert {zones.count(zone) for zone in zones} == {2}
    assert len(set(zones)) == 3


def test_definitions_are_structural_and_approved_where_the_api_asks() -> None:
    for each in DEFINITIONS:
        made = definition(each)
        assert made["metadata"]["name"] == f"{each.plural}.{each.group}"
        schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert schema["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"] is True
        assert ("annotations" in made["metadata"]) == each.group.endswith("k8s.io")
        assert yaml.safe_load(yaml.safe_dump(made)) == made
    assert len({(it.group, it.kind) for it in DEFINITIONS}) == len(DEFINITIONS)
    assert Kind("v1", "Node").kind == node(0)["kind"]


def test_a_file_of_a_process_that_is_gone_owns_no_cluster(tmp_path: Path) -> None:
    assert program.owner(tmp_path) is None
    told = tmp_path / "cluster.json"
    # The number is a living process's, the start time is not.
    told.write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "server": "", "kubeconfig": ""}))
    assert program.owner(tmp_path) is None
    assert program.stop(tmp_path) is False
    told.write_text("{")
    assert program.owner(tmp_path) is None


def test_the_command_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["emulated", "check", "--cache", str(tmp_path)])
    assert program.main() == 1
    assert "install Go 1.26 or newer" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["emulated", "start", "--folder", str(tmp_path), "--cache", str(tmp_path)])
    assert program.main() == 1
    assert "install Go 1.26 or newer" in capsys.readouterr().err
