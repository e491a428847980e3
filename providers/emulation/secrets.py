"""Secrets Manager: the secrets that a service keeps for itself, as RDS its master passwords.

RDS rotates one every 7 days by itself (AWS, "Password management with Amazon RDS and AWS Secrets Manager"), and tells
no rotation function of it.
"""

from __future__ import annotations

import time
from typing import Any

DAYS = 7
SECONDS_A_DAY = 86_400


def complete_managed_secrets() -> None:
    """Have moto tell that a managed secret is rotated, and by no function."""
    from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

    create, describe = SecretsManagerBackend.create_managed_secret, FakeSecret.to_dict

    def create_managed(backend: Any, service_name: str, *arguments: Any, **given: Any) -> Any:
        secret: Any = create(backend, service_name, *arguments, **given)
        now = int(time.time())
        secret.rotation_requested = secret.rotation_enabled = True
        secret.auto_rotate_after_days = DAYS
        secret.last_rotation_date, secret.next_rotation_date = now, now + DAYS * SECONDS_A_DAY
        return secret

    def told(secret: Any) -> dict[str, Any]:
        found: dict[str, Any] = describe(secret)
        if secret.owning_service:
            found.pop("RotationLambdaARN", None)
        return found

    SecretsManagerBackend.create_managed_secret = create_managed
    FakeSecret.to_dict = told
