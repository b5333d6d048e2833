"""Runs kept in Redis Streams, which several processes share. Written for one primary."""

from rag_graph.runs.redis.log import RedisRunLog

__all__ = ["RedisRunLog"]
