"""The typed settings of a stack: every key with its type, default and meaning, all errors at once, each with its cure.

A file a group: `payments` (the service and its rails), `local`, `cloud` (the AWS account), `service` (size, pools,
names), `watching` (alarms, budget, records), `kubernetes`, `given` (database and cache by URL);
`secrets` lists what a platform needs and how it is made. Imports neither pulumi nor any other room.
"""

from components.settings.description import describe
from components.settings.local import Ports
from components.settings.payments import RAIL_NETWORKS, Network, Rail
from components.settings.pool import connection_limit, most_connections
from components.settings.problems import NAMESPACE, Problem, SettingsError
from components.settings.secrets import (
    GENERATED,
    SECRET_KEYS,
    SECRETS,
    Generated,
    SecretKind,
    Secrets,
    generated_for,
)
from components.settings.stack import Settings

__all__ = [
    "GENERATED",
    "NAMESPACE",
    "RAIL_NETWORKS",
    "SECRETS",
    "SECRET_KEYS",
    "Generated",
    "Network",
    "Ports",
    "Problem",
    "Rail",
    "SecretKind",
    "Secrets",
    "Settings",
    "SettingsError",
    "connection_limit",
    "describe",
    "generated_for",
    "most_connections",
]
