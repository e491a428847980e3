"""${message}"""

from payments.migrations.revision import apply, refuse_when_rows

revision = "${up_revision}"
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# expand revisions only add; a contract revision removes what no release of its window reads any more.
KIND = "expand"
# Oldest newest-revision of a release that may run on this schema.
COMPATIBLE_FROM = "${up_revision}"


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    refuse_when_rows(revision, ())
