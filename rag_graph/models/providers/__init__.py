"""Models of others, a file a provider."""
