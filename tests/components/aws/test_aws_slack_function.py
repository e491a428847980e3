"""What the function posts to Slack, and that a message Slack does not take is an error without the URL in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from components.aws.functions.slack.handler import LONGEST_TEXT, post, text_of

URL = "https://hooks.slack.invalid/planted"


def record(message: str, subject: str | None = None) -> dict[str, Any]:
    return {"Sns": {"Message": message, "Subject": subject}}


def test_an_alarm_is_its_state_name_meaning_and_reason() -> None:
    alarm = {"NewStateValue": "ALARM", "AlarmName": "it-uptime", "AlarmDescription": "Down.", "NewStateReason": "0 < 1"}
    assert text_of(record(json.dumps(alarm))) == "*ALARM* it-uptime\nDown.\n0 < 1"


@pytest.mark.parametrize("message", ["Budget exceeded", "[1, 2]", '"text"', "{}", "null"])
def test_anything_else_is_its_subject_and_text(message: str) -> None:
    assert text_of(record(message, "AWS Budgets")) == f"*AWS Budgets*\n{message}"


def test_a_message_is_never_longer_than_slack_shows() -> None:
    assert len(text_of(record("x" * 100_000))) == LONGEST_TEXT


def test_it_is_posted_as_json() -> None:
    seen: list[Any] = []

    @contextmanager
    def opened(request: Any, timeout: float) -> Iterator[Any]:
        seen.append((request.full_url, json.loads(request.data), timeout))
        yield SimpleNamespace(status=200)

    post(URL, "hello", opened)
    assert seen == [(URL, {"text": "hello"}, 10)]


def test_what_slack_does_not_take_is_an_error_without_the_url() -> None:
    @contextmanager
    def refused(_request: Any, timeout: float) -> Iterator[Any]:
        yield SimpleNamespace(status=302)

    with pytest.raises(OSError, match=r"^Slack answered 302\.$"):
        post(URL, "hello", refused)
