"""Searches as retriever runs, which LangSmith and whatever listens to callbacks shows with the documents found."""

import asyncio

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import ensure_config, patch_config, set_config_context

from rag_graph.documents import Hit
from rag_graph.query import Filters
from rag_graph.retrieval.base import Retriever
from rag_graph.retrieval.langchain import LangChainRetriever, as_documents


async def search(retriever: Retriever, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
    """What the retriever finds, told to those who listen to the run that is going on in this context.

    A retriever of LangChain's tells its own run; a chain around one tells no more than that it is a chain.
    """
    config = ensure_config()
    callbacks = config.get("callbacks")
    tells = isinstance(retriever, LangChainRetriever) and isinstance(retriever.retriever, BaseRetriever)
    if callbacks is None or tells:
        return await retriever.retrieve(question, top_k=top_k, filters=filters)
    manager = AsyncCallbackManager.configure(
        callbacks,
        inheritable_tags=config.get("tags"),
        inheritable_metadata={**(config.get("metadata") or {}), "ls_retriever_name": type(retriever).__name__},
    )
    run = await manager.on_retriever_start({}, question, name=type(retriever).__name__)
    try:
        with set_config_context(patch_config(config, callbacks=run.get_child())) as context:
            # In a task, since only that takes a context, by which LangChain knows whose run a call is a part of.
            searching = asyncio.create_task(
                retriever.retrieve(question, top_k=top_k, filters=filters),
                context=context,
            )
            hits = await searching
    except BaseException as exc:
        await run.on_retriever_error(exc)
        raise
    await run.on_retriever_end(as_documents(hits))
    return hits
