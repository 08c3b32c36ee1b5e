"""Collections, ingestion, embeddings and hybrid search; owns the schema knowledge."""
