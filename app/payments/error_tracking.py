"""Errors to Sentry, if SENTRY_DSN is set: what the log says at level error, after its redaction, and nothing else.

Without the setting the SDK is not even imported and nothing leaves. Its own integrations stay off: they would send
frames with local variables, requests with headers and the host's name, none of which passed the redaction.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from payments.settings import Settings

FLUSH_SECONDS: Final = 2.0
_LEVELS: Final = {"error": "error", "exception": "error", "critical": "fatal"}
_TAGS: Final = ("role", "release", "slot", "tag", "rail", "route", "code")


class ErrorTracker:
    """Sends errors; a processor of structlog that stands behind the redaction.

    Args:
        settings: with SENTRY_DSN.
        sdk: the module sentry_sdk.
    """

    def __init__(self, settings: Settings, sdk: Any) -> None:
        assert settings.sentry_dsn is not None
        self._sdk = sdk
        sdk.init(
            dsn=settings.sentry_dsn.get_secret_value(),
            release=settings.release,
            environment=settings.app_env.value,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            send_default_pii=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            server_name="",
            shutdown_timeout=FLUSH_SECONDS,
        )

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level = _LEVELS.get(str(event.get("level")))
        if level is not None:
            message = str(event.get("message"))
            self._sdk.capture_event(
                {
                    "level": level,
                    "message": message,
                    # One issue a message: what differs from case to case is beside it, not in it.
                    "fingerprint": [message],
                    "tags": {name: str(event[name]) for name in _TAGS if event.get(name)},
                    "extra": {name: value for name, value in event.items() if name not in ("message", "level")},
                }
            )
        return event

    def flush(self) -> None:
        """Send what waits, for up to `FLUSH_SECONDS`."""
        self._sdk.flush(FLUSH_SECONDS)


def tracker(settings: Settings) -> tuple[structlog.typing.Processor, ...]:
    """The processors that send errors: none without SENTRY_DSN."""
    if settings.sentry_dsn is None:
        return ()
    made = ErrorTracker(settings, importlib.import_module("sentry_sdk"))
    atexit.register(made.flush)
    return (made,)
