"""Streaming RAG on LangGraph: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer."""
