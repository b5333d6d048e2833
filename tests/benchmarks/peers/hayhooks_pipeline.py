"""Hayhooks as its documentation shows it: a Haystack pipeline in a folder, its stream behind `/run`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from hayhooks import create_app

from tests.benchmarks.peers.shared import tuned

app: FastAPI = create_app()
deployed = app.router.lifespan_context


@asynccontextmanager
async def deployed_and_tuned(app: FastAPI) -> AsyncIterator[None]:
    async with deployed(app), tuned(app):
        yield


app.router.lifespan_context = deployed_and_tuned
