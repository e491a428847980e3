-- Suspense, refunds, retries, what waits for a person, reconciliation, webhooks in.
-- SQLSTATE of ours, further: RY009, more would be given back than came in.

-- A UUID version 7 (RFC 9562), for rows that SQL makes: ordered by time.
CREATE FUNCTION payments.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_byte(v.bits, 6, (get_byte(v.bits, 6) & 15) | 112), 'hex')::uuid
    FROM (SELECT overlay(uuid_send(gen_random_uuid()) PLACING
        substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6) AS bits) v
$$;
GRANT EXECUTE ON FUNCTION payments.new_id TO payments_app;

-- What arrived and was credited to nobody: under-, over-, late, second and unmatched payments (rule 3). It stays until a
-- person or a rule accepts it or gives it back.
CREATE TABLE payments.suspense (
    id uuid PRIMARY KEY DEFAULT payments.new_id(),
    rail text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    invoice_id uuid REFERENCES payments.invoices,
    user_id text COLLATE "C" NOT NULL,            -- '': nobody's, an administrator decides
    environment text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    disposition text COLLATE "C" NOT NULL,
    late_seconds double precision NOT NULL DEFAULT 0,
    state text COLLATE "C" NOT NULL DEFAULT 'open',
    decided_by text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (rail, event_id),
    FOREIGN KEY (rail, event_id) REFERENCES payments.arrivals
);
CREATE INDEX suspense_of_user ON payments.suspense (user_id, environment, id);
CREATE INDEX suspense_open ON payments.suspense (id) WHERE state = 'open';
GRANT SELECT, INSERT, UPDATE (state, user_id, environment, decided_by, reason, updated_at) ON payments.suspense
    TO payments_app;
GRANT SELECT ON payments.suspense TO payments_reader;

-- Money given back: out of suspense, or out of its owner's balance for an invoice that was settled. It is sent as a
-- payment. Without an address to send to (Lightning) it waits in `awaiting_payee`; a payment that failed leads back there.
CREATE TABLE payments.refunds (
    id uuid PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    rail text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    suspense_id uuid REFERENCES payments.suspense,
    invoice_id uuid REFERENCES payments.invoices,
    payment_id uuid UNIQUE REFERENCES payments.payments,
    tries integer NOT NULL DEFAULT 0,
    memo text NOT NULL DEFAULT '',
    metadata jsonb NOT NULL DEFAULT '{}',
    external_id text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'awaiting_payee',
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK (suspense_id IS NOT NULL OR invoice_id IS NOT NULL)
);
CREATE INDEX refunds_of_user ON payments.refunds (user_id, environment, id);
CREATE INDEX refunds_of_invoice ON payments.refunds (invoice_id);
-- One refund at a time of one amount in suspense.
CREATE UNIQUE INDEX refunds_one_alive ON payments.refunds (suspense_id) WHERE state <> 'cancelled';
CREATE UNIQUE INDEX refunds_external_id ON payments.refunds (user_id, environment, external_id)
    WHERE external_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE (state, payment_id, tries, reason, updated_at, finished_at) ON payments.refunds
    TO payments_app;
GRANT SELECT ON payments.refunds TO payments_reader;

INSERT INTO payments.transitions VALUES
    ('suspense', 'open', 'accepted'), ('suspense', 'open', 'refunding'), ('suspense', 'refunding', 'open'),
    ('suspense', 'refunding', 'refunded'),
    ('refund', 'awaiting_payee', 'sending'), ('refund', 'awaiting_payee', 'cancelled'),
    ('refund', 'sending', 'succeeded'), ('refund', 'sending', 'awaiting_payee');

-- Audit and event of every change of a suspense or a refund; the machine's name is the trigger's argument.
CREATE FUNCTION payments.after_return_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_state text := CASE WHEN TG_OP = 'INSERT' THEN 'created' ELSE OLD.state || '>' || NEW.state END;
BEGIN
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, payment_method, amount_sats,
            status, error, detail)
        VALUES (payments.actor(), payments.cause(), v_state, TG_ARGV[0], NEW.id, NEW.user_id, NEW.rail,
            CASE WHEN NEW.asset = 'BTC' THEN div(NEW.amount, 1000) END, NEW.state, nullif(NEW.reason, ''),
            jsonb_build_object('asset', NEW.asset, 'amount', NEW.amount));
    PERFORM payments.publish_event(TG_ARGV[0] || '.' || NEW.state, TG_ARGV[0], NEW.id::text, NEW.user_id,
        NEW.environment, jsonb_build_object('id', NEW.id, 'rail', NEW.rail, 'asset', NEW.asset, 'amount', NEW.amount,
            'invoiceId', NEW.invoice_id, 'state', NEW.state, 'reason', NEW.reason));
    RETURN NULL;
END $$;
CREATE TRIGGER suspense_transitions BEFORE UPDATE OF state ON payments.suspense FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('suspense');
CREATE TRIGGER suspense_created AFTER INSERT ON payments.suspense FOR EACH ROW
    EXECUTE FUNCTION payments.after_return_change('suspense');
CREATE TRIGGER suspense_changed AFTER UPDATE OF state ON payments.suspense FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.after_return_change('suspense');
CREATE TRIGGER refund_transitions BEFORE UPDATE OF state ON payments.refunds FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('refund');
CREATE TRIGGER refund_created AFTER INSERT ON payments.refunds FOR EACH ROW
    EXECUTE FUNCTION payments.after_return_change('refund');
CREATE TRIGGER refund_changed AFTER UPDATE OF state ON payments.refunds FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.after_return_change('refund');

-- An arrival puts what it did not credit into suspense, whichever release credits it.
CREATE FUNCTION payments.suspend_arrival() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
    v_amount numeric := NEW.amount;
BEGIN
    SELECT * INTO v_invoice FROM payments.invoices WHERE id = NEW.invoice_id;
    IF NEW.disposition = 'overpaid' THEN
        v_amount := NEW.amount - v_invoice.amount;
    END IF;
    INSERT INTO payments.suspense (rail, event_id, invoice_id, user_id, environment, asset, amount, disposition,
            late_seconds)
        VALUES (NEW.rail, NEW.event_id, NEW.invoice_id, coalesce(v_invoice.user_id, ''),
            coalesce(v_invoice.environment, ''), NEW.asset, v_amount, NEW.disposition,
            coalesce(greatest(extract(epoch FROM NEW.arrived_at - v_invoice.expires_at), 0), 0));
    RETURN NULL;
END $$;
CREATE TRIGGER arrival_suspended AFTER INSERT ON payments.arrivals FOR EACH ROW
    WHEN (NEW.disposition <> 'settled') EXECUTE FUNCTION payments.suspend_arrival();
INSERT INTO payments.suspense (rail, event_id, invoice_id, user_id, environment, asset, amount, disposition, late_seconds)
    SELECT a.rail, a.event_id, a.invoice_id, coalesce(i.user_id, ''), coalesce(i.environment, ''), a.asset,
        CASE WHEN a.disposition = 'overpaid' THEN a.amount - i.amount ELSE a.amount END, a.disposition,
        coalesce(greatest(extract(epoch FROM a.arrived_at - i.expires_at), 0), 0)
    FROM payments.arrivals a LEFT JOIN payments.invoices i ON i.id = a.invoice_id WHERE a.disposition <> 'settled';

-- Credit a suspended amount to a user (p_user: whose, when it is nobody's). NULL: it is not open any more.
CREATE FUNCTION payments.accept_suspense(p_id uuid, p_user text, p_environment text, p_reason text, p_now timestamptz,
    p_actor text, p_cause text) RETURNS payments.suspense LANGUAGE plpgsql AS $$
DECLARE
    v_row payments.suspense;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    SELECT * INTO v_row FROM payments.suspense WHERE id = p_id AND state = 'open' FOR NO KEY UPDATE;
    IF v_row.id IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE payments.suspense SET state = 'accepted', decided_by = p_actor, reason = p_reason, updated_at = p_now,
            user_id = CASE WHEN user_id = '' THEN p_user ELSE user_id END,
            environment = CASE WHEN environment = '' THEN p_environment ELSE environment END
        WHERE id = p_id RETURNING * INTO v_row;
    PERFORM payments.post_journal('suspense-accepted', p_id::text, p_reason,
        ARRAY['liabilities:suspense:' || v_row.rail, format('liabilities:user:%s:%s', v_row.environment, v_row.user_id)],
        ARRAY[v_row.asset, v_row.asset], ARRAY[v_row.amount, -v_row.amount]);
    IF v_row.disposition = 'underpaid' THEN
        -- Whoever takes less takes the invoice as paid.
        UPDATE payments.invoices SET state = 'settled', settled_at = p_now, updated_at = p_now
            WHERE id = v_row.invoice_id AND state = 'underpaid';
    END IF;
    RETURN v_row;
END $$;

-- What may still be refunded of an invoice out of its owner's balance. The row is locked: refunds of one invoice wait.
CREATE FUNCTION payments.refundable(p_invoice uuid) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
BEGIN
    SELECT * INTO v_invoice FROM payments.invoices WHERE id = p_invoice FOR NO KEY UPDATE;
    RETURN coalesce((SELECT sum(-e.amount) FROM payments.arrivals a JOIN payments.entries e USING (journal_id)
            JOIN payments.accounts c ON c.id = e.account_id AND c.code LIKE 'liabilities:user:%'
            WHERE a.invoice_id = p_invoice), 0)
        + coalesce((SELECT sum(s.amount) FROM payments.suspense s
            WHERE s.invoice_id = p_invoice AND s.state = 'accepted'), 0)
        - coalesce((SELECT sum(r.amount) FROM payments.refunds r
            WHERE r.invoice_id = p_invoice AND r.suspense_id IS NULL AND r.state <> 'cancelled'), 0);
END $$;

-- A refund's payment is about to be accepted in this transaction: what was in suspense becomes its owner's to pay with.
CREATE FUNCTION payments.fund_refund(p_refund uuid, p_payment uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_suspense payments.suspense;
    v_owner text;
BEGIN
    SELECT s.* INTO v_suspense FROM payments.refunds r JOIN payments.suspense s ON s.id = r.suspense_id
        WHERE r.id = p_refund;
    IF v_suspense.id IS NOT NULL THEN
        SELECT format('liabilities:user:%s:%s', environment, user_id) INTO v_owner FROM payments.refunds
            WHERE id = p_refund;
        PERFORM payments.post_journal('refund-funded', p_payment::text, 'refund ' || p_refund,
            ARRAY['liabilities:suspense:' || v_suspense.rail, v_owner], ARRAY[v_suspense.asset, v_suspense.asset],
            ARRAY[v_suspense.amount, -v_suspense.amount]);
    END IF;
END $$;

-- A payment that failed is tried again as a new one; each at most once, so that a chain has no branches.
ALTER TABLE payments.payments ADD COLUMN retry_of uuid REFERENCES payments.payments;
CREATE UNIQUE INDEX payments_one_retry ON payments.payments (retry_of);
ALTER TABLE payments.payments ADD COLUMN refund_id uuid REFERENCES payments.refunds;
GRANT UPDATE (retry_of, refund_id) ON payments.payments TO payments_app;

-- The end of a refund's payment is the refund's, in the same transaction.
CREATE FUNCTION payments.after_refund_payment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_refund payments.refunds;
    v_suspense payments.suspense;
BEGIN
    SELECT * INTO v_refund FROM payments.refunds WHERE id = NEW.refund_id AND payment_id = NEW.id FOR NO KEY UPDATE;
    IF v_refund.id IS NULL OR v_refund.state <> 'sending' THEN
        RETURN NULL;
    END IF;
    SELECT * INTO v_suspense FROM payments.suspense WHERE id = v_refund.suspense_id FOR NO KEY UPDATE;
    IF NEW.state = 'succeeded' THEN
        UPDATE payments.refunds SET state = 'succeeded', reason = '', updated_at = NEW.updated_at,
            finished_at = NEW.updated_at WHERE id = v_refund.id;
        UPDATE payments.suspense SET state = 'refunded', updated_at = NEW.updated_at WHERE id = v_suspense.id;
    ELSE
        IF v_suspense.id IS NOT NULL THEN
            PERFORM payments.post_journal('refund-returned', NEW.id::text, 'the refund''s payment ' || NEW.state,
                ARRAY[format('liabilities:user:%s:%s', v_refund.environment, v_refund.user_id),
                    'liabilities:suspense:' || v_suspense.rail],
                ARRAY[v_suspense.asset, v_suspense.asset], ARRAY[v_suspense.amount, -v_suspense.amount]);
        END IF;
        UPDATE payments.refunds SET state = 'awaiting_payee', updated_at = NEW.updated_at,
            reason = format('payment %s %s: %s', NEW.id, NEW.state, NEW.reason) WHERE id = v_refund.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payment_of_refund AFTER UPDATE OF state ON payments.payments FOR EACH ROW
    WHEN (NEW.refund_id IS NOT NULL AND NEW.state IN ('succeeded', 'failed', 'cancelled') AND OLD.state <> NEW.state)
    EXECUTE FUNCTION payments.after_refund_payment();

-- Invoices that nobody shall pay any more. False: it is further than open.
CREATE FUNCTION payments.cancel_invoice(p_id uuid, p_reason text, p_now timestamptz, p_actor text, p_cause text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    UPDATE payments.invoices SET state = 'cancelled', reason = p_reason, updated_at = p_now
        WHERE id = p_id AND state = 'open' RETURNING * INTO v_invoice;
    IF v_invoice.id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM payments.publish_event('invoice.cancelled', 'invoice', p_id::text, v_invoice.user_id,
        v_invoice.environment, jsonb_build_object('id', p_id, 'rail', v_invoice.rail));
    RETURN true;
END $$;

-- An attempt whose outcome stays unknown waits for a person, and is looked up all the same.
ALTER TABLE payments.attempts ADD COLUMN person_since timestamptz;
CREATE INDEX attempts_for_person ON payments.attempts (person_since)
    WHERE person_since IS NOT NULL AND state IN ('started', 'in_flight', 'unknown');
GRANT UPDATE (person_since) ON payments.attempts TO payments_app;
CREATE FUNCTION payments.call_for_person(p_after_seconds double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_called integer;
BEGIN
    WITH due AS (
        SELECT id FROM payments.attempts WHERE state IN ('started', 'in_flight', 'unknown') AND person_since IS NULL
            AND created_at < clock_timestamp() - make_interval(secs => p_after_seconds)
            ORDER BY created_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    ), called AS (
        UPDATE payments.attempts a SET person_since = clock_timestamp() FROM due WHERE a.id = due.id RETURNING a.*
    ), audited AS (
        INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, payment_method, status, detail)
            SELECT 'worker', 'janitor', 'waits for a person', 'attempt', c.id, c.rail, c.state,
                jsonb_build_object('kind', c.kind, 'subject', c.subject_id, 'lookUps', c.look_ups)
            FROM called c RETURNING 1
    )
    SELECT count(*) INTO v_called FROM audited;
    RETURN v_called;
END $$;

-- Reconciliation: how far each stream was compared, and what did not agree. Rail minus books, in minor units.
CREATE TABLE payments.reconciliations (
    rail text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL CHECK (stream IN ('arrivals', 'payments')),
    position text NOT NULL DEFAULT '',
    compared bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rail, stream)
);
GRANT SELECT, INSERT, UPDATE ON payments.reconciliations TO payments_app;
GRANT SELECT ON payments.reconciliations TO payments_reader;
CREATE TABLE payments.discrepancies (
    id uuid PRIMARY KEY DEFAULT payments.new_id(),
    rail text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    difference numeric(38, 0) NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    resolved_by text NOT NULL DEFAULT '',
    resolution text NOT NULL DEFAULT '',
    UNIQUE (rail, kind, subject)
);
GRANT SELECT, INSERT, UPDATE (resolved_at, resolved_by, resolution) ON payments.discrepancies TO payments_app;
GRANT SELECT ON payments.discrepancies TO payments_reader;
CREATE INDEX payments_finished ON payments.payments (rail, finished_at, id) WHERE finished_at IS NOT NULL;

-- Webhooks in: a provider's event is taken once, with the job that works on it.
CREATE TABLE payments.inbound_events (
    source text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    event_type text NOT NULL,
    payload jsonb NOT NULL,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, event_id)
);
SELECT payments.make_append_only('payments.inbound_events');
CREATE FUNCTION payments.take_inbound(p_source text, p_event_id text, p_type text, p_payload jsonb,
    p_sent_at timestamptz, p_release text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments.inbound_events (source, event_id, event_type, payload, sent_at)
        VALUES (p_source, p_event_id, p_type, p_payload, p_sent_at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM payments.enqueue_job('inbound.' || p_source, 1, 'inbound', p_event_id,
        jsonb_build_object('source', p_source, 'event_id', p_event_id), p_release);
    RETURN true;
END $$;

-- For statements of a day.
CREATE INDEX journals_posted_at ON payments.journals (posted_at);

GRANT EXECUTE ON FUNCTION payments.accept_suspense, payments.refundable, payments.fund_refund, payments.cancel_invoice,
    payments.call_for_person, payments.take_inbound TO payments_app;
