-- Events: kept first, offered to listeners afterwards. See `orchestrator.events`.

CREATE TABLE workflow.events (
    organization_id uuid        NOT NULL,
    fingerprint     bytea       NOT NULL,
    number          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    type            text        NOT NULL,
    raw             bytea       NOT NULL,
    execution_id    uuid,
    received_at     timestamptz NOT NULL DEFAULT now(),
    matched         boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, fingerprint)
);
COMMENT ON TABLE workflow.events IS 'CloudEvents, posted or emitted; `raw` is JSON: SELECT convert_from(raw, ''UTF8'')::jsonb.';
COMMENT ON COLUMN workflow.events.fingerprint IS 'SHA-256 of source and id: an event that comes again is the same.';
COMMENT ON COLUMN workflow.events.number IS 'The order of arrival.';
COMMENT ON COLUMN workflow.events.matched IS 'Listeners were looked up after it was committed.';
CREATE INDEX events_type ON workflow.events (organization_id, type, received_at);
CREATE INDEX events_received ON workflow.events (organization_id, received_at);
CREATE INDEX events_unmatched ON workflow.events (received_at) WHERE NOT matched;

CREATE TABLE workflow.listeners (
    execution_id    uuid        NOT NULL,
    key             text        NOT NULL,
    organization_id uuid        NOT NULL,
    listener        uuid        NOT NULL,
    type            text        NOT NULL,
    correlation     text        NOT NULL,
    expected        text        NOT NULL,
    since           timestamptz NOT NULL,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    looked          boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (execution_id, key, type, correlation, expected)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE workflow.listeners IS 'What the waits of kind `event` are for, so that an event finds them by an index.';
COMMENT ON COLUMN workflow.listeners.listener IS 'The task, the same over all its activations: no event goes to it twice.';
COMMENT ON COLUMN workflow.listeners.type IS 'Empty: events of any type.';
COMMENT ON COLUMN workflow.listeners.correlation IS 'A jq program whose value must have the fingerprint `expected`; empty: none.';
COMMENT ON COLUMN workflow.listeners.since IS 'Events are kept for an execution from its start.';
COMMENT ON COLUMN workflow.listeners.looked IS 'Stored events were looked up after it was committed.';
CREATE INDEX listeners_interest ON workflow.listeners (organization_id, type, correlation, expected);
CREATE INDEX listeners_unlooked ON workflow.listeners (opened_at) WHERE NOT looked;

CREATE TABLE workflow.deliveries (
    execution_id    uuid        NOT NULL,
    listener        uuid        NOT NULL,
    number          bigint      NOT NULL REFERENCES workflow.events (number) ON DELETE CASCADE,
    key             text        NOT NULL,
    organization_id uuid        NOT NULL,
    state           text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'refused', 'consumed')),
    offered_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, listener, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE workflow.deliveries IS 'Events that listeners were offered, and what they did with them.';
COMMENT ON COLUMN workflow.deliveries.key IS 'The activation that it is offered to. What one refused, the next may take.';
CREATE INDEX deliveries_open ON workflow.deliveries (offered_at) WHERE state = 'open';
CREATE INDEX deliveries_number ON workflow.deliveries (number);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'listeners', 'deliveries'] LOOP
        EXECUTE format('ALTER TABLE workflow.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE workflow.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner_works_for_all ON workflow.%I TO %I USING (true) WITH CHECK (true)',
                       name, current_user);
    END LOOP;
END
$$;

-- The share of a batch that concerns events; called in one statement with `commit_batch`, after it.
CREATE FUNCTION workflow.commit_events(
    -- emitted
    e_organization uuid[], e_fingerprint bytea[], e_type text[], e_raw bytea[], e_execution uuid[],
    -- what is listened for
    l_execution uuid[], l_key text[], l_organization uuid[], l_listener uuid[], l_type text[], l_correlation text[],
    l_expected text[],
    -- offers that were answered
    d_execution uuid[], d_key text[], d_number bigint[], d_state text[],
    -- listeners that take no more, and executions that ended
    u_execution uuid[], u_key text[], gone uuid[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- In the order of their keys, as every insertion here: two batches must not wait for one another.
    INSERT INTO workflow.events (organization_id, fingerprint, type, raw, execution_id)
    SELECT e.organization_id, e.fingerprint, e.type, e.raw, e.execution_id
    FROM unnest(e_organization, e_fingerprint, e_type, e_raw, e_execution) WITH ORDINALITY
        AS e (organization_id, fingerprint, type, raw, execution_id, place)
    ORDER BY e.place
    ON CONFLICT DO NOTHING;

    UPDATE workflow.deliveries AS delivery SET state = d.state
    FROM unnest(d_execution, d_key, d_number, d_state) AS d (execution_id, key, number, state)
    WHERE delivery.execution_id = d.execution_id AND delivery.key = d.key AND delivery.number = d.number
      AND delivery.state <> 'consumed';

    DELETE FROM workflow.listeners AS listener
    USING unnest(u_execution, u_key) AS u (execution_id, key)
    WHERE listener.execution_id = u.execution_id AND listener.key = u.key;
    -- What it left open the next activation finds by itself.
    DELETE FROM workflow.deliveries AS delivery
    USING unnest(u_execution, u_key) AS u (execution_id, key)
    WHERE delivery.execution_id = u.execution_id AND delivery.key = u.key AND delivery.state <> 'consumed';

    DELETE FROM workflow.listeners WHERE execution_id = ANY (gone);
    DELETE FROM workflow.deliveries WHERE execution_id = ANY (gone);

    INSERT INTO workflow.listeners
        (execution_id, key, organization_id, listener, type, correlation, expected, since)
    SELECT l.execution_id, l.key, l.organization_id, l.listener, l.type, l.correlation, l.expected, execution.created_at
    FROM unnest(l_execution, l_key, l_organization, l_listener, l_type, l_correlation, l_expected)
        AS l (execution_id, key, organization_id, listener, type, correlation, expected)
    JOIN workflow.workflow_executions AS execution ON execution.id = l.execution_id
    ON CONFLICT DO NOTHING;
END
$$;

-- Forget events that are older than `retention_s`, unless an unfinished execution of the organisation began before them,
-- or a listener has not answered. After `most_days` they go all the same. At most `portion` of them; how many went.
CREATE FUNCTION workflow.forget_events(retention_s double precision, most_days integer, portion integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    forgotten integer;
BEGIN
    WITH oldest AS (
        SELECT DISTINCT ON (organization_id) organization_id, id FROM workflow.execution_state
        ORDER BY organization_id, id
    )
    DELETE FROM workflow.events WHERE number IN (
        SELECT event.number
        FROM workflow.organizations AS organization
        LEFT JOIN oldest ON oldest.organization_id = organization.id
        JOIN workflow.events AS event ON event.organization_id = organization.id
        WHERE event.received_at < now() - make_interval(secs => retention_s)
          AND event.matched
          AND (event.received_at < now() - make_interval(days => most_days)
               OR oldest.id IS NULL OR workflow.uuid7_floor(event.received_at) < oldest.id)
          AND NOT EXISTS (SELECT FROM workflow.deliveries AS delivery
                          WHERE delivery.number = event.number AND delivery.state = 'open')
        LIMIT portion
    );
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
