"""One at a time: a provider process that outlives a killed engine finishes what it does before the next one begins."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.local.errors import LocalPlatformError

# Longer than any start or migration may take.
WAIT_SECONDS = 330.0
POLL_SECONDS = 0.05


@contextmanager
def exclusively(stack: Path, name: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[tuple[int, ...]]:
    """Hold the lock `name` of the stack in folder `stack`; the kernel frees it when its holder dies.

    Yields what to give a child as `pass_fds`, so that the lock is held until the child has ended, too.

    Raises:
        LocalPlatformError: somebody else has held it for `wait_seconds`.
    """
    if not stack.exists():
        yield ()  # Nothing is left that could be shared.
        return
    folder = stack / "locks"
    folder.mkdir(exist_ok=True, mode=0o700)
    with (folder / name).open("w") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LocalPlatformError(
                        f"An interrupted update has worked on {name} of {stack} for {wait_seconds:.0f} s and "
                        "still does: wait for it to end, or end its pulumi.dynamic process."
                    ) from None
                time.sleep(POLL_SECONDS)
        yield (file.fileno(),)
