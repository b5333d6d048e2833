"""Chat models behind an OpenAI-compatible endpoint: the fast path."""

from rag_graph.models.providers.openai.chat import ReasoningChatOpenAI, open_chat_model

__all__ = ["ReasoningChatOpenAI", "open_chat_model"]
