"""What each rail says that we hold, against the ledger."""

from payments.migrations.revision import apply, take_back

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

# The openings are read again from the rails, so nothing is lost with them.
DOWN = """
DROP FUNCTION payments.compare_balance;
DROP TABLE payments.rail_balances;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, (), DOWN)
