"""LangChain's Agent Protocol: threads, commands, and a stream of a thread that goes on where its reader was cut off."""
