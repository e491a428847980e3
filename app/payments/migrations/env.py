"""Alembic's entry: runs inside the connection that `payments.migrations.running` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table="alembic_version",
    version_table_schema="payments",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
