-- API keys under the guide's names, and idempotency keys (design section 4, rule 5).
CREATE TABLE x402.api_keys (
    id uuid PRIMARY KEY,
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    pepper_version smallint NOT NULL,
    prefix text NOT NULL CHECK (length(prefix) BETWEEN 8 AND 24),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    user_id text NOT NULL CHECK (length(user_id) BETWEEN 1 AND 64),
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    permissions text[] NOT NULL CHECK (permissions <@ ARRAY['read', 'write', 'admin'] AND cardinality(permissions) > 0),
    unlimited boolean NOT NULL DEFAULT false,
    revoked boolean NOT NULL DEFAULT false,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN x402.api_keys.key IS 'HMAC-SHA256(pepper, key); the key itself is shown once and stored nowhere.';
CREATE INDEX "api_keys_userId" ON x402.api_keys (user_id);
CREATE UNIQUE INDEX api_keys_key ON x402.api_keys (key);
CREATE INDEX "api_keys_userId_revoked" ON x402.api_keys (user_id, revoked);
CREATE INDEX "api_keys_revoked_expiresAt" ON x402.api_keys (revoked, expires_at);
GRANT SELECT, INSERT, UPDATE (revoked, last_used_at) ON x402.api_keys TO payments_app;
GRANT SELECT (id, prefix, name, user_id, environment, permissions, unlimited, revoked, expires_at, last_used_at,
    created_at) ON x402.api_keys TO payments_reader;

-- One row a key; unique over the whole time it is kept, which a table partitioned by day could not be. The bulky
-- answers are in daily partitions and go by DROP.
CREATE TABLE payments.idempotency_keys (
    caller_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    route text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    id bigint GENERATED ALWAYS AS IDENTITY,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    lease_token uuid,
    lease_until timestamptz,
    subject_id uuid NOT NULL,
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    done boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller_id, environment, route, key),
    CHECK (done OR (lease_token IS NOT NULL AND lease_until IS NOT NULL))
);
CREATE INDEX idempotency_keys_day ON payments.idempotency_keys (day);
GRANT SELECT, INSERT, UPDATE, DELETE ON payments.idempotency_keys TO payments_app;
GRANT SELECT ON payments.idempotency_keys TO payments_reader;

CREATE TABLE payments.idempotency_responses (
    day date NOT NULL,
    key_id bigint NOT NULL,
    status smallint NOT NULL CHECK (status BETWEEN 200 AND 299),
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (day, key_id)
) PARTITION BY RANGE (day);
CREATE TABLE payments.idempotency_responses_default PARTITION OF payments.idempotency_responses DEFAULT;
GRANT SELECT, INSERT ON payments.idempotency_responses TO payments_app;

-- Partitions of the coming days; a day that the default partition has rows of already stays there.
CREATE FUNCTION payments.make_partitions(p_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_day date;
    v_made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(727002, 1);
    FOR v_day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, p_days) AS n LOOP
        CONTINUE WHEN to_regclass(format('payments.idempotency_responses_%s', to_char(v_day, 'YYYYMMDD'))) IS NOT NULL
            OR EXISTS (SELECT 1 FROM payments.idempotency_responses_default d WHERE d.day = v_day);
        EXECUTE format('CREATE TABLE payments.idempotency_responses_%s PARTITION OF payments.idempotency_responses '
            'FOR VALUES FROM (%L) TO (%L)', to_char(v_day, 'YYYYMMDD'), v_day, v_day + 1);
        v_made := v_made + 1;
    END LOOP;
    RETURN v_made;
END $$;

-- Forget what is older than p_days: at most p_limit keys a call, and the partitions no key refers to.
CREATE FUNCTION payments.forget_idempotency(p_days integer, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_before date := (now() AT TIME ZONE 'UTC')::date - p_days;
    v_partition record;
    v_forgotten integer;
BEGIN
    IF p_days < 30 THEN
        RAISE EXCEPTION 'Stored answers are kept for at least 30 days.' USING ERRCODE = 'RY002';
    END IF;
    DELETE FROM payments.idempotency_keys k USING (
        SELECT ctid FROM payments.idempotency_keys WHERE day < v_before AND done LIMIT p_limit) old WHERE k.ctid = old.ctid;
    GET DIAGNOSTICS v_forgotten = ROW_COUNT;
    FOR v_partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'payments.idempotency_responses'::regclass AND c.relname ~ '_\d{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') < v_before
    LOOP
        IF NOT EXISTS (SELECT 1 FROM payments.idempotency_keys
                WHERE day = to_date(right(v_partition.relname, 8), 'YYYYMMDD')) THEN
            EXECUTE format('DROP TABLE payments.%I', v_partition.relname);
        END IF;
    END LOOP;
    RETURN v_forgotten;
END $$;

CREATE TYPE payments.claim AS (
    outcome text,          -- claimed, resumed, in_flight, mismatch, replay
    subject_id uuid,
    retry_after_seconds double precision,
    status smallint,
    headers jsonb,
    body bytea
);

-- Claim a key for p_lease_seconds. `resumed`: an earlier holder's lease ran out, look its subject up before acting.
CREATE FUNCTION payments.claim_key(
    p_caller text, p_environment text, p_route text, p_key text, p_fingerprint bytea, p_token uuid,
    p_lease_seconds double precision, p_subject uuid
) RETURNS payments.claim LANGUAGE plpgsql AS $$
DECLARE
    v_row payments.idempotency_keys;
    v_claim payments.claim;
    v_until timestamptz := clock_timestamp() + make_interval(secs => p_lease_seconds);
BEGIN
    INSERT INTO payments.idempotency_keys (caller_id, environment, route, key, fingerprint, lease_token, lease_until,
            subject_id)
        VALUES (p_caller, p_environment, p_route, p_key, p_fingerprint, p_token, v_until, p_subject)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        v_claim.outcome := 'claimed';
        v_claim.subject_id := p_subject;
        RETURN v_claim;
    END IF;
    SELECT * INTO v_row FROM payments.idempotency_keys
        WHERE caller_id = p_caller AND environment = p_environment AND route = p_route AND key = p_key FOR UPDATE;
    IF NOT FOUND THEN
        -- Released between the two statements: the caller tries again.
        v_claim.outcome := 'in_flight';
        v_claim.retry_after_seconds := 0.05;
        RETURN v_claim;
    END IF;
    v_claim.subject_id := v_row.subject_id;
    IF v_row.fingerprint <> p_fingerprint THEN
        v_claim.outcome := 'mismatch';
    ELSIF v_row.done THEN
        v_claim.outcome := 'replay';
        SELECT r.status, r.headers, r.body INTO v_claim.status, v_claim.headers, v_claim.body
            FROM payments.idempotency_responses r WHERE r.day = v_row.day AND r.key_id = v_row.id;
    ELSIF v_row.lease_until > clock_timestamp() THEN
        v_claim.outcome := 'in_flight';
        v_claim.retry_after_seconds := extract(epoch FROM v_row.lease_until - clock_timestamp());
    ELSE
        UPDATE payments.idempotency_keys SET lease_token = p_token, lease_until = v_until
            WHERE caller_id = p_caller AND environment = p_environment AND route = p_route AND key = p_key;
        v_claim.outcome := 'resumed';
    END IF;
    RETURN v_claim;
END $$;

-- Store the answer of a key that p_token still holds. False: somebody else holds or finished it.
CREATE FUNCTION payments.complete_key(
    p_caller text, p_environment text, p_route text, p_key text, p_token uuid, p_status integer, p_headers jsonb,
    p_body bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
BEGIN
    UPDATE payments.idempotency_keys SET done = true
        WHERE caller_id = p_caller AND environment = p_environment AND route = p_route AND key = p_key
        AND lease_token = p_token AND NOT done RETURNING day, id INTO v_row;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO payments.idempotency_responses (day, key_id, status, headers, body)
        VALUES (v_row.day, v_row.id, p_status, p_headers, p_body);
    RETURN true;
END $$;

-- Give a key back after an error before any effect, so that the next request with it begins anew.
CREATE FUNCTION payments.release_key(p_caller text, p_environment text, p_route text, p_key text, p_token uuid)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM payments.idempotency_keys
        WHERE caller_id = p_caller AND environment = p_environment AND route = p_route AND key = p_key
        AND lease_token = p_token AND NOT done;
    RETURN FOUND;
END $$;

-- Let the lease run out now: the outcome is unknown and the next request, or the sweeper, looks it up.
CREATE FUNCTION payments.expire_key(p_caller text, p_environment text, p_route text, p_key text, p_token uuid)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE payments.idempotency_keys SET lease_until = clock_timestamp()
        WHERE caller_id = p_caller AND environment = p_environment AND route = p_route AND key = p_key
        AND lease_token = p_token AND NOT done;
    RETURN FOUND;
END $$;
GRANT EXECUTE ON FUNCTION payments.make_partitions, payments.forget_idempotency, payments.claim_key,
    payments.complete_key, payments.release_key, payments.expire_key TO payments_app;
SELECT payments.make_partitions(7);
