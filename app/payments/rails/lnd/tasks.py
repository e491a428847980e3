"""The worker's duty for Lightning: publish what the node can send and receive, and what forced closings lock up."""

from __future__ import annotations

from prometheus_client import Gauge

from payments.core import Core
from payments.rails.lnd.rail import LndRail
from payments.rails.protocol import RailError
from payments.worker.work import Duty

EVERY_SECONDS = 30.0

LIQUIDITY = Gauge(
    "lnd_liquidity_msat", "Balances of the node's channels, by side.", ["side"], multiprocess_mode="livemax"
)
CHANNELS = Gauge("lnd_channels", "Channels of the node, by state.", ["state"], multiprocess_mode="livemax")


async def measure_liquidity(core: Core) -> None:
    """Write the node's figures into the metrics; an unreachable node leaves the last ones, and /ready tells."""
    rail = core.rails.get("lnd")
    if not isinstance(rail, LndRail) or not rail.can_pay:
        return
    try:
        found = await rail.liquidity()
    except RailError:
        return
    LIQUIDITY.labels("sendable").set(found.sendable_msat)
    LIQUIDITY.labels("receivable").set(found.receivable_msat)
    LIQUIDITY.labels("in_flight").set(found.in_flight_msat)
    LIQUIDITY.labels("limbo").set(found.limbo_msat)
    CHANNELS.labels("active").set(found.active_channels)
    CHANNELS.labels("inactive").set(found.inactive_channels)
    CHANNELS.labels("force_closing").set(found.force_closing_channels)


DUTIES = (Duty("lnd.liquidity", EVERY_SECONDS, measure_liquidity),)
