"""Train the reader: one command from data and base weights in folders to the int8 file that the package ships.

    pip install 'rag-graph[training]'
    python -m tests.training.reader --data DATA --base BASE --state STATE --seconds 3600 --out reader.int8.onnx

One learning-rate cycle over the seconds given, in two processes that share the weights (Hogwild). `README.md` beside
this file says where data and base come from. A snapshot every few minutes can be exported or gone on from.

    python -m tests.training.reader --data DATA --state STATE --runs 4 --epochs 8 --out reader.int8.onnx

goes on from a snapshot on a GPU: several runs, and the mean of their weights (Wortsman et al. 2022, Model soups).
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


def make_model(base: Path | None, dropout: float = DROPOUT) -> Any:
    """all-MiniLM-L6-v2 with a new head for the first and the last token of an answer."""
    config = BertConfig(
        hidden_size=384,
        intermediate_size=1536,
        num_attention_heads=12,
        num_hidden_layers=6,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
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
    optimizer, moving = _optimizer(model)
    model.train()
    steps, losses = 0, [0.0]
    for batch in _batches(share, questions):
        passed = (share.spent_s + time.time() - share.began) / share.seconds
        if passed >= 1:
            break
        losses.append(_step(model, batch, optimizer, moving, rate=PEAK * _cycle(passed)).item())
        steps += 1
        if steps % 50 == 0:
            cpu_s = time.process_time() - cpu
            print(f"{share.rank} {steps} loss {np.mean(losses[-50:]):.3f} at {passed:.3f} cpu {cpu_s:.0f}", flush=True)
            done.put((share.rank, steps, cpu_s, False))
    done.put((share.rank, steps, time.process_time() - cpu, True))


def _optimizer(model: Any) -> tuple[Any, list[Any]]:
    """And the weights that it moves."""
    moving = [weights for weights in model.parameters() if weights.requires_grad]
    groups = [
        {"params": [weights for weights in moving if weights.ndim > 1], "weight_decay": 0.01},
        {"params": [weights for weights in moving if weights.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups), moving


def _cycle(passed: float) -> float:
    """The learning rate as a share of its peak."""
    return passed / WARM if passed < WARM else max(FLOOR, (1 - passed) / (1 - WARM))


def _step(model: Any, batch: Sequence[Example], optimizer: Any, moving: Sequence[Any], *, rate: float) -> Any:
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = _loss(model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(moving, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


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
    inputs = [torch.from_numpy(given).to(model.device) for given in (ids, mask, types)]
    # A GPU multiplies in half precision; what it adds up stays in full.
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=model.device.type == "cuda"):
        out = model(**dict(zip(("input_ids", "attention_mask", "token_type_ids"), inputs, strict=True)))
    padding = (inputs[1] == 0) * -1e4
    first = torch.tensor([example.first for example in batch], device=model.device)
    last = torch.tensor([example.last for example in batch], device=model.device)
    entropy = torch.nn.functional.cross_entropy
    return (entropy(out.start_logits.float() + padding, first) + entropy(out.end_logits.float() + padding, last)) / 2


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


TOGETHER, STRONGER_PEAK, STRONGER_DROPOUT = 64, 1.5e-4, 0.1
DRAWN_AT_ONCE = 500


def average(data: Path, state: Path, runs: int, epochs: int) -> None:
    """Runs from the snapshot, each with windows and an order of its own; their mean becomes the snapshot.

    Unlike on a CPU the embeddings are trained too.
    """
    questions, snapshot = read_questions(data), state / "snapshot.pt"
    kept = torch.load(snapshot, weights_only=True)
    means: dict[str, Any] = {}
    with mp.get_context("fork").Pool(initializer=_prepare, initargs=(questions,)) as pool:
        for run in range(runs):
            torch.manual_seed(run)
            model = make_model(None, STRONGER_DROPOUT)
            model.load_state_dict(kept["model"])
            model.requires_grad_(True)
            model.to("cuda" if torch.cuda.is_available() else "cpu").train()
            optimizer, moving = _optimizer(model)
            for epoch in range(epochs):
                batches = list(_drawn(pool, len(questions), seed=epoch + 100 * (run + 1)))
                losses = [
                    _step(
                        model,
                        batch,
                        optimizer,
                        moving,
                        rate=STRONGER_PEAK * _cycle((epoch + at / len(batches)) / epochs),
                    )
                    for at, batch in enumerate(batches)
                ]
                print(f"run {run} epoch {epoch} loss {torch.stack(losses).mean().item():.3f}", flush=True)
            for name, weights in model.state_dict().items():
                means[name] = means.get(name, 0) + weights.float().cpu() / runs
    seen = kept["seen"] + runs * epochs * len(questions)
    torch.save(kept | {"model": means, "seen": seen}, snapshot)


_prepared: list[Examples] = []


def _prepare(questions: Sequence[Question]) -> None:
    _prepared[:] = [Examples(questions, tokenizer(), SEED)]


def _draw(job: tuple[int, list[int]]) -> list[Example]:
    (examples,) = _prepared
    seed, numbers = job
    examples.seed(seed)
    return [example for example in map(examples.draw, numbers) if example is not None]


def _drawn(pool: Any, count: int, *, seed: int) -> Iterator[list[Example]]:
    """An epoch's batches, of examples of like length each."""
    shuffling = random.Random(seed)  # noqa: S311 - nothing is kept secret
    order = list(range(count))
    shuffling.shuffle(order)
    starts = range(0, count, DRAWN_AT_ONCE)
    jobs = [(seed * 100_000 + start, order[start : start + DRAWN_AT_ONCE]) for start in starts]
    examples = [example for drawn in pool.imap(_draw, jobs) for example in drawn]
    batches = []
    for start in range(0, len(examples), TOGETHER * 16):
        near = sorted(examples[start : start + TOGETHER * 16], key=lambda example: len(example.ids))
        batches += [near[at : at + TOGETHER] for at in range(0, len(near), TOGETHER)]
    shuffling.shuffle(batches)
    yield from batches


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
    parser.add_argument("--runs", type=int, default=0, help="in place of this: so many runs on a GPU, and their mean")
    parser.add_argument("--epochs", type=int, default=8, help="of each of these runs")
    parser.add_argument("--out", type=Path, help="the int8 file to write")
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    if given.runs:
        average(given.data, given.state, given.runs, given.epochs)
    elif given.seconds:
        train(given.data, given.base, given.state, given.seconds)
    if given.out:
        export(given.state / "snapshot.pt", given.out)


if __name__ == "__main__":
    main()
