"""What a person may set, by `RAG_…` environment variables or a `.env` file."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from rag_graph.errors import SettingsError

PREFIX = "RAG_"
OPENAI_URL = "https://api.openai.com/v1"
MISSPELT_BY = 3
"""A name that differs by so many characters from one of ours is taken for a misspelling of it, and refused."""
# Open WebUI, a front end of this server, has the prefix too, and containers are often given one environment. Its
# nearest name, RAG_RERANKING_MODEL, differs from RAG_REASONING_MODEL by four; one slip of the finger makes a difference
# of one (left out, doubled) or two (another letter, two in the wrong order). A ratio cannot tell them apart: RAG_PROT
# is less like RAG_PORT (0.88) than those two are like each other (0.89). tests/test_settings.py holds both.


class ModelSettings(BaseModel):
    """An OpenAI-compatible model, or one of a LangChain provider; without any of the three it is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(default="", description="OpenAI-compatible endpoint, such as http://localhost:11434/v1.")
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Key sent to that endpoint or provider, and to no other."
    )
    model: str = Field(
        default="",
        description="The model's name at that endpoint; without an endpoint also one as "
        "`provider:model`, such as anthropic:claude-sonnet-5, if LangChain's package for that provider is installed.",
    )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @property
    def is_set(self) -> bool:
        return bool(self.base_url or self.model or self.api_key.get_secret_value())


class WriterSettings(ModelSettings):
    """A model that writes."""

    context_tokens: int = Field(default=16_000, ge=1_000, description="Prompts are fitted to this many tokens.")


class ChatSettings(WriterSettings):
    """The model that writes, and others that people may choose in its place."""

    models: str = Field(
        default="", description="Further ones, separated by commas, of which a question may choose; named as `model`."
    )

    @property
    def offered(self) -> list[str]:
        return list(dict.fromkeys(filter(None, (name.strip() for name in self.models.split(",")))))


class ReasoningSettings(WriterSettings):
    """A model that thinks before it writes."""

    effort: Literal["", "minimal", "low", "medium", "high"] = Field(
        default="", description="How long it may think, where it can be told."
    )


class Settings(BaseSettings):
    """Everything that can be set. Frozen; a misspelt name or a bad value is a SettingsError that names it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        # RAG_CHAT_BASE_URL is `base_url` of `chat`, and not `url` of a `base` in it.
        env_nested_max_split=1,
        env_file=".env",
        # Misspellings are refused by a rule of our own, which knows other programs' names from ours.
        extra="ignore",
        frozen=True,
        # Else a key that is wrong would stand in the message.
        hide_input_in_errors=True,
    )

    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port the server listens on.")
    data_dir: Path = Field(default_factory=lambda: user_data_path("rag-graph"), description="Where the index is kept.")
    server_url: str = Field(
        default="", description="The running server that `ask` and `chat` are to ask; `none` for none."
    )
    server_key: SecretStr = Field(default=SecretStr(""), description="The key that they send to it.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the server logs."
    )

    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines for people, or one JSON object a line."
    )

    chat: ChatSettings = Field(default=ChatSettings(), description="The model that drafts and refines.")
    reasoning: ReasoningSettings = Field(
        default=ReasoningSettings(),
        description="The model of the deep mode; unset parts are those of `chat`.",
    )
    fallback: WriterSettings = Field(
        default=WriterSettings(), description="Asked when the chat model fails; unset: none."
    )
    embedding: ModelSettings = Field(default=ModelSettings(), description="The model that makes vectors.")
    uploads: bool = Field(default=False, description="Whether documents may be added over HTTP and on the page.")
    local_gguf: Path | None = Field(
        default=None, description="A GGUF file to run as the chat model, where no other is set."
    )
    thinking: Literal["full", "summary", "off"] = Field(
        default="full",
        description="The model's own reasoning as it comes, only the pipeline's summary of its steps, or none.",
    )
    depth: Literal["quick", "standard", "thorough"] = Field(
        default="standard", description="How many rounds, passages, seconds and tokens the deep mode may search with."
    )
    stall_timeout_s: float = Field(default=30, gt=0, description="A model that is silent for this long is asked again.")
    first_token_timeout_s: float = Field(
        default=120, gt=0, description="A model may take this long before its first token."
    )

    api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Keys, separated by commas, of which every request sends one; as they are, or as sha256:HEX.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names, separated by commas, under which the server may be asked, besides this machine's, "
        "addresses and `RAG_HOST`; unset: no more, but with keys on an address beyond this machine any.",
    )
    allowed_origins: str = Field(
        default="", description="Origins, separated by commas, whose pages may ask here; unset: only our own."
    )
    max_body_bytes: int = Field(default=4_000_000, ge=1_000, description="No request may have a larger body.")
    max_upload_bytes: int = Field(default=100_000_000, ge=1_000, description="No upload may be larger.")
    load_max_s: float = Field(default=60, gt=0, description="CPU seconds that reading one document may take.")
    load_max_mb: int = Field(default=1_024, ge=64, description="Memory that reading one document may take, in MB.")
    max_run_s: float = Field(default=900, gt=0, description="A run that takes longer is stopped with what it has.")
    max_run_tokens: int = Field(
        default=500_000, ge=1, description="A run whose model calls take more is stopped with what it has."
    )
    max_queued: int = Field(default=32, ge=0, description="Questions that may wait for another's run to end.")
    max_queued_s: float = Field(default=10, ge=0, description="How long they wait before they are refused.")
    read_timeout_s: float = Field(
        default=20, gt=0, description="A request whose headers take longer is cut off, or whose body stands still."
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections at a time; unset: as many as the limit of open files allows."
    )
    write_timeout_s: float = Field(default=60, gt=0, description="A reader that takes nothing for so long is cut off.")

    heartbeat_s: float = Field(default=15, gt=0, description="A stream of events is never silent for longer.")
    run_grace_s: float = Field(default=30, ge=0, description="A run without readers goes on for this long.")
    drain_s: int = Field(default=20, ge=0, description="A server that stops lets its runs go on for this long.")
    run_kept_s: float = Field(default=3_600, gt=0, description="A run that has ended can be read for this long.")
    run_max_events: int = Field(default=20_000, ge=100, description="Events kept of one run; older ones are dropped.")
    run_max_bytes: int = Field(default=8_000_000, ge=100_000, description="Bytes kept of one run's events.")
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="Redis that keeps the runs, such as redis://localhost:6379; servers with the same one share them.",
    )
    postgres_url: SecretStr = Field(
        default=SecretStr(""),
        description="PostgreSQL with pgvector that keeps the library, such as postgresql://user@localhost/library.",
    )
    lease_s: float = Field(
        default=3, gt=0, description="With Redis: a server that is silent for this long loses its runs to another."
    )
    max_runs: int = Field(default=64, ge=1, description="Runs that one server process executes at a time.")
    max_runs_per_caller: int = Field(
        default=0,
        ge=0,
        description="Runs that one caller may have at a time; 0: half of RAG_MAX_RUNS, or all with less than two keys.",
    )

    conversations: bool | None = Field(
        default=None,
        description="Whether conversations are kept for the page, each caller's apart; unset: where there are keys, "
        "or only this machine can ask.",
    )
    max_conversations: int = Field(
        default=1_000, ge=1, description="Conversations kept of one caller; those longest untouched make room."
    )
    max_conversation_bytes: int = Field(
        default=200_000_000, ge=1_000_000, description="Bytes kept of one caller's conversations, as above."
    )

    v1_draft: Literal["reasoning", "content", "none"] = Field(
        default="content",
        description="Where `/v1` sends the draft: as content (a refinement then follows it), as reasoning, nowhere.",
    )
    v1_sources: Literal["annotations", "markdown", "events"] = Field(
        default="annotations",
        description="How `/v1` tells sources: annotations alone, also a Markdown list, or also Open WebUI's events.",
    )

    openai_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="OPENAI_API_KEY")
    openai_base_url: str = Field(default="", validation_alias="OPENAI_BASE_URL")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment and `.env`; what is given by keyword comes first."""
        _refuse_misspelt(os.environ)
        _refuse_misspelt(dotenv_values(".env"))
        try:
            return cls(**given)
        except ValidationError as exc:
            raise SettingsError(_explain(exc)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - they are passed by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read names of ours alone: RAG_EMBEDDING_ENGINE, of another program, is no part of our `embedding`."""
        known = {name.lower() for name in setting_names()}
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = {
                    name: value
                    for name, value in source.env_vars.items()
                    if name.lower() in known or not name.lower().startswith(PREFIX.lower())
                }
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @property
    def caller_share(self) -> int:
        """How many runs one caller may have.

        Half of them, so that others are answered beside whoever sends most; all, and the line too, where a second
        caller cannot be told from the first, for lack of keys: half of the server would only stand idle.
        """
        keys = {key.strip() for key in self.api_keys.get_secret_value().split(",")} - {""}
        share = (self.max_runs + 1) // 2 if len(keys) > 1 else self.max_runs + self.max_queued
        return self.max_runs_per_caller or share

    @property
    def answering(self) -> dict[str, object]:
        """What decides how a question is answered: where the library is, and which models read and write."""
        return {
            "library": self.postgres_url.get_secret_value() or str(self.index_dir.resolve()),
            **self.model_dump(
                mode="json",
                include={
                    "chat",
                    "reasoning",
                    "fallback",
                    "embedding",
                    "local_gguf",
                    "thinking",
                    "depth",
                    "openai_api_key",
                    "openai_base_url",
                },
            ),
        }

    @property
    def server_file(self) -> Path:
        """What a running server leaves beside its library."""
        return self.data_dir / "server.json"

    @property
    def index_dir(self) -> Path:
        return self.data_dir / "index"


def setting_names() -> dict[str, str]:
    """Every `RAG_…` variable there is, with its description."""
    names: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        if field.validation_alias:
            continue
        if isinstance(field.default, ModelSettings):
            for part, inner in type(field.default).model_fields.items():
                names[f"{PREFIX}{name}_{part}".upper()] = f"{field.description} {inner.description}"
        else:
            names[f"{PREFIX}{name}".upper()] = field.description or ""
    return names


def unknown_names(environment: Iterable[str]) -> list[str]:
    """The `RAG_…` names that are no settings of ours: those of another program with this prefix, or mistaken."""
    known = setting_names()
    return [name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known]


def _refuse_misspelt(environment: Iterable[str]) -> None:
    for name in unknown_names(environment):
        # A difference in length is so many odd characters by itself, and costs no comparison.
        near = [known for known in setting_names() if abs(len(known) - len(name)) <= MISSPELT_BY]
        odd, nearest = min(((_odd_characters(name.upper(), known), known) for known in near), default=(len(name), ""))
        if odd <= MISSPELT_BY:
            raise SettingsError(f"{name} is not a setting; did you mean {nearest}?")


def _odd_characters(name: str, other: str) -> int:
    """How many characters of the two have no counterpart in the other."""
    matching = difflib.SequenceMatcher(None, name, other, autojunk=False).get_matching_blocks()
    return len(name) + len(other) - 2 * sum(block.size for block in matching)


def _explain(exc: ValidationError) -> str:
    first = exc.errors(include_url=False, include_input=False)[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    problem = first["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{name}: {problem[:1].lower()}{problem[1:]}."
