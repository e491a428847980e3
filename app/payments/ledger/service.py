"""What a caller may see of the ledger."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from payments.ledger import repository
from payments.ledger.schemas import AccountBalance, AssetSum, LedgerView

if TYPE_CHECKING:
    from payments.api_keys.schemas import Caller
    from payments.core import Core

OTHERS = "liabilities:{kind}:(others)"
_USERS_ACCOUNT = re.compile(r"^liabilities:(user|reserved):")


async def view(core: Core, caller: Caller) -> LedgerView:
    """The whole ledger for an admin; for others their own accounts, the system's, and one sum of everybody else's."""
    rows = await repository.balances(core.database)
    sums: defaultdict[str, int] = defaultdict(int)
    accounts: defaultdict[tuple[str, str], int] = defaultdict(int)
    own = f":{caller.environment}:{caller.user_id}"
    for row in rows:
        sums[row["asset"]] += row["balance"]
        code = row["code"]
        found = _USERS_ACCOUNT.match(code)
        if found and "admin" not in caller.scopes and code != f"liabilities:{found.group(1)}{own}":
            code = OTHERS.format(kind=found.group(1))
        accounts[code, row["asset"]] += row["balance"]
    return LedgerView(
        balanced=all(total == 0 for total in sums.values()),
        assets=[AssetSum(asset=asset, sum=total) for asset, total in sorted(sums.items())],
        accounts=[
            AccountBalance(account=code, asset=asset, balance=balance)
            for (code, asset), balance in sorted(accounts.items())
        ],
        entries=sum(row["entries"] for row in rows),
    )
