"""What runs on this machine: the embedded embedder and reader, and a language model of the user's."""
