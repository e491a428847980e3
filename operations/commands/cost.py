"""`./railyard cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.commands.arguments import Json

if TYPE_CHECKING:
    from components.settings import Settings
    from operations.cost.estimate import Line
    from operations.cost.prices import Prices

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting as if it were so, as cacheReplicas=2; may be repeated."),
]
Stack = Annotated[str, typer.Argument(metavar="STACK", help="A stack in a cloud, as staging or prod.")]


def cost(stack: Stack, changes: Changes = None, as_json: Json = False) -> None:
    """Estimate what a month of a stack costs, per component; with --set, what a change adds.

    From the stack's settings and operations/cost/prices.yaml, which says of what day its prices are. Asks no cloud.
    """
    import json

    from operations.cost.estimate import estimate
    from operations.cost.prices import read_prices
    from operations.screen import screen

    prices = read_prices()
    before, after = _settings(stack, []), _settings(stack, changes or [])
    lines = estimate(after, prices)
    added = _total(lines) - _total(estimate(before, prices))
    if as_json:
        print(json.dumps(_as_json(stack, after, lines, added, prices)))  # noqa: T201
        return
    console = screen()
    for component in dict.fromkeys(line.component for line in lines):
        own = [line for line in lines if line.component == component]
        console.print(f"{component:<10}{_dollars(_total(own)):>14}")
        for line in own:
            console.print(f"  {line.what:<52}{_dollars(line.micro_dollars):>12}{'  assumed' if line.assumed else ''}")
    total, budget = _total(lines), after.monthly_budget_usd
    over = "" if total <= budget * 1_000_000 else ", which it is over"
    console.print(f"{'a month':<10}{_dollars(total):>14}  in {after.region}, budget {budget} USD{over}")
    if changes:
        said = "adds nothing" if added == 0 else f"adds {_dollars(added)}" if added > 0 else f"saves {_dollars(-added)}"
        console.print(f"{' '.join(changes)} {said} a month.")
    console.print(f"List prices as recorded on {prices.recorded} from AWS's pricing pages, without taxes or discounts.")


def _settings(stack: str, changes: list[str]) -> Settings:
    from components.settings import NAMESPACE, Settings, SettingsError
    from operations.checkout import ROOT
    from operations.errors import OperationError
    from operations.settings_file import read_settings

    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        raise OperationError(f"there is no {path.name}: name a stack with settings, as staging or prod.", exit_code=2)
    values = dict(read_settings(path).get("config") or {})
    for change in changes:
        key, equals, value = change.partition("=")
        if not key or not equals:
            raise OperationError(f"--set {change!r} is no KEY=VALUE: write --set cacheReplicas=2, say.", exit_code=2)
        values[key if ":" in key else f"{NAMESPACE}:{key}"] = value
    try:
        settings = Settings.from_file(values)
    except SettingsError as error:
        raise OperationError(str(error), exit_code=2) from None
    if settings.platform == "local":
        raise OperationError(
            "the local platform costs nothing: name a stack in a cloud, as staging or prod.", exit_code=2
        )
    return settings


def _total(lines: list[Line]) -> int:
    return sum(line.micro_dollars for line in lines)


def _dollars(micro: int) -> str:
    """Micro-dollars as dollars and cents, rounded up to a cent."""
    cents = -(-micro // 10_000)
    return f"{cents // 100:,}.{cents % 100:02d} USD"


def _as_json(stack: str, settings: Settings, lines: list[Line], added: int, prices: Prices) -> dict[str, object]:
    """Amounts are whole micro-dollars."""
    components: dict[str, int] = {}
    for line in lines:
        components[line.component] = components.get(line.component, 0) + line.micro_dollars
    return {
        "stack": stack,
        "region": settings.region,
        "pricesRecorded": prices.recorded,
        "monthlyMicroDollars": _total(lines),
        "addedMicroDollars": added,
        "components": components,
        "lines": [
            {"component": it.component, "what": it.what, "microDollars": it.micro_dollars, "assumed": it.assumed}
            for it in lines
        ],
    }
