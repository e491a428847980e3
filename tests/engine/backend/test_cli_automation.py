"""The official Automation API drives the engine and cannot tell it from the CLI."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation as auto

from .conftest import ENGINE, Project


@pytest.fixture
def command(tmp_path: Path) -> auto.PulumiCommand:
    """The engine where the Automation API looks for a CLI."""
    import sys

    path = tmp_path / "engine" / "bin" / "pulumi"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ENGINE}" exec "{sys.executable}" -m pulumi_embedded "$@"\n')
    path.chmod(0o755)
    return auto.PulumiCommand(root=str(tmp_path / "engine"))


def options(project: Project, command: auto.PulumiCommand, **extra: Any) -> auto.LocalWorkspaceOptions:
    chosen = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", "PROBE_FOLDER")
    environment = {name: project.environment[name] for name in chosen}
    return auto.LocalWorkspaceOptions(pulumi_command=command, env_vars=environment, **extra)


def kinds(events: list[auto.EngineEvent]) -> set[str]:
    return {
        name
        for event in events
        for name, value in vars(event).items()
        if value is not None and name not in ("sequence", "timestamp")
    }


def test_a_local_program_from_config_to_removal(live_project: Project, command: auto.PulumiCommand) -> None:
    live_project.write(
        'config = pulumi.Config()\nthing = Thing("a", value=config.require("value"))\n'
        'pulumi.export("value", thing.value)\npulumi.export("word", config.require_secret("word"))\n'
    )
    stack = auto.create_or_select_stack("dev", work_dir=str(live_project.folder), opts=options(live_project, command))
    stack.set_all_config({"value": auto.ConfigValue("one"), "deep.er": auto.ConfigValue("2")}, path=True)
    stack.set_config("word", auto.ConfigValue("hush", secret=True))
    assert stack.get_config("word").value == "hush"
    assert stack.get_all_config()["proj:deep"].value == '{"er":2}'
    events: list[auto.EngineEvent] = []
    preview = stack.preview(on_event=events.append)
    assert preview.change_summary == {"create": 2}
    assert {"prelude_event", "resource_pre_event", "summary_event", "cancel_event"} <= kinds(events)
    events.clear()
    printed: list[str] = []
    result = stack.up(on_event=events.append, on_output=printed.append, message="first")
    assert result.summary.result == "succeeded"
    assert result.summary.message == "first"
    assert result.summary.resource_changes == {"create": 2}
    assert result.summary.config["proj:word"].secret
    assert (result.outputs["value"].value, result.outputs["word"].value) == ("one", "hush")
    assert result.outputs["word"].secret
    assert not result.outputs["value"].secret
    assert "res_outputs_event" in kinds(events)
    assert "Updating (dev):" in printed
    assert stack.preview(expect_no_changes=True).change_summary == {"same": 2}
    assert stack.refresh().summary.kind == "refresh"
    assert [update.kind for update in stack.history()] == ["refresh", "update"]
    assert stack.preview_destroy().change_summary == {"delete": 2}
    exported = stack.export_stack()
    assert exported.version == 3
    stack.import_stack(exported)
    stack.set_tag("owner", "me")
    assert stack.list_tags() == {"owner": "me"}
    stack.remove_config("deep")
    stack.refresh_config()
    assert "proj:deep" in stack.get_all_config()
    with pytest.raises(auto.CommandError, match="does not support update plans"):
        stack.up(plan="plan.json")
    with pytest.raises(auto.CommandError, match="Pulumi CLI"):
        stack.add_environments("prod")
    assert stack.rename("prod").summary is not None
    assert stack.destroy(remove=True).summary.result == "succeeded"
    assert stack.workspace.list_stacks() == []
    assert live_project.lines("gone") == ["a"]


def test_errors_are_those_that_the_sdk_knows(live_project: Project, command: auto.PulumiCommand) -> None:
    opts = options(live_project, command)
    folder = str(live_project.folder)
    with pytest.raises(auto.StackNotFoundError):
        auto.select_stack("nope", work_dir=folder, opts=opts)
    with pytest.raises(auto.StackAlreadyExistsError):
        auto.create_stack("dev", work_dir=folder, opts=opts)
    stack = auto.select_stack("dev", work_dir=folder, opts=opts)
    live_project.write('raise ValueError("boom")\n')
    with pytest.raises(auto.errors.RuntimeError, match="boom"):
        stack.up()
    live_project.write('Thing("a")\n')
    (live_project.probe / "gate-a").touch()
    thread = threading.Thread(target=stack.up)
    thread.start()
    live_project.await_file("at-a")
    try:
        with pytest.raises(auto.ConcurrentUpdateError):
            stack.up()
    finally:
        (live_project.probe / "gate-a").unlink()
        thread.join(60)


def test_inline_programs_of_two_stacks_run_side_by_side(live_project: Project, command: auto.PulumiCommand) -> None:
    def program() -> None:
        pulumi.export("stack", pulumi.get_stack())
        pulumi.export("word", pulumi.Config().require("word"))

    results: dict[str, auto.UpResult] = {}

    def run(name: str) -> None:
        opts = options(live_project, command, work_dir=str(live_project.folder))
        stack = auto.create_or_select_stack(name, project_name="proj", program=program, opts=opts)
        stack.set_config("word", auto.ConfigValue(f"word of {name}"))
        results[name] = stack.up()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name in ("one", "two"):
        assert results[name].outputs["stack"].value == name
        assert results[name].outputs["word"].value == f"word of {name}"
