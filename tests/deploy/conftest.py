from tests.servers import serve, server, towers, upstream

__all__ = ["serve", "server", "towers", "upstream"]
