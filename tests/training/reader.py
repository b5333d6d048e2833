"""Train the reader: one command from data and base weights in folders to the int8 file that the package ships.

    pip install 'rag-graph[training]'
    python -m tests.training.reader --data DATA --base BASE --state STATE --seconds 3600 --out reader.int8.onnx

One learning-rate cycle over the seconds given, in two processes that share the weights (Hogwild). `README.md` beside
this file says where data and base come from. A snapshot every few minutes can be exported or gone on from.
"""

# ruff: noqa: T201 - a long work tells how far it is
import argparse
import queue
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from transformers import BertConfig, BertForQuestionAnswering

from rag_graph.models.local.tokens import tokenizer
from tests.training.questions import Example, Examples, Question, read_questions

BATCH, PEAK, WARM, FLOOR, DROPOUT = 16, 1e-4, 0.06, 0.02, 0.05
WORKERS = 2
SNAPSHOT_S = 240
SEED = 20261126


def make_model(base: Path | None) -> Any:
    """all-MiniLM-L6-v2 with a new head for the first and the last token of an answer."""
    config = BertConfig(
        hidden_size=384,
        intermediate_size=1536,
        num_attention_heads=12,
        num_hidden_layers=6,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
    )
    model = BertForQuestionAnswering(config)
    if base is not None:
        weights = {name: value for name, value in load_file(base).items() if not name.startswith("pooler")}
        weights.pop("embeddings.position_ids", None)
        loaded = model.bert.load_state_dict(weights, strict=False)
        if loaded.unexpected_keys or loaded.missing_keys:
            sys.exit(f"{base} is not all-MiniLM-L6-v2: {loaded}")
    model.bert.embeddings.requires_grad_(False)  # a third faster, and 12 of 22 million weights stay as they are
    return model


@dataclass(frozen=True)
class Share:
    """What one process works on: every `WORKERS`-th question from `start` on."""

    rank: int
    start: int
    began: float
    spent_s: float
    seconds: float


def work(share: Share, model: Any, questions: Sequence[Question], done: Any) -> None:
    """Train on a share; the weights are shared, the optimiser is this process's own."""
    torch.set_num_threads(1)
    cpu = time.process_time()
    moving = [weights for weights in model.parameters() if weights.requires_grad]
    groups = [
        {"params": [weights for weights in moving if weights.ndim > 1], "weight_decay": 0.01},
        {"params": [weights for weights in moving if weights.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK)
    model.train()
    steps, losses = 0, [0.0]
    for batch in _batches(share, questions):
        passed = (share.spent_s + time.time() - share.began) / share.seconds
        if passed >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = PEAK * (passed / WARM if passed < WARM else max(FLOOR, (1 - passed) / (1 - WARM)))
        loss = _loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
        losses.append(loss.item())
        if steps % 50 == 0:
            cpu_s = time.process_time() - cpu
            print(f"{share.rank} {steps} loss {np.mean(losses[-50:]):.3f} at {passed:.3f} cpu {cpu_s:.0f}", flush=True)
            done.put((share.rank, steps, cpu_s, False))
    done.put((share.rank, steps, time.process_time() - cpu, True))


def _batches(share: Share, questions: Sequence[Question]) -> Iterator[list[Example]]:
    """Examples of like length together, so that little is padding."""
    shuffled = list(range(len(questions)))
    examples = Examples(questions, tokenizer(), SEED + share.start * WORKERS + share.rank)
    shuffling = random.Random(SEED + share.rank)  # noqa: S311 - nothing is kept secret
    at = share.start
    drawn: list[Example] = []
    while True:
        if at % len(questions) == 0 or at == share.start:
            random.Random(SEED + at // len(questions)).shuffle(shuffled)  # noqa: S311 - both processes shuffle alike
        example = examples.draw(shuffled[at % len(questions)]) if at % WORKERS == share.rank else None
        at += 1
        if example is not None:
            drawn.append(example)
        if len(drawn) == BATCH * 8:
            drawn.sort(key=lambda example: len(example.ids))
            batches = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
            shuffling.shuffle(batches)
            yield from batches
            drawn = []


def _loss(model: Any, batch: Sequence[Example]) -> Any:
    shape = (len(batch), max(len(example.ids) for example in batch))
    ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, example in enumerate(batch):
        length = len(example.ids)
        ids[row, :length], mask[row, :length], types[row, example.second : length] = example.ids, 1, 1
    out = model(
        input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), token_type_ids=torch.from_numpy(types)
    )
    padding = torch.from_numpy((mask == 0) * np.float32(-1e4))
    first = torch.tensor([example.first for example in batch])
    last = torch.tensor([example.last for example in batch])
    entropy = torch.nn.functional.cross_entropy
    return (entropy(out.start_logits + padding, first) + entropy(out.end_logits + padding, last)) / 2


def train(data: Path, base: Path, state: Path, seconds: float) -> None:
    """One cycle over `seconds` of wall time; begun again, it goes on from its last snapshot."""
    began = time.time()
    torch.set_num_threads(1)
    questions = read_questions(data)
    model = make_model(base)
    snapshot = state / "snapshot.pt"
    seen, spent_s, cpu_s = 0, 0.0, 0.0
    if snapshot.exists():
        kept = torch.load(snapshot, weights_only=True)
        model.load_state_dict(kept["model"])
        seen, spent_s, cpu_s = kept["seen"], kept["spent_s"], kept["cpu_s"]
    print(f"{len(questions)} questions, from {seen} on, read in {time.time() - began:.0f} s", flush=True)
    model.share_memory()
    context = mp.get_context("fork")
    done = context.Queue()
    shares = [Share(rank, seen, began, spent_s, seconds) for rank in range(WORKERS)]
    workers = [context.Process(target=work, args=(share, model, questions, done)) for share in shares]
    for worker in workers:
        worker.start()
    progress: dict[int, tuple[int, float, bool]] = {}
    saved = time.time()
    while len(progress) < WORKERS or not all(ended for _, _, ended in progress.values()):
        try:
            rank, steps, spent_cpu, ended = done.get(timeout=SNAPSHOT_S)
            progress[rank] = steps, spent_cpu, ended
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                sys.exit("The training processes died.")
        if time.time() - saved > SNAPSHOT_S or all(ended for _, _, ended in progress.values()):
            saved = time.time()
            kept = {
                "model": model.state_dict(),
                "seen": seen + sum(steps for steps, _, _ in progress.values()) * BATCH,
                "spent_s": spent_s + saved - began,
                "cpu_s": cpu_s + sum(cpu for _, cpu, _ in progress.values()),
            }
            torch.save(kept, snapshot.with_suffix(".new"))
            snapshot.with_suffix(".new").replace(snapshot)
            print({name: value for name, value in kept.items() if name != "model"}, flush=True)
    for worker in workers:
        worker.join()


def export(snapshot: Path, out: Path) -> None:
    """The weights of a snapshot as int8 ONNX: logits of shape (batch, tokens, 2)."""
    from onnxruntime.quantization import (  # type: ignore[import-untyped]  # noqa: PLC0415 - training does without
        QuantType,
        quantize_dynamic,
    )

    model = make_model(None)
    model.load_state_dict(torch.load(snapshot, weights_only=True)["model"])
    model.eval()
    model.config._attn_implementation = "eager"
    inputs = ["input_ids", "attention_mask", "token_type_ids"]

    class Stacked(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.model = model  # as a part of it, or its weights would be constants that need gradients

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            read = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            return torch.stack([read.start_logits, read.end_logits], -1)

    ones = torch.ones(2, 16, dtype=torch.long)
    full = out.with_suffix(".fp32.onnx")
    axes = {name: {0: "batch", 1: "tokens"} for name in (*inputs, "logits")}
    torch.onnx.export(
        Stacked(),
        (ones, ones, torch.zeros_like(ones)),
        str(full),
        input_names=inputs,
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    quantised = ["MatMul", "Gather", "Gemm"]
    quantize_dynamic(full, out, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=quantised)
    print(out, out.stat().st_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with the sets")
    parser.add_argument("--base", type=Path, help="model.safetensors of all-MiniLM-L6-v2")
    parser.add_argument("--state", type=Path, required=True, help="the folder for snapshots")
    parser.add_argument("--seconds", type=float, default=3600, help="how long to train; 0 exports only")
    parser.add_argument("--out", type=Path, help="the int8 file to write")
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    if given.seconds:
        train(given.data, given.base, given.state, given.seconds)
    if given.out:
        export(given.state / "snapshot.pt", given.out)


if __name__ == "__main__":
    main()
