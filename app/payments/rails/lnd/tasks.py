"""The worker's duties for Lightning: publish what the node can send and receive, and keep its channel backups."""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Gauge

from payments.core import Core
from payments.object_stores import ObjectStore, StoreError
from payments.rails.lnd.backups import backup_store
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


BACKUP_EVERY_SECONDS = 10.0
FOLLOW_AGAIN_SECONDS = 1.0
DRILL_EVERY_SECONDS = 86_400.0
BACKUPS = Counter("lnd_channel_backups_total", "Static channel backups, stored or failed.", ["outcome"])
BACKUP_CHECKED_AT = Gauge(
    "lnd_channel_backup_checked_at_seconds",
    "When the newest stored backup was last seen to have all channels, Unix seconds.",
    multiprocess_mode="livemax",
)
BACKUP_USABLE = Gauge(
    "lnd_channel_backup_usable",
    "1: the last drill could use the newest backup; 0: it could not.",
    multiprocess_mode="livemin",
)
_log = structlog.get_logger(__name__)


def _backups(core: Core) -> tuple[LndRail, ObjectStore] | None:
    rail, store = core.rails.get("lnd"), backup_store(core.settings)
    return (rail, store) if isinstance(rail, LndRail) and rail.can_pay and store is not None else None


async def keep_backup(core: Core) -> None:
    """Store a static channel backup when the channels changed."""
    found = _backups(core)
    if found is None:
        return
    rail, store = found
    try:
        stored = await rail.keep_backup(store)
    except RailError:
        return  # /ready tells that the node is away
    except StoreError as error:
        BACKUPS.labels("failed").inc()
        _log.error("a channel backup was not stored", error=str(error))
        return
    BACKUP_CHECKED_AT.set(core.clock.now().timestamp())
    if stored:
        BACKUPS.labels("stored").inc()


async def follow_channels(core: Core) -> None:
    """Store a backup as soon as the node tells of a change, until its stream ends; the poll sees what it misses."""
    found = _backups(core)
    if found is None:
        return
    rail, _ = found
    try:
        async for _change in rail.channel_changes():
            await keep_backup(core)
    except (RailError, TimeoutError):
        return  # subscribed again in a while


async def check_channels(core: Core) -> None:
    """Compare the node's channels with the newest state they were seen in; what is wrong is said once a look."""
    found = _backups(core)
    if found is None:
        return
    try:
        await found[0].check_channels()
    except RailError as error:
        _log.warning("the node's channels cannot be compared with what was seen of them", error=error.sentence)


async def drill_backup(core: Core) -> None:
    """Try the newest backup against the node, every day."""
    found = _backups(core)
    if found is None:
        return
    rail, store = found
    await keep_backup(core)
    try:
        result = await rail.try_backup(store)
    except RailError:
        return
    except StoreError as error:
        BACKUP_USABLE.set(0)
        _log.error("the channel backup cannot be tried", error=str(error))
        return
    BACKUP_USABLE.set(int(result.is_usable))
    if not result.is_usable:
        _log.error("the newest channel backup is of no use", name=result.name, reason=result.reason)


DUTIES = (
    Duty("lnd.liquidity", EVERY_SECONDS, measure_liquidity),
    Duty("lnd.channel_changes", FOLLOW_AGAIN_SECONDS, follow_channels),
    Duty("lnd.channel_state", BACKUP_EVERY_SECONDS, check_channels),
    Duty("lnd.channel_backup", BACKUP_EVERY_SECONDS, keep_backup),
    Duty("lnd.backup_drill", DRILL_EVERY_SECONDS, drill_backup),
)
