"""An index in PostgreSQL with pgvector, for when it outgrows one machine or several servers share it."""

from rag_graph.index.postgres.index import PostgresIndex

__all__ = ["PostgresIndex"]
