"""The cluster's certificate, keys and tokens, made once and kept in files that only their owner reads."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALIDITY = datetime.timedelta(days=365)
ADMINISTRATOR = "administrator"
# The groups that RBAC's own bindings know; the rest of a component's rights it has by its user's name.
USERS = {
    ADMINISTRATOR: "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "kwok": "system:masters",
}


@dataclass(frozen=True)
class Credentials:
    """Paths of the files, and the tokens by user."""

    certificate: Path
    key: Path
    account_key: Path
    token_file: Path
    tokens: dict[str, str]


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def credentials(folder: Path, now: datetime.datetime) -> Credentials:
    """The cluster's, made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    certificate, key, account_key = folder / "server.crt", folder / "server.key", folder / "accounts.key"
    if not account_key.exists():
        write_private(account_key, _pem(ec.generate_private_key(ec.SECP256R1())))
    if not _usable(certificate, now):
        private = ec.generate_private_key(ec.SECP256R1())
        write_private(key, _pem(private))
        write_private(certificate, _certificate(private, now))
    token_file = folder / "tokens.csv"
    if not token_file.exists():
        lines = [f'{secrets.token_hex(32)},{user},{user},"{group}"' for user, group in USERS.items()]
        write_private(token_file, ("\n".join(lines) + "\n").encode())
    tokens = {}
    for line in token_file.read_text(encoding="utf-8").splitlines():
        token, user, _ = line.split(",", 2)
        tokens[user] = token
    return Credentials(certificate, key, account_key, token_file, tokens)


def _usable(certificate: Path, now: datetime.datetime) -> bool:
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return now + datetime.timedelta(days=1) < parsed.not_valid_after_utc


def _pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _certificate(private: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "railyard emulated kubernetes")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM)
