"""The four steps in which Secrets Manager rotates a secret; each may be called again and then changes nothing.

Source: AWS Secrets Manager user guide, "Lambda rotation functions".
"""

from __future__ import annotations

import json
from typing import Any, Protocol

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
Value = dict[str, Any]


class RotationError(Exception):
    """A rotation cannot go on; the sentence is for the person who reads the function's log, and holds no secret."""


class Strategy(Protocol):
    """How one kind of secret is changed. Values are the secrets' JSON objects."""

    def make(self, secret_id: str, current: Value) -> Value:
        """A new value; nothing outside changes yet."""

    def apply(self, current: Value, pending: Value) -> None:
        """Make what the secret opens accept the new value, and still the current one."""

    def test(self, pending: Value) -> None:
        """Prove that the new value works.

        Raises:
            RotationError: it does not.
        """


class Rotation:
    """A rotation of the secrets of one kind.

    Args:
        client: of Secrets Manager.
        strategy: of the kind.
    """

    def __init__(self, client: Any, strategy: Strategy) -> None:
        self._client, self._strategy = client, strategy

    def run(self, step: str, secret_id: str, token: str) -> None:
        """Do one step.

        Args:
            step: createSecret, setSecret, testSecret or finishSecret.
            secret_id: ARN of the secret.
            token: id of the version that becomes current.

        Raises:
            RotationError: the secret is not being rotated, the step is unknown, or the strategy refuses.
        """
        stages = self._stages(secret_id)
        if token not in stages:
            raise RotationError(f"{secret_id} has no version {token}: rotations are started by Secrets Manager.")
        if CURRENT in stages[token]:
            return
        if PENDING not in stages[token]:
            raise RotationError(f"Version {token} of {secret_id} is not {PENDING}: start the rotation again.")
        match step:
            case "createSecret":
                self._create(secret_id, token)
            case "setSecret":
                self._strategy.apply(self._value(secret_id, CURRENT), self._value(secret_id, PENDING, token))
            case "testSecret":
                self._strategy.test(self._value(secret_id, PENDING, token))
            case "finishSecret":
                self._finish(secret_id, token, stages)
            case _:
                raise RotationError(f"{step!r} is no step of a rotation.")

    def _stages(self, secret_id: str) -> dict[str, list[str]]:
        described = self._client.describe_secret(SecretId=secret_id)
        if not described.get("RotationEnabled"):
            raise RotationError(f"Rotation of {secret_id} is not switched on.")
        return dict(described["VersionIdsToStages"])

    def _value(self, secret_id: str, stage: str, token: str | None = None) -> Value:
        version = {"VersionId": token} if token else {}
        answer = self._client.get_secret_value(SecretId=secret_id, VersionStage=stage, **version)
        return dict(json.loads(answer["SecretString"]))

    def _create(self, secret_id: str, token: str) -> None:
        try:
            self._value(secret_id, PENDING, token)
        except self._client.exceptions.ResourceNotFoundException:
            made = self._strategy.make(secret_id, self._value(secret_id, CURRENT))
            self._client.put_secret_value(
                SecretId=secret_id,
                ClientRequestToken=token,
                SecretString=json.dumps(made),
                VersionStages=[PENDING],
            )

    def _finish(self, secret_id: str, token: str, stages: dict[str, list[str]]) -> None:
        before = next((version for version, labels in stages.items() if CURRENT in labels), None)
        self._client.update_secret_version_stage(
            SecretId=secret_id,
            VersionStage=CURRENT,
            MoveToVersionId=token,
            **({"RemoveFromVersionId": before} if before else {}),
        )
        # The label may stay on the current version or on none; none cannot be taken for a rotation under way.
        self._client.update_secret_version_stage(SecretId=secret_id, VersionStage=PENDING, RemoveFromVersionId=token)
