-- Sealing of the audit log (design section 4, rule 13): a chain of roots over rows that can no longer change in number.
CREATE TABLE payments.audit_roots (
    number bigint PRIMARY KEY CHECK (number > 0),
    through_id bigint NOT NULL UNIQUE,            -- covers rows after the root before, up to this id
    entries bigint NOT NULL,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT payments.make_append_only('payments.audit_roots');
GRANT SELECT ON SEQUENCE payments.audit_log_id_seq TO payments_app;

-- SHA-256 over the root before and every row's text, each with its length. The settings make the text the same anywhere.
CREATE FUNCTION payments.audit_root(p_previous bytea, p_after bigint, p_through bigint)
RETURNS TABLE (root bytea, entries bigint) LANGUAGE sql STABLE
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1
SET bytea_output = 'hex' AS $$
    SELECT sha256(p_previous || coalesce(string_agg(
            int8send(octet_length(convert_to(a::text, 'UTF8'))::bigint) || convert_to(a::text, 'UTF8'), '' ORDER BY a.id), '')),
        count(*)
    FROM payments.audit_log a WHERE a.id > p_after AND a.id <= p_through
$$;

-- Which id has been given out last, and the transaction that comes next: once every transaction before that one has
-- ended, no row up to that id can appear any more.
CREATE FUNCTION payments.audit_candidate(OUT through_id bigint, OUT next_transaction xid8) LANGUAGE plpgsql AS $$
BEGIN
    SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO through_id FROM payments.audit_log_id_seq s;
    -- Our own number: whatever could still write an id that was given out before has a lower one. (A snapshot's xmax
    -- will not do: it follows the last transaction that ended, not the last that began.)
    next_transaction := pg_current_xact_id();
END $$;

-- Seal up to p_through if every transaction before p_next_transaction has ended. NULL: not yet, or nothing new.
CREATE FUNCTION payments.seal_audit(p_through bigint, p_next_transaction xid8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_last payments.audit_roots;
    v_new record;
BEGIN
    -- One sealer at a time; a second one finds the work done.
    PERFORM pg_advisory_xact_lock(727004, 1);
    IF pg_snapshot_xmin(pg_current_snapshot()) < p_next_transaction THEN
        RETURN NULL;
    END IF;
    SELECT * INTO v_last FROM payments.audit_roots ORDER BY number DESC LIMIT 1;
    IF coalesce(v_last.through_id, 0) >= p_through THEN
        RETURN NULL;
    END IF;
    SELECT r.root, r.entries INTO v_new
        FROM payments.audit_root(coalesce(v_last.root, '\x'), coalesce(v_last.through_id, 0), p_through) r;
    INSERT INTO payments.audit_roots (number, through_id, entries, root)
        VALUES (coalesce(v_last.number, 0) + 1, p_through, v_new.entries, v_new.root);
    RETURN v_new.entries;
END $$;

-- Roots that the rows no longer lead to: a row was changed, removed or added below a sealed id.
CREATE FUNCTION payments.audit_breaks() RETURNS TABLE (number bigint, through_id bigint, expected bigint, found bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.number, r.through_id, r.entries, n.entries
    FROM (SELECT *, lag(root, 1, '\x'::bytea) OVER w AS previous, lag(through_id, 1, 0::bigint) OVER w AS after_id
            FROM payments.audit_roots WINDOW w AS (ORDER BY number)) r
    CROSS JOIN LATERAL payments.audit_root(r.previous, r.after_id, r.through_id) n
    WHERE n.root <> r.root OR n.entries <> r.entries ORDER BY r.number
$$;
GRANT EXECUTE ON FUNCTION payments.audit_root, payments.audit_breaks TO payments_app, payments_reader;
GRANT EXECUTE ON FUNCTION payments.audit_candidate, payments.seal_audit TO payments_app;
