from tests.servers import more_towers, serve, server, spawn, towers, upstream

__all__ = ["more_towers", "serve", "server", "spawn", "towers", "upstream"]
