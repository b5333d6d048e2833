"""What frames say: pure views of a run's events, one module a language."""
