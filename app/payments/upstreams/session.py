"""HTTP sessions to other systems, all with the same limits."""

from __future__ import annotations

import aiohttp

# pk-http-pool-idle-10 and pk-http-timeout-30. aiohttp has no separate limit of idle connections: at most this many
# connections a host are at most this many idle ones.
CONNECTIONS_PER_HOST = 10
IDLE_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0
CONNECT_TIMEOUT_SECONDS = 5.0


def new_session(*, connections_per_host: int = CONNECTIONS_PER_HOST) -> aiohttp.ClientSession:
    """A session without cookies, redirects by environment, or proxies from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, limit_per_host=connections_per_host, keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=30
        ),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
