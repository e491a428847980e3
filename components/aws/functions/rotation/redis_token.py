"""The AUTH token of an ElastiCache replication group.

The strategy ROTATE makes Redis accept the new token beside the one before; the next rotation ends the latter. Source:
ElastiCache user guide, "Authenticating with the AUTH command".
"""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from .steps import RotationError, Value

WAIT_SECONDS, POLL_SECONDS, CONNECT_SECONDS = 720, 10, 10
Connect = Callable[[str, int], Any]


def tls_connection(host: str, port: int) -> ssl.SSLSocket:
    """A connection to Redis whose certificate was checked."""
    plain = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


class RedisToken:
    """`{"token", "host", "port", "replication_group_id", "url"}`.

    Args:
        client: of ElastiCache.
        connect: opens a connection to host and port.
        sleep, clock: of `time`, in seconds.
    """

    def __init__(
        self,
        client: Any,
        connect: Connect = tls_connection,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._connect, self._sleep, self._clock = client, connect, sleep, clock

    def make(self, secret_id: str, current: Value) -> Value:
        """A new token, and the URL that the service connects with."""
        token = secrets.token_hex(32)
        return {**current, "token": token, "url": f"rediss://:{token}@{current['host']}:{current['port']}/0"}

    def apply(self, current: Value, pending: Value) -> None:
        """Set it beside the current one, and wait until the group took it."""
        group = pending["replication_group_id"]
        self._await_available(group)
        if self._answers(pending):
            return
        self._client.modify_replication_group(
            ReplicationGroupId=group,
            AuthToken=pending["token"],
            AuthTokenUpdateStrategy="ROTATE",
            ApplyImmediately=True,
        )
        self._await_available(group)

    def test(self, pending: Value) -> None:
        """Redis answers to it."""
        if not self._answers(pending):
            raise RotationError(f"Redis at {pending['host']} refuses the new AUTH token: see the group's events.")

    def _await_available(self, group: str) -> None:
        deadline = self._clock() + WAIT_SECONDS
        while True:
            found = self._client.describe_replication_groups(ReplicationGroupId=group)["ReplicationGroups"][0]
            if found["Status"] == "available":
                return
            if self._clock() > deadline:
                raise RotationError(
                    f"{group} is {found['Status']} since {WAIT_SECONDS} s: the rotation is tried again."
                )
            self._sleep(POLL_SECONDS)

    def _answers(self, value: Value) -> bool:
        with self._connect(value["host"], int(value["port"])) as connection:
            token = value["token"].encode()
            connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(token), token))
            return bool(_line(connection).startswith(b"+OK"))


def _line(connection: Any) -> bytes:
    """A reply of Redis up to the end of its line; what came until then when the connection ended."""
    received = b""
    while not received.endswith(b"\r\n"):
        chunk = connection.recv(256)
        if not chunk:
            break
        received += chunk
    return received
