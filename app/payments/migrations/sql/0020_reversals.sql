-- Arrivals that were credited and are gone from their rail: a reorganisation took their block away. Nothing is deleted;
-- a compensating journal takes back what can be taken back, the rest is a loss, and what comes again is restored.

INSERT INTO payments.transitions
SELECT 'invoice', f, 'reversed' FROM unnest(ARRAY['settled', 'overpaid', 'underpaid', 'paid_late', 'paid_twice']) AS f
UNION ALL
SELECT 'invoice', 'reversed', t FROM unnest(ARRAY['settled', 'overpaid', 'underpaid', 'paid_late', 'paid_twice']) AS t
UNION ALL VALUES ('suspense', 'open', 'reversed'), ('suspense', 'reversed', 'open'), ('reversal', 'reversed', 'restored');

CREATE TABLE payments.reversals (
    id uuid PRIMARY KEY DEFAULT payments.new_id(),
    rail text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    number integer NOT NULL CHECK (number > 0),   -- of this arrival's reversals: it may come and go again
    invoice_id uuid REFERENCES payments.invoices,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    from_user numeric(38, 0) NOT NULL CHECK (from_user >= 0),          -- taken from the user's balance
    from_suspense numeric(38, 0) NOT NULL CHECK (from_suspense >= 0),  -- taken from suspense
    lost numeric(38, 0) NOT NULL CHECK (lost >= 0),                    -- spent or given back before: expenses:reversed
    invoice_state text COLLATE "C",               -- the invoice's before
    state text COLLATE "C" NOT NULL DEFAULT 'reversed',
    journal_id bigint NOT NULL REFERENCES payments.journals,
    proof jsonb NOT NULL,
    restored_proof jsonb,
    reversed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_at timestamptz,
    UNIQUE (rail, event_id, number),
    FOREIGN KEY (rail, event_id) REFERENCES payments.arrivals,
    CHECK (from_user + from_suspense + lost = amount)
);
CREATE UNIQUE INDEX reversals_open ON payments.reversals (rail, event_id) WHERE state = 'reversed';
GRANT SELECT, INSERT, UPDATE (state, restored_proof, restored_at) ON payments.reversals TO payments_app;
GRANT SELECT ON payments.reversals TO payments_reader;
CREATE TRIGGER reversal_transitions BEFORE UPDATE OF state ON payments.reversals FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('reversal');

-- Audit and event of a reversal and of its end; the invoice's own change of state is audited by its own trigger.
CREATE FUNCTION payments.after_reversal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, payment_method, amount_sats,
            status, detail)
        VALUES (payments.actor(), payments.cause(), NEW.state, 'arrival', NEW.rail || ':' || NEW.event_id,
            nullif(NEW.user_id, ''), NEW.rail, CASE WHEN NEW.asset = 'BTC' THEN div(NEW.amount, 1000) END, NEW.state,
            jsonb_build_object('reversal', NEW.id, 'asset', NEW.asset, 'amount', NEW.amount, 'fromUser', NEW.from_user,
                'fromSuspense', NEW.from_suspense, 'lost', NEW.lost, 'proof', coalesce(NEW.restored_proof, NEW.proof)));
    PERFORM payments.publish_event(
        CASE WHEN NEW.invoice_id IS NULL THEN 'arrival.' ELSE 'invoice.' END || NEW.state,
        CASE WHEN NEW.invoice_id IS NULL THEN 'arrival' ELSE 'invoice' END, coalesce(NEW.invoice_id::text, NEW.event_id),
        NEW.user_id, NEW.environment, jsonb_build_object('id', NEW.invoice_id, 'rail', NEW.rail, 'eventId', NEW.event_id,
            'asset', NEW.asset, 'amount', NEW.amount, 'taken', NEW.from_user, 'lost', NEW.lost));
    RETURN NULL;
END $$;
CREATE TRIGGER reversal_created AFTER INSERT ON payments.reversals FOR EACH ROW
    EXECUTE FUNCTION payments.after_reversal_change();
CREATE TRIGGER reversal_changed AFTER UPDATE OF state ON payments.reversals FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.after_reversal_change();

-- Take an arrival back. NULL: it was never credited, or is reversed already. What its owner was credited is taken from
-- the owner's balance as far as there is any; what waits in suspense from there; the rest is a loss.
CREATE FUNCTION payments.reverse_arrival(p_rail text, p_event_id text, p_proof jsonb, p_now timestamptz)
RETURNS payments.reversals LANGUAGE plpgsql AS $$
DECLARE
    v_arrival payments.arrivals;
    v_invoice payments.invoices;
    v_suspense payments.suspense;
    v_row payments.reversals;
    v_user text;
    v_credited numeric;
    v_account bigint;
BEGIN
    PERFORM payments.act_as('rail:' || p_rail, 'reversal ' || p_event_id);
    SELECT * INTO v_arrival FROM payments.arrivals WHERE rail = p_rail AND event_id = p_event_id;
    IF v_arrival.event_id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO v_invoice FROM payments.invoices WHERE id = v_arrival.invoice_id FOR NO KEY UPDATE;
    SELECT * INTO v_suspense FROM payments.suspense WHERE rail = p_rail AND event_id = p_event_id FOR NO KEY UPDATE;
    -- Whoever reverses the same arrival waits for its journal, whose name is unique.
    SELECT coalesce(max(r.number), 0) + 1 INTO v_row.number FROM payments.reversals r
        WHERE r.rail = p_rail AND r.event_id = p_event_id;
    IF EXISTS (SELECT 1 FROM payments.reversals r WHERE r.rail = p_rail AND r.event_id = p_event_id
            AND r.state = 'reversed') THEN
        RETURN NULL;
    END IF;
    v_row.user_id := coalesce(v_invoice.user_id, v_suspense.user_id, '');
    v_row.environment := coalesce(v_invoice.environment, v_suspense.environment, '');
    v_user := format('liabilities:user:%s:%s', v_row.environment, v_row.user_id);
    -- What the user has of it now: credited at first, taken back and given back since.
    SELECT coalesce(sum(-e.amount), 0) INTO v_credited FROM payments.entries e
        JOIN payments.accounts c ON c.id = e.account_id AND c.code = v_user
        WHERE e.journal_id = v_arrival.journal_id OR e.journal_id IN (SELECT j.id FROM payments.reversals r
            JOIN payments.journals j ON j.kind IN ('reversal', 'reversal-restored')
            AND j.source = format('%s:%s:%s', r.rail, r.event_id, r.number)
            WHERE r.rail = p_rail AND r.event_id = p_event_id);
    v_credited := v_credited + CASE WHEN v_suspense.state = 'accepted' THEN v_suspense.amount ELSE 0 END;
    v_row.from_user := 0;
    IF v_credited > 0 THEN
        v_account := payments.account_id(v_user, v_arrival.asset);
        -- The lock that every debit of the account takes: what is there is still there when it is taken.
        PERFORM pg_advisory_xact_lock(727001, (v_account % 2147483647)::integer);
        v_row.from_user := least(v_credited, greatest(-payments.balance(v_account), 0));
    END IF;
    v_row.from_suspense := CASE WHEN v_suspense.state = 'open' THEN v_suspense.amount ELSE 0 END;
    v_row.lost := v_arrival.amount - v_row.from_user - v_row.from_suspense;
    v_row.journal_id := payments.post_journal('reversal', format('%s:%s:%s', p_rail, p_event_id, v_row.number),
        'the arrival is gone from the rail',
        ARRAY['assets:' || p_rail, v_user, 'liabilities:suspense:' || p_rail, 'expenses:reversed:' || p_rail],
        array_fill(v_arrival.asset, ARRAY[4]),
        ARRAY[-v_arrival.amount, v_row.from_user, v_row.from_suspense, v_row.lost]);
    IF v_row.journal_id IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO payments.reversals (rail, event_id, number, invoice_id, user_id, environment, asset, amount, from_user,
            from_suspense, lost, invoice_state, journal_id, proof, reversed_at)
        VALUES (p_rail, p_event_id, v_row.number, v_invoice.id, v_row.user_id, v_row.environment, v_arrival.asset,
            v_arrival.amount, v_row.from_user, v_row.from_suspense, v_row.lost, v_invoice.state, v_row.journal_id, p_proof,
            p_now)
        RETURNING * INTO v_row;
    UPDATE payments.suspense SET state = 'reversed', decided_by = payments.actor(), reason = 'gone from the rail',
        updated_at = p_now WHERE id = v_suspense.id AND state = 'open';
    IF v_invoice.id IS NOT NULL THEN
        -- Another arrival that is still there keeps the invoice as it is.
        UPDATE payments.invoices i SET received = received - v_arrival.amount, updated_at = p_now,
                state = CASE WHEN o.stays THEN i.state ELSE 'reversed' END,
                settled_at = CASE WHEN o.stays THEN i.settled_at END
            FROM (SELECT EXISTS (SELECT 1 FROM payments.arrivals a WHERE a.invoice_id = v_invoice.id
                AND (a.rail, a.event_id) <> (p_rail, p_event_id) AND NOT EXISTS (SELECT 1 FROM payments.reversals r
                    WHERE r.rail = a.rail AND r.event_id = a.event_id AND r.state = 'reversed')) AS stays) o
            WHERE i.id = v_invoice.id;
    END IF;
    RETURN v_row;
END $$;

-- The arrival is on the rail again. What was taken is given back to where it was taken from; what was lost is found. Was
-- the invoice paid by another arrival meanwhile, then what was its owner's goes into suspense like any second payment.
CREATE FUNCTION payments.restore_arrival(p_reversal payments.reversals, p_proof jsonb, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_suspended numeric := p_reversal.from_suspense;
    v_owner numeric := p_reversal.from_user;
BEGIN
    SELECT state INTO v_state FROM payments.invoices WHERE id = p_reversal.invoice_id FOR NO KEY UPDATE;
    IF v_owner > 0 AND v_state <> 'reversed' AND p_reversal.invoice_state IN ('settled', 'overpaid')
            AND v_state IN ('settled', 'overpaid') AND v_suspended = 0 THEN
        INSERT INTO payments.suspense (rail, event_id, invoice_id, user_id, environment, asset, amount, disposition)
            VALUES (p_reversal.rail, p_reversal.event_id, p_reversal.invoice_id, p_reversal.user_id,
                p_reversal.environment, p_reversal.asset, v_owner, 'paid_twice')
            ON CONFLICT DO NOTHING;
        IF FOUND THEN
            v_suspended := v_owner;
            v_owner := 0;
        END IF;
    END IF;
    PERFORM payments.post_journal('reversal-restored',
        format('%s:%s:%s', p_reversal.rail, p_reversal.event_id, p_reversal.number), 'the arrival is on the rail again',
        ARRAY['assets:' || p_reversal.rail,
            format('liabilities:user:%s:%s', p_reversal.environment, p_reversal.user_id),
            'liabilities:suspense:' || p_reversal.rail, 'expenses:reversed:' || p_reversal.rail],
        array_fill(p_reversal.asset, ARRAY[4]),
        ARRAY[p_reversal.amount, -v_owner, -v_suspended, -p_reversal.lost]);
    UPDATE payments.suspense SET state = 'open', decided_by = '', reason = '', updated_at = p_now
        WHERE rail = p_reversal.rail AND event_id = p_reversal.event_id AND state = 'reversed';
    UPDATE payments.invoices SET received = received + p_reversal.amount, updated_at = p_now,
            settled_at = coalesce(settled_at, CASE WHEN p_reversal.invoice_state IN ('settled', 'overpaid') THEN p_now END),
            state = CASE WHEN state = 'reversed' THEN p_reversal.invoice_state
                WHEN v_suspended > p_reversal.from_suspense THEN 'paid_twice' ELSE state END
        WHERE id = p_reversal.invoice_id;
    UPDATE payments.reversals SET state = 'restored', restored_proof = p_proof, restored_at = p_now
        WHERE id = p_reversal.id;
END $$;

-- As before, and an arrival that was reversed is restored when it comes again ('restored').
CREATE OR REPLACE FUNCTION payments.credit_arrival(
    p_rail text, p_event_id text, p_rail_id text, p_asset text, p_amount numeric, p_arrived_at timestamptz,
    p_proof jsonb, p_cursor text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
    v_reversal payments.reversals;
    v_disposition text;
    v_user text;
    v_suspense text := 'liabilities:suspense:' || p_rail;
    v_due numeric;
    v_journal bigint;
BEGIN
    PERFORM payments.act_as('rail:' || p_rail, 'arrival ' || p_event_id);
    IF p_rail_id <> '' THEN
        SELECT * INTO v_invoice FROM payments.invoices i
            WHERE i.rail = p_rail AND i.rail_id = p_rail_id AND i.asset = p_asset FOR NO KEY UPDATE;
    END IF;
    v_disposition := payments.judge_arrival(v_invoice, p_amount, p_arrived_at);
    v_due := CASE v_disposition WHEN 'settled' THEN p_amount WHEN 'overpaid' THEN v_invoice.amount ELSE 0 END;
    v_user := format('liabilities:user:%s:%s', v_invoice.environment, v_invoice.user_id);
    v_journal := payments.post_journal('arrival', p_rail || ':' || p_event_id, v_disposition,
        ARRAY['assets:' || p_rail, coalesce(v_user, v_suspense), v_suspense], ARRAY[p_asset, p_asset, p_asset],
        ARRAY[p_amount, -v_due, v_due - p_amount]);
    IF v_journal IS NULL THEN
        v_disposition := 'known';
        SELECT * INTO v_reversal FROM payments.reversals r
            WHERE r.rail = p_rail AND r.event_id = p_event_id AND r.state = 'reversed' FOR NO KEY UPDATE;
        IF v_reversal.id IS NOT NULL THEN
            PERFORM payments.restore_arrival(v_reversal, p_proof, clock_timestamp());
            v_disposition := 'restored';
        END IF;
    ELSE
        INSERT INTO payments.arrivals (rail, event_id, rail_id, invoice_id, asset, amount, disposition, journal_id,
                proof, arrived_at)
            VALUES (p_rail, p_event_id, p_rail_id, v_invoice.id, p_asset, p_amount, v_disposition, v_journal, p_proof,
                p_arrived_at);
        IF v_invoice.id IS NOT NULL THEN
            UPDATE payments.invoices SET state = v_disposition, received = received + p_amount,
                    settled_at = coalesce(settled_at, CASE WHEN v_due > 0 THEN p_arrived_at END),
                    updated_at = clock_timestamp()
                WHERE id = v_invoice.id;
        END IF;
        PERFORM payments.publish_event(
            CASE WHEN v_invoice.id IS NULL THEN 'arrival.unmatched' ELSE 'invoice.' || v_disposition END,
            CASE WHEN v_invoice.id IS NULL THEN 'arrival' ELSE 'invoice' END,
            coalesce(v_invoice.id::text, p_event_id), coalesce(v_invoice.user_id, ''),
            coalesce(v_invoice.environment, ''), jsonb_build_object('id', v_invoice.id, 'rail', p_rail,
                'paymentHash', p_rail_id, 'asset', p_asset, 'amount', p_amount, 'credited', v_due,
                'arrivedAt', p_arrived_at));
    END IF;
    IF p_cursor <> '' THEN
        INSERT INTO payments.rail_cursors (rail, cursor) VALUES (p_rail, p_cursor)
            ON CONFLICT (rail) DO UPDATE SET cursor = excluded.cursor, updated_at = clock_timestamp();
    END IF;
    RETURN v_disposition;
END $$;
-- As before, without what was reversed.
CREATE OR REPLACE FUNCTION payments.refundable(p_invoice uuid) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
BEGIN
    SELECT * INTO v_invoice FROM payments.invoices WHERE id = p_invoice FOR NO KEY UPDATE;
    RETURN coalesce((SELECT sum(-e.amount) FROM payments.arrivals a JOIN payments.entries e USING (journal_id)
            JOIN payments.accounts c ON c.id = e.account_id AND c.code LIKE 'liabilities:user:%'
            WHERE a.invoice_id = p_invoice AND NOT EXISTS (SELECT 1 FROM payments.reversals v
                WHERE v.rail = a.rail AND v.event_id = a.event_id AND v.state = 'reversed')), 0)
        + coalesce((SELECT sum(s.amount) FROM payments.suspense s
            WHERE s.invoice_id = p_invoice AND s.state = 'accepted' AND NOT EXISTS (SELECT 1 FROM payments.reversals v
                WHERE v.rail = s.rail AND v.event_id = s.event_id AND v.state = 'reversed')), 0)
        - coalesce((SELECT sum(r.amount) FROM payments.refunds r
            WHERE r.invoice_id = p_invoice AND r.suspense_id IS NULL AND r.state <> 'cancelled'), 0);
END $$;
GRANT EXECUTE ON FUNCTION payments.reverse_arrival, payments.restore_arrival TO payments_app;
