"""How good and how fast: answers on a dataset, and a server under load."""
