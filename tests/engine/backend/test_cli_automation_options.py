"""Every option of the Automation API is taken by the engine, or is refused by naming the CLI.

The tables are held against the signatures of the pinned SDK: an option that a new SDK adds fails here until it is
decided on.
"""

from __future__ import annotations

import functools
import inspect
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation._stack import ImportResource

from .automation_scene import REFUSED, Scene, scene

__all__ = ["scene"]


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


def _history(scene: Scene) -> None:
    scene.stack.set_config("word", auto.ConfigValue("hush", secret=True))
    scene.stack.up(message="first")
    scene.stack.up(message="second")
    assert [item.message for item in scene.stack.history(page_size=1, page=2)] == ["first"]
    (last,) = scene.stack.history(page_size=1, page=1, show_secrets=True)
    assert last.config["proj:word"].value == "hush"
    (masked,) = scene.stack.history(page_size=1, page=1, show_secrets=False)
    assert masked.config["proj:word"].value == "[secret]"
    shown = scene.stack.info(show_secrets=True)
    assert shown is not None
    assert shown.config["proj:word"].value == "hush"


def _import_resources(scene: Scene) -> None:
    scene.probe.cloud["found"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "there"}}
    parent = next(str(item["urn"]) for item in scene.resources() if item["type"] == "pulumi:pulumi:Stack")
    wanted = ImportResource(type="probe:index:Thing", name="adopted", id="found", parent="above")
    printed: list[str] = []
    result = scene.stack.import_resources(
        message="taken up",
        resources=[wanted],
        name_table={"above": parent},
        protect=True,
        generate_code=False,
        on_output=printed.append,
        show_secrets=False,
    )
    assert result.summary.message == "taken up"
    assert printed
    (adopted,) = [item for item in scene.resources() if item.get("id") == "found"]
    assert adopted["protect"] is True
    scene.stack.import_resources(resources=[], generate_code=False)
    with pytest.raises(auto.CommandError, match=REFUSED):
        scene.stack.import_resources(resources=[wanted], generate_code=True)
    with pytest.raises(auto.CommandError, match=REFUSED):
        scene.stack.import_resources(converter="terraform", converter_args=["state.json"], generate_code=False)


def _paths(scene: Scene) -> None:
    stack = scene.stack
    stack.set_config("tree.leaf", auto.ConfigValue("1"), path=True)
    assert stack.get_config("tree.leaf", path=True).value == "1"
    stack.set_all_config({"tree.a": auto.ConfigValue("x"), "tree.b": auto.ConfigValue("y")}, path=True)
    stack.set_all_config_json(config_json='{"proj:j": {"value": "2", "secret": false}}')
    stack.remove_config("tree.a", path=True)
    stack.remove_all_config(["tree.b"], path=True)
    assert stack.get_all_config()["proj:tree"].value == '{"leaf":1}'


def _renamed(scene: Scene) -> None:
    printed: list[str] = []
    scene.stack.rename("other", on_output=printed.append, on_error=printed.append, show_secrets=False)
    assert any("other" in line for line in printed)
    scene.stack.rename(stack_name="dev")


def _installed(scene: Scene) -> None:
    printed: list[str] = []
    scene.workspace.install(no_plugins=True, no_dependencies=False, reinstall=True, on_output=printed.append)
    assert printed
    scene.workspace.install(no_dependencies=True)
    with pytest.raises(auto.CommandError, match=REFUSED):
        scene.workspace.install(use_language_version_tools=True)


def _removed(scene: Scene) -> None:
    settings = Path(scene.workspace.work_dir) / "Pulumi.gone.yaml"
    scene.workspace.create_stack("gone")
    scene.workspace.set_config("gone", "k", auto.ConfigValue("v"))
    scene.workspace.remove_stack("gone", force=False, preserve_config=True)
    assert settings.exists()
    settings.unlink()
    assert [item.name for item in scene.workspace.list_stacks(include_all=True)] == ["dev"]


def _tags(scene: Scene) -> None:
    scene.stack.set_tag(key="owner", value="me")
    assert scene.stack.get_tag(key="owner").strip() == "me"
    scene.stack.remove_tag(key="owner")


def _refuses(call: Callable[..., Any], **options: Any) -> None:
    for name, value in options.items():
        with pytest.raises(Exception, match=REFUSED):
            call(**{name: value})


def _new(scene: Scene) -> None:
    _refuses(
        scene.workspace.new,
        template_or_url="python", ai="a bucket", config=["a=b"], config_path=True, description="d", dir="x",
        force=True, generate_only=True, language="python", list_templates=True, name="n", offline=True,
        remote_stack_config=True, runtime_options=["toolchain=uv"], secrets_provider="passphrase", stack="s",
        template_mode=True, on_output=print,
    )  # fmt: skip


def _plugins(scene: Scene) -> None:
    workspace = scene.workspace
    workspace.install_plugin("python", "v3.0.0", kind="language")
    _refuses(functools.partial(workspace.install_plugin, "nowhere", "v1.0.0"), kind="resource")
    _refuses(functools.partial(workspace.install_plugin_from_server, "nowhere", "v1.0.0"), server="https://127.0.0.1:1")
    workspace.remove_plugin(name="nowhere", version_range="v1.0.0", kind="resource")


OTHERS: dict[str, tuple[Callable[[Scene], None], set[str]]] = {
    "Stack.history": (_history, {"page_size", "page", "show_secrets"}),
    "Stack.info": (_history, {"show_secrets"}),
    "Stack.import_resources": (
        _import_resources,
        {
            "message", "resources", "name_table", "protect", "generate_code", "converter", "converter_args",
            "on_output", "show_secrets",
        },
    ),
    "Stack.get_config": (_paths, {"key", "path"}),
    "Stack.set_config": (_paths, {"key", "value", "path"}),
    "Stack.set_all_config": (_paths, {"config", "path"}),
    "Stack.set_all_config_json": (_paths, {"config_json"}),
    "Stack.remove_config": (_paths, {"key", "path"}),
    "Stack.remove_all_config": (_paths, {"keys", "path"}),
    "Stack.rename": (_renamed, {"stack_name", "on_output", "on_error", "show_secrets"}),
    "Stack.get_tag": (_tags, {"key"}),
    "Stack.set_tag": (_tags, {"key", "value"}),
    "Stack.remove_tag": (_tags, {"key"}),
    "LocalWorkspace.get_config": (_paths, {"stack_name", "key", "path"}),
    "LocalWorkspace.set_config": (_paths, {"stack_name", "key", "value", "path"}),
    "LocalWorkspace.set_all_config": (_paths, {"stack_name", "config", "path"}),
    "LocalWorkspace.set_all_config_json": (_paths, {"stack_name", "config_json"}),
    "LocalWorkspace.remove_config": (_paths, {"stack_name", "key", "path"}),
    "LocalWorkspace.remove_all_config": (_paths, {"stack_name", "keys", "path"}),
    "LocalWorkspace.install": (
        _installed,
        {"no_plugins", "no_dependencies", "reinstall", "use_language_version_tools", "on_output"},
    ),
    "LocalWorkspace.remove_stack": (_removed, {"stack_name", "force", "preserve_config"}),
    "LocalWorkspace.list_stacks": (_removed, {"include_all"}),
    "LocalWorkspace.get_tag": (_tags, {"stack_name", "key"}),
    "LocalWorkspace.set_tag": (_tags, {"stack_name", "key", "value"}),
    "LocalWorkspace.remove_tag": (_tags, {"stack_name", "key"}),
    "LocalWorkspace.new": (
        _new,
        {
            "template_or_url", "ai", "config", "config_path", "description", "dir", "force", "generate_only",
            "language", "list_templates", "name", "offline", "remote_stack_config", "runtime_options",
            "secrets_provider", "stack", "template_mode", "on_output",
        },
    ),
    "LocalWorkspace.install_plugin": (_plugins, {"name", "version", "kind"}),
    "LocalWorkspace.install_plugin_from_server": (_plugins, {"name", "version", "server"}),
    "LocalWorkspace.remove_plugin": (_plugins, {"name", "version_range", "kind"}),
}  # fmt: skip
"""The methods with options that are no updates: what tries their options, and which they are.

A stack's methods hand theirs to the workspace's of the same name.
"""

ONLY_SUBJECTS = {
    "stack_name", "workspace", "mode", "name", "state", "environment_names", "environment_name", "settings", "org_name",
}  # fmt: skip
"""What the methods beside these are called with: no option, but what they are about. test_cli_automation_methods
calls them."""


@pytest.mark.parametrize("kind", [auto.Stack, auto.LocalWorkspace])
def test_every_option_of_every_other_method_is_decided_on(kind: type) -> None:
    """An option that the SDK gains or loses anywhere is noticed."""
    for name, member in inspect.getmembers(kind, callable):
        if name.startswith("_") or (kind is auto.Stack and name in OPTIONS):
            continue
        found = set(inspect.signature(member).parameters) - {"self"}
        _, known = OTHERS.get(f"{kind.__name__}.{name}", (None, set()))
        assert found == known or (not known and found <= ONLY_SUBJECTS), f"{kind.__name__}.{name}: {found ^ known}"


@pytest.mark.parametrize("check", {check for check, _ in OTHERS.values()}, ids=lambda check: check.__name__)
def test_the_options_of_the_other_methods(scene: Scene, check: Callable[[Scene], None]) -> None:
    """Each does what it says, or is refused."""
    if check in (_history, _import_resources, _renamed):
        scene.stack.up()
    check(scene)


WORKSPACE_OPTIONS = {
    "work_dir", "pulumi_home", "program", "env_vars", "secrets_provider", "project_settings", "stack_settings",
    "pulumi_command",
}  # fmt: skip


def test_every_option_of_a_workspace(scene: Scene, tmp_path: Path) -> None:
    """A workspace whose settings are given, not found; other secrets providers are refused."""
    assert set(inspect.signature(auto.LocalWorkspaceOptions.__init__).parameters) - {"self"} == WORKSPACE_OPTIONS
    assert set(inspect.signature(auto.LocalWorkspace.__init__).parameters) - {"self"} == WORKSPACE_OPTIONS
    assert set(inspect.signature(auto.PulumiCommand.__init__).parameters) - {"self"} == {
        "root", "version", "skip_version_check",
    }  # fmt: skip

    def program() -> None:
        import pulumi

        pulumi.export("k", pulumi.Config().require("k"))

    folder, home = tmp_path / "given", tmp_path / "own home"
    folder.mkdir()
    environment = {key: value for key, value in scene.workspace.env_vars.items() if key != "PULUMI_HOME"}
    opts = auto.LocalWorkspaceOptions(
        work_dir=str(folder),
        pulumi_home=str(home),
        program=program,
        env_vars=environment,
        secrets_provider="passphrase",
        project_settings=auto.ProjectSettings(name="given", runtime="python"),
        stack_settings={"dev": auto.StackSettings(config={"given:k": "v"})},
        pulumi_command=auto.PulumiCommand(root=str(tmp_path / "engine"), skip_version_check=True),
    )
    stack = auto.create_stack("dev", project_name="given", program=program, opts=opts)
    assert stack.up().outputs["k"].value == "v"
    assert home.is_dir()
    assert "encryptionsalt" in (folder / "Pulumi.dev.yaml").read_text()
    opts.secrets_provider = "awskms://alias/a"
    with pytest.raises(auto.CommandError, match=REFUSED):
        auto.create_stack("keyed", project_name="given", program=program, opts=opts)


@pytest.mark.parametrize("operation", OPTIONS)
def test_every_operation_of_an_inline_program(scene: Scene, operation: str) -> None:
    """`program` runs instead of the project's, in this process, and is not started where nothing runs it."""
    ran: list[str] = []

    def program() -> None:
        import pulumi

        ran.append(pulumi.get_stack())

    result = getattr(scene.stack, operation)(program=program, run_program=True)
    assert ran
    assert set(ran) == {"dev"}
    assert result.stdout


REMOTE = {"stack_name", "url", "branch", "commit_hash", "project_path", "auth", "opts"}


@pytest.mark.parametrize("name", [name for name in auto.__all__ if "remote_stack" in name])
def test_remote_stacks_need_the_cli(scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """What runs in Pulumi Cloud is refused when it is opened, whatever the options."""
    function = getattr(auto, name)
    assert set(inspect.signature(function).parameters) == REMOTE
    monkeypatch.setenv("PATH", f"{tmp_path / 'engine' / 'bin'}:/usr/bin:/bin")
    for key, value in scene.workspace.env_vars.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(Exception, match=REFUSED):
        function("acme/proj/dev", "https://127.0.0.1/repo.git", branch="main", project_path="p")
