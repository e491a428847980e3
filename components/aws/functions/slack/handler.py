"""Posts what a topic says to Slack's incoming webhook, whose URL is a secret that is read anew at each call.

A call that Slack does not take is an error, so that SNS tries again and the function's alarm fires.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

TIMEOUT_SECONDS = 10
LONGEST_TEXT = 3000


def text_of(record: Mapping[str, Any]) -> str:
    """One message for people: an alarm's state, name, meaning and reason; of anything else its subject and text."""
    sns = record["Sns"]
    try:
        alarm = json.loads(sns["Message"])
        said = f"*{alarm['NewStateValue']}* {alarm['AlarmName']}"
        more = [alarm.get("AlarmDescription"), alarm.get("NewStateReason")]
    except (ValueError, KeyError, TypeError):
        said, more = f"*{sns.get('Subject') or 'Notice'}*", [sns["Message"]]
    return "\n".join([said, *(part for part in more if part)])[:LONGEST_TEXT]


def post(url: str, text: str, open_url: Callable[..., Any] = urllib.request.urlopen) -> None:
    """Post `text` to the webhook.

    Raises:
        OSError: Slack was not reached or did not take it. Its message never has the URL.
    """
    # Whoever may set the secret decides the URL; a person gave it and no caller can.
    request = urllib.request.Request(  # noqa: S310
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    )
    with open_url(request, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status != 200:
            raise OSError(f"Slack answered {answer.status}.")


def handle(event: Mapping[str, Any], _context: object) -> None:
    """What Lambda calls with the records of SNS."""
    import boto3  # Lambda's own

    found = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SLACK_SECRET_ARN"])
    url = json.loads(found["SecretString"])["value"]
    for record in event["Records"]:
        post(url, text_of(record))
