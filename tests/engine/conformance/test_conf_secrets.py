"""What is secret stays secret, and what is unknown stays unknown."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import SIG, Stack
from tests.engine.conformance.conf_probe import SECRET, UNKNOWN, Probe, plain

PLANTED = "pl4nted-s3cret"


def _sealed(value: object) -> bool:
    return isinstance(value, dict) and value.get(SIG) == SECRET and "ciphertext" in value


def test_secret_inputs_are_sealed_and_reach_the_provider(stack: Stack, probe: Probe) -> None:
    """Marked on the way there, sealed in the state, secret in the outputs."""
    run = stack.up(f'Thing("a", password=pulumi.Output.secret("{PLANTED}"))')
    sent = probe.of("create", "a").properties("properties")["password"]
    assert sent == {SIG: SECRET, "value": PLANTED}
    state = stack.state("a")
    assert _sealed(state["inputs"]["password"])
    assert _sealed(state["outputs"]["password"])
    assert PLANTED not in str(stack.export())
    assert PLANTED not in str(run.events)
    assert PLANTED not in run.text
    stack.settled()


def test_a_provider_that_knows_no_secrets_gets_plain_values(stack: Stack, probe: Probe) -> None:
    """And its answers are marked by the names of the inputs."""
    probe.accept_secrets = False
    stack.up(f'Thing("a", password=pulumi.Output.secret("{PLANTED}"), open="x")')
    assert probe.of("create", "a").properties("properties")["password"] == PLANTED
    state = stack.state("a")
    assert _sealed(state["inputs"]["password"])
    assert _sealed(state["outputs"]["password"])
    assert state["outputs"]["open"] == "x"
    stack.settled()


def test_secrets_inside_structures_stay_where_they_are(stack: Stack) -> None:
    """A secret in a list makes the whole property secret on its way through the SDK; its value survives."""
    stack.up(f'pulumi.export("deep", {{"list": [1, pulumi.Output.secret("{PLANTED}")], "plain": 2}})')
    assert stack.outputs() == {"deep": {"list": [1, PLANTED], "plain": 2}}
    assert PLANTED not in str(stack.export())


def test_secret_config_is_secret_in_the_program(stack: Stack, probe: Probe) -> None:
    """What is derived from it is secret, too."""
    stack.pulumi("config", "set", "--secret", "conf:token", PLANTED)
    run = stack.up(
        """
        token = pulumi.Config().require_secret("token")
        Thing("a", header=pulumi.Output.concat("Bearer ", token))
        pulumi.export("token", token)
        """
    )
    assert plain(probe.of("create", "a").properties("properties")["header"]) == f"Bearer {PLANTED}"
    assert _sealed(stack.state("a")["inputs"]["header"])
    assert PLANTED not in str(stack.export())
    assert PLANTED not in str(run.events)


def test_secret_config_in_messages_is_masked(stack: Stack) -> None:
    """A program that prints a secret of its settings shows nothing."""
    stack.pulumi("config", "set", "--secret", "conf:token", PLANTED)
    run = stack.up(
        """
        pulumi.log.warn("the token is " + pulumi.Config().get("token"))
        print("printed: " + pulumi.Config().get("token"))
        """
    )
    assert "the token is [secret]" in "\n".join(run.messages("warning"))
    assert PLANTED not in run.text
    assert PLANTED not in str(run.events)


def test_an_unchanged_secret_keeps_its_ciphertext(stack: Stack) -> None:
    """Checkpoints do not churn."""
    program = f'Thing("a", password=pulumi.Output.secret("{PLANTED}"), value={{}})'
    stack.up(program.format(1))
    before = stack.state("a")["inputs"]["password"]["ciphertext"]
    stack.up(program.format(2))
    after = stack.state("a")["inputs"]["password"]["ciphertext"]
    if stack.engine == "embedded":  # the CLI seals the secrets of a changed resource anew
        assert after == before


def test_making_a_value_secret_is_no_update_but_is_kept(stack: Stack, probe: Probe) -> None:
    """The value is the same; the state seals it from now on."""
    stack.up('Thing("a", value="x")')
    probe.forget()
    stack.up('Thing("a", value=pulumi.Output.secret("x"))')
    assert _sealed(stack.state("a")["inputs"]["value"])


def test_unsecret_opens_a_value(stack: Stack) -> None:
    """The program may decide that something is not secret."""
    stack.up('pulumi.export("open", pulumi.Output.unsecret(pulumi.Output.secret("known")))')
    assert stack.outputs(show_secrets=False) == {"open": "known"}


def test_unknowns_spread_through_structures_and_secrets(stack: Stack, probe: Probe) -> None:
    """In a preview, inside lists, objects and secrets."""
    stack.preview(
        """
        a = Thing("a")
        Thing("b", deep={"list": [1, a.out]}, secret=pulumi.Output.secret(a.out))
        """
    )
    news = probe.of("check", "b").properties("news")
    assert plain(news["deep"]) == UNKNOWN or plain(news["deep"]) == {"list": [1, UNKNOWN]}
    assert plain(news["secret"]) == UNKNOWN


def test_outputs_that_stay_known_in_an_update_preview(stack: Stack, probe: Probe) -> None:
    """A resource that does not change has known outputs in a preview."""
    stack.up('a = Thing("a"); Thing("b", value=a.out)')
    probe.forget()
    stack.preview('a = Thing("a"); Thing("b", value=a.out.apply(lambda o: o + "!"))')
    assert probe.of("check", "b").properties("news")["value"] == "made!"


def test_assets_and_archives_are_known_by_their_hash(stack: Stack, probe: Probe) -> None:
    """The content decides, not the place; a changed file is a change."""
    program = """
    Thing("a", text=pulumi.StringAsset("hello"), file=pulumi.FileAsset("./data.txt"),
          archive=pulumi.AssetArchive({"one.txt": pulumi.StringAsset("1"), "two": pulumi.FileArchive("./folder")}))
    """
    (stack.folder / "data.txt").write_text("data")
    (stack.folder / "folder").mkdir()
    (stack.folder / "folder" / "b.txt").write_text("b")
    stack.up(program)
    inputs = stack.state("a")["inputs"]
    assert inputs["text"]["hash"] == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert inputs["file"]["hash"] == "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    assert inputs["archive"]["hash"] == "e1cd225a221f4daf638d3d044298612509875dbc4bb13d7e77f5e43ec50840b8"
    assert (
        inputs["archive"]["assets"]["two"]["hash"] == "25991df0ad1b4b4930491de1089378efdd922b289caf55f0150ab1a36634e9a0"
    )
    stack.settled()
    (stack.folder / "folder" / "b.txt").write_text("changed")
    assert stack.preview().changes == {"update": 1}
