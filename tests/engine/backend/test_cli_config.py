"""Configuration by the command line: plain, secret, structured, typed, and the files it lives in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pulumi_embedded.errors import ConfigError
from pulumi_embedded.project import config as values
from pulumi_embedded.project.document import SettingsDocument
from pulumi_embedded.project.settings import parse_project

from .conftest import Run


class TestValues:
    def test_a_plain_value(self, stack: Run) -> None:
        assert stack("config", "set", "size", "5").code == 0
        assert stack("config", "get", "size").out == "5\n"
        assert stack("config", "get", "proj:size", "--json").json() == {"value": "5", "secret": False}

    def test_a_secret_is_ciphertext_in_the_file_and_masked_in_lists(self, stack: Run, project: Path) -> None:
        assert stack("config", "set", "--secret", "word", "hunter2").code == 0
        text = (project / "Pulumi.dev.yaml").read_text()
        assert "hunter2" not in text
        assert "secure: v1:" in text
        assert "[secret]" in stack("config").out
        assert stack("config", "--json").json() == {"proj:word": {"secret": True}}
        assert stack("config", "--json", "--show-secrets").json()["proj:word"]["value"] == "hunter2"
        assert stack("config", "get", "word").out == "hunter2\n"

    def test_paths_make_structures_in_which_numbers_are_numbers(self, stack: Run) -> None:
        stack("config", "set", "--path", "a.b[0].c", "5")
        stack("config", "set", "--path", "a.b[1]", "true")
        stack("config", "set", "--path", 'a["x.y"]', "007")
        stack("config", "set", "--path", "--secret", "a.s", "42")
        shown = stack("config", "get", "a", "--json").json()
        assert shown["objectValue"] == {"b": [{"c": 5}, True], "x.y": "007", "s": "42"}
        assert shown["secret"] is True
        assert stack("config", "get", "--path", "a.b[0].c").out == "5\n"
        assert stack("config", "rm", "--path", "a.b[0]").code == 0
        assert stack("config", "get", "--path", "a.b").out == "[true]\n"

    @pytest.mark.parametrize(
        ("path", "said"),
        [("a.b[5]", "out of range"), ("a[", "missing closing"), ("a..b", "expected a name"), ("a.secure", "reserved")],
    )
    def test_bad_paths_are_told(self, stack: Run, path: str, said: str) -> None:
        result = stack("config", "set", "--path", path, "v")
        assert result.code == 1
        assert said in result.err

    def test_a_value_from_standard_in_loses_its_newline(self, stack: Run) -> None:
        stack("config", "set", "text", stdin="two\nlines\n")
        assert stack("config", "get", "text").out == "two\nlines\n"
        stack("config", "set", "text", "--raw", stdin="line\n")
        assert stack("config", "get", "text").out == "line\n\n"

    def test_a_value_may_begin_with_a_dash(self, stack: Run) -> None:
        stack("config", "set", "dash", "--plaintext", "--", "-5")
        assert stack("config", "get", "dash").out == "-5\n"

    def test_what_looks_like_a_secret_is_not_stored_in_the_clear_by_accident(self, stack: Run) -> None:
        result = stack("config", "set", "apiToken", "f3Kd9Xq27PvLm4Zs")
        assert result.code == 1
        assert "looks like a secret" in result.err
        assert stack("config", "set", "apiToken", "--plaintext", "f3Kd9Xq27PvLm4Zs").code == 0
        assert stack("config", "set", "tokenName", "payments").code == 0

    def test_types(self, stack: Run, project: Path) -> None:
        stack("config", "set", "n", "5", "--type", "int")
        stack("config", "set", "f", "true", "--type", "bool")
        text = (project / "Pulumi.dev.yaml").read_text()
        assert "proj:n: 5\n" in text
        assert "proj:f: true\n" in text
        assert "is not of type int" in stack("config", "set", "n", "x", "--type", "int").err

    def test_an_unknown_key(self, stack: Run) -> None:
        result = stack("config", "get", "nope")
        assert result.code == 1
        assert result.err == "error: configuration key 'nope' not found for stack 'dev'\n"

    def test_many_at_once(self, stack: Run) -> None:
        stack("config", "set-all", "--plaintext", "a=1", "--secret", "b=2=3", "--plaintext", "other:c=x")
        listed = stack("config", "--json", "--show-secrets").json()
        assert {key: entry["value"] for key, entry in listed.items()} == {
            "proj:a": "1",
            "proj:b": "2=3",
            "other:c": "x",
        }
        assert stack("config", "rm-all", "a", "b").code == 0
        assert list(stack("config", "--json").json()) == ["other:c"]

    def test_a_listing_can_be_set_again(self, stack: Run) -> None:
        stack("config", "set", "--path", "o.x", "1")
        stack("config", "set", "--secret", "s", "hush")
        listed = stack("config", "--json", "--show-secrets").out
        stack("config", "rm-all", "o", "s")
        assert stack("config", "set-all", "--json", listed).code == 0
        assert stack("config", "--json", "--show-secrets").out == listed

    def test_environments_are_refused_with_the_cli_named(self, stack: Run) -> None:
        result = stack("config", "env", "ls", "--json")
        assert result.code == 1
        assert "Pulumi CLI" in result.err

    def test_copying_encrypts_for_the_other_stack(self, stack: Run, project: Path) -> None:
        stack("config", "set", "--secret", "s", "hush")
        stack("stack", "init", "two", "--copy-config-from", "dev")
        assert stack("config", "get", "s", "--stack", "two").out == "hush\n"
        salts = {(project / f"Pulumi.{name}.yaml").read_text().splitlines()[0] for name in ("dev", "two")}
        assert len(salts) == 2

    def test_another_file_may_be_named(self, stack: Run, project: Path) -> None:
        (project / "extra.yaml").write_text("config:\n  proj:a: here\n")
        assert stack("config", "get", "a", "--config-file", "extra.yaml").out == "here\n"
        assert "does not exist" in stack("config", "--config-file", "none.yaml").err


class TestDeclarations:
    @pytest.fixture
    def declared(self, stack: Run, project: Path) -> Run:
        (project / "Pulumi.yaml").write_text(
            "name: proj\nruntime: python\nconfig:\n  size:\n    type: integer\n    default: 3\n  region: eu\n"
            "  aws:region:\n    value: west\n"
        )
        return stack

    def test_defaults_and_values_show_below_the_stacks_own(self, declared: Run) -> None:
        shown = {key: entry["value"] for key, entry in declared("config", "--json").json().items()}
        assert shown == {"aws:region": "west", "proj:region": "eu", "proj:size": "3"}
        declared("config", "set", "region", "us")
        assert declared("config", "get", "region").out == "us\n"

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ("size: {type: integer, default: x}", "not of the expected type 'integer'"),
            ("size: {default: 1, value: 2}", "cannot have both"),
            ("list: {type: array}", "does not specify the underlying type"),
            ("aws:x: {type: string, value: a}", "should not define a type"),
            ("aws:x: {default: a}", "give it a 'value'"),
            ("size: {tpye: string}", "unknown attributes: tpye"),
        ],
    )
    def test_contradictions_are_told(self, config: str, said: str) -> None:
        document = SettingsDocument(Path("Pulumi.yaml"), f"name: p\nruntime: python\nconfig:\n  {config}\n")
        with pytest.raises(ConfigError, match=said):
            parse_project(Path("Pulumi.yaml"), document.data)


class TestFiles:
    TEXT = (
        "# head\nencryptionsalt: x  # salt\nconfig:\n  # about a\n  proj:a: hi # trailing\n  proj:b:\n    - 1\n# end\n"
    )

    def test_comments_and_order_survive_a_change(self) -> None:
        document = SettingsDocument(Path("x.yaml"), self.TEXT)
        document.set(("config",), "proj:b", [2])
        document.set(("config",), "proj:new", "1e3")
        assert document.text == (
            "# head\nencryptionsalt: x  # salt\nconfig:\n  # about a\n  proj:a: hi # trailing\n  proj:b:\n    - 2\n"
            '  proj:new: "1e3"\n# end\n'
        )

    def test_the_last_value_takes_its_mapping_along(self) -> None:
        document = SettingsDocument(Path("x.yaml"), self.TEXT)
        document.remove(("config",), "proj:a")
        document.remove(("config",), "proj:b")
        assert "config" not in document.text
        assert document.data == {"encryptionsalt": "x"}

    def test_yaml_is_read_as_the_cli_reads_it(self) -> None:
        text = "a: yes\nb: 12:30:45\nc: 2020-01-01\nd: 0o17\ne: 1e3\nf: ~\ng: 0x1F\nh: TRUE\n"
        assert SettingsDocument(Path("x.yaml"), text).data == {
            "a": "yes",
            "b": "12:30:45",
            "c": "2020-01-01",
            "d": 15,
            "e": 1000.0,
            "f": None,
            "g": 31,
            "h": True,
        }

    @pytest.mark.parametrize(
        "value", ["yes", "1e3", "0x10", "null", "", "a: b", "- x", "12:30", "#x", "5", "multi\nline\n", "é"]
    )
    def test_a_text_is_read_back_as_the_same_text(self, value: str) -> None:
        document = SettingsDocument(Path("x.yaml"), "")
        document.set(("config",), "k:v", value)
        assert SettingsDocument(Path("x.yaml"), document.text).data == {"config": {"k:v": value}}

    def test_aliases_that_explode_are_refused(self) -> None:
        layers = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [
            f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)
        ]
        with pytest.raises(ConfigError, match="more than"):
            SettingsDocument(Path("x.yaml"), "\n".join(layers))

    def test_nothing_in_a_file_is_evaluated(self) -> None:
        with pytest.raises(ConfigError, match="not valid YAML"):
            SettingsDocument(Path("x.yaml"), "a: !!python/object/apply:os.system ['true']")

    @pytest.mark.parametrize("text", ["a: [", "\t- x", "- list", "5", "config: [1]", "config:\n  a:b:c:d: 1"])
    def test_a_broken_settings_file_is_one_sentence(self, stack: Run, project: Path, text: str) -> None:
        (project / "Pulumi.dev.yaml").write_text(text)
        result = stack("config")
        assert result.code == 1
        assert result.err.count("\n") == 1
        assert "Pulumi.dev.yaml" in result.err

    def test_a_huge_file_is_refused(self, stack: Run, project: Path) -> None:
        (project / "Pulumi.dev.yaml").write_text("#" * (5 * 1024 * 1024))
        assert "larger than 4 MB" in stack("config").err

    def test_an_environment_in_the_file_is_refused(self, stack: Run, project: Path) -> None:
        (project / "Pulumi.dev.yaml").write_text("environment:\n  - prod\n")
        assert "Pulumi CLI" in stack("config").err

    def test_a_json_project_has_json_settings(self, run: Run, project: Path) -> None:
        (project / "Pulumi.yaml").unlink()
        (project / "Pulumi.json").write_text('{"name": "proj", "runtime": "python"}')
        run("stack", "init", "dev")
        run("config", "set", "a", "1")
        assert json.loads((project / "Pulumi.dev.json").read_text())["config"] == {"proj:a": "1"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ["a"]),
        ("a.b", ["a", "b"]),
        ("a[0][1]", ["a", 0, 1]),
        ('["a.b"].c', ["a.b", "c"]),
        ('a["x\\"y"]', ["a", 'x"y']),
    ],
)
def test_paths(text: str, path: list[str | int]) -> None:
    assert values.parse_path(text) == path
