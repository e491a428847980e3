"""Where this checkout and the state folder of its local stacks are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from operations.errors import OperationError

ROOT = Path(__file__).resolve().parents[1]


def state_folder(root: Path, environment: Mapping[str, str], *, as_root: bool) -> Path:
    """The folder that holds a checkout's stacks: `$RAILYARD_STATE`, else one of its own below the account's state.

    Two checkouts never share one: its name ends with 8 hex digits of the checkout path's SHA-256.
    """
    chosen = environment.get("RAILYARD_STATE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    name = f"{root.name}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    if as_root:
        return Path("/var/lib/railyard") / name
    home = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(home) / "railyard" / name


@dataclass(frozen=True)
class State:
    """The state folder and what lies where in it."""

    folder: Path

    @classmethod
    def of_this_checkout(cls) -> State:
        return cls(state_folder(ROOT, os.environ, as_root=os.geteuid() == 0))

    @property
    def passphrase(self) -> Path:
        """The file that unlocks the stack's secrets."""
        return self.folder / "passphrase"

    @property
    def pulumi_home(self) -> Path:
        return self.folder / "pulumi-home"

    @property
    def engines(self) -> Path:
        """`<version>/bin/pulumi`, the scripts by which `pulumi.automation` finds the embedded engine."""
        return self.folder / "engine"

    @property
    def local(self) -> Path:
        """All files of the running local stack."""
        return self.folder / "local"

    @property
    def own(self) -> Path:
        """What the commands keep for themselves while the stack is up: their API key, when they last paid."""
        return self.folder / "operations"

    @property
    def settings_copy(self) -> Path:
        """What `Pulumi.local.yaml` held last: the secrets the stack's data was made with."""
        return self.folder / "settings" / "Pulumi.local.yaml"

    @property
    def reports(self) -> Path:
        """The last verification, as JUnit."""
        return self.folder / "reports"

    @property
    def backend_url(self) -> str:
        return f"file://{quote(str(self.folder))}"

    def locks(self, stack: str) -> Path:
        """Where the engine keeps a stack's locks."""
        return self.folder / ".pulumi" / "locks" / "organization" / "railyard" / stack

    def has_checkpoint(self, stack: str) -> bool:
        """Whether the backend knows the stack; a checkpoint may be compressed."""
        return any((self.folder / ".pulumi" / "stacks" / "railyard").glob(f"{stack}.json*"))

    def make(self) -> None:
        """Make the folder. Others may pass through it but not look around: PostgreSQL may run under another account.

        Raises:
            OperationError: it cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.folder.stat().st_uid == os.geteuid():
                self.folder.chmod(0o711)
            self.pulumi_home.mkdir(mode=0o700, exist_ok=True)
        except OSError as reason:
            raise OperationError(
                f"the state folder {self.folder} cannot be made ({reason.strerror}): "
                "set RAILYARD_STATE to a folder that you can write."
            ) from reason
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OperationError(
                f"the state folder {self.folder} cannot be written: it belongs to another account; "
                "run as that account or set RAILYARD_STATE."
            )
