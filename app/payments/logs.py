"""JSON logs on stdout: one line an event, with the request's id, and no secret in it.

Redaction has two nets: values of keys that sound secret are replaced, and every known secret value (from the settings)
is replaced wherever it stands, tracebacks included.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import orjson
import structlog
from pydantic import SecretStr

from payments.error_tracking import tracker
from payments.settings import Settings
from payments.version import SERVICE, VERSION

REDACTED = "[redacted]"
_SECRET_KEYS = re.compile(
    r"(?i)(^|_)(secret|password|passwd|pepper|macaroon|preimage|seed|token|authorization|api_?key|cookie|fee_payer)(_|$)"
)
_HARMLESS_KEYS = frozenset({"api_key_id", "lease_token"})
# Forms that betray a credential whatever key they stand under: our API keys, URLs with a password, bearer tokens.
_SECRET_FORMS = re.compile(
    r"sk_[A-Za-z0-9]+_[A-Za-z0-9]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?i:bearer\s+)[\w.~+/-]+=*"
)
MINIMUM_REDACTED_LENGTH = 8


class Redactor:
    """Replaces secrets in log events. `known` values are looked for in every string."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        values = sorted({value for value in known if len(value) >= MINIMUM_REDACTED_LENGTH}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, values))) if values else None

    def text(self, value: str) -> str:
        """`value` without any secret."""
        if self._known is not None:
            value = self._known.sub(REDACTED, value)
        return _SECRET_FORMS.sub(REDACTED, value)

    def _clean(self, key: str, value: Any) -> Any:
        if key and key not in _HARMLESS_KEYS and _SECRET_KEYS.search(key) and value is not None:
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self._clean(str(name), part) for name, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", part) for part in value]
        if isinstance(value, int | float | bool | None):
            return value
        return self.text(str(value))

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in list(event.items()):
            event[key] = self._clean(key, value)
        return event


def secrets_of(settings: Settings) -> list[str]:
    """Every secret value in the settings, and the passwords inside URLs."""
    values = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            values.append(text)
            found = re.search(r"://[^/\s:@]*:([^/\s@]+)@", text)
            if found:
                values.append(found.group(1))
    return values


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()


def configure(settings: Settings, *, role: str) -> None:
    """Send structlog's and the standard library's records to stdout as redacted JSON lines."""
    redact = Redactor(secrets_of(settings))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        redact,
        *tracker(settings),
        _render,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=shared + final,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    for name in ("procrastinate", "alembic", "psycopg.pool", "_granian", "granian"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.contextvars.bind_contextvars(
        service=SERVICE,
        source="python",
        env=settings.app_env.value,
        version=VERSION,
        role=role,
        release=settings.release,
        slot=settings.slot,
    )
