"""Ports: random and free unless configured, reserved, and given up when somebody else holds them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.local.errors import LocalPlatformError
from components.local.listeners import is_free, listener_on
from components.local.port import FIRST_PORT, LAST_PORT, PortProvider, reservations


def inputs(stack: Path, purpose: str = "redis", configured: int = 0) -> dict[str, Any]:
    return {"purpose": purpose, "stackFolder": str(stack), "configured": configured, "held": True}


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """A port a stranger listens on; here the stranger is this test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestRandomPorts:
    def test_it_is_free_and_below_the_ports_of_outgoing_connections(self, tmp_path: Path) -> None:
        port = PortProvider().make(inputs(tmp_path))[1]["port"]
        assert FIRST_PORT <= port <= LAST_PORT
        assert is_free(port)

    def test_two_parts_of_a_stack_never_get_the_same_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A range of eight for eight: only reservations keep them apart.
        monkeypatch.setattr("components.local.port.LAST_PORT", FIRST_PORT + 40)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: PortProvider().make(inputs(tmp_path, f"part-{n}")), range(8)))
        ports = {outputs["port"] for _, outputs in made}
        assert len(ports) == 8
        assert reservations(tmp_path) == {outputs["purpose"]: outputs["port"] for _, outputs in made}

    def test_a_creation_that_was_never_recorded_is_taken_over(self, tmp_path: Path) -> None:
        first = PortProvider().make(inputs(tmp_path))
        assert PortProvider().make(inputs(tmp_path)) == first


class TestConfiguredPorts:
    def test_one_in_use_is_refused_with_who_holds_it(self, tmp_path: Path, foreign_port: int) -> None:
        with pytest.raises(LocalPlatformError) as caught:
            PortProvider().make(inputs(tmp_path, "router", foreign_port))
        assert f"Port {foreign_port}, configured for router in railyard:ports, is in use by" in str(caught.value)
        assert f"(pid {os.getpid()})" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_one_that_another_part_has_is_refused(self, tmp_path: Path) -> None:
        port = PortProvider().make(inputs(tmp_path, "redis"))[1]["port"]
        with pytest.raises(LocalPlatformError, match="another part of this stack has it"):
            PortProvider().make(inputs(tmp_path, "router", port))

    @pytest.mark.parametrize("port", [80, 70000])
    def test_one_outside_the_range_is_refused_before_anything_is_made(self, tmp_path: Path, port: int) -> None:
        (failure,) = PortProvider().check({}, inputs(tmp_path, "router", port)).failures
        assert failure.reason.startswith(f"Port {port} is not between 1024 and 65535")


class TestDrift:
    def test_a_port_a_stranger_took_is_replaced(self, tmp_path: Path) -> None:
        provider = PortProvider()
        identifier, outputs = provider.make(inputs(tmp_path))
        with socket.create_server(("127.0.0.1", outputs["port"])):
            found = provider.observe(identifier, outputs) or {}
            assert provider.diff(identifier, found, inputs(tmp_path)).replaces == ["held"]
            assert provider.make(inputs(tmp_path))[1]["port"] != outputs["port"]
        assert (provider.observe(identifier, outputs) or {"held": None})["held"] in (True, None)

    def test_a_lost_reservation_is_a_lost_port(self, tmp_path: Path) -> None:
        provider = PortProvider()
        identifier, outputs = provider.make(inputs(tmp_path))
        provider.remove(identifier, outputs)
        assert provider.observe(identifier, outputs) is None
        provider.remove(identifier, outputs)


def test_a_listener_is_named(foreign_port: int) -> None:
    found = listener_on(foreign_port)
    assert found is not None
    assert found.pid == os.getpid()
