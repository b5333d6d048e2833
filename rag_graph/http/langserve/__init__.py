"""LangServe's endpoints, over the same graph."""
