"""For LangChain's people: the graph by one call, a tool and a middleware for agents."""
