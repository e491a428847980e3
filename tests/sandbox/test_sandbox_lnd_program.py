"""The program: its arguments, its files, its end."""

from __future__ import annotations

import re
import socket
import sqlite3
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sandbox.lnd.certificates import VALIDITY, server_context
from tests.sandbox.lnd_client import LndClient
from tests.sandbox.processes import LndProgram


def one_sentence(text: str) -> str:
    lines = text.strip().splitlines()
    assert "Traceback" not in text
    return lines[-1]


class TestRefusals:
    def test_a_taken_port(self, own_lnd: LndProgram) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", own_lnd.ports["customer"]))
            taken.listen()
            done = own_lnd.run()
        assert done.returncode == 2
        assert f"port {own_lnd.ports['customer']}" in one_sentence(done.stderr)
        assert "Address already in use" in done.stderr

    def test_a_folder_that_another_process_works_on(self, lnd: LndProgram, tmp_path: Path) -> None:
        second = LndProgram(tmp_path)
        second.arguments[1] = str(lnd.data)
        done = second.run()
        assert done.returncode == 2
        assert "in use by another process" in one_sentence(done.stderr)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--merchant-port", "70000"), "'70000' is no port"),
            (("--network", "mainnet"), "invalid choice: 'mainnet'"),
            (("--routing-fee-ppm", "-1"), "cannot be negative"),
            (("--channel-sat", "5"), "--channel-sat must be between"),
        ],
    )
    def test_bad_arguments(self, own_lnd: LndProgram, options: tuple[str, ...], words: str) -> None:
        done = own_lnd.run(*options)
        assert done.returncode == 2
        assert words in one_sentence(done.stderr)

    def test_a_missing_root_key(self, own_lnd: LndProgram, tmp_path: Path) -> None:
        own_lnd.environment["SECRETS_DIR"] = str(tmp_path / "nowhere")
        done = own_lnd.run()
        assert done.returncode == 2
        assert re.search(r"LND_ROOT_KEY cannot be read .*put 32 random bytes as hex", one_sentence(done.stderr))

    def test_a_root_key_that_is_no_hex(self, own_lnd: LndProgram) -> None:
        (Path(own_lnd.environment["SECRETS_DIR"]) / "LND_ROOT_KEY").write_text("secret!")
        done = own_lnd.run()
        assert (done.returncode, "is no hex" in done.stderr, "secret!" in done.stderr) == (2, True, False)

    def test_a_damaged_state_is_kept(self, own_lnd: LndProgram) -> None:
        own_lnd.data.mkdir()
        database = own_lnd.data / "network.sqlite"
        database.write_bytes(b"this is no database, " * 100)
        done = own_lnd.run()
        assert done.returncode == 2
        assert "cannot be used" in one_sentence(done.stderr)
        assert database.read_bytes().startswith(b"this is no database")

    def test_a_state_of_another_network(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        own_lnd.stop()
        done = own_lnd.run("--network", "signet")
        assert done.returncode == 2
        assert "is a regtest network, not signet" in one_sentence(done.stderr)
        done = own_lnd.run("--routing-fee-ppm", "5")
        assert "has no routing node" in one_sentence(done.stderr)


class TestTheEnd:
    async def test_a_signal_ends_it_cleanly_with_streams_open(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as client:
            await client.add_invoice(value="1")
            added = await client.add_invoice(value="1")
            query = {"add_index": str(int(added["add_index"]) - 1)}
            async with client.stream("GET", "/v1/invoices/subscribe", params=query) as lines:
                await anext(lines)
                assert own_lnd.stop() == 0
        assert '"event": "stopping"' in own_lnd.log.read_text()

    async def test_no_secret_is_in_the_log(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        async with LndClient(own_lnd, "merchant") as merchant, LndClient(own_lnd, "customer") as customer:
            invoice = await merchant.add_invoice(value="1")
            payment = await customer.pay(invoice["payment_request"])
            await merchant.get("/v1/invoice/zz")
        own_lnd.stop()
        log = own_lnd.log.read_text()
        connection = sqlite3.connect(own_lnd.data / "network.sqlite")
        keys = [row[0].hex() for row in connection.execute("SELECT private_key FROM nodes")]
        for secret in [own_lnd.root_key, payment["payment_preimage"], own_lnd.macaroon("merchant", "admin"), *keys]:
            assert secret not in log
        assert payment["payment_hash"] in log


class TestFiles:
    def test_lie_where_lnd_lays_them_and_are_private(self, lnd: LndProgram) -> None:
        for node in ("merchant", "customer"):
            folder = lnd.data / node
            private = [folder / "tls.key", lnd.data / "network.sqlite"]
            private += [
                folder / f"data/chain/bitcoin/regtest/{name}.macaroon"
                for name in ("admin", "invoice", "readonly", "pay")
            ]
            assert [stat.S_IMODE(file.stat().st_mode) for file in private] == [0o600] * len(private)

    def test_the_certificate_names_loopback(self, lnd: LndProgram) -> None:
        parsed = x509.load_pem_x509_certificate(lnd.certificate("merchant").read_bytes())
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "localhost" in names.get_values_for_type(x509.DNSName)
        assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]

    async def test_a_client_that_pins_the_other_nodes_certificate_refuses(self, lnd: LndProgram) -> None:
        context = ssl.create_default_context(cafile=lnd.certificate("customer"))
        plain = socket.create_connection(("127.0.0.1", lnd.ports["merchant"]))
        with plain, pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="127.0.0.1")

    def test_an_expired_certificate_is_renewed(self, tmp_path: Path) -> None:
        made = datetime(2030, 1, 1, tzinfo=UTC)
        server_context(tmp_path, "merchant", made)
        first = (tmp_path / "tls.cert").read_bytes()
        server_context(tmp_path, "merchant", made + VALIDITY - timedelta(minutes=1))
        assert (tmp_path / "tls.cert").read_bytes() == first
        server_context(tmp_path, "merchant", made + VALIDITY + timedelta(minutes=1))
        assert (tmp_path / "tls.cert").read_bytes() != first

    def test_a_key_that_does_not_fit_is_replaced_with_its_certificate(self, tmp_path: Path) -> None:
        now = datetime(2030, 1, 1, tzinfo=UTC)
        server_context(tmp_path / "a", "merchant", now)
        server_context(tmp_path / "b", "merchant", now)
        (tmp_path / "a" / "tls.key").replace(tmp_path / "b" / "tls.key")
        server_context(tmp_path / "b", "merchant", now)

    def test_another_root_key_gives_other_macaroons(self, own_lnd: LndProgram) -> None:
        own_lnd.start()
        before = own_lnd.macaroon("merchant", "admin")
        own_lnd.stop()
        (Path(own_lnd.environment["SECRETS_DIR"]) / "LND_ROOT_KEY").write_text("ab" * 32)
        own_lnd.start()
        assert own_lnd.macaroon("merchant", "admin") != before
