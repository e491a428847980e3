"""The fee payer's daily limit a user as a running sum."""

from payments.migrations.revision import SQL_FOLDER, apply, take_back

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    (before,) = SQL_FOLDER.glob("0009_*.sql")
    text = before.read_text()
    start = text.index("CREATE FUNCTION x402.submit_settlement(")
    function = text[start : text.index("END $$;", start) + len("END $$;")]
    replaced = function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
    take_back(revision, ("x402.sponsored_fees",), f"{replaced}\nDROP TABLE x402.sponsored_fees;")
