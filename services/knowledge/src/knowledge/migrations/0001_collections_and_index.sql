-- Collections, their documents, and the index that search reads.
--
-- Two halves. What users gave us is the truth: collections, documents, revisions. What is made of it can be
-- made again: index versions with their chunks, embeddings and posting lists. A chunk carries the index
-- version it belongs to, so that a collection can be indexed anew (another model, another chunk size, another
-- vector store) beside the index that is searched, and switched over in one transaction.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE SCHEMA IF NOT EXISTS knowledge;

-- The gateway reads through this role. The schema `workflow` makes it too; whoever comes first does.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kwe_gateway') THEN
        CREATE ROLE kwe_gateway NOLOGIN;
        EXECUTE format('GRANT kwe_gateway TO %I', current_user);
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- Another database of the server made it just now: roles are shared.
END
$$;


CREATE TABLE knowledge.collections (
    id              uuid        PRIMARY KEY,
    organization_id uuid        NOT NULL,
    name            text        NOT NULL,
    description     text        NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, name),
    UNIQUE (organization_id, id),
    CONSTRAINT name_well_formed CHECK (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$')
);

CREATE TABLE knowledge.index_versions (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid        NOT NULL,
    collection_id   uuid        NOT NULL,
    number          integer     NOT NULL,
    status          text        NOT NULL,
    -- How texts became chunks and vectors. Never changed: another way of doing it is another version.
    passage_size    integer     NOT NULL,
    embedding_provider text     NOT NULL,
    model           text        NOT NULL,
    dimensions      integer     NOT NULL,
    vector_store    text        NOT NULL,
    -- The next free chunk ordinal. Ordinals are never used twice, since posting lists remember old ones.
    next_ordinal    integer     NOT NULL DEFAULT 0,
    -- Totals over live chunks, for the averages that BM25 needs.
    live_chunks     bigint      NOT NULL DEFAULT 0,
    live_terms      bigint      NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    UNIQUE (collection_id, number),
    FOREIGN KEY (organization_id, collection_id)
        REFERENCES knowledge.collections (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT status_known CHECK (status IN ('building', 'active', 'retired')),
    CONSTRAINT dimensions_storable CHECK (dimensions BETWEEN 1 AND 4000),
    CONSTRAINT totals_not_negative CHECK (next_ordinal >= 0 AND live_chunks >= 0 AND live_terms >= 0)
) WITH (fillfactor = 50);

-- Search follows the one active version of a collection.
CREATE UNIQUE INDEX index_versions_active ON knowledge.index_versions (collection_id) WHERE status = 'active';


CREATE TABLE knowledge.documents (
    organization_id uuid        NOT NULL,
    collection_id   uuid        NOT NULL,
    id              text        NOT NULL,
    -- The newest revision that was accepted. Search may still be reading the one before.
    version         integer     NOT NULL DEFAULT 1,
    status          text        NOT NULL DEFAULT 'pending',
    progress        real        NOT NULL DEFAULT 0,
    chunks          integer     NOT NULL DEFAULT 0,
    error           text,
    -- Ingestion. A worker holds a document by `claim` until `claimed_until`; every write of its names the claim.
    claim           uuid,
    claimed_until   timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    retry_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, collection_id, id),
    FOREIGN KEY (organization_id, collection_id)
        REFERENCES knowledge.collections (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT id_well_formed CHECK (char_length(id) BETWEEN 1 AND 200),
    CONSTRAINT status_known CHECK (
        status IN ('pending', 'parsing', 'chunking', 'embedding', 'indexing', 'ready', 'failed')),
    CONSTRAINT failed_says_why CHECK (status <> 'failed' OR error IS NOT NULL),
    CONSTRAINT ready_is_complete CHECK (status <> 'ready' OR (progress = 1 AND error IS NULL)),
    CONSTRAINT claim_has_an_end CHECK ((claim IS NULL) = (claimed_until IS NULL))
) WITH (fillfactor = 70);

-- Work to do, found without looking at what is done. Leads with the collection: a batch is of one collection.
CREATE INDEX documents_unfinished ON knowledge.documents (collection_id, updated_at)
    WHERE status NOT IN ('ready', 'failed');

CREATE TABLE knowledge.revisions (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid        NOT NULL,
    collection_id   uuid        NOT NULL,
    document_id     text        NOT NULL,
    version         integer     NOT NULL,
    title           text,
    media_type      text        NOT NULL,
    metadata        jsonb       NOT NULL DEFAULT '{}',
    -- Over title, media type, metadata and body: the same again is not ingested again.
    content_hash    bytea       NOT NULL,
    body            text        NOT NULL,
    -- So that a list of documents need not fetch their bodies.
    characters      integer     GENERATED ALWAYS AS (char_length(body)) STORED,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, id),
    UNIQUE (collection_id, document_id, version),
    FOREIGN KEY (organization_id, collection_id, document_id)
        REFERENCES knowledge.documents (organization_id, collection_id, id) ON DELETE CASCADE,
    CONSTRAINT metadata_is_an_object CHECK (jsonb_typeof(metadata) = 'object')
);


CREATE TABLE knowledge.chunks (
    organization_id  uuid     NOT NULL,
    index_version_id bigint   NOT NULL,
    ordinal          integer  NOT NULL,
    revision_id      bigint   NOT NULL,
    -- Place among the chunks of its revision, from 0.
    position         integer  NOT NULL,
    -- Code points in the revision's body: text = body[start_offset:end_offset].
    start_offset     integer  NOT NULL,
    end_offset       integer  NOT NULL,
    -- Title and headings above the passage: indexed with it, not part of it.
    context          text     NOT NULL,
    text             text     NOT NULL,
    -- Over context and text: what was embedded once is not embedded again.
    text_hash        bytea    NOT NULL,
    -- How many terms the keyword index counts in it; known when it becomes live.
    terms            integer  NOT NULL DEFAULT 0,
    embedded         boolean  NOT NULL DEFAULT false,
    -- Seen by search. A revision's chunks all become live, and those of the one before all go, in one transaction.
    live             boolean  NOT NULL DEFAULT false,
    PRIMARY KEY (index_version_id, ordinal),
    UNIQUE (index_version_id, revision_id, position),
    FOREIGN KEY (organization_id, index_version_id)
        REFERENCES knowledge.index_versions (organization_id, id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, revision_id)
        REFERENCES knowledge.revisions (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT offsets_are_exact CHECK (char_length(text) = end_offset - start_offset AND end_offset > start_offset),
    CONSTRAINT live_is_embedded CHECK (embedded OR NOT live)
-- Long texts go out of line, so that scans which only want flags and offsets stay small.
) WITH (toast_tuple_target = 256, fillfactor = 90);

CREATE INDEX chunks_revision ON knowledge.chunks (revision_id);
CREATE INDEX chunks_unborn ON knowledge.chunks (index_version_id, ordinal) WHERE NOT live;
CREATE INDEX chunks_text_hash ON knowledge.chunks (index_version_id, text_hash) WHERE embedded;

-- Unit-norm vectors, so that the negative inner product orders like the cosine. Without declared dimensions,
-- because versions differ; in line, because the exact scan reads every row of an index version.
CREATE TABLE knowledge.embeddings (
    organization_id  uuid    NOT NULL,
    index_version_id bigint  NOT NULL,
    ordinal          integer NOT NULL,
    embedding        halfvec NOT NULL,
    PRIMARY KEY (index_version_id, ordinal),
    FOREIGN KEY (organization_id, index_version_id)
        REFERENCES knowledge.index_versions (organization_id, id) ON DELETE CASCADE,
    FOREIGN KEY (index_version_id, ordinal)
        REFERENCES knowledge.chunks (index_version_id, ordinal) ON DELETE CASCADE
);
ALTER TABLE knowledge.embeddings ALTER COLUMN embedding SET STORAGE PLAIN;


-- The keyword index: immutable segments of packed posting lists, as in any search engine. A batch of ingested
-- documents adds one small segment; the background merges segments of like size into larger ones. What is
-- deleted stays in its segment until the next merge, and is left out of answers by its tombstone.
CREATE TABLE knowledge.segments (
    id               bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id  uuid      NOT NULL,
    index_version_id bigint    NOT NULL,
    -- Grows by one whenever segments are merged; only segments of one level are merged together.
    level            smallint  NOT NULL,
    ordinals         integer[] NOT NULL,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, index_version_id)
        REFERENCES knowledge.index_versions (organization_id, id) ON DELETE CASCADE
);

CREATE INDEX segments_level ON knowledge.segments (index_version_id, level);

CREATE TABLE knowledge.postings (
    organization_id uuid       NOT NULL,
    segment_id      bigint     NOT NULL,
    term            text       COLLATE "C" NOT NULL,
    -- Three parallel arrays, one element per chunk that has the term, in order of ordinals: which chunk, how often
    -- the term occurs there, and how many terms that chunk has in all.
    ordinals        integer[]  NOT NULL,
    frequencies     smallint[] NOT NULL,
    lengths         smallint[] NOT NULL,
    -- cardinality(ordinals), readable without fetching a long array.
    chunks          integer    NOT NULL,
    PRIMARY KEY (segment_id, term),
    FOREIGN KEY (organization_id, segment_id)
        REFERENCES knowledge.segments (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT arrays_are_parallel CHECK (
        cardinality(ordinals) = chunks AND cardinality(frequencies) = chunks AND cardinality(lengths) = chunks)
);

CREATE TABLE knowledge.tombstones (
    organization_id  uuid    NOT NULL,
    index_version_id bigint  NOT NULL,
    ordinal          integer NOT NULL,
    PRIMARY KEY (index_version_id, ordinal),
    FOREIGN KEY (organization_id, index_version_id)
        REFERENCES knowledge.index_versions (organization_id, id) ON DELETE CASCADE
);


-- What the gateway shows: the newest revision's facts beside the document's progress.
CREATE VIEW knowledge.document_overview WITH (security_invoker = true) AS
SELECT d.organization_id, d.collection_id, c.name AS collection, d.id, d.version, d.status, d.progress, d.chunks,
       d.error, d.attempts, r.title, r.media_type, r.metadata, r.characters,
       d.created_at, d.updated_at
FROM knowledge.documents d
JOIN knowledge.collections c ON c.organization_id = d.organization_id AND c.id = d.collection_id
JOIN knowledge.revisions r
    ON r.collection_id = d.collection_id AND r.document_id = d.id AND r.version = d.version;

CREATE VIEW knowledge.collection_overview WITH (security_invoker = true) AS
SELECT c.organization_id, c.id, c.name, c.description, c.created_at, i.number AS index_version,
       i.embedding_provider, i.model, i.dimensions, i.vector_store, i.passage_size, i.live_chunks AS chunks
FROM knowledge.collections c
JOIN knowledge.index_versions i ON i.collection_id = c.id AND i.status = 'active';


-- Row-level security. FORCE makes it hold for the owner too, who therefore has a policy of its own: this service
-- works for every organisation and names the organisation in each statement. Everybody else sees the one
-- organisation that `app.org` names, and nothing when it names none.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'collections', 'index_versions', 'documents', 'revisions', 'chunks', 'embeddings', 'segments', 'postings',
        'tombstones']
    LOOP
        EXECUTE format('ALTER TABLE knowledge.%I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE knowledge.%I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY owner_works_for_all ON knowledge.%I TO CURRENT_USER USING (true) WITH CHECK (true)',
            tenant_table);
        EXECUTE format(
            'CREATE POLICY gateway_reads_own ON knowledge.%I FOR SELECT TO kwe_gateway '
            'USING (organization_id = nullif(current_setting(''app.org'', true), '''')::uuid)',
            tenant_table);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA knowledge TO kwe_gateway;
GRANT SELECT ON knowledge.collections, knowledge.index_versions, knowledge.documents, knowledge.revisions,
    knowledge.chunks, knowledge.document_overview, knowledge.collection_overview TO kwe_gateway;
