"""Row locks in one order."""

from payments.migrations.revision import apply, functions_of, take_back

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(
        revision,
        (),
        functions_of("0005", "payments.credit_arrivals", "payments.begin_invoice")
        + functions_of("0014", "payments.accept_suspense"),
    )
