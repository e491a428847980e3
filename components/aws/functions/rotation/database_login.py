"""The logins of a database role: two that take turns, each a member of the role it works as.

The role (payments_app, say) has the grants and cannot log in; `<role>_a` and `<role>_b` can, and become it at login. A
rotation gives the one that is not in use a new password and hands it out, so connections of running tasks go on and new
ones with the old login work until the next rotation. The first rotation makes the roles.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from .steps import RotationError, Value

OWNER = "payments_owner"
Session = Callable[[Value], AbstractContextManager[Any]]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def database_url(value: Value) -> str:
    """The URL that the service connects with; without TLS the database refuses."""
    user, password = quote(value["username"], safe=""), quote(value["password"], safe="")
    return f"postgresql://{user}:{password}@{value['host']}:{value['port']}/{value['dbname']}?sslmode=require"


class DatabaseLogin:
    """`{"role", "username", "password", "host", "port", "dbname", "url"}`.

    Args:
        master: returns the master's `{"username", "password"}`.
        session: opens a session, that has `execute(sql)`, with a value's host, port, dbname, username and password.
    """

    def __init__(self, master: Callable[[], Value], session: Session) -> None:
        self._master, self._session = master, session

    def make(self, secret_id: str, current: Value) -> Value:
        """The login whose turn it is, with a new password."""
        role = current["role"]
        username = f"{role}_b" if current["username"] == f"{role}_a" else f"{role}_a"
        made = {**current, "username": username, "password": secrets.token_hex(32)}
        return {**made, "url": database_url(made)}

    def apply(self, current: Value, pending: Value) -> None:
        """Make the role, the login and what it may connect to, as far as they are missing; set the password."""
        role, username = _name(pending["role"]), _name(pending["username"])
        database, password = _name(pending["dbname"]), pending["password"]
        if not re.fullmatch(r"[0-9a-f]{64}", password):
            raise RotationError("The new password is not of ours: start the rotation again.")
        with self._session({**pending, **self._master()}) as session:
            session.execute(_make_role(role, "NOLOGIN"))
            session.execute(_make_role(username, "LOGIN"))
            session.execute(f"GRANT {role} TO {username}")
            session.execute(f"ALTER ROLE {username} SET role TO {role}")
            session.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
            session.execute(f"GRANT CONNECT ON DATABASE {database} TO {role}, {username}")
            if role == OWNER:
                session.execute(f"GRANT {role} TO CURRENT_USER")
                session.execute(f"ALTER DATABASE {database} OWNER TO {role}")
            session.execute(f"ALTER ROLE {username} LOGIN PASSWORD '{password}'")

    def test(self, pending: Value) -> None:
        """It logs in, and works as the role."""
        with self._session(pending) as session:
            found = session.execute("SELECT current_user")
        if found != [[pending["role"]]]:
            raise RotationError(f"{pending['username']} does not become {pending['role']} at login.")


def _name(name: str) -> str:
    """A name that may stand in a statement as it is.

    Raises:
        RotationError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise RotationError(f"{name!r} is no name of a role or database: the secret was changed by hand.")
    return name


def _make_role(role: str, login: str) -> str:
    known = f"EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}')"  # noqa: S608
    create = f"CREATE ROLE {role} {login} NOCREATEDB NOCREATEROLE INHERIT"
    return f"DO $$ BEGIN IF NOT {known} THEN {create}; END IF; END $$"
