-- Secrets of organisations, as the gateway sealed them: PostgreSQL never sees one. `key_id` says with which ENCRYPTION_KEY.

CREATE TABLE workflow.secrets (
    organization_id uuid        NOT NULL REFERENCES workflow.organizations (id) ON DELETE CASCADE,
    name            text        NOT NULL,
    version         integer     NOT NULL DEFAULT 1 CHECK (version >= 1),
    envelope        text        NOT NULL,
    key_id          text        NOT NULL,
    set_by          uuid        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, name)
);
COMMENT ON COLUMN workflow.secrets.version IS 'Counts how often it was set, from 1.';
COMMENT ON COLUMN workflow.secrets.set_by IS 'The command that set it; the same command again changes nothing.';

ALTER TABLE workflow.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY gateway_reads_own ON workflow.secrets FOR SELECT TO kwe_gateway
    USING (organization_id = workflow.current_organization());
DO $$
BEGIN
    EXECUTE format('CREATE POLICY owner_works_for_all ON workflow.secrets TO %I USING (true) WITH CHECK (true)',
                   current_user);
END
$$;
-- Names and versions, not even the envelopes.
GRANT SELECT (organization_id, name, version, created_at, updated_at) ON workflow.secrets TO kwe_gateway;
