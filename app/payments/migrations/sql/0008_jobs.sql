-- Rights on the job queue, whose schema procrastinate brings.
SET LOCAL search_path = procrastinate, pg_catalog;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA procrastinate TO payments_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA procrastinate TO payments_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA procrastinate TO payments_app;
GRANT SELECT ON ALL TABLES IN SCHEMA procrastinate TO payments_reader;
