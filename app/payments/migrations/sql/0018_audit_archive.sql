-- What of the audit log is in the archive: segments of whole roots, planned before they are put there and never changed.
CREATE TABLE payments.audit_segments (
    number bigint PRIMARY KEY CHECK (number > 0),
    first_root bigint NOT NULL UNIQUE REFERENCES payments.audit_roots,
    last_root bigint NOT NULL UNIQUE REFERENCES payments.audit_roots CHECK (last_root >= first_root),
    planned_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT payments.make_append_only('payments.audit_segments');

-- The cursor: a segment has a row here once the archive has said that it keeps it.
CREATE TABLE payments.audit_archived (
    number bigint PRIMARY KEY REFERENCES payments.audit_segments,
    name text NOT NULL UNIQUE,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT payments.make_append_only('payments.audit_archived');

-- The rows of a root as audit_root() hashes them; its settings make the text the same anywhere.
CREATE FUNCTION payments.audit_lines(p_after bigint, p_through bigint) RETURNS TABLE (id bigint, line text)
LANGUAGE sql STABLE
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1
SET bytea_output = 'hex' AS $$
    SELECT a.id, a::text FROM payments.audit_log a WHERE a.id > p_after AND a.id <= p_through ORDER BY a.id
$$;

-- The segment to be archived next: the one that was planned and not finished, else as many of the next roots as make up
-- p_entries rows (one root at least). No row: all is archived.
CREATE FUNCTION payments.plan_audit_segment(p_entries bigint)
RETURNS TABLE (number bigint, first_root bigint, last_root bigint, previous bytea) LANGUAGE plpgsql AS $$
DECLARE
    v_archived payments.audit_archived;
    v_last bigint;
    v_through bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(727004, 2);
    SELECT a.* INTO v_archived FROM payments.audit_archived a ORDER BY a.number DESC LIMIT 1;
    IF NOT EXISTS (SELECT FROM payments.audit_segments s WHERE s.number > coalesce(v_archived.number, 0)) THEN
        SELECT coalesce(max(s.last_root), 0) INTO v_last FROM payments.audit_segments s;
        SELECT max(r.number) INTO v_through FROM (
            SELECT q.number, sum(q.entries) OVER (ORDER BY q.number) AS so_far
            FROM payments.audit_roots q WHERE q.number > v_last AND q.number <= v_last + 1000) r
        WHERE r.so_far <= p_entries OR r.number = v_last + 1;
        IF v_through IS NULL THEN
            RETURN;
        END IF;
        INSERT INTO payments.audit_segments (number, first_root, last_root)
            VALUES (coalesce(v_archived.number, 0) + 1, v_last + 1, v_through);
    END IF;
    RETURN QUERY SELECT s.number, s.first_root, s.last_root, coalesce(v_archived.digest, '\x'::bytea)
        FROM payments.audit_segments s WHERE s.number = coalesce(v_archived.number, 0) + 1;
END $$;
GRANT EXECUTE ON FUNCTION payments.audit_lines TO payments_app, payments_reader;
GRANT EXECUTE ON FUNCTION payments.plan_audit_segment TO payments_app;
