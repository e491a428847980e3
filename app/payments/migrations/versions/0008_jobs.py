"""The job queue's tables, as procrastinate ships them."""

from procrastinate.schema import SchemaManager

from payments.migrations.revision import apply, take_back

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

TABLES = ("procrastinate.procrastinate_jobs",)
DOWN = """
DROP SCHEMA procrastinate CASCADE;
CREATE SCHEMA procrastinate;
GRANT USAGE ON SCHEMA procrastinate TO payments_app, payments_reader;
"""


def upgrade() -> None:
    schema = "SET LOCAL search_path = procrastinate, pg_catalog;\n" + SchemaManager.get_schema() + "\n"
    apply(revision, KIND, COMPATIBLE_FROM, before=schema)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
