"""docs/payments.md draws exactly the transitions that PostgreSQL allows."""

from __future__ import annotations

import re
from pathlib import Path

from payments.core import Core

PAGE = Path(__file__).resolve().parents[2] / "docs" / "payments.md"


async def test_the_page_draws_what_postgresql_allows(core: Core) -> None:
    drawn = {
        (machine, before, after)
        for machine, diagram in re.findall(r"%% machine: (\w+)\nstateDiagram-v2\n(.*?)```", PAGE.read_text(), re.DOTALL)
        for before, after in re.findall(r"^ +(\w+) --> (\w+)$", diagram, re.MULTILINE)
    }
    rows = await core.database.all("SELECT * FROM payments.transitions", name="test")
    assert drawn == {(row["machine"], row["from_state"], row["to_state"]) for row in rows}
