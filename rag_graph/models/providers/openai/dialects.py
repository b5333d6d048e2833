"""Chunks of other protocols, which some gateways let through as they come, and replies wrapped into something more."""

from collections.abc import Mapping
from typing import Any, Final

Chunk = dict[str, Any]

_WRAPPINGS: Final = ("data", "result", "output", "response")
_EVENTS: Final = ("response.", "message_", "content_block_", "message-", "content-")
_REPLIES: Final = ("choices", "candidates", "message")


def unwrapped(chunk: Chunk) -> Chunk:
    """The reply of a chunk that holds it one level deeper, as DashScope, Cloudflare and company gateways send it."""
    if chunk.get("choices"):
        return chunk
    for key in _WRAPPINGS:
        inner = chunk.get(key)
        if isinstance(inner, dict) and any(inner.get(reply) for reply in _REPLIES):
            return {**chunk, **inner}
    return chunk


def choice_of(chunk: Mapping[str, Any]) -> Chunk | None:
    """What a chunk without choices says of the reply, in the shape of a choice; None if it says nothing."""
    match chunk:
        case {"type": str(kind)} if kind.startswith(_EVENTS):
            return _of_event(kind, chunk)
        case {"message": Mapping() as message, "done": bool(done)}:  # Ollama, /api/chat
            return _choice(message, (chunk.get("done_reason") or "stop") if done else None)
        case {"message": {"content": _} as message}:
            return {"message": message}
        case {"response": str(text)}:  # Ollama, /api/generate, and Cloudflare's Workers AI
            return _choice(
                {"content": text, "reasoning_content": chunk.get("thinking")},
                (chunk.get("done_reason") or "stop") if chunk.get("done") is True else None,
            )
        case {"token": {"text": str(text), **token}}:  # text-generation-inference, /generate_stream
            details = chunk.get("details")
            reason = details.get("finish_reason") if isinstance(details, Mapping) else None
            is_last = chunk.get("generated_text") is not None
            return _choice({"content": "" if token.get("special") else text}, reason or ("stop" if is_last else None))
        case {"content": str(text), "stop": bool(is_last)}:  # llama.cpp, /completion
            return _choice({"content": text}, (chunk.get("stop_type") or "stop") if is_last else None)
    return _of_cloud(chunk)


def _of_cloud(chunk: Mapping[str, Any]) -> Chunk | None:
    """What Gemini and Bedrock's ConverseStream send."""
    match chunk:
        case {"candidates": [dict() as candidate, *_]}:
            return _of_gemini(candidate)
        case {"promptFeedback": {"blockReason": _}}:  # of a question for which there are no candidates
            return _choice({}, "content_filter")
        case {"contentBlockDelta": {"delta": Mapping() as delta}}:
            return _choice({"content": delta.get("text"), "reasoning_content": delta.get("reasoningContent")})
        case {"messageStop": {"stopReason": reason}}:
            return _choice({}, reason)
    return None


def _choice(delta: Mapping[str, Any], reason: Any = None) -> Chunk:
    return {"delta": {**delta}, "finish_reason": reason}


def _of_gemini(candidate: Mapping[str, Any]) -> Chunk:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    parts = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    return _choice(
        {
            "content": [part for part in parts if not part.get("thought")],
            "reasoning_content": [part for part in parts if part.get("thought")],
        },
        candidate.get("finishReason"),
    )


def _of_event(kind: str, event: Mapping[str, Any]) -> Chunk | None:
    """An event of the Responses API, of Anthropic's messages or of Cohere's chat."""
    delta = event.get("delta")
    match kind:
        case "response.output_text.delta":
            return _choice({"content": delta})
        case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
            return _choice({"reasoning_content": delta})
        case "response.refusal.delta":
            return _choice({"refusal": delta})
        case "response.completed":
            return _choice({}, "stop")
        case "response.incomplete":
            return _choice({}, _why_incomplete(event.get("response")))
        case "content_block_delta" if isinstance(delta, Mapping):
            return _choice({"content": delta.get("text"), "reasoning_content": delta.get("thinking")})
        case "message_delta" if isinstance(delta, Mapping):
            return _choice({}, delta.get("stop_reason"))
        case "content-delta" if isinstance(delta, Mapping):
            return _choice(delta["message"]) if isinstance(delta.get("message"), Mapping) else None
        case "message-end" if isinstance(delta, Mapping):
            return _choice({}, delta.get("finish_reason"))
    return None


def _why_incomplete(response: Any) -> str:
    details = response.get("incomplete_details") if isinstance(response, Mapping) else None
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return reason if isinstance(reason, str) and reason else "length"
