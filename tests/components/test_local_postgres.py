"""PostgreSQL for real: made, killed at once, healed; its passwords, roles, database and its last words."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from components.local.accounts import account_named, as_account, give_to
from components.local.binaries import find_postgres
from components.local.errors import LocalPlatformError
from components.local.leftovers import processes_of
from components.local.postgres import ACCESS_RULES, server_settings
from components.local.postgres_cluster import PostgresClusterProvider
from components.local.postgres_database import PostgresDatabaseProvider
from components.local.postgres_role import PostgresRoleProvider
from components.local.postgres_session import Login, can_log_in, session
from components.local.process import ProcessProvider
from components.local.readiness import ReadyCheck
from components.local.supervision import Supervision
from tests.components.conftest import Properties, wait_until

Build = Callable[..., Properties]
Reserve = Callable[[str], int]
SUPERUSER_PASSWORD = "5af1" * 16


@pytest.fixture(scope="module")
def cluster(stack: Path, free_port: Reserve, postgres_account: str) -> Properties:
    server = find_postgres()
    inputs = {
        "stackFolder": str(stack),
        "server": str(server.path),
        "version": server.version,
        "account": postgres_account,
        "port": float(free_port("postgres")),
        "superuserPassword": SUPERUSER_PASSWORD,
    }
    return PostgresClusterProvider().make(inputs)[1]


@pytest.fixture(scope="module")
def inputs(stack: Path, cluster: Properties, process_inputs: Build, postgres_account: str) -> Properties:
    port, folder = int(cluster["port"]), stack / "postgres"
    (folder / "pg_hba.conf").write_text(ACCESS_RULES)
    settings = folder / "postgresql.conf"
    settings.write_text(server_settings(port, cluster["data"], str(folder / "pg_hba.conf")))
    return process_inputs(
        "postgres",
        port,
        command=[f"{cluster['programs']}/postgres", f"--config-file={settings}"],
        ready={"kind": "postgres", "address": f"127.0.0.1:{port}", "path": ""},
        account=postgres_account,
        directory=cluster["data"],
        dataFolders=[cluster["data"]],
        staleFiles=[f"{cluster['data']}/postmaster.pid"],
        stopSignal="INT",
    )


@pytest.fixture
def server(inputs: Properties) -> Properties:
    """A running PostgreSQL."""
    provider = ProcessProvider()
    if not (provider.observe("postgres", inputs) or {})["running"]:
        provider.make(inputs)
    return inputs


def superuser(cluster: Properties) -> Login:
    return Login(int(cluster["port"]), SUPERUSER_PASSWORD)


def postmaster(inputs: Properties) -> int:
    return Supervision(inputs["supervisor"], Path(inputs["passwordFile"])).pid("postgres")


class TestCluster:
    def test_it_listens_on_loopback_alone_and_wants_a_password(self, cluster: Properties, server: Properties) -> None:
        with session(superuser(cluster)) as connection:
            settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        assert settings["listen_addresses"] == "127.0.0.1"
        assert settings["unix_socket_directories"] == ""
        assert (settings["fsync"], settings["full_page_writes"], settings["data_checksums"]) == ("on", "on", "on")
        assert settings["password_encryption"] == "scram-sha-256"
        with (
            pytest.raises(LocalPlatformError, match="PostgreSQL refused the login of postgres: password"),
            session(Login(int(cluster["port"]), "wrong")),
        ):
            pass

    def test_a_creation_that_was_never_recorded_is_taken_over_with_its_data(
        self, cluster: Properties, server: Properties
    ) -> None:
        assert PostgresClusterProvider().make(cluster)[1]["identifier"] == cluster["identifier"]

    def test_no_password_is_left_in_a_file(self, stack: Path, cluster: Properties) -> None:
        for path in (stack / "postgres").rglob("*"):
            if path.is_file():
                assert SUPERUSER_PASSWORD.encode() not in path.read_bytes(), path

    def test_half_an_initdb_is_no_obstacle(self, stack: Path, cluster: Properties, tmp_path: Path) -> None:
        elsewhere = stack / "second"
        (elsewhere / "postgres" / "data.unfinished" / "base").mkdir(parents=True)
        elsewhere.chmod(0o755)
        made = PostgresClusterProvider().make({**cluster, "stackFolder": str(elsewhere)})[1]
        assert made["identifier"] != cluster["identifier"]
        assert not (elsewhere / "postgres" / "data.unfinished").exists()

    def test_data_of_another_major_version_is_refused_in_a_sentence(self, stack: Path, cluster: Properties) -> None:
        version = Path(cluster["data"]) / "PG_VERSION"
        kept = version.read_text()
        version.write_text("9\n")
        try:
            with pytest.raises(LocalPlatformError, match="is of PostgreSQL 9 and this machine now has"):
                PostgresClusterProvider().make(cluster)
        finally:
            version.write_text(kept)

    def test_the_superusers_password_can_be_changed(self, cluster: Properties, server: Properties) -> None:
        provider, other = PostgresClusterProvider(), "0ther" * 8
        changed = provider.change("x", cluster, {**cluster, "superuserPassword": other})
        assert can_log_in(Login(int(cluster["port"]), other))
        assert not can_log_in(superuser(cluster))
        provider.change("x", changed, cluster)
        assert can_log_in(superuser(cluster))

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a folder to another account")
    def test_a_folder_its_account_cannot_enter_is_told(self, stack: Path, cluster: Properties) -> None:
        closed = stack / "closed"
        (closed / "stack").mkdir(parents=True)
        closed.chmod(0o700)
        with pytest.raises(LocalPlatformError, match="who cannot pass through to"):
            PostgresClusterProvider().make({**cluster, "stackFolder": str(closed / "stack")})


class TestPowerCut:
    def test_committed_rows_survive_the_kill_of_everything(
        self, stack: Path, cluster: Properties, server: Properties
    ) -> None:
        with session(superuser(cluster)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (what text)")
            connection.execute("INSERT INTO kept VALUES ('committed')")
        for process in processes_of(stack, "postgres", Path(cluster["data"])):
            # Its backends end by themselves when the postmaster is gone.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        provider = ProcessProvider()
        wait_until(lambda: not (provider.observe("postgres", server) or {})["running"])
        assert (Path(cluster["data"]) / "postmaster.pid").exists()
        provider.change("postgres", server, server)
        with session(superuser(cluster)) as connection:
            assert connection.execute("SELECT what FROM kept").fetchall() == [("committed",)]

    def test_a_stale_pidfile_naming_a_live_process_of_the_account_is_no_obstacle(
        self, cluster: Properties, server: Properties, postgres_account: str
    ) -> None:
        """After a reboot the old pid may belong to anyone; PostgreSQL itself refuses when it is its own account's."""
        account = account_named(postgres_account)
        bystander = subprocess.Popen(as_account(["/bin/sleep", "600"], account))
        try:
            ProcessProvider().remove("postgres", server)
            pidfile = Path(cluster["data"]) / "postmaster.pid"
            pidfile.write_text(f"{bystander.pid}\n{cluster['data']}\n1\n{int(cluster['port'])}\n\n127.0.0.1\n\n")
            give_to(pidfile, account)
            ProcessProvider().make(server)
            assert can_log_in(superuser(cluster))
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()

    def test_a_killed_postmaster_leaves_no_backend_that_blocks_the_next(
        self, cluster: Properties, server: Properties
    ) -> None:
        url = f"postgresql://postgres:{SUPERUSER_PASSWORD}@127.0.0.1:{int(cluster['port'])}/postgres"
        connection = psycopg.connect(url, autocommit=True)
        try:
            connection.execute("SELECT 1")
            os.kill(postmaster(server), signal.SIGKILL)
            ProcessProvider().change("postgres", server, server)
        finally:
            connection.close()
        assert can_log_in(superuser(cluster))


class TestLostFolder:
    def test_a_cluster_made_while_the_old_one_still_runs_is_not_spoilt_by_its_end(
        self, stack: Path, cluster: Properties, server: Properties, process_inputs: Build, free_port: Reserve
    ) -> None:
        """PostgreSQL writes its control file by absolute path when it ends: into whatever cluster lies there then."""
        data, aside = Path(cluster["data"]), stack / "postgres" / "aside"
        data.rename(aside)
        try:
            made = PostgresClusterProvider().make(cluster)[1]
            assert made["identifier"] != cluster["identifier"]
            assert processes_of(stack, "postgres", data) == []
            ProcessProvider().change("postgres", server, server)
            assert can_log_in(superuser(cluster))
            assert PostgresClusterProvider().make(cluster)[1]["identifier"] == made["identifier"]
        finally:
            ProcessProvider().remove("postgres", server)
            shutil.rmtree(data)
            aside.rename(data)


class TestReadiness:
    def test_it_is_ready_when_it_asks_for_a_password(self, cluster: Properties, server: Properties) -> None:
        assert ReadyCheck("postgres", f"127.0.0.1:{int(cluster['port'])}").passes()


class TestRolesAndDatabase:
    ROLES = ("payments_owner", "payments_app", "payments_reader")

    def role(self, cluster: Properties, role: str) -> Properties:
        return {
            "role": role,
            "password": f"{role}-password",
            "port": cluster["port"],
            "superuserPassword": SUPERUSER_PASSWORD,
            "cluster": cluster["identifier"],
            "usable": True,
        }

    def database(self, cluster: Properties) -> Properties:
        return {
            "database": "payments",
            "owner": "payments_owner",
            "readers": ["payments_app"],
            "port": cluster["port"],
            "superuserPassword": SUPERUSER_PASSWORD,
            "cluster": cluster["identifier"],
        }

    @pytest.fixture
    def made(self, cluster: Properties, server: Properties) -> Properties:
        for role in self.ROLES:
            PostgresRoleProvider().make(self.role(cluster, role))
        return PostgresDatabaseProvider().make(self.database(cluster))[1]

    def login(self, cluster: Properties, role: str) -> Login:
        return Login(int(cluster["port"]), f"{role}-password", role, "payments")

    def test_owner_and_granted_roles_connect_and_the_third_does_not(
        self, cluster: Properties, made: Properties
    ) -> None:
        assert [can_log_in(self.login(cluster, role)) for role in self.ROLES] == [True, True, False]

    def test_none_of_them_can_make_roles_or_databases(self, cluster: Properties, made: Properties) -> None:
        with (
            pytest.raises(LocalPlatformError, match="permission denied to create role"),
            session(self.login(cluster, "payments_owner")) as connection,
        ):
            connection.execute("CREATE ROLE more")

    def test_making_them_again_keeps_the_rows(self, cluster: Properties, made: Properties) -> None:
        with session(self.login(cluster, "payments_owner")) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS rows_of_owner (n int)")
        PostgresDatabaseProvider().make(self.database(cluster))
        PostgresRoleProvider().make(self.role(cluster, "payments_owner"))
        with session(self.login(cluster, "payments_owner")) as connection:
            assert connection.execute("SELECT count(*) FROM rows_of_owner").fetchone() == (0,)

    def test_a_password_changed_by_hand_is_drift(self, cluster: Properties, made: Properties) -> None:
        provider, recorded = PostgresRoleProvider(), self.role(cluster, "payments_app")
        with session(superuser(cluster)) as connection:
            connection.execute("ALTER ROLE payments_app PASSWORD 'guessed'")
        found = provider.observe("payments_app", recorded) or {}
        assert provider.diff("payments_app", found, recorded).changes is True
        provider.change("payments_app", found, recorded)
        assert (provider.observe("payments_app", recorded) or {})["usable"] is True

    def test_a_dropped_database_is_gone_for_the_engine(self, cluster: Properties, made: Properties) -> None:
        provider = PostgresDatabaseProvider()
        provider.remove("payments", made)
        provider.remove("payments", made)
        assert provider.observe("payments", made) is None


class TestDown:
    """Last: the server is not running here."""

    def test_what_cannot_be_looked_at_is_left_as_recorded(self, cluster: Properties, server: Properties) -> None:
        ProcessProvider().remove("postgres", server)
        recorded = {"database": "payments", "port": cluster["port"], "superuserPassword": SUPERUSER_PASSWORD}
        role = {**recorded, "role": "payments_app", "password": "x"}
        assert PostgresDatabaseProvider().observe("payments", recorded) == recorded
        assert PostgresRoleProvider().observe("payments_app", role) == role
        PostgresDatabaseProvider().remove("payments", recorded)
        PostgresRoleProvider().remove("payments_app", role)

    def test_a_password_cannot_be_changed_while_it_is_down(self, cluster: Properties, server: Properties) -> None:
        ProcessProvider().remove("postgres", server)
        with pytest.raises(LocalPlatformError, match="changed while PostgreSQL is down"):
            PostgresClusterProvider().change("x", cluster, {**cluster, "superuserPassword": "other"})

    def test_one_that_will_not_start_says_its_logs_last_line(self, stack: Path, inputs: Properties) -> None:
        settings = stack / "postgres" / "postgresql.conf"
        kept = settings.read_text()
        settings.write_text(kept + "moon_phase = full\n")
        try:
            with pytest.raises(LocalPlatformError) as caught:
                ProcessProvider().make(inputs)
        finally:
            settings.write_text(kept)
        said = str(caught.value)
        last = [line for line in Path(inputs["log"]).read_text().splitlines() if line.strip()][-1]
        assert said.startswith("postgres will not start; its log ends: ")
        assert last in said
        assert "\n" not in said
        assert processes_of(stack, "postgres", stack / "postgres" / "data") == []

    def test_a_damaged_cluster_says_what_is_damaged(self, inputs: Properties, cluster: Properties) -> None:
        control = Path(cluster["data"]) / "global" / "pg_control"
        kept = control.read_bytes()
        control.write_bytes(b"\0" * len(kept))
        try:
            with pytest.raises(LocalPlatformError, match=r"postgres will not start; its log ends: .*(FATAL|PANIC)"):
                ProcessProvider().make(inputs)
        finally:
            control.write_bytes(kept)
