"""The Pulumi program: settings -> components -> outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pulumi

from components.local.binaries import MissingServerError
from components.local.platform import LocalPlatform, LocalPlatformArgs
from components.settings import Settings, SettingsError

CHECKOUT = Path(__file__).resolve().parent


def state_folder() -> Path:
    """The folder ./railyard keeps this stack's state in.

    Raises:
        pulumi.RunError: the environment does not say.
    """
    folder = os.environ.get("RAILYARD_STATE", "")
    if not folder or not Path(folder).is_absolute():
        raise pulumi.RunError(
            "RAILYARD_STATE, the state folder of the local stack, is not set to an absolute path: "
            "run ./railyard up, or ./railyard pulumi ... for a single command."
        )
    return Path(folder)


def main() -> None:
    """Declare the stack the settings ask for."""
    try:
        settings, secrets = Settings.from_pulumi()
        platform = LocalPlatform("local", LocalPlatformArgs(CHECKOUT, state_folder(), settings, secrets))
    except (SettingsError, MissingServerError) as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in platform.outputs.items():
        pulumi.export(name, value)


main()
