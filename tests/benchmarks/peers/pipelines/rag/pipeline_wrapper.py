"""The pipeline that Hayhooks serves at `/rag/run`: a retriever, a prompt and OpenAI's chat generator."""

from typing import Any

from hayhooks import BasePipelineWrapper, SSEStream, async_streaming_generator
from haystack import Document, Pipeline, component
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

from tests.benchmarks.peers.shared import BASE_URL, INSTRUCTION, embedder, nearest, retrieve

QUESTION = """Sources:

{% for document in documents %}[{{ loop.index }}] {{ document.content }}

{% endfor %}Question: {{ question }}"""


@component
class Retriever:
    """The shared retrieval as a component."""

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator, unused-ignore]  # the same
    def run(self, question: str) -> dict[str, Any]:
        return {"documents": [Document(content=passage) for passage in nearest(question)]}

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator, unused-ignore]  # the same
    async def run_async(self, question: str) -> dict[str, Any]:
        return {"documents": [Document(content=passage) for passage in await retrieve(question)]}


class PipelineWrapper(BasePipelineWrapper):  # type: ignore[misc, unused-ignore]  # Any where Hayhooks is missing
    def setup(self) -> None:
        embedder()
        template = [ChatMessage.from_system(INSTRUCTION), ChatMessage.from_user(QUESTION)]
        model = OpenAIChatGenerator(model="scripted", api_key=Secret.from_token("key"), api_base_url=BASE_URL)
        self.pipeline = Pipeline()
        self.pipeline.add_component("retriever", Retriever())
        self.pipeline.add_component("prompt", ChatPromptBuilder(template=template, required_variables="*"))
        self.pipeline.add_component("llm", model)
        self.pipeline.connect("retriever.documents", "prompt.documents")
        self.pipeline.connect("prompt.prompt", "llm.messages")

    async def run_api_async(self, question: str) -> Any:
        given = {"retriever": {"question": question}, "prompt": {"question": question}}
        return SSEStream(async_streaming_generator(pipeline=self.pipeline, pipeline_run_args=given))
