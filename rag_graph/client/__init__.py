"""A client for the server: typed events in, however often the link breaks."""

from rag_graph.client.clients import AsyncClient, Client
from rag_graph.client.following import Persistence

__all__ = ["AsyncClient", "Client", "Persistence"]
