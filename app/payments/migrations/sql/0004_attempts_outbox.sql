-- Attempts: one row for every effect on a rail, written before it. Outbox: what must happen after a commit.
CREATE TABLE payments.attempts (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,           -- create_invoice, pay, settle
    rail text COLLATE "C" NOT NULL,
    rail_id text COLLATE "C" NOT NULL,        -- deterministic: payment hash, message hash
    subject_kind text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'started'
        CHECK (state IN ('started', 'in_flight', 'unknown', 'succeeded', 'dead')),
    lease_token uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    look_ups integer NOT NULL DEFAULT 0,
    next_look_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload jsonb NOT NULL DEFAULT '{}',
    proof jsonb,
    reason text NOT NULL DEFAULT '',
    release text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT proven CHECK (state NOT IN ('succeeded', 'dead') OR (proof IS NOT NULL AND proof <> '{}'))
);
-- Another attempt begins only when the one before is provably dead; an effect is tried for one subject only.
CREATE UNIQUE INDEX attempts_one_alive ON payments.attempts (kind, subject_id) WHERE state <> 'dead';
CREATE UNIQUE INDEX attempts_one_effect ON payments.attempts (rail, kind, rail_id) WHERE state <> 'dead';
CREATE INDEX attempts_open ON payments.attempts (next_look_at) WHERE state IN ('started', 'in_flight', 'unknown');
GRANT SELECT, INSERT, UPDATE (state, lease_token, lease_until, look_ups, next_look_at, proof, reason, updated_at)
    ON payments.attempts TO payments_app;
GRANT SELECT ON payments.attempts TO payments_reader;

INSERT INTO payments.transitions VALUES
    ('attempt', 'started', 'in_flight'), ('attempt', 'started', 'unknown'), ('attempt', 'started', 'succeeded'),
    ('attempt', 'started', 'dead'), ('attempt', 'in_flight', 'unknown'), ('attempt', 'in_flight', 'succeeded'),
    ('attempt', 'in_flight', 'dead'), ('attempt', 'unknown', 'in_flight'), ('attempt', 'unknown', 'succeeded'),
    ('attempt', 'unknown', 'dead');

-- Enforces payments.transitions for the machine named by the trigger's argument.
CREATE FUNCTION payments.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM payments.transitions t
            WHERE t.machine = TG_ARGV[0] AND t.from_state = OLD.state AND t.to_state = NEW.state) THEN
        RAISE EXCEPTION '% % cannot go from % to %.', TG_ARGV[0], OLD.id, OLD.state, NEW.state USING ERRCODE = 'RY003';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER attempt_transitions BEFORE UPDATE OF state ON payments.attempts FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('attempt');

CREATE FUNCTION payments.start_attempt(
    p_id uuid, p_kind text, p_rail text, p_rail_id text, p_subject_kind text, p_subject uuid, p_token uuid,
    p_lease_seconds double precision, p_payload jsonb, p_release text
) RETURNS void LANGUAGE plpgsql AS $$
-- plpgsql also where SQL would do: it keeps its plans between calls.
DECLARE
    v_until timestamptz := clock_timestamp() + make_interval(secs => p_lease_seconds);
BEGIN
    INSERT INTO payments.attempts (id, kind, rail, rail_id, subject_kind, subject_id, lease_token, lease_until,
            next_look_at, payload, release)
        VALUES (p_id, p_kind, p_rail, p_rail_id, p_subject_kind, p_subject, p_token, v_until, v_until, p_payload,
            p_release);
END $$;

-- Write what is known of an attempt that p_token holds. False: the lease was taken over, or it is final already.
-- p_look_again_seconds: when the sweeper looks it up, for the states that are not final.
CREATE FUNCTION payments.finish_attempt(
    p_id uuid, p_token uuid, p_state text, p_proof jsonb, p_reason text, p_look_again_seconds double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE payments.attempts SET state = p_state, proof = coalesce(nullif(p_proof, '{}'), proof), reason = p_reason,
            lease_until = clock_timestamp(), updated_at = clock_timestamp(),
            next_look_at = clock_timestamp() + make_interval(secs => p_look_again_seconds)
        WHERE id = p_id AND lease_token = p_token AND state NOT IN ('succeeded', 'dead');
    RETURN FOUND;
END $$;

-- Take over attempts whose lease ran out, to look them up. SKIP LOCKED: any number of workers may sweep.
CREATE FUNCTION payments.take_over_attempts(
    p_token uuid, p_lease_seconds double precision, p_limit integer, p_rails text[]
) RETURNS SETOF payments.attempts LANGUAGE sql AS $$
    UPDATE payments.attempts a SET lease_token = p_token, look_ups = a.look_ups + 1, updated_at = clock_timestamp(),
            lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds),
            next_look_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
        FROM (SELECT id FROM payments.attempts WHERE state IN ('started', 'in_flight', 'unknown')
            AND next_look_at <= clock_timestamp() AND lease_until <= clock_timestamp() AND rail = ANY (p_rails)
            ORDER BY next_look_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
        WHERE a.id = due.id RETURNING a.*
$$;

CREATE TABLE payments.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('job', 'event')),
    name text COLLATE "C" NOT NULL,
    contract_version smallint NOT NULL DEFAULT 1,
    subject_kind text COLLATE "C" NOT NULL DEFAULT '',
    subject_id text COLLATE "C" NOT NULL DEFAULT '',
    user_id text NOT NULL DEFAULT '',
    environment text NOT NULL DEFAULT '',
    payload jsonb NOT NULL,
    release text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, DELETE, UPDATE (kind) ON payments.outbox TO payments_app;
GRANT SELECT ON payments.outbox TO payments_reader;
-- UPDATE (kind) is there for FOR UPDATE alone; a row is never changed.
CREATE TRIGGER outbox_rows_stay BEFORE UPDATE ON payments.outbox FOR EACH ROW EXECUTE FUNCTION payments.refuse_change();

CREATE FUNCTION payments.enqueue_job(
    p_name text, p_contract_version integer, p_subject_kind text, p_subject text, p_payload jsonb, p_release text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments.outbox (kind, name, contract_version, subject_kind, subject_id, payload, release)
        VALUES ('job', p_name, p_contract_version, p_subject_kind, p_subject, p_payload, p_release);
END $$;

CREATE FUNCTION payments.publish_event(
    p_name text, p_subject_kind text, p_subject text, p_user text, p_environment text, p_payload jsonb
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments.outbox (kind, name, subject_kind, subject_id, user_id, environment, payload)
        VALUES ('event', p_name, p_subject_kind, p_subject, p_user, p_environment, p_payload);
END $$;

-- What happened, in the order the relay saw it: GET /v1/events and webhooks read from here.
CREATE TABLE payments.events (
    id bigint PRIMARY KEY,                    -- the outbox row's: the same event is recorded once
    name text COLLATE "C" NOT NULL,
    subject_kind text COLLATE "C" NOT NULL,
    subject_id text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    environment text NOT NULL,
    payload jsonb NOT NULL,
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    position bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);
CREATE INDEX events_of_user ON payments.events (user_id, environment, position);
SELECT payments.make_append_only('payments.events');

-- Record the outbox's events and hand its jobs to the caller, who defers them in the same transaction.
CREATE FUNCTION payments.take_outbox(p_limit integer) RETURNS SETOF payments.outbox LANGUAGE sql AS $$
    WITH taken AS (
        DELETE FROM payments.outbox WHERE id IN (
            SELECT id FROM payments.outbox ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED) RETURNING *
    ), recorded AS (
        INSERT INTO payments.events (id, name, subject_kind, subject_id, user_id, environment, payload, happened_at)
            SELECT id, name, subject_kind, subject_id, user_id, environment, payload, created_at FROM taken
            WHERE kind = 'event' ORDER BY id
    )
    SELECT * FROM taken
$$;
GRANT EXECUTE ON FUNCTION payments.start_attempt, payments.finish_attempt, payments.take_over_attempts,
    payments.enqueue_job, payments.publish_event, payments.take_outbox TO payments_app;
