"""The Model Context Protocol, over HTTP and over stdin and stdout."""
