"""Of all an engine prints when it fails, a person gets the one line that helps."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import CommandError

from operations.engine_errors import in_one_sentence, plain, useful_line
from operations.errors import OperationError

PROGRAM_RAISED = """Program failed with an unhandled exception:
Traceback (most recent call last):
  File "/home/me/check out/__main__.py", line 30, in <module>
    main()
  File "/home/me/check out/__main__.py", line 24, in main
    raise ValueError("the moon is not cheese")
ValueError: the moon is not cheese
"""
PROVIDER_RAISED = """Exception calling application: x
Traceback (most recent call last):
  File "/c/.venv/lib/python3.11/site-packages/grpc/_server.py", line 610, in _call_behavior
    response_or_iterator = behavior(argument, context)
  File "/c/components/local/process.py", line 155, in _await_ready
    raise LocalPlatformError(
components.local.errors.LocalPlatformError: postgres will not start; its log ends: 'FATAL: out of memory'.
"""


def test_a_raising_program_is_told_by_its_error_and_its_own_last_frame() -> None:
    assert useful_line([PROGRAM_RAISED], "", "") == (
        'ValueError: the moon is not cheese (File "/home/me/check out/__main__.py", line 24, in main)'
    )


def test_frames_of_libraries_are_not_the_users() -> None:
    inside = PROGRAM_RAISED.replace(
        "ValueError: the",
        '  File "/c/.venv/lib/python3.11/site-packages/pulumi/x.py", line 1, in f\n    raise\nValueError: the',
    )
    assert "line 24, in main" in useful_line([inside], "", "")


def test_an_error_written_for_people_is_told_alone() -> None:
    assert useful_line([PROVIDER_RAISED], "", "") == ("postgres will not start; its log ends: 'FATAL: out of memory'.")


def test_several_lines_of_an_error_written_for_people_all_stay() -> None:
    raised = (
        'Traceback:\n  File "/c/__main__.py", line 1, in f\n    x\ncomponents.settings.SettingsError: a is 1.\nb is 2.'
    )
    assert useful_line([raised], "", "") == "a is 1.\nb is 2."


def test_empty_phrases_of_the_engine_give_way_to_the_reason() -> None:
    assert useful_line(["update failed", "disk is full"], "error: update failed", "") == "disk is full"
    assert useful_line([], "error: update failed\nerror: no such file: Pulumi.yaml\n", "") == (
        "no such file: Pulumi.yaml"
    )


def test_without_any_error_line_the_last_words_stand_in() -> None:
    assert useful_line([], "warning: odd\nkilled by signal 9\n", "") == "killed by signal 9"
    assert useful_line([], "", "") == "the engine gave no reason"


def test_colours_are_taken_out() -> None:
    assert plain("<{%fg 1%}>error: <{%reset%}>\x1b[31mno\x1b[0m") == "error: no"


def test_a_failed_command_becomes_one_sentence() -> None:
    result = CommandResult(
        stdout="Updating\n", stderr="error: could not read Pulumi.yaml\nerror: update failed", code=255
    )
    with pytest.raises(OperationError) as raised, in_one_sentence():
        raise CommandError(result)
    assert raised.value.sentence == "could not read Pulumi.yaml"


def test_the_engines_events_are_believed_before_its_stderr() -> None:
    heard: list[str] = []

    def fail() -> None:
        heard.append("redis will not start")
        raise CommandError(CommandResult(stdout="", stderr="error: something else", code=255))

    with pytest.raises(OperationError, match="redis will not start"), in_one_sentence(heard):
        fail()


def test_suggested_commands_are_ones_that_work_here() -> None:
    result = CommandResult(stdout="", stderr="error: the lock is stale; `pulumi cancel` removes it", code=255)
    with pytest.raises(OperationError, match=r"`\./railyard pulumi cancel`"), in_one_sentence():
        raise CommandError(result)
