"""Every method of the Automation API works under the engine, or is refused by naming the CLI.

The tables below are held against what the pinned SDK has, so a method that a new SDK adds fails here until it is
decided on. The calls run in the order of the tables, each on the stack that those before it left.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation._stack import ImportResource

from .automation_scene import REFUSED, Scene, scene

__all__ = ["scene"]


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
