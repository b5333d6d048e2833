"""Text, below all that reads it: sentences and terms."""
