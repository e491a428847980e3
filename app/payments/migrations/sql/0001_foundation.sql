-- Schemas, who may look into them, and the refusal of changes that append-only tables share.
CREATE SCHEMA IF NOT EXISTS payments;
CREATE SCHEMA lightning;
CREATE SCHEMA x402;
CREATE SCHEMA stellar;
CREATE SCHEMA procrastinate;
GRANT USAGE ON SCHEMA payments, lightning, x402, stellar, procrastinate TO payments_app, payments_reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- A function is the app's only when a grant says so.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- SQLSTATEs of ours: RY001 ledger rule, RY002 append-only, RY003 forbidden transition, RY004 floor, RY005 limit.
CREATE FUNCTION payments.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % is refused.', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'RY002';
END $$;

CREATE FUNCTION payments.make_append_only(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %s '
                   'FOR EACH ROW EXECUTE FUNCTION payments.refuse_change()', p_table);
    EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION payments.refuse_change()', p_table);
    EXECUTE format('GRANT SELECT, INSERT ON %s TO payments_app', p_table);
    EXECUTE format('GRANT SELECT ON %s TO payments_reader', p_table);
END $$;

-- Which release may run on which revision: a release whose own newest revision is at least compatible_from.
CREATE TABLE payments.schema_revisions (
    revision text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('expand', 'contract')),
    compatible_from text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON payments.schema_revisions TO payments_app, payments_reader;

-- Who did what. Written by triggers in the transaction of the change itself; the sealer chains roots over it later.
CREATE TABLE payments.audit_log (
    -- First, because defaults are evaluated in this order: a row's transaction has its number before the row has its id,
    -- so whoever sees an id given out and then takes a snapshot knows which transactions could still bring that row.
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    cause text NOT NULL,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text NOT NULL,
    user_id text,
    payment_method text,
    amount_sats bigint,
    payment_hash text,
    status text,
    error text,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_object ON payments.audit_log (object_kind, object_id);
SELECT payments.make_append_only('payments.audit_log');

-- The actor of the running transaction: whoever the repository named, else the database role.
CREATE FUNCTION payments.act_as(p_actor text, p_cause text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('payments.actor', p_actor, true), set_config('payments.cause', p_cause, true);
END $$;

CREATE FUNCTION payments.actor() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('payments.actor', true), ''), 'role:' || current_user)
$$;

CREATE FUNCTION payments.cause() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('payments.cause', true), ''), 'unnamed')
$$;
GRANT EXECUTE ON FUNCTION payments.act_as, payments.actor, payments.cause TO payments_app;

-- Allowed transitions of every state machine; anything else is refused here, whoever asks.
CREATE TABLE payments.transitions (
    machine text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    PRIMARY KEY (machine, from_state, to_state)
);
GRANT SELECT ON payments.transitions TO payments_app, payments_reader;
