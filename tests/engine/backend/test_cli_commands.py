"""The command line itself: flags as the CLI reads them, help, refusals, exit codes, speed, and crashes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_embedded.cli import about
from pulumi_embedded.cli.commands import COMMANDS, by_words, word_tree
from pulumi_embedded.cli.flags import Flag, parse, split_command
from pulumi_embedded.errors import EngineError, UnconfirmedError, UnsupportedError, UsageError

from .conftest import Run

FLAGS = (
    Flag("yes", "", short="y"),
    Flag("stack", "", "string", "s"),
    Flag("parallel", "", "int", "p"),
    Flag("target", "", "list", "t"),
    Flag("policy-pack", "", "csv"),
    Flag("refresh", "", "string", "r", implied="true"),
    Flag("plan", "", "string", refused="update plans"),
    Flag("neo", "", refused="assistants"),
)


class TestFlags:
    @pytest.mark.parametrize(
        "argv",
        [
            ["--stack", "dev", "--yes", "x"],
            ["x", "--stack=dev", "-y"],
            ["-s", "dev", "-y", "x"],
            ["-sdev", "--yes=true", "x"],
            ["-ys", "dev", "--", "x"],
        ],
    )
    def test_every_way_of_writing_them(self, argv: list[str]) -> None:
        parsed = parse(argv, FLAGS)
        assert (parsed.text("stack"), parsed.on("yes"), parsed.arguments) == ("dev", True, ["x"])

    def test_lists_and_commas(self) -> None:
        parsed = parse(["-t", "a,b", "--target", "c", "--policy-pack", "x,y", "--policy-pack=z"], FLAGS)
        assert parsed.list("target") == ["a,b", "c"]
        assert parsed.list("policy-pack") == ["x", "y", "z"]

    def test_a_flag_whose_value_may_be_left_out(self) -> None:
        assert parse(["--refresh", "x"], FLAGS).text("refresh") == "true"
        assert parse(["--refresh=false"], FLAGS).text("refresh") == "false"

    def test_after_two_dashes_everything_is_an_argument(self) -> None:
        assert parse(["--", "--yes", "-5"], FLAGS).arguments == ["--yes", "-5"]

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["--nope"], "unknown flag: --nope"),
            (["-z"], "unknown shorthand flag: 'z'"),
            (["--stack"], "flag needs an argument: --stack"),
            (["--parallel", "x"], "has to be a whole number"),
            (["--yes=maybe"], "has to be true or false"),
        ],
    )
    def test_mistakes_are_told(self, argv: list[str], said: str) -> None:
        with pytest.raises(EngineError, match=said):
            parse(argv, FLAGS)

    def test_what_is_outside_the_contract_names_the_cli(self) -> None:
        with pytest.raises(UnsupportedError, match=r"update plans.*Pulumi CLI"):
            parse(["--plan", "x"], FLAGS)
        assert parse(["--neo=false"], FLAGS).on("neo") is False

    def test_global_flags_may_stand_before_the_command(self) -> None:
        tree = word_tree(by_words())
        words, rest = split_command(["--non-interactive", "-C", "stack", "stack", "ls", "--json"], tree)
        assert words == ["stack", "ls"]
        assert rest == ["--non-interactive", "-C", "stack", "--json"]
        assert split_command(["config", "set", "stack", "ls"], tree) == (["config", "set"], ["stack", "ls"])


class TestHelp:
    @pytest.mark.parametrize("command", [c for c in COMMANDS if not c.refused], ids=lambda c: c.words)
    def test_every_command_explains_itself(self, run: Run, command: object) -> None:
        words = command.words.split()  # type: ignore[attr-defined]
        result = run(*words, "--help")
        assert result.code == 0
        assert "Usage:" in result.out
        assert result.out.splitlines()[0].strip()
        assert "--non-interactive" in result.out

    def test_the_program_lists_its_commands(self, run: Run) -> None:
        out = run("--help").out
        for name in ("preview", "up", "refresh", "destroy", "import", "stack", "config", "state", "cancel", "policy"):
            assert f"  {name} " in out

    def test_every_command_has_code(self) -> None:
        for command in COMMANDS:
            if command.run:
                assert callable(command.load()), command.words

    def test_aliases_are_those_of_the_cli(self) -> None:
        table = by_words()
        for alias, words in {
            "update": "up",
            "pre": "preview",
            "down": "destroy",
            "stack init": "stack new",
            "stack ls": "stack list",
            "stack rm": "stack remove",
            "config rm": "config remove",
            "config rm-all": "config remove-all",
            "state delete": "state remove",
            "plugin ls": "plugin list",
        }.items():
            assert table[alias].words == words


class TestRefusals:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["new"], ["watch"], ["logs"], ["convert"], ["package", "add", "x"], ["org", "get-default"],
            ["up", "--plan", "p"], ["preview", "--save-plan", "p"], ["up", "--attach-debugger"],
            ["up", "--remote", "url"], ["up", "--tracing", "file:x"], ["import", "--from", "terraform"],
            ["stack", "webhook"], ["plugin", "run"], ["policy", "publish"], ["up", "https://example.com/t"],
            ["import", "a:b:C", "n", "id"], ["login", "s3://bucket"], ["login", "https://api.pulumi.com"],
            ["plugin", "install", "resource", "aws"],
        ],
        ids=" ".join,
    )  # fmt: skip
    def test_each_is_one_sentence_that_names_the_cli(self, stack: Run, arguments: list[str]) -> None:
        result = stack(*arguments, "--yes") if arguments[0] in ("up", "import") else stack(*arguments)
        assert result.code != 0
        assert result.err.count("\n") == 1
        assert "Pulumi CLI" in result.err

    def test_another_language_is_refused(self, stack: Run, project: Path) -> None:
        (project / "Pulumi.yaml").write_text("name: proj\nruntime: nodejs\n")
        assert "does not support programs of the runtime 'nodejs'" in stack("preview").err

    def test_unknown_commands_and_arguments(self, run: Run) -> None:
        assert run("bogus").code == 1
        assert 'unknown command "bogus" for "pulumi-embedded"' in run("bogus").err
        assert 'unknown command "bogus" for "pulumi-embedded policy"' in run("policy", "bogus").err
        assert "takes no argument" in run("stack", "ls", "x").err
        assert "needs 1 argument" in run("config", "get").err

    def test_a_folder_without_a_project(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        result = run("preview", "--cwd", str(tmp_path / "empty"))
        assert result.code == 1
        assert "Pulumi.yaml" in result.err or "no stack selected" in result.err
        assert "cannot enter --cwd" in run("preview", "--cwd", str(tmp_path / "none")).err

    def test_a_backend_that_is_not_there(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///does/not/exist")
        assert "unable to open state directory" in run("stack", "ls").err

    def test_nobody_to_ask(self, stack: Run) -> None:
        result = stack("up", "--non-interactive")
        assert result.code == 2
        assert "--yes or --skip-preview" in result.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--target", "nope"], "is not a URN"),
            (["--refresh=maybe"], "has to be true or false"),
            (["--policy-pack", "none"], "is not a folder"),
            (["--color", "pink"], "unsupported color option"),
            (["--target", "urn:pulumi:a::b::c::d", "--exclude", "urn:pulumi:a::b::c::e"], "cannot be used together"),
        ],
    )
    def test_wrong_flags_are_told_before_anything_runs(self, stack: Run, arguments: list[str], said: str) -> None:
        result = stack("preview", *arguments)
        assert result.code == 1
        assert said in result.err


class TestLogin:
    def test_a_login_is_remembered_and_forgotten(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PULUMI_BACKEND_URL")
        refused = run("whoami")
        assert refused.code == 3
        assert "no state backend is chosen" in refused.err
        url = f"file://{tmp_path / 'backend'}"
        assert f"({url})" in run("login", url).out
        assert run("whoami", "--json").json()["url"] == url
        assert run("logout").code == 0
        assert run("whoami").code == 3

    def test_the_project_may_name_the_backend(self, run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PULUMI_BACKEND_URL")
        text = f"name: proj\nruntime: python\nbackend:\n  url: file://{project.parent / 'backend'}\n"
        (project / "Pulumi.yaml").write_text(text)
        assert run("whoami").code == 0

    def test_about_tells_where_and_what(self, stack: Run) -> None:
        data = stack("about", "--json").json()
        assert data["currentStack"]["fullyQualifiedName"] == "organization/proj/dev"
        assert data["cliAbout"]["version"] == "3.259.0"
        assert data["errors"] == []

    def test_plugins_tell_what_can_run(self, run: Run, project: Path) -> None:
        (project / "provider").mkdir()
        text = "name: proj\nruntime: python\nplugins:\n  providers:\n    - name: mine\n      path: provider\n"
        (project / "Pulumi.yaml").write_text(text)
        assert "mine" in [plugin["name"] for plugin in run("plugin", "ls", "--json").json()]
        assert run("plugin", "install", "resource", "mine").code == 0
        assert run("plugin", "rm", "resource", "--yes").code == 0


class TestCrashes:
    def test_a_fault_of_ours_is_one_sentence_and_a_report_without_secrets(
        self, stack: Run, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_context: object) -> int:
            planted = "PLANTED-SECRET"
            raise RuntimeError(planted)

        monkeypatch.setattr(about, "about", broken)
        result = stack("about", "--stack", "PLANTED-SECRET", "--output=PLANTED-SECRET")
        assert result.code == 255
        assert result.err.count("\n") == 1
        assert "Traceback" not in result.err
        reports = list((project.parent / "backend/.pulumi/crashes").iterdir())
        assert len(reports) == 1
        text = reports[0].read_text()
        assert str(reports[0]) in result.err
        assert "RuntimeError" in text
        assert "in broken" in text
        assert "PLANTED-SECRET" not in text + result.err
        assert reports[0].stat().st_mode & 0o077 == 0


class TestSpeed:
    @pytest.mark.parametrize("arguments", [["version"], ["stack", "ls", "--json"], ["config", "get", "a"], ["whoami"]])
    def test_commands_that_run_no_program_import_neither_grpc_nor_pulumi_nor_rich(
        self, stack: Run, project: Path, arguments: list[str]
    ) -> None:
        stack("config", "set", "a", "1")
        program = (
            "import sys; from pulumi_embedded.cli.main import main; code = main(sys.argv[1:]); "
            "bad = {'grpc', 'pulumi', 'rich', 'google', 'cryptography', 'asyncio'} & set(sys.modules); "
            "print(bad, file=sys.stderr) if bad else None; sys.exit(code or bool(bad))"
        )
        engine = Path(__file__).parents[3] / "engine"
        best = 9.0
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [sys.executable, "-c", program, *arguments],
                cwd=project,
                env={**os.environ, "PYTHONPATH": str(engine)},
                capture_output=True,
                text=True,
                check=False,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert done.returncode == 0, done.stderr
        assert best < 0.2, "seconds of processor time: others may share the machine, so the clock says nothing"


def test_exit_codes_are_those_of_the_cli() -> None:
    """Only what nobody approved is a wrong invocation there, and only a named stack can be missing."""
    assert (UsageError("x").exit_code, UnconfirmedError().exit_code) == (1, 2)
