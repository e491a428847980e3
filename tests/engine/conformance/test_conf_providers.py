"""A provider process that somebody else started: attached, configured, asked, and told what it needs to know."""

from __future__ import annotations

import pytest

from tests.engine.conformance.conf_harness import SIG, Stack
from tests.engine.conformance.conf_probe import SECRET, UNKNOWN, Probe, plain

RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"


def _providers(stack: Stack) -> dict[str, dict[str, object]]:
    return {
        state["urn"].rsplit("::", 1)[-1]: state
        for state in stack.export()["resources"]
        if state["type"] == "pulumi:providers:probe"
    }


def test_it_is_attached_to_and_told_where_the_engine_is(stack: Stack, probe: Probe) -> None:
    """Each command that needs it attaches anew."""
    stack.up('Thing("a")')
    assert probe.attached
    assert all(address.startswith("127.0.0.1:") for address in probe.attached)
    probe.attached.clear()
    stack.destroy()
    assert probe.attached


def test_one_that_knows_no_handshake_is_used_as_before(stack: Stack, probe: Probe) -> None:
    """What it understands is then said by its answer to Configure."""
    probe.handshakes = False
    stack.preview('a = Thing("a", value=1); Thing("b", value=a.out)')
    assert probe.methods("preview-create") == ["preview-create a", "preview-create b"]
    stack.up()
    assert probe.methods("create") == ["create a", "create b"]
    stack.up('a = Thing("a", value=2); Thing("b", value=a.out)')
    assert probe.methods("update") == ["update a"]
    stack.settled()


def test_the_settings_of_its_package_reach_the_default_provider(stack: Stack, probe: Probe) -> None:
    """Plain ones as they are; they stand in the state."""
    assert stack.pulumi("config", "set", "probe:flavour", "sweet").code == 0
    assert stack.pulumi("config", "set", "other:flavour", "sour").code == 0
    stack.up('Thing("a")')
    assert plain(probe.configured[-1]["flavour"]) == "sweet"
    assert _providers(stack)["default"]["inputs"] == {"flavour": "sweet"}


def test_secret_settings_of_its_package_stay_secret(stack: Stack, probe: Probe) -> None:
    """The provider gets them; the state has them sealed."""
    assert stack.pulumi("config", "set", "--secret", "probe:token", "hush-hush").code == 0
    run = stack.up('Thing("a")')
    assert plain(probe.configured[-1]["token"]) == "hush-hush"
    assert "hush-hush" not in str(stack.export())
    assert "hush-hush" not in run.text + str(run.events)
    stack.settled()


def test_structured_settings_reach_it_as_json(stack: Stack, probe: Probe) -> None:
    """As text, which is what a provider's SDK expects."""
    assert stack.pulumi("config", "set", "--path", "probe:tags.owner", "me").code == 0
    stack.up('Thing("a")')
    assert plain(probe.configured[-1]["tags"]).replace(" ", "") == '{"owner":"me"}'


def test_a_changed_setting_updates_the_default_provider_alone(stack: Stack, probe: Probe) -> None:
    """When the provider says so; resources stay."""
    stack.up('Thing("a")')
    probe.forget()
    assert stack.pulumi("config", "set", "probe:flavour", "sweet").code == 0
    stack.up()
    assert probe.methods() == []
    assert "sweet" in str(_providers(stack)["default"]["inputs"])
    stack.settled()


def test_a_setting_that_replaces_the_default_provider_replaces_its_resources(stack: Stack, probe: Probe) -> None:
    """Another region is another provider."""
    assert stack.pulumi("config", "set", "probe:region", "north").code == 0
    stack.up('Thing("a")')
    probe.forget()
    assert stack.pulumi("config", "set", "probe:region", "south").code == 0
    run = stack.up()
    assert run.ops()["a"] == ["create-replacement", "replace", "delete-replaced"]
    assert probe.methods() == ["create a", "delete a"]
    stack.settled()


def test_each_version_has_a_default_provider_of_its_own(stack: Stack) -> None:
    """Named after the version that the SDK asks for."""
    stack.up('Thing("a", opts=Opts(version="1.2.3")); Thing("b", opts=Opts(version="2.0.0-beta.1")); Thing("c")')
    found = _providers(stack)
    assert sorted(found) == ["default", "default_1_2_3", "default_2_0_0-beta_1"] or sorted(found) == [
        "default",
        "default_1_2_3",
        "default_2_0_0_beta_1",
    ]
    assert found["default_1_2_3"]["inputs"]["version"] == "1.2.3"  # type: ignore[index]
    assert "default_1_2_3" in stack.state("a")["provider"]
    stack.settled()


def test_a_default_provider_that_nothing_uses_any_more_goes(stack: Stack) -> None:
    """With the last resource of its version."""
    stack.up('Thing("a", opts=Opts(version="1.2.3")); Thing("b")')
    stack.up('Thing("a"); Thing("b")')
    assert sorted(_providers(stack)) == ["default"]
    stack.settled()


def test_a_provider_whose_settings_are_not_known_yet_is_not_configured_in_a_preview(stack: Stack, probe: Probe) -> None:
    """Its resources are planned without it."""
    program = """
    a = Thing("a")
    p = Probe("late", flavour=a.out)
    b = Thing("b", value=1, opts=Opts(provider=p))
    pulumi.export("out", b.out)
    """
    run = stack.preview(program)
    assert run.changes["create"] == 4
    assert not any(UNKNOWN in str(settings) for settings in probe.configured)
    assert "preview-create b" not in probe.methods("preview-create")
    stack.up()
    assert plain(probe.configured[-1]["flavour"]) == "made"
    assert stack.outputs() == {"out": "made"}
    stack.settled()


@pytest.mark.parametrize(
    ("kinds", "op", "shown"),
    [
        ({"value": "UPDATE"}, ["update"], {"value": "update"}),
        (
            {"value": "UPDATE_REPLACE"},
            ["create-replacement", "replace", "delete-replaced"],
            {"value": "update-replace"},
        ),
        (
            {"tags.owner": "ADD_REPLACE", "list[0]": "DELETE"},
            ["create-replacement", "replace", "delete-replaced"],
            {"tags.owner": "add-replace", "list[0]": "delete"},
        ),
        ({"tags": "ADD", "list": "DELETE_REPLACE"}, ["create-replacement", "replace", "delete-replaced"], None),
    ],
    ids=["update", "replace", "nested", "delete"],
)
def test_a_detailed_diff_decides_and_is_shown(
    stack: Stack, probe: Probe, kinds: dict[str, str], op: list[str], shown: dict[str, str] | None
) -> None:
    """A kind that replaces names its property, though no list of replacing properties does."""
    program = 'Thing("a", value={value}, kinds={kinds})'
    stack.up(program.format(value=1, kinds=kinds))
    # The kinds come beside the list of properties: a replacement is in both, as in real providers.
    replacing = [path for path, kind in kinds.items() if kind.endswith("REPLACE")]
    extra = f", replaceKeys={['value'] if replacing else []}"
    stack.up(program.format(value=1, kinds=kinds)[:-1] + extra + ", sameWhen=['replaceKeys', 'sameWhen'])")
    run = stack.up(program.format(value=2, kinds=kinds)[:-1] + extra + ", sameWhen=['replaceKeys', 'sameWhen'])")
    assert run.ops()["a"] == op
    if shown is not None:
        detailed = run.metadata("a")["detailedDiff"] if op == ["update"] else None
        for event in run.events:
            metadata = event.get("resourcePreEvent", {}).get("metadata", {})
            if metadata.get("op") in ("replace", "update") and metadata["urn"].endswith("::a"):
                detailed = metadata.get("detailedDiff") or detailed
        assert {path: item["diffKind"] for path, item in (detailed or {}).items()} == shown


def test_outputs_that_the_provider_calls_secret_are_secret_everywhere(stack: Stack, probe: Probe) -> None:
    """In the state, in the program, and in what is made from them."""
    program = """
    class Safe(Thing):
        password: pulumi.Output[str]
    s = Safe("s", hush="p4ss-word", password=None)
    Thing("user", value=s.password)
    pulumi.export("password", s.password)
    """
    run = stack.up(program)
    assert plain(probe.of("create", "user").properties("properties")["value"]) == "p4ss-word"
    outputs = stack.state("s")["outputs"]
    assert outputs["password"][SIG] == SECRET
    assert "ciphertext" in outputs["password"]
    assert "ciphertext" in stack.state("user")["inputs"]["value"]
    assert stack.outputs(show_secrets=False) == {"password": "[secret]"}
    assert "p4ss-word" not in str(
        [event for event in run.events if "resOutputsEvent" in event and "user" in str(event)]
    )
    stack.settled()


def test_functions_of_an_explicit_provider_and_of_an_inherited_one(stack: Stack, probe: Probe) -> None:
    """An invoke goes where its options, or its parent, say."""
    stack.up(
        """
        p = Probe("mine", flavour="own")
        g = Group("g", opts=Opts(providers=[p]))
        a = pulumi.runtime.invoke_output("probe:index:echo", {"value": "x"}, pulumi.InvokeOutputOptions(provider=p))
        b = pulumi.runtime.invoke_output("probe:index:echo", {"value": "y"}, pulumi.InvokeOutputOptions(parent=g))
        pulumi.export("a", a.apply(lambda found: found["echo"]))
        pulumi.export("b", b.apply(lambda found: found["echo"]))
        """
    )
    assert stack.outputs() == {"a": "x", "b": "y"}
    assert "default" not in _providers(stack)


def test_functions_wait_for_what_they_depend_on(stack: Stack, probe: Probe) -> None:
    """And are not called in a preview for what is not known."""
    program = """
    a = Thing("a")
    found = pulumi.runtime.invoke_output(
        "probe:index:echo", {"value": "late"}, pulumi.InvokeOutputOptions(depends_on=[a])
    )
    value = pulumi.runtime.invoke_output("probe:index:echo", {"value": a.out})
    pulumi.export("found", found.apply(lambda result: result["echo"]))
    pulumi.export("value", value.apply(lambda result: result["echo"]))
    """
    stack.preview(program)
    assert probe.methods("invoke") == []
    stack.up()
    assert sorted(plain(call.properties("args")["value"]) for call in probe.calls if call.method == "invoke") == [
        "late",
        "made",
    ]
    assert stack.outputs() == {"found": "late", "value": "made"}


def test_the_result_of_a_function_of_a_secret_is_secret(stack: Stack) -> None:
    """Secretness goes through."""
    stack.up(
        """
        found = pulumi.runtime.invoke_output("probe:index:echo", {"value": pulumi.Output.secret("hush")})
        pulumi.export("found", found.apply(lambda result: result["echo"]))
        """
    )
    assert stack.outputs(show_secrets=False) == {"found": "[secret]"}
    assert stack.outputs() == {"found": "hush"}


def test_a_resource_given_to_another_is_a_reference(stack: Stack, probe: Probe) -> None:
    """With its URN and id, for the provider and in the state."""
    stack.up('a = Thing("a", fixedId="a-1"); Thing("b", friend=a)')
    given = probe.of("create", "b").properties("properties")["friend"]
    assert given[SIG] == RESOURCE
    assert given["id"] == "a-1"
    assert stack.state("b")["inputs"]["friend"]["urn"] == stack.urn("a")
    assert stack.state("b")["dependencies"] == [stack.urn("a")]
    stack.settled()


def test_ignored_changes_are_told_to_the_provider(stack: Stack, probe: Probe) -> None:
    """It may know better what they mean."""
    program = 'Thing("a", value={}, other=1, opts=Opts(ignore_changes=["other"]))'
    stack.up(program.format(1))
    stack.up(program.format(2))
    assert list(probe.of("diff", "a").request.ignoreChanges) == ["other"]
    assert list(probe.of("update", "a").request.ignoreChanges) == ["other"]


def test_updates_and_deletes_know_the_old_inputs(stack: Stack, probe: Probe) -> None:
    """What was asked for before, beside what came of it."""
    stack.up('Thing("a", value=1, out="x")')
    stack.up('Thing("a", value=2, out="x")')
    update = probe.of("update", "a")
    assert update.properties("old_inputs")["value"] == 1
    assert update.properties("olds")["out"] == "x"
    stack.destroy()
    delete = probe.of("delete", "a")
    assert delete.properties("old_inputs")["value"] == 2
    assert delete.properties("properties")["out"] == "x"


def test_a_provider_that_does_not_answer_is_named(stack: Stack) -> None:
    """Nothing is made, and the reason is the provider."""
    stack.write('pulumi.CustomResource("gone:index:Thing", "a", {})')
    run = stack.pulumi("up", "--yes", "--skip-preview", PULUMI_DEBUG_PROVIDERS="gone:1")
    assert run.code != 0
    assert "gone" in run.text
    # The CLI's language host shows its own frames when the engine hangs up in the middle of a call.
    assert stack.engine == "cli" or "Traceback" not in run.text
