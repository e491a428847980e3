"""The one place that says which Pulumi CLI's contract this engine keeps."""

CLI_VERSION = "3.259.0"
"""The CLI version whose commands, state format and answers this package keeps; the SDK branches on it."""

ENGINE_VERSION = "0.1.0"
"""This package's own version."""
