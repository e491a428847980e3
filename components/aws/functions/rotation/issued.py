"""Credentials that others issue (LND, Stripe, River, ...), which nobody can make here.

A person gets the new one from its issuer and stages it:

    aws secretsmanager put-secret-value --secret-id <secret> --version-stages RAILYARD_NEXT --secret-string file://new.json

The next rotation, or `aws secretsmanager rotate-secret`, hands it out. Where none is staged when its time has come, the
rotation fails, which raises an alarm: the credential is older than it may be.
"""

from __future__ import annotations

import json
from typing import Any

from .steps import RotationError, Value

NEXT = "RAILYARD_NEXT"


class Issued:
    """`{"value"}`.

    Args:
        client: of Secrets Manager.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def make(self, secret_id: str, current: Value) -> Value:
        """The staged one."""
        try:
            answer = self._client.get_secret_value(SecretId=secret_id, VersionStage=NEXT)
        except self._client.exceptions.ResourceNotFoundException:
            raise RotationError(
                f"No new value of {secret_id} is staged: get one from its issuer and put it with the stage {NEXT}."
            ) from None
        staged = dict(json.loads(answer["SecretString"]))
        if staged == current:
            raise RotationError(f"The value of {secret_id} staged as {NEXT} is the current one: get a new one.")
        return staged

    def apply(self, current: Value, pending: Value) -> None:
        """Its issuer accepts it already."""

    def test(self, pending: Value) -> None:
        """It is of the form the service is given."""
        if set(pending) != {"value"} or not isinstance(pending["value"], str) or not pending["value"].strip():
            raise RotationError('The staged value must be the JSON object {"value": "<the credential>"}.')
