"""Ways out over HTTP: a folder a protocol."""
