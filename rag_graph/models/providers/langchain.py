"""Models of the providers that LangChain knows, by `provider:model`: each works where its package is installed."""

import logging
import re
from collections.abc import Callable, Container
from importlib import import_module
from typing import Any, Final, Literal, TypeVar

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr, ValidationError

from rag_graph.errors import SettingsError

log = logging.getLogger(__name__)

Kind = Literal["chat_models", "embeddings"]
_Model = TypeVar("_Model", BaseChatModel, Embeddings)

_PACKAGE = re.compile(r"pip install ([\w-]+)")
_REASON_CHARS: Final = 200


def split_provider(name: str, kind: Kind = "chat_models") -> tuple[str, str]:
    """`provider:model` as its two parts; of any other name the first is empty.

    A colon alone makes no provider: `llama3:8b` and `ft:gpt-4o:acme` are names. Only what `init_chat_model`
    (or `init_embeddings`) of the installed LangChain knows is one.
    """
    provider, _, model = name.partition(":")
    return (provider, model) if model and provider in _known(kind) else ("", name)


def open_provider_chat_model(
    provider: str, model: str, api_key: str = "", *, setting: str = "RAG_CHAT", reasoning_effort: str = ""
) -> BaseChatModel:
    """Open by `init_chat_model`. Without an `api_key` the provider's own environment variables serve.

    Raises SettingsError when the provider's package is missing, or its class refuses what is set.
    """
    from langchain.chat_models import init_chat_model  # noqa: PLC0415 - slow to import, and only providers need it

    def open_with(**options: Any) -> BaseChatModel:
        opened: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
        if type(opened).__module__.startswith("langchain_community"):
            # LangChain turns to an abandoned class of its own where the provider's package is missing.
            raise ImportError(f"pip install langchain-{provider}")
        return opened

    try:
        opened, options = _with_key(open_with, provider, api_key, setting)
        fields = type(opened).model_fields
        more: dict[str, Any] = _thinking(provider, fields, reasoning_effort) if reasoning_effort else {}
        if "max_retries" in fields:
            # `Replier` asks again, and a fallback too. Google's SDK takes 0 for its default and 1 for a single try.
            more["max_retries"] = 1 if provider.startswith("google") else 0
        return open_with(**options, **more) if more else opened
    except Exception as exc:
        raise _refused(exc, provider, model, setting, api_key) from exc


def open_named_chat_model(name: str, argument: str) -> BaseChatModel:
    """Open what `init_chat_model` understands by this name. Raises SettingsError that names the argument."""
    from langchain.chat_models import init_chat_model  # noqa: PLC0415 - slow to import, and only names need it

    provider, model = split_provider(name)
    try:
        opened: BaseChatModel = init_chat_model(name)
    except Exception as exc:
        raise _refused(exc, provider, model, argument, "", named=f"{argument}={name!r}") from exc
    return opened


def open_provider_embeddings(
    provider: str, model: str, api_key: str = "", *, setting: str = "RAG_EMBEDDING"
) -> Embeddings:
    """Open by `init_embeddings`, as `open_provider_chat_model` does."""
    from langchain.embeddings import init_embeddings  # noqa: PLC0415 - slow to import, and only providers need it

    def open_with(**options: Any) -> Embeddings:
        return init_embeddings(model, provider=provider, **options)

    try:
        return _with_key(open_with, provider, api_key, setting)[0]
    except Exception as exc:
        raise _refused(exc, provider, model, setting, api_key) from exc


def _known(kind: Kind) -> Container[str]:
    """LangChain keeps the names of its providers to itself, under another name before 1.2."""
    module = vars(import_module(f"langchain.{kind}.base"))
    names: Container[str] = module.get("_BUILTIN_PROVIDERS") or module.get("_SUPPORTED_PROVIDERS") or ()
    return names


def _with_key(
    open_with: Callable[..., _Model], provider: str, api_key: str, setting: str
) -> tuple[_Model, dict[str, Any]]:
    """Open the model, and say with which options the key was given to it."""
    if not api_key:
        return open_with(), {}
    failure: Exception | None = None
    for option in ("api_key", f"{provider}_api_key"):
        options = {option: SecretStr(api_key)}
        try:
            opened = open_with(**options)
        except ImportError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a class raises for an option that it does not have
            failure = failure or exc
            continue
        # A class that does not know the option may ignore it.
        held = (value.get_secret_value() if isinstance(value, SecretStr) else value for value in vars(opened).values())
        if api_key in held:
            return opened, options
    raise failure or SettingsError(
        f"{provider} takes no API key from {setting}_API_KEY: unset it, and set the provider's own variables."
    )


def _thinking(provider: str, fields: Container[str], effort: str) -> dict[str, Any]:
    """How a model is told to think for so long, and to show its thoughts."""
    options: dict[str, Any] = {}
    if "reasoning_effort" in fields:
        options["reasoning_effort"] = effort
    elif "reasoning" in fields:
        options["reasoning"] = effort  # Ollama
    else:
        log.warning("%s cannot be told how long to think: RAG_REASONING_EFFORT is of no effect", provider)
    if "include_thoughts" in fields:
        options["include_thoughts"] = True  # Google keeps them to itself otherwise
    return options


def _refused(
    exc: Exception, provider: str, model: str, setting: str, api_key: str, *, named: str = ""
) -> SettingsError:
    if isinstance(exc, SettingsError):
        return exc
    named = named or f"{setting}_MODEL={provider}:{model}"
    # Newer LangChain finds no class of that name where it would have turned to its abandoned ones.
    if isinstance(exc, ImportError) or "langchain_community" in str(exc):
        missing = _PACKAGE.search(str(exc))
        package = missing[1] if missing else f"langchain-{provider.replace('_', '-')}"
        return SettingsError(f"{named} needs one more package: pip install {package}.")
    if isinstance(exc, ValidationError):
        # Not its text, which repeats what was given.
        first = exc.errors(include_url=False, include_input=False)[0]
        reason = " ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
    else:
        reason = str(exc)
    if api_key:
        reason = reason.replace(api_key, "…")
    return SettingsError(f"{named} cannot be used as it is set: {' '.join(reason.split())[:_REASON_CHARS]}")
