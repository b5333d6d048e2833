"""Runs: what a question becomes, executed once, kept in a log, followed by any number of readers."""
