"""LangServe as its documentation shows it: an LCEL chain behind `/stream`."""

from typing import Any

from fastapi import FastAPI
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langserve import add_routes
from pydantic import BaseModel, SecretStr

from tests.benchmarks.peers.shared import BASE_URL, prompt, retrieve, tuned

model = ChatOpenAI(base_url=BASE_URL, api_key=SecretStr("key"), model="scripted")
app = FastAPI(lifespan=tuned)


class Ask(BaseModel):
    question: str


async def prepare(given: Any) -> Any:
    return prompt(given["question"], await retrieve(given["question"]))


add_routes(app, (RunnableLambda(prepare) | model | StrOutputParser()).with_types(input_type=Ask), path="/rag")
