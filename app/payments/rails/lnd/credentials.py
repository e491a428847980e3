"""What proves the node to us and us to the node: pinned TLS certificate and macaroon, read again when they change."""

import hashlib
import ssl
from pathlib import Path
from typing import Protocol

import aiohttp

from payments.rails.lnd.errors import LndConfigError

_CERTIFICATE_START = "-----BEGIN CERTIFICATE-----"
_CERTIFICATE_END = "-----END CERTIFICATE-----"


class MacaroonSource(Protocol):
    """Where the macaroon comes from."""

    def hex(self) -> str:
        """The macaroon as lower-case hex. Raises LndConfigError when there is none."""


def _file_version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size


class PinnedCertificate:
    """The one certificate that the node must show, from LND's `tls.cert`.

    The pin is the certificate's SHA-256, not a chain or a host name: LND signs its own certificate and the node may be
    reached under any name. A file is looked at before every request, so a rotated certificate needs no restart; where
    there is no file to mount (ECS injects variables alone) the PEM text itself is given.

    Args:
        source: the file, or PEM text.
    """

    def __init__(self, source: Path | str) -> None:
        self._given = source if isinstance(source, str) else None
        self._path = source if isinstance(source, Path) else Path("of LND_TLS_CERT")
        self._version: tuple[int, int, int] | None = None
        self._fingerprint: aiohttp.Fingerprint | None = None

    def fingerprint(self) -> aiohttp.Fingerprint:
        """The pin to hand to aiohttp; the same object until the file changes.

        Raises:
            LndConfigError: the file cannot be read or holds no certificate.
        """
        try:
            version = (0, 0, 0) if self._given is not None else _file_version(self._path)
            if self._fingerprint is None or version != self._version:
                self._fingerprint = aiohttp.Fingerprint(hashlib.sha256(self._der()).digest())
                self._version = version
        except OSError as error:
            raise LndConfigError(
                f"The LND certificate {self._path} cannot be read ({error.strerror}); mend LND_TLS_CERT_PATH."
            ) from error
        return self._fingerprint

    def _der(self) -> bytes:
        text = self._given if self._given is not None else self._path.read_text(encoding="ascii", errors="replace")
        start, end = text.find(_CERTIFICATE_START), text.find(_CERTIFICATE_END)
        try:
            if start < 0 or end < start:
                raise ValueError("no PEM block")
            return ssl.PEM_cert_to_DER_cert(text[start : end + len(_CERTIFICATE_END)])
        except ValueError as error:
            raise LndConfigError(
                f"The LND certificate {self._path} holds no PEM certificate; copy the node's tls.cert there."
            ) from error


class GivenMacaroon:
    """A macaroon given as hex in a setting."""

    def __init__(self, text: str, *, setting: str) -> None:
        cleaned = text.strip()
        try:
            self._hex = bytes.fromhex(cleaned).hex()
        except ValueError as error:
            raise LndConfigError(f"{setting} is not hex; take it from `xxd -p -c 9999 <file>.macaroon`.") from error
        if not self._hex:
            raise LndConfigError(f"{setting} is empty; take it from `xxd -p -c 9999 <file>.macaroon`.")

    def hex(self) -> str:
        """The macaroon as lower-case hex."""
        return self._hex

    def __repr__(self) -> str:
        return "GivenMacaroon(...)"


class MacaroonFile:
    """A macaroon in LND's binary file, read again when the file changes."""

    def __init__(self, path: Path, *, setting: str) -> None:
        self._path = path
        self._setting = setting
        self._version: tuple[int, int, int] | None = None
        self._hex = ""

    def hex(self) -> str:
        """The macaroon as lower-case hex. Raises LndConfigError when the file cannot be read or is empty."""
        try:
            version = _file_version(self._path)
            if version != self._version:
                self._hex = self._path.read_bytes().hex()
                self._version = version
        except OSError as error:
            raise LndConfigError(
                f"The macaroon {self._path} cannot be read ({error.strerror}); mend {self._setting}."
            ) from error
        if not self._hex:
            raise LndConfigError(f"The macaroon {self._path} is empty; mend {self._setting}.")
        return self._hex

    def __repr__(self) -> str:
        return f"MacaroonFile({str(self._path)!r})"
