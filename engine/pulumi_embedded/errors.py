"""Errors that a person can mend. Each carries one whole sentence: what happened, where, and what to do."""

from __future__ import annotations

EXIT_OTHER = 1
"""Exit codes are those of the Pulumi CLI (`pkg/cmd/pulumi/cmd/exit_codes.go`)."""
EXIT_CONFIGURATION = 2
EXIT_CREDENTIALS = 3
EXIT_STACK_NOT_FOUND = 6
EXIT_EXPECT_NO_CHANGES = 7
EXIT_CANCELLED = 8
EXIT_INTERNAL = 255


class EngineError(Exception):
    """Something a person can mend; the message is the whole of what is shown."""

    exit_code = EXIT_OTHER


class UsageError(EngineError):
    """The command line or a settings file says something that cannot be done."""


class UnconfirmedError(UsageError):
    """An update that nobody approved and nobody can be asked about."""

    exit_code = EXIT_CONFIGURATION

    def __init__(self) -> None:
        super().__init__(
            "--yes or --skip-preview or --preview-only must be passed in to proceed when running in non-interactive "
            "mode"
        )


class UnsupportedError(EngineError):
    """A feature outside the contract: refused in one sentence that names the Pulumi CLI."""

    def __init__(
        self, feature: str, hint: str = "install the Pulumi CLI (https://www.pulumi.com/docs/install/)"
    ) -> None:
        super().__init__(f"the embedded engine does not support {feature}; {hint} and run this command with it")
        self.feature = feature


class StackNotFoundError(EngineError):
    """The named stack has no checkpoint in this backend."""

    exit_code = EXIT_STACK_NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"no stack named '{name}' found")
        self.name = name


class StackAlreadyExistsError(EngineError):
    """`stack init` or `stack rename` met a stack of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"stack '{name}' already exists")
        self.name = name


class ConfigError(EngineError):
    """A settings file or a config value is wrong."""


class SecretsError(EngineError):
    """A secret cannot be read or written, most often because of the passphrase."""


class LoginError(EngineError):
    """No backend is chosen."""

    exit_code = EXIT_CREDENTIALS


class StateError(EngineError):
    """A state file is damaged, too large, or of a version this engine does not know."""


class LockedError(EngineError):
    """Another update holds the stack."""


class OutputError(EngineError):
    """What is to be printed cannot be: the disk behind standard output is full, or the like."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"standard output cannot be written: {reason}")


class CancelledError(EngineError):
    """The person stopped the update, or declined to confirm it."""

    exit_code = EXIT_CANCELLED
