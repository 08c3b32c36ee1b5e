-- One batch of turns, stored in one round trip and one transaction.
--
-- Everything is passed as parallel arrays, one row per position, and written by one statement per table. Either all
-- of it happens or none: when one execution's version is not as expected (somebody else advanced it), or an
-- idempotency key is taken, the function raises and the caller decides the batch again without the losers.
-- That is rare, and makes every other line simpler.

CREATE FUNCTION workflow.commit_batch(
    -- executions to create
    x_id uuid[], x_organization uuid[], x_workflow text[], x_workflow_version integer[], x_semver text[],
    x_status text[], x_input text[], x_output text[], x_error text[], x_labels text[], x_traceparent text[],
    x_parent uuid[], x_parent_key text[],
    -- idempotency keys, sorted: two batches that share keys must take them in the same order
    i_organization uuid[], i_route text[], i_key text[], i_fingerprint text[], i_execution uuid[],
    -- control state; expected -1 creates it, final removes it
    s_id uuid[], s_organization uuid[], s_expected integer[], s_version integer[], s_snapshot bytea[], s_final boolean[],
    -- history, a row per turn
    h_execution uuid[], h_organization uuid[], h_from integer[], h_to integer[], h_events bytea[],
    -- waits
    w_execution uuid[], w_key text[], w_kind text[], w_organization uuid[], w_partition smallint[], w_reference text[],
    w_due_ms bigint[], w_queue text[], w_published boolean[], w_expected_s double precision[], w_child uuid[], w_body bytea[],
    c_execution uuid[], c_key text[],
    -- payloads
    p_owner uuid[], p_id uuid[], p_organization uuid[], p_bytes bytea[],
    -- phases that changed
    f_id uuid[], f_status text[], f_output text[], f_error text[],
    -- what the batch owes the streams, and what earlier batches have paid
    publication uuid, publication_body bytea, paid uuid[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    losers jsonb;
BEGIN
    -- Lock in id order (an UPDATE ... FROM would lock in join order and deadlock), then compare.
    IF cardinality(s_id) > 0 THEN
        PERFORM 1 FROM workflow.execution_state WHERE id = ANY (s_id) ORDER BY id FOR UPDATE;
        SELECT jsonb_agg(s.id) INTO losers
        FROM unnest(s_id, s_expected) AS s (id, expected)
        LEFT JOIN workflow.execution_state AS current ON current.id = s.id
        WHERE s.expected >= 0 AND current.version IS DISTINCT FROM s.expected;
        IF losers IS NOT NULL THEN
            RAISE EXCEPTION 'another orchestrator advanced them first' USING ERRCODE = 'KW001', DETAIL = losers::text;
        END IF;
    END IF;

    IF cardinality(i_key) > 0 THEN
        WITH taken AS (
            INSERT INTO workflow.idempotency AS mine (organization_id, route, key, fingerprint, execution_id, expires_at)
            SELECT i.organization_id, i.route, i.key, i.fingerprint, i.execution_id, now() + interval '24 hours'
            FROM unnest(i_organization, i_route, i_key, i_fingerprint, i_execution)
                AS i (organization_id, route, key, fingerprint, execution_id)
            ON CONFLICT DO NOTHING
            RETURNING mine.execution_id
        )
        SELECT jsonb_agg(i.execution_id) INTO losers
        FROM unnest(i_execution) AS i (execution_id)
        LEFT JOIN taken ON taken.execution_id = i.execution_id
        WHERE taken.execution_id IS NULL;
        IF losers IS NOT NULL THEN
            RAISE EXCEPTION 'idempotency keys are taken' USING ERRCODE = 'KW002', DETAIL = losers::text;
        END IF;
    END IF;

    IF cardinality(x_id) > 0 THEN
        INSERT INTO workflow.workflow_executions
            (id, organization_id, workflow_id, workflow_version, semver, status, input_payload, output_payload, error,
             labels, traceparent, parent_id, parent_key, created_at, updated_at, started_at, finished_at)
        SELECT x.id, x.organization_id, x.workflow_id, x.workflow_version, x.semver, x.status, x.input::jsonb,
               x.output::jsonb, x.error::jsonb, x.labels::jsonb, x.traceparent, x.parent_id, x.parent_key, now(), now(),
               CASE WHEN x.status <> 'pending' THEN now() END,
               CASE WHEN x.status IN ('cancelled', 'faulted', 'completed') THEN now() END
        FROM unnest(x_id, x_organization, x_workflow, x_workflow_version, x_semver, x_status, x_input, x_output, x_error,
                    x_labels, x_traceparent, x_parent, x_parent_key)
            AS x (id, organization_id, workflow_id, workflow_version, semver, status, input, output, error,
                  labels, traceparent, parent_id, parent_key);
    END IF;

    IF cardinality(s_id) > 0 THEN
        INSERT INTO workflow.execution_state (id, organization_id, version, snapshot)
        SELECT s.id, s.organization_id, s.version, s.snapshot
        FROM unnest(s_id, s_organization, s_expected, s_version, s_snapshot, s_final)
            AS s (id, organization_id, expected, version, snapshot, final)
        WHERE s.expected < 0 AND NOT s.final;

        UPDATE workflow.execution_state AS current
        SET version = s.version, snapshot = s.snapshot
        FROM unnest(s_id, s_expected, s_version, s_snapshot, s_final) AS s (id, expected, version, snapshot, final)
        WHERE current.id = s.id AND s.expected >= 0 AND NOT s.final;

        DELETE FROM workflow.execution_state AS current
        USING unnest(s_id, s_final) AS s (id, final)
        WHERE current.id = s.id AND s.final;
    END IF;

    IF cardinality(h_execution) > 0 THEN
        INSERT INTO workflow.history (execution_id, organization_id, seq_from, seq_to, at, events)
        SELECT h.execution_id, h.organization_id, h.seq_from, h.seq_to, now(), h.events
        FROM unnest(h_execution, h_organization, h_from, h_to, h_events)
            AS h (execution_id, organization_id, seq_from, seq_to, events);
    END IF;

    IF cardinality(c_key) > 0 THEN
        DELETE FROM workflow.waits AS wait
        USING unnest(c_execution, c_key) AS c (execution_id, key)
        WHERE wait.execution_id = c.execution_id AND wait.key = c.key;
    END IF;

    IF cardinality(w_key) > 0 THEN
        INSERT INTO workflow.waits
            (execution_id, key, kind, organization_id, partition, reference, opened_at, due_at, queue, published,
             expected_by, child_id, body)
        SELECT w.execution_id, w.key, w.kind, w.organization_id, w.partition, w.reference, now(),
               to_timestamp(w.due_ms / 1000.0), w.queue, w.published, now() + make_interval(secs => w.expected_s),
               w.child_id, w.body
        FROM unnest(w_execution, w_key, w_kind, w_organization, w_partition, w_reference, w_due_ms, w_queue,
                    w_published, w_expected_s, w_child, w_body)
            AS w (execution_id, key, kind, organization_id, partition, reference, due_ms, queue,
                  published, expected_s, child_id, body);
    END IF;

    IF cardinality(p_id) > 0 THEN
        INSERT INTO workflow.payloads (owner_id, id, organization_id, sha256, bytes)
        SELECT p.owner_id, p.id, p.organization_id, sha256(p.bytes), p.bytes
        FROM unnest(p_owner, p_id, p_organization, p_bytes) AS p (owner_id, id, organization_id, bytes)
        ON CONFLICT DO NOTHING;
    END IF;

    IF cardinality(f_id) > 0 THEN
        UPDATE workflow.workflow_executions AS execution
        SET status = f.status,
            output_payload = f.output::jsonb,
            error = f.error::jsonb,
            updated_at = now(),
            started_at = CASE WHEN f.status = 'pending' THEN execution.started_at
                              ELSE coalesce(execution.started_at, now()) END,
            finished_at = CASE WHEN f.status IN ('cancelled', 'faulted', 'completed') THEN now() END
        FROM unnest(f_id, f_status, f_output, f_error) AS f (id, status, output, error)
        WHERE execution.id = f.id;
    END IF;

    IF cardinality(paid) > 0 THEN
        DELETE FROM workflow.publications WHERE id = ANY (paid);
    END IF;
    IF publication IS NOT NULL THEN
        INSERT INTO workflow.publications (id, body) VALUES (publication, publication_body);
    END IF;
END
$$;
