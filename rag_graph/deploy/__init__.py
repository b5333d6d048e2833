"""The graph as LangGraph's own servers load it."""
