"""Statements a superuser runs in the stack's PostgreSQL, with errors told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.local.errors import LocalPlatformError, with_cure

if TYPE_CHECKING:
    import psycopg

# psycopg is imported where it is used: the program, which only plans, is spared the time.
CONNECT_TIMEOUT_SECONDS = 5
SUPERUSER = "postgres"


class PostgresDownError(LocalPlatformError):
    """Nobody answers at PostgreSQL's address."""


@dataclass(frozen=True)
class Login:
    """Where and as whom to connect. `password` is a secret: never print one of these."""

    port: int
    password: str
    user: str = SUPERUSER
    database: str = "postgres"

    def __repr__(self) -> str:
        return f"Login({self.user}@127.0.0.1:{self.port}/{self.database})"


@contextmanager
def session(login: Login) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode.

    Raises:
        PostgresDownError: nobody answers.
        LocalPlatformError: the login or a statement is refused.
    """
    import psycopg

    try:
        connection = psycopg.connect(
            host="127.0.0.1",
            port=login.port,
            user=login.user,
            password=login.password,
            dbname=login.database,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        # A server that answers says FATAL; while it starts or stops it serves nobody.
        said = [line.partition("FATAL:")[2].strip() for line in str(error).splitlines() if "FATAL:" in line]
        if not said or said[0].startswith("the database system is"):
            raise PostgresDownError(f"PostgreSQL does not answer on 127.0.0.1:{login.port}: run `up` again.") from None
        reason = f"PostgreSQL refused the login of {login.user}: {said[0]}."
        raise LocalPlatformError(with_cure(reason, str(error))) from None
    with connection:
        try:
            yield connection
        except psycopg.Error as error:
            reason = f"PostgreSQL refused a statement: {str(error).strip().splitlines()[0]}."
            raise LocalPlatformError(with_cure(reason, str(error))) from None


def set_password(connection: psycopg.Connection, role: str, password: str) -> None:
    """Set a role's password by its SCRAM verifier, so that the password itself reaches neither server nor log."""
    from psycopg import sql

    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))


def can_log_in(login: Login) -> bool:
    """Whether the role exists with this password.

    Raises:
        PostgresDownError: nobody answers, so it cannot be told.
    """
    try:
        with session(login):
            return True
    except PostgresDownError:
        raise
    except LocalPlatformError:
        return False
