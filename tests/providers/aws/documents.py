"""Policy documents and ARNs that several tests give their resources."""

from __future__ import annotations

import json

ROLE_ARN = "arn:aws:iam::123456789012:role/some-role"
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/some-key"


def allow(action: str, resource: str = "*", **more: object) -> str:
    """A document with one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def assumed_by(service: str) -> str:
    """A trust policy."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
