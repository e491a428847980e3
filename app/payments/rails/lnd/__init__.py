"""Lightning by LND REST: invoices, payouts, proof of death, and the BOLT 11 codec. Signing keys stay in the node."""

from typing import Final

from payments.object_stores import StoreConfigError
from payments.rails.lnd import macaroons
from payments.rails.lnd.backups import backup_store
from payments.rails.lnd.credentials import MacaroonSource
from payments.rails.lnd.errors import LndConfigError
from payments.rails.lnd.rail import LndConfig, LndRail, macaroon_source
from payments.settings import Settings, SettingsError

RECEIVING_RIGHTS: Final = "invoices:read invoices:write"
PAYING_RIGHTS: Final = "offchain:read offchain:write info:read onchain:read"


def build(settings: Settings, role: str) -> LndRail | None:
    """The rail of these settings, None without LND_URL. Only the worker's is given the pay macaroon.

    Raises:
        SettingsError: a setting cannot be used.
    """
    if not settings.lnd_url:
        return None
    invoice, pay = settings.lnd_macaroon, settings.lnd_pay_macaroon if role == "worker" else None
    pay_path = settings.lnd_pay_macaroon_path if role == "worker" else None
    try:
        invoice_macaroon = macaroon_source(
            invoice.get_secret_value() if invoice else None, settings.lnd_macaroon_path, setting="LND_MACAROON"
        )
        certificate = settings.lnd_tls_cert_path or settings.lnd_tls_cert
        if invoice_macaroon is None or not certificate:
            raise LndConfigError(
                "LND_URL needs LND_TLS_CERT_PATH (or LND_TLS_CERT) and LND_MACAROON (or LND_MACAROON_PATH) beside it."
            )
        pay_macaroon = macaroon_source(pay.get_secret_value() if pay else None, pay_path, setting="LND_PAY_MACAROON")
        _check_rights("LND_MACAROON", invoice_macaroon, macaroons.SPENDING, RECEIVING_RIGHTS)
        _check_rights("LND_PAY_MACAROON", pay_macaroon, macaroons.SPENDING - macaroons.PAYING, PAYING_RIGHTS)
        config = LndConfig(
            url=settings.lnd_url,
            tls_certificate=certificate,
            invoice_macaroon=invoice_macaroon,
            pay_macaroon=macaroon_source(pay.get_secret_value() if pay else None, pay_path, setting="LND_PAY_MACAROON"),
            network=settings.bitcoin_network,
            max_payment_msat=settings.max_payment_msat,
            max_fee_msat=settings.max_fee_msat,
            breaker_failures=settings.breaker_failures,
            breaker_rest_seconds=settings.breaker_rest_seconds,
        )
        return LndRail(config, store=backup_store(settings) if role == "worker" else None)
    except LndConfigError as error:
        raise SettingsError([error.sentence]) from error
    except StoreConfigError as error:
        raise SettingsError([str(error)]) from error


def _check_rights(setting: str, source: MacaroonSource | None, forbidden: frozenset[str], enough: str) -> None:
    """Least privilege: a macaroon that may do more than its process needs is refused before it is used.

    One that cannot be read, or not yet, is left to the node: it refuses it, and /ready tells.

    Raises:
        LndConfigError: it may do more.
    """
    if source is None:
        return
    try:
        too_much = sorted(macaroons.rights(bytes.fromhex(source.hex())) & forbidden)
    except (LndConfigError, macaroons.MacaroonError):
        return
    if too_much:
        raise LndConfigError(
            f"{setting} may do more than it needs ({', '.join(too_much)}): bake one with "
            f"`lncli bakemacaroon {enough}` and give that."
        )


__all__ = ["LndConfig", "LndRail", "build"]
