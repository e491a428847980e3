"""Addresses, coins and payouts on the Bitcoin chain."""

from payments.migrations.revision import apply, take_back

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

TABLES = ("payments.onchain_addresses", "payments.onchain_coins", "payments.onchain_versions")
DOWN = """
DROP FUNCTION payments.allot_address, payments.reserve_coins;
DROP TABLE payments.onchain_versions, payments.onchain_coins, payments.onchain_addresses;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
