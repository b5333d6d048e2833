"""Conversations that are kept: who asked what after what, and the answers that stand."""

from rag_graph.conversations.base import Bounds, Conversation, KeptTurn, NewTurn
from rag_graph.conversations.store import ConversationStore

__all__ = ["Bounds", "Conversation", "ConversationStore", "KeptTurn", "NewTurn"]
