"""LNURL-pay (LUD-06) and Lightning addresses (LUD-16): a payee's server makes the invoice that a refund is paid to.

The server is a stranger's: only public addresses are connected to, answers are short, redirects are not followed, and
the invoice must be for exactly the amount that was asked for.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import orjson

from payments.errors import InvalidInput, ServiceUnavailable
from payments.rails.lnd import bech32
from payments.upstreams.guarding import DEFAULT_PATIENCE, Strangers
from payments.webhooks.reachable import PublicResolver, check_url

TIMEOUT_SECONDS = 10.0
MAXIMUM_ANSWER_BYTES = 64 * 1024
# Payees' servers that do not answer are left alone, each by itself.
_PAYEES = Strangers("lnurl", DEFAULT_PATIENCE)
_ADDRESS = re.compile(r"^([a-z0-9._+-]{1,64})@([a-z0-9.-]{1,253}(?::\d{1,5})?)$", re.IGNORECASE)


def url_of(payee: str, *, allow_private: bool = False) -> str | None:
    """The URL that `payee` stands for, None when it is neither an LNURL nor a Lightning address.

    Raises:
        InvalidInput: it is an LNURL that cannot be read, or leads where nobody may be sent.
    """
    text = payee.strip().removeprefix("lightning:")
    found = _ADDRESS.match(text)
    if found:
        scheme = "http" if allow_private and found[2].startswith(("127.0.0.1:", "localhost:")) else "https"
        url = f"{scheme}://{found[2].lower()}/.well-known/lnurlp/{found[1].lower()}"
    elif text.lower().startswith("lnurl1"):
        try:
            url = bech32.to_bytes(bech32.decode(text)[1]).decode("ascii")
        except (bech32.Bech32Error, UnicodeDecodeError):
            raise InvalidInput("payee is an LNURL that cannot be read.", details={"field": "payee"}) from None
    else:
        return None
    check_url(url, allow_private=allow_private)
    return url


async def _ask(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(url, allow_redirects=False) as response:
            raw = await response.content.read(MAXIMUM_ANSWER_BYTES + 1)
            if response.status != 200 or len(raw) > MAXIMUM_ANSWER_BYTES:
                raise InvalidInput(f"The payee's server answered {response.status}: it gives no invoice.")
            answer = orjson.loads(raw)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ServiceUnavailable(
            "The payee's server does not answer: try again, or give a payment request.", headers={"Retry-After": "5"}
        ) from error
    except orjson.JSONDecodeError:
        raise InvalidInput("The payee's server does not answer as LNURL-pay says.") from None
    if not isinstance(answer, dict) or answer.get("status") == "ERROR":
        raise InvalidInput("The payee's server refuses to be paid.")
    return answer


def _callback(terms: dict[str, Any], amount_msat: int) -> str:
    low, high, url = terms.get("minSendable"), terms.get("maxSendable"), terms.get("callback")
    if terms.get("tag") != "payRequest" or not isinstance(url, str):
        raise InvalidInput("The payee's server does not answer as LNURL-pay says.")
    if type(low) is not int or type(high) is not int or not low <= amount_msat <= high:
        raise InvalidInput(f"The payee takes {low} to {high} msat, the refund is of {amount_msat} msat.")
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("amount", str(amount_msat))]
    return urlunsplit(parts._replace(query=urlencode(query)))


async def find(payee: str, amount_msat: int, *, allow_private: bool = False) -> str:
    """A payment request of the payee's for `amount_msat`; `payee` itself if it is no LNURL or Lightning address.

    Raises:
        InvalidInput: the payee's server does not want to be paid so much, or does not do what LUD-06 says.
        ServiceUnavailable: it does not answer.
    """
    url = url_of(payee, allow_private=allow_private)
    if url is None:
        return payee.strip()
    connector = aiohttp.TCPConnector(resolver=PublicResolver(allow_private=allow_private), limit=2)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, middlewares=_PAYEES.guard()
    ) as session:
        callback = _callback(await _ask(session, url), amount_msat)
        check_url(callback, allow_private=allow_private)
        request = (await _ask(session, callback)).get("pr")
    if not isinstance(request, str) or not 1 <= len(request) <= 8192:
        raise InvalidInput("The payee's server gave no invoice.")
    return request
