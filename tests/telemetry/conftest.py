from tests.servers import serve, towers, upstream

__all__ = ["serve", "towers", "upstream"]
