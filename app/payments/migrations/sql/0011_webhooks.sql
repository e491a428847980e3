-- Webhooks out (design section 4, rule 9): endpoints, and a delivery for every event an endpoint wants. A delivery is made
-- by the relay in the transaction that records the event, so none is lost; the worker sends what is due, for 72 hours.
CREATE TABLE payments.webhook_endpoints (
    id uuid PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    url text NOT NULL CHECK (length(url) BETWEEN 8 AND 2048),
    description text NOT NULL DEFAULT '',
    event_types text[] NOT NULL DEFAULT '{}',     -- empty: all of them
    -- The secret itself is nowhere: it is derived from the service's own and these two.
    secret_version integer NOT NULL DEFAULT 1,
    previous_secret_until timestamptz,
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX webhook_endpoints_of_user ON payments.webhook_endpoints (user_id, environment);
GRANT SELECT, INSERT, DELETE, UPDATE (url, description, event_types, secret_version, previous_secret_until, enabled,
    disabled_reason, updated_at) ON payments.webhook_endpoints TO payments_app;
GRANT SELECT ON payments.webhook_endpoints TO payments_reader;

CREATE TABLE payments.webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    endpoint_id uuid NOT NULL REFERENCES payments.webhook_endpoints ON DELETE CASCADE,
    event_id bigint NOT NULL REFERENCES payments.events,
    state text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_token uuid,
    last_status smallint,
    last_error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    first_attempt_at timestamptz,
    finished_at timestamptz,
    UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON payments.webhook_deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_endpoint ON payments.webhook_deliveries (endpoint_id, created_at DESC);
GRANT SELECT, INSERT, UPDATE (state, attempts, next_attempt_at, lease_token, last_status, last_error, first_attempt_at,
    finished_at) ON payments.webhook_deliveries TO payments_app;
GRANT SELECT ON payments.webhook_deliveries TO payments_reader;

INSERT INTO payments.transitions VALUES
    ('delivery', 'pending', 'delivered'), ('delivery', 'pending', 'dead'), ('delivery', 'dead', 'pending'),
    ('delivery', 'delivered', 'pending');
CREATE TRIGGER delivery_transitions BEFORE UPDATE OF state ON payments.webhook_deliveries FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('delivery');

-- Record the outbox's events, make their deliveries, and hand its jobs to the caller. One relay at a time, until its
-- commit: so events get their positions in the order in which they become visible, and a reader who goes on after the
-- last position it saw misses none. A relay that finds another at work has nothing to do.
CREATE OR REPLACE FUNCTION payments.take_outbox(p_limit integer) RETURNS SETOF payments.outbox LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(727005, 1) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH taken AS (
        DELETE FROM payments.outbox WHERE id IN (
            SELECT id FROM payments.outbox ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED) RETURNING *
    ), recorded AS (
        INSERT INTO payments.events (id, name, subject_kind, subject_id, user_id, environment, payload, happened_at)
            SELECT id, name, subject_kind, subject_id, user_id, environment, payload, created_at FROM taken
            WHERE kind = 'event' ORDER BY id
            RETURNING id, name, user_id, environment
    ), wanted AS (
        INSERT INTO payments.webhook_deliveries (endpoint_id, event_id)
            SELECT w.id, r.id FROM recorded r JOIN payments.webhook_endpoints w
                ON w.user_id = r.user_id AND w.environment = r.environment AND w.enabled
                AND (cardinality(w.event_types) = 0 OR r.name = ANY (w.event_types))
    )
    SELECT * FROM taken;
END $$;

-- Deliveries that are due, held by p_token for p_lease_seconds. One endpoint gets its events in order: only the oldest
-- delivery that is still pending of an endpoint's object is taken.
CREATE FUNCTION payments.take_deliveries(p_token uuid, p_lease_seconds double precision, p_limit integer)
RETURNS TABLE (id uuid, endpoint_id uuid, url text, secret_version integer, previous_secret_until timestamptz,
    attempts integer, first_attempt_at timestamptz, event_id bigint, name text, payload jsonb, happened_at timestamptz)
LANGUAGE sql AS $$
    WITH due AS (
        SELECT d.id FROM payments.webhook_deliveries d JOIN payments.webhook_endpoints w ON w.id = d.endpoint_id
            WHERE d.state = 'pending' AND d.next_attempt_at <= clock_timestamp() AND w.enabled
            AND NOT EXISTS (SELECT 1 FROM payments.webhook_deliveries o
                JOIN payments.events oe ON oe.id = o.event_id JOIN payments.events e ON e.id = d.event_id
                WHERE o.endpoint_id = d.endpoint_id AND o.state = 'pending' AND o.event_id < d.event_id
                AND oe.subject_kind = e.subject_kind AND oe.subject_id = e.subject_id)
            ORDER BY d.next_attempt_at LIMIT p_limit FOR UPDATE OF d SKIP LOCKED
    ), taken AS (
        UPDATE payments.webhook_deliveries d SET lease_token = p_token, attempts = d.attempts + 1,
                first_attempt_at = coalesce(d.first_attempt_at, clock_timestamp()),
                next_attempt_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
            FROM due WHERE d.id = due.id RETURNING d.*
    )
    SELECT t.id, t.endpoint_id, w.url, w.secret_version, w.previous_secret_until, t.attempts, t.first_attempt_at,
        e.id, e.name, e.payload, e.happened_at
    FROM taken t JOIN payments.webhook_endpoints w ON w.id = t.endpoint_id JOIN payments.events e ON e.id = t.event_id
$$;

-- p_next_seconds NULL: no further attempt.
CREATE FUNCTION payments.finish_delivery(
    p_id uuid, p_token uuid, p_state text, p_status integer, p_error text, p_next_seconds double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE payments.webhook_deliveries SET state = p_state, last_status = p_status, last_error = p_error,
            lease_token = NULL, finished_at = CASE WHEN p_state <> 'pending' THEN clock_timestamp() END,
            next_attempt_at = clock_timestamp() + make_interval(secs => coalesce(p_next_seconds, 0))
        WHERE id = p_id AND lease_token = p_token AND state = 'pending';
    RETURN FOUND;
END $$;
GRANT EXECUTE ON FUNCTION payments.take_deliveries, payments.finish_delivery TO payments_app;
