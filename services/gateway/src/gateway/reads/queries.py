"""The queries by file, read once from `sql/`."""

from __future__ import annotations

from typing import Final

from common.postgres import load_queries

_PACKAGE: Final = "gateway.reads.sql"

KEYS: Final = load_queries(_PACKAGE, "keys.sql")
WORKFLOWS: Final = load_queries(_PACKAGE, "workflows.sql")
EXECUTIONS: Final = load_queries(_PACKAGE, "executions.sql")
HISTORY: Final = load_queries(_PACKAGE, "history.sql")
KNOWLEDGE: Final = load_queries(_PACKAGE, "knowledge.sql")
OPERATIONS: Final = load_queries(_PACKAGE, "operations.sql")
