"""A library in PostgreSQL with pgvector, for when it outgrows one machine or several servers share it."""

from rag_graph.index.postgres.place import PostgresPlace

__all__ = ["PostgresPlace"]
