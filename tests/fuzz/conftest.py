from tests.servers import spawn, towers, upstream

__all__ = ["spawn", "towers", "upstream"]
