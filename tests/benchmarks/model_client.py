"""CPU per token of our chat model, beside plain ChatOpenAI and the bare SDK, against a scripted server.

python -m tests.benchmarks.model_client [--tokens 2000] [--rounds 5] [--pace-streams 25]

The server runs in a process of its own. Rounds are interleaved and the median is printed; on a busy machine read
the ratios. "Flat out" is one stream as fast as it comes, "at pace" many streams of a token every 20 ms.
"""

import argparse
import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import openai
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Content, Replier

QUESTION = [HumanMessage("How high is the tower?")]
PACE_S = 0.02
PACE_TOKENS = 100

Reader = Callable[[], Awaitable[int]]
"""Reads one reply to its end and returns how many chunks held text."""


@contextmanager
def scripted_server(port: int, *, tokens: int, pace_s: float) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.upstream", f"--port={port}", f"--tokens={tokens}", f"--pace={pace_s}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


@asynccontextmanager
async def readers(base_url: str) -> AsyncIterator[dict[str, Reader]]:
    """The clients to compare, by name."""
    sdk = openai.AsyncOpenAI(base_url=base_url, api_key="key")
    plain = ChatOpenAI(base_url=base_url, api_key=SecretStr("key"), model="scripted", stream_usage=True)
    ours = open_chat_model(base_url, "key", "scripted")
    replier = Replier(ours)

    async def with_sdk() -> int:
        stream = await sdk.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": "How high is the tower?"}], stream=True
        )
        return sum([bool(chunk.choices and chunk.choices[0].delta.content) async for chunk in stream])

    async def with_plain() -> int:
        return sum([bool(chunk.content) async for chunk in plain.astream(QUESTION)])

    async def with_ours() -> int:
        return sum([bool(chunk.content) async for chunk in ours.astream(QUESTION)])

    async def with_replier() -> int:
        return sum([type(piece) is Content async for piece in replier.stream(QUESTION)])

    yield {"bare SDK": with_sdk, "ChatOpenAI": with_plain, "ours": with_ours, "ours, Replier": with_replier}
    await ours.aclose()
    await plain.root_async_client.close()
    await sdk.close()


async def measure(base_url: str, *, streams: int, tokens: int, rounds: int) -> None:
    async with readers(base_url) as clients:
        cpu: dict[str, list[float]] = {name: [] for name in clients}
        chunks: dict[str, int] = {}
        for number in range(rounds + 1):
            for name, read in clients.items():
                gc.collect()
                began = time.process_time()
                read_chunks = await asyncio.gather(*(read() for _ in range(streams)))
                spent = time.process_time() - began
                if number:
                    cpu[name].append(spent / (streams * tokens) * 1e6)
                    chunks[name] = sum(read_chunks) // streams
    base = statistics.median(cpu["ChatOpenAI"])
    for name, spent_us in cpu.items():
        middle = statistics.median(spent_us)
        print(f"  {name:<15}{middle:8.1f} us/token {middle / base:6.2f} of ChatOpenAI {chunks[name]:6d} chunks")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pace-streams", type=int, default=25)
    given = parser.parse_args()
    print(f"flat out: one stream of {given.tokens} tokens")  # noqa: T201
    with scripted_server(0, tokens=given.tokens, pace_s=0) as url:
        asyncio.run(measure(url, streams=1, tokens=given.tokens, rounds=given.rounds))
    print(f"at pace: {given.pace_streams} streams of a token every {PACE_S * 1000:.0f} ms")  # noqa: T201
    with scripted_server(0, tokens=PACE_TOKENS, pace_s=PACE_S) as url:
        rounds = max(1, given.rounds // 2)
        asyncio.run(measure(url, streams=given.pace_streams, tokens=PACE_TOKENS, rounds=rounds))


if __name__ == "__main__":
    main()
