-- When the last backup was made, as `kwe backup` says: orchestrators show its age.
ALTER TABLE workflow.installation ADD COLUMN IF NOT EXISTS backed_up_at timestamptz;
