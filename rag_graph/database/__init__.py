"""SQL that SQLite and PostgreSQL both understand, for what a server keeps beside its library."""

from rag_graph.database.base import Database, Execute
from rag_graph.database.sqlite import SqliteDatabase

__all__ = ["Database", "Execute", "SqliteDatabase"]
