"""One payment a request over all rails of a network, a hold that the signer sees, limits of every asset."""

from payments.migrations.revision import apply, take_back

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KIND = "expand"
# A release that knows only 0010 is refused what 0019 refuses, and goes on as before otherwise.
COMPATIBLE_FROM = "0010"

DOWN = """
DROP FUNCTION payments.check_departure(uuid, numeric, numeric, timestamptz, integer, timestamptz);
DROP INDEX payments.payments_one_per_request;
CREATE UNIQUE INDEX payments_one_per_request ON payments.payments (rail, rail_id)
    WHERE state NOT IN ('failed', 'cancelled');
DROP FUNCTION payments.network_of;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, (), DOWN)
