"""secrets-in-files: no process gets a secret in its environment or its arguments.

Both are readable by other programs (`ps`, /proc, crash reports) and stand in plain text in the stack's state. Secrets
reach a process as 0600 files in the folder that SECRETS_DIR names.

Good: `environment: {"SECRETS_DIR": ".../secrets/web-blue"}`.
Bad: `environment: {"JWT_SECRET": "5f3..."}`, a URL with a password in it, the argument `--password=hunter2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from findings.finding import Severity
from policies.rule import Rule, known, known_items

# The variables that the guides class as secrets, and whatever is called like one. The path of a secret is none.
SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|PEPPER|PRIVATE_KEY|API_KEYS?|MACAROON|MASTER_KEY|ADMIN_KEY|DATABASE_URL|REDIS_URL"
    r"|SENTRY_DSN|FEE_PAYER)$"
)
# user:password@ in a URL.
CREDENTIALS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
SECRET_ARGUMENT = re.compile(r"^--?[\w-]*(password|passwd|secret|token|macaroon|private-key)[\w-]*=.+", re.IGNORECASE)


def violations(properties: Mapping[str, Any]) -> Iterator[str]:
    name = known(properties, "process") or "The process"
    environment = known(properties, "environment") or {}
    for variable in environment:
        value = known(environment, variable)
        if SECRET_NAME.search(variable.upper()) and value:
            yield f"{name} has the secret {variable} in its environment."
        elif isinstance(value, str) and CREDENTIALS.search(value):
            yield f"{name} has a URL with a password in its variable {variable}."
    for argument in known_items(properties, "command"):
        # The argument itself is not repeated: it may be the secret.
        if isinstance(argument, str) and (SECRET_ARGUMENT.match(argument) or CREDENTIALS.search(argument)):
            yield f"{name} has a secret among its arguments ({argument.split('=', 1)[0][:20]})."


RULE = Rule(
    id="secrets-in-files",
    what="Secrets reach a process as files, never in its environment or arguments.",
    risk="Every program of the machine can read them, and they stand in plain text in the state.",
    fix="Make it a SecretFile in the process' secrets folder.",
    severity=Severity.CRITICAL,
    requirements=("x4-final-env-secrets", "tn-keys-encrypted"),
    pci="8.6.2",
    resource="Process",
    violations=violations,
)
