"""The OpenAPI document, made without a database, a rail or a secret."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from payments.api_keys.service import KeyRing
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.limits.limiter import Limiter
from payments.settings import Settings
from payments.tokens.verifier import TokenVerifier
from payments.web.application import create_inner


def document() -> dict[str, Any]:
    """The document of every route, with its errors."""
    settings = Settings.model_construct(api_key_pepper=SecretStr(""), database_pool_size=1)
    database = Database("postgresql://localhost/none", size=1, timeout_seconds=1, name="openapi")
    core = Core(
        settings=settings,
        database=database,
        limiter=Limiter("redis://localhost", window_seconds=60, instances=1),
        rails={},
        clock=Clock(),
        key_ring=KeyRing(database, settings, Clock()),
        tokens=TokenVerifier(settings, Clock()),
    )
    return create_inner(core).openapi()
