"""A client for the server: typed events in, however often the link breaks."""

from rag_graph.client.clients import AsyncClient, Client
from rag_graph.client.reader import RetryPolicy

__all__ = ["AsyncClient", "Client", "RetryPolicy"]
