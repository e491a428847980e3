"""Every method and every option of the Automation API works under the engine, or is refused by naming the CLI.

The tables below are held against what the pinned SDK has, so a method that a new SDK adds fails here until it is
decided on. The calls run in the order of the tables, each on the stack that those before it left.
"""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation._stack import ImportResource

from tests.engine.conformance.conf_probe import Probe, serving

from .conftest import ENGINE, Project

REFUSED = "Pulumi CLI"


@dataclass
class Scene:
    """One stack with a program, and what calls before left behind."""

    project: Project
    stack: auto.Stack
    probe: Probe
    printed: list[str] = field(default_factory=list)
    events: list[auto.EngineEvent] = field(default_factory=list)
    exported: auto.Deployment | None = None

    @property
    def workspace(self) -> Any:
        """The stack's workspace."""
        return self.stack.workspace

    @property
    def urn(self) -> str:
        """The URN of the resource `a`."""
        return next(str(item["urn"]) for item in self.resources() if item.get("id") == "a")

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state."""
        deployment: Any = self.stack.export_stack().deployment
        return list(deployment["resources"])


@pytest.fixture
def scene(live_project: Project, tmp_path: Path) -> Iterator[Scene]:
    """A stack `dev` of a local program, driven by the official API."""
    path = tmp_path / "engine" / "bin" / "pulumi"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ENGINE}" exec "{sys.executable}" -m pulumi_embedded "$@"\n')
    path.chmod(0o755)
    live_project.write(
        'thing = Thing("a", value=pulumi.Config().get("value") or "v")\npulumi.export("v", thing.value)\n'
    )
    chosen = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", "PROBE_FOLDER")
    probe = Probe()
    with serving(probe) as port:
        environment = {name: live_project.environment[name] for name in chosen}
        options = auto.LocalWorkspaceOptions(
            pulumi_command=auto.PulumiCommand(root=str(tmp_path / "engine")),
            env_vars={**environment, "PULUMI_DEBUG_PROVIDERS": f"probe:{port}"},
        )
        stack = auto.create_or_select_stack("dev", work_dir=str(live_project.folder), opts=options)
        yield Scene(live_project, stack, probe)


def _export(scene: Scene) -> None:
    scene.exported = scene.stack.export_stack()
    assert scene.exported.version == 3


def _import(scene: Scene) -> None:
    assert scene.exported is not None
    scene.stack.import_stack(scene.exported)


def _import_resources(scene: Scene) -> None:
    scene.probe.cloud["found"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "there"}}
    wanted = ImportResource(type="probe:index:Thing", name="adopted", id="found")
    result = scene.stack.import_resources(resources=[wanted], generate_code=False, protect=False)
    assert result.summary.result == "succeeded"
    assert "found" in [item.get("id") for item in scene.resources()]
    with pytest.raises(auto.CommandError, match=REFUSED):
        scene.stack.import_resources(resources=[wanted], converter="terraform")


def _save_project(scene: Scene) -> None:
    settings = scene.workspace.project_settings()
    assert settings.name == "proj"
    settings.description = "said by the API"
    scene.workspace.save_project_settings(settings)
    assert scene.workspace.project_settings().description == "said by the API"


def _save_stack(scene: Scene) -> None:
    settings = scene.workspace.stack_settings("dev")
    scene.workspace.save_stack_settings("dev", settings)
    assert scene.workspace.stack_settings("dev").encryption_salt == settings.encryption_salt


def _created_and_removed(scene: Scene) -> None:
    scene.workspace.create_stack("second")
    assert {item.name for item in scene.workspace.list_stacks()} == {"dev", "second"}
    scene.workspace.remove_stack("second", force=True, preserve_config=False)
    assert {item.name for item in scene.workspace.list_stacks(include_all=True)} == {"dev"}
    scene.workspace.select_stack("dev")


def _up(scene: Scene) -> None:
    result = scene.stack.up(on_output=scene.printed.append, on_event=scene.events.append)
    assert result.outputs["v"].value == "two"
    assert scene.printed
    assert any(event.summary_event for event in scene.events)


def _destroyed(scene: Scene) -> None:
    assert scene.stack.destroy().summary.resource_changes == {"delete": 3}
    assert scene.probe.cloud == {}
    assert scene.project.lines("gone") == ["a"]


def _equal(expected: Any, call: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    def check(scene: Scene) -> None:
        assert call(scene) == expected

    return check


def _raises(kind: type[Exception], call: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    def check(scene: Scene) -> None:
        with pytest.raises(kind):
            call(scene)

    return check


def _refused(call: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    def check(scene: Scene) -> None:
        with pytest.raises(auto.CommandError, match=REFUSED) as caught:
            call(scene)
        assert "Traceback" not in str(caught.value)

    return check


Table = dict[str, Callable[[Scene], Any]]

STACK: Table = {
    "create": _raises(auto.StackAlreadyExistsError, lambda s: auto.Stack.create("dev", s.workspace)),
    "select": lambda s: auto.Stack.select("dev", s.workspace),
    "create_or_select": lambda s: auto.Stack.create_or_select("dev", s.workspace),
    "set_config": lambda s: s.stack.set_config("value", auto.ConfigValue("one")),
    "get_config": _equal("one", lambda s: s.stack.get_config("value").value),
    "set_all_config": lambda s: s.stack.set_all_config(
        {"word": auto.ConfigValue("hush", secret=True), "a.b": auto.ConfigValue("1")}, path=True
    ),
    "get_all_config": _equal("hush", lambda s: s.stack.get_all_config()["proj:word"].value),
    "set_all_config_json": lambda s: s.stack.set_all_config_json(
        json.dumps({"proj:value": {"value": "two", "secret": False}})
    ),
    "remove_config": lambda s: s.stack.remove_config("a.b", path=True),
    "remove_all_config": lambda s: s.stack.remove_all_config(["a", "word"]),
    "preview": _equal(2, lambda s: s.stack.preview().change_summary[auto.OpType.CREATE]),
    "up": _up,
    "outputs": _equal("two", lambda s: s.stack.outputs()["v"].value),
    "refresh_config": lambda s: s.stack.refresh_config(),
    "refresh": _equal("succeeded", lambda s: s.stack.refresh().summary.result),
    "preview_refresh": lambda s: s.stack.preview_refresh(),
    "preview_destroy": _equal(2, lambda s: s.stack.preview_destroy().change_summary[auto.OpType.DELETE]),
    "history": _equal(["refresh", "update"], lambda s: [item.kind for item in s.stack.history()]),
    "info": _equal("refresh", lambda s: s.stack.info().kind),  # type: ignore[union-attr]
    "set_tag": lambda s: s.stack.set_tag("owner", "me"),
    "get_tag": _equal("me", lambda s: s.stack.get_tag("owner").strip()),
    "list_tags": _equal({"owner": "me"}, lambda s: dict(s.stack.list_tags())),
    "remove_tag": lambda s: s.stack.remove_tag("owner"),
    "export_stack": _export,
    "import_stack": _import,
    "import_resources": _import_resources,
    "cancel": lambda s: s.stack.cancel(),
    "add_environments": _refused(lambda s: s.stack.add_environments("prod")),
    "list_environments": _refused(lambda s: s.stack.list_environments()),
    "remove_environment": _refused(lambda s: s.stack.remove_environment("prod")),
    "rename": lambda s: (s.stack.rename("new"), s.stack.rename("dev")),
    "destroy": _destroyed,
}

WORKSPACE: Table = {
    "pulumi_version": lambda s: s.workspace.pulumi_version,
    "project_settings": _save_project,
    "save_project_settings": _save_project,
    "stack_settings": _save_stack,
    "save_stack_settings": _save_stack,
    "post_command_callback": lambda s: s.workspace.post_command_callback("dev"),
    "serialize_args_for_op": _equal([], lambda s: s.workspace.serialize_args_for_op("dev")),
    "create_stack": _created_and_removed,
    "remove_stack": _created_and_removed,
    "list_stacks": _created_and_removed,
    "select_stack": _created_and_removed,
    "stack": _equal("dev", lambda s: s.workspace.stack().name),
    "who_am_i": lambda s: s.workspace.who_am_i().user,
    "set_config": lambda s: s.workspace.set_config("dev", "value", auto.ConfigValue("one")),
    "get_config": _equal("one", lambda s: s.workspace.get_config("dev", "value").value),
    "set_all_config": lambda s: s.workspace.set_all_config("dev", {"x": auto.ConfigValue("1")}),
    "get_all_config": _equal("1", lambda s: s.workspace.get_all_config("dev")["proj:x"].value),
    "set_all_config_json": lambda s: s.workspace.set_all_config_json("dev", '{"proj:y": {"value": "2"}}'),
    "remove_config": lambda s: s.workspace.remove_config("dev", "x"),
    "remove_all_config": lambda s: s.workspace.remove_all_config("dev", ["y"]),
    "refresh_config": _raises(auto.CommandError, lambda s: s.workspace.refresh_config("dev")),  # no update yet
    "set_tag": lambda s: s.workspace.set_tag("dev", "owner", "me"),
    "get_tag": _equal("me", lambda s: s.workspace.get_tag("dev", "owner").strip()),
    "list_tags": _equal({"owner": "me"}, lambda s: dict(s.workspace.list_tags("dev"))),
    "remove_tag": lambda s: s.workspace.remove_tag("dev", "owner"),
    "export_stack": lambda s: s.workspace.export_stack("dev"),
    "import_stack": lambda s: s.workspace.import_stack("dev", s.workspace.export_stack("dev")),
    "stack_outputs": _equal({}, lambda s: dict(s.workspace.stack_outputs("dev"))),
    "list_plugins": lambda s: [plugin.name for plugin in s.workspace.list_plugins()],
    "install": lambda s: s.workspace.install(),
    "remove_plugin": lambda s: s.workspace.remove_plugin(),
    "install_plugin": _refused(lambda s: s.workspace.install_plugin("nowhere", "v1.0.0")),
    "install_plugin_from_server": _refused(
        lambda s: s.workspace.install_plugin_from_server("nowhere", "v1.0.0", "https://127.0.0.1:1")
    ),
    "add_environments": _refused(lambda s: s.workspace.add_environments("dev", "prod")),
    "list_environments": _refused(lambda s: s.workspace.list_environments("dev")),
    "remove_environment": _refused(lambda s: s.workspace.remove_environment("dev", "prod")),
    "new": _refused(lambda s: s.workspace.new("python")),
    "org_get_default": _refused(lambda s: s.workspace.org_get_default()),
    "org_set_default": _refused(lambda s: s.workspace.org_set_default("acme")),
}


def public(kind: type) -> set[str]:
    """Return what people call on objects of a class."""
    return {
        name
        for name, member in inspect.getmembers(kind)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


@pytest.mark.parametrize(("kind", "table"), [(auto.Stack, STACK), (auto.LocalWorkspace, WORKSPACE)])
def test_every_method_is_decided_on(kind: type, table: Table) -> None:
    """A method that the SDK gains or loses is noticed."""
    assert set(table) == public(kind)


def _go_through(scene: Scene, table: Table) -> None:
    for name, call in table.items():
        try:
            call(scene)
        except BaseException as error:
            error.add_note(f"in `{name}`")
            raise


def test_every_method_of_a_stack(scene: Scene) -> None:
    """From a stack's settings to its end."""
    _go_through(scene, STACK)


def test_every_method_of_a_workspace(scene: Scene) -> None:
    """The same for what is asked of the workspace."""
    _go_through(scene, WORKSPACE)


def _pack(folder: Path) -> str:
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text(
        json.dumps({"runtime": {"name": "python", "options": {"virtualenv": sys.prefix}}})
    )
    (folder / "__main__.py").write_text(
        "from pulumi_policy import *\n"
        "PolicyPack('quiet', policies=[ResourceValidationPolicy('none', 'says nothing', lambda a, r: None)])\n"
    )
    return str(folder)


SHARED = {
    "parallel": 2,
    "message": "said",
    "color": "never",
    "on_output": print,
    "on_error": print,
    "on_event": lambda event: None,
    "log_flow": True,
    "log_verbosity": 1,
    "log_to_std_err": True,
    "debug": True,
    "suppress_outputs": True,
    "suppress_progress": True,
    "config_file": "Pulumi.dev.yaml",
    "diff": True,
}
SHOW = {"show_secrets": False}
"""The options that every operation has; each operation is given all it has, at once."""

OPTIONS: dict[str, dict[str, Any]] = {
    "preview": {
        **SHARED,
        "expect_no_changes": False,
        "target": ["**"],
        "target_dependents": True,
        "replace": ["**"],
        "policy_packs": "PACK",
        "policy_pack_configs": "PACK CONFIG",
        "import_file": "found.json",
        "refresh": True,
        "run_program": True,
        "json": False,
    },
    "up": {
        **SHARED,
        **SHOW,
        "expect_no_changes": False,
        "target": ["**"],
        "target_dependents": True,
        "replace": ["**"],
        "policy_packs": "PACK",
        "policy_pack_configs": "PACK CONFIG",
        "continue_on_error": True,
        "refresh": True,
        "run_program": True,
    },
    "preview_refresh": {
        **SHARED,
        **SHOW,
        "target": ["**"],
        "target_dependents": True,
        "expect_no_changes": False,
        "clear_pending_creates": True,
        "run_program": True,
    },
    "refresh": {
        **SHARED,
        **SHOW,
        "target": ["**"],
        "target_dependents": True,
        "expect_no_changes": False,
        "clear_pending_creates": True,
        "preview_only": False,
        "run_program": True,
    },
    "preview_destroy": {
        **SHARED,
        **SHOW,
        "target": ["**"],
        "target_dependents": True,
        "continue_on_error": True,
        "refresh": True,
        "run_program": True,
    },
    "destroy": {
        **SHARED,
        **SHOW,
        "exclude_protected": True,
        "continue_on_error": True,
        "preview_only": False,
        "refresh": True,
        "run_program": True,
        "remove": False,
    },
}

ELSEWHERE = {
    "preview": {"exclude", "exclude_dependents", "program"},
    "up": {"exclude", "exclude_dependents", "program"},
    "preview_refresh": {"exclude", "exclude_dependents", "program"},
    "refresh": {"exclude", "exclude_dependents", "program"},
    "preview_destroy": {"program", "exclude_protected", "remove"},
    "destroy": {"target", "target_dependents", "program"},
}
"""What cannot be given beside the options above; `test_the_options_that_exclude_others` gives it."""

REFUSED_OPTIONS: dict[str, dict[str, Any]] = {
    "preview": {"plan": "plan.json", "attach_debugger": True, "tracing": "file:trace"},
    "up": {"plan": "plan.json", "attach_debugger": True, "tracing": "file:trace"},
    "preview_refresh": {"tracing": "file:trace"},
    "refresh": {"tracing": "file:trace"},
    "preview_destroy": {"tracing": "file:trace"},
    "destroy": {"tracing": "file:trace"},
}


@pytest.mark.parametrize("operation", OPTIONS)
def test_every_option_is_decided_on(operation: str) -> None:
    """An option that the SDK gains or loses is noticed."""
    known = {"self", *OPTIONS[operation], *ELSEWHERE[operation], *REFUSED_OPTIONS[operation]}
    assert known == set(inspect.signature(getattr(auto.Stack, operation)).parameters)


def test_every_option_of_every_operation_is_taken(scene: Scene, tmp_path: Path) -> None:
    """All options of an operation at once, one operation after another on the same stack."""
    pack = _pack(tmp_path / "pack")
    settings = tmp_path / "pack.json"
    settings.write_text("{}")
    for operation, options in OPTIONS.items():
        given = {
            key: {"PACK": [pack], "PACK CONFIG": [str(settings)]}.get(value, value) if isinstance(value, str) else value
            for key, value in options.items()
        }
        assert getattr(scene.stack, operation)(**given) is not None, operation
    assert scene.project.resources() == []
    assert scene.project.lines("gone") == ["a"]


def test_the_options_that_exclude_others(scene: Scene) -> None:
    """`exclude` instead of `target`, a single target of a destroy, and the removal of the stack."""
    scene.stack.up(exclude=["**nobody"], exclude_dependents=True)
    scene.stack.preview(exclude=["**nobody"], exclude_dependents=True)
    scene.stack.refresh(exclude=["**nobody"], exclude_dependents=True)
    scene.stack.preview_refresh(exclude=["**nobody"], exclude_dependents=True)
    scene.stack.preview_destroy(exclude_protected=True)
    scene.stack.preview_destroy(remove=True)
    scene.stack.destroy(target=[scene.urn], target_dependents=True)
    assert scene.project.resources() == []
    scene.stack.destroy(remove=True)
    assert scene.workspace.list_stacks() == []


@pytest.mark.parametrize("operation", REFUSED_OPTIONS)
def test_options_that_only_the_cli_has_are_refused(scene: Scene, operation: str) -> None:
    """One sentence that names the CLI, and nothing is done."""
    for name, value in REFUSED_OPTIONS[operation].items():
        with pytest.raises(auto.CommandError, match=REFUSED):
            getattr(scene.stack, operation)(**{name: value})
    assert scene.project.resources() == []


def test_the_functions_that_open_stacks(scene: Scene) -> None:
    """Made, selected, and either of the two, with local and inline programs."""
    options = auto.LocalWorkspaceOptions(
        pulumi_command=scene.workspace.pulumi_command, env_vars=scene.workspace.env_vars
    )
    folder = str(scene.project.folder)
    for name, inline in (("one", False), ("two", True)):
        where: dict[str, Any] = {"project_name": "proj", "program": lambda: None} if inline else {"work_dir": folder}
        opts = auto.LocalWorkspaceOptions(**{**vars(options), "work_dir": folder}) if inline else options
        assert auto.create_stack(name, opts=opts, **where).name == name
        assert auto.select_stack(name, opts=opts, **where).name == name
        assert auto.create_or_select_stack(name, opts=opts, **where).name == name
    assert {item.name for item in scene.workspace.list_stacks()} == {"dev", "one", "two"}
    assert auto.fully_qualified_stack_name("organization", "proj", "dev") == "organization/proj/dev"
    assert scene.workspace.stack().name in {"one", "two", "dev"}
    assert shutil.which("pulumi") is None or scene.workspace.pulumi_command.command != shutil.which("pulumi")
