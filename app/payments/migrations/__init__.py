"""The schema: Alembic revisions, numbered linearly, each with the SQL file of its number."""
