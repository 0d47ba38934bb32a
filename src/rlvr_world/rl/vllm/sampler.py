"""Fills the predicted positions of token sequences by sampling from vLLM."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.rl.sampler import predicted_runs
from rlvr_world.rl.vllm.engine import VLLMEngine
from rlvr_world.rl.vllm.server import VLLMServer
from rlvr_world.types import TokenSequence


class VLLMSampler:
    """A ``Sampler`` for large models: vLLM draws the tokens, on the same GPU or as a server.

    The engine or server takes the weights of the model before it samples, if they have changed. Its
    log-probabilities differ slightly from the model's own, so training corrects for the mismatch
    (``rl.losses.importance_weights``). It needs vLLM, the extra ``vllm``.

    Args:
        model: The folder of the model in ``transformers``' form, or its name on the hub. Its
            ``config.json`` is enough: weights come from the model in training.
        server: Address of a vLLM server that draws the tokens, such as ``http://127.0.0.1:8000``;
            an engine in this process, to which all but ``timeout`` below applies, if not given.
        timeout: Seconds that an answer of the server may take, and that it may be out of reach.
        dtype: Type of the engine's weights and activations, as vLLM names it.
        max_model_len: Longest sequence, prompt included; as in ``config.json`` if not given.
        gpu_memory_utilization: Share of the GPU's memory for the engine, in (0, 1].
        tensor_parallel_size: GPUs that share the engine; more than one only where training has
            one process.
        enforce_eager: No CUDA graphs: slower, with less memory and a faster start.
        sleep: Give the engine's memory back between calls, at the price of handing all weights
            over in each call.
        engine: Further arguments of ``vllm.LLM``, by name.
    """

    is_exact = needs_correction = True

    def __init__(
        self,
        model: Path | str,
        server: str | None = None,
        timeout: float = 300.0,
        dtype: str = "bfloat16",
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.3,
        tensor_parallel_size: int = 1,
        enforce_eager: bool = False,
        sleep: bool = False,
        engine: dict[str, Any] | None = None,
    ) -> None:
        path = Path(model)
        is_folder = path.is_dir() or path.is_absolute() or len(path.parts) > 2
        if is_folder and not (path / "config.json").is_file():
            raise FileNotFoundError(f"{path}: no config.json; give a model in transformers' form")
        self.path = path
        arguments = {
            "model": str(model),
            "dtype": dtype,
            "max_model_len": max_model_len,
            "gpu_memory_utilization": gpu_memory_utilization,
            "tensor_parallel_size": tensor_parallel_size,
            "enforce_eager": enforce_eager,
            "enable_sleep_mode": sleep,
            "enable_prefix_caching": True,
            "skip_tokenizer_init": True,
            "load_format": "dummy",
            "logprobs_mode": "processed_logprobs",
        }
        self.engine: VLLMEngine | VLLMServer = VLLMEngine(arguments | (engine or {}), sleep)
        if server is not None:
            self.engine = VLLMServer(server, str(model), timeout)

    @torch.no_grad()
    def __call__(
        self,
        model: SequenceModel,
        template: TokenSequence,
        legal_tokens: Tensor,
        group_size: int = 1,
        generator: torch.Generator | None = None,
        end_token: int | None = None,
    ) -> tuple[TokenSequence, Tensor]:
        """Sample as ``Sampler`` does, with log-probabilities under the engine.

        Each run of predicted positions is one request to the engine, whose prefix cache holds what
        earlier runs have read.
        """
        runs = predicted_runs(template)
        self.engine.load(model)
        self.check(template, legal_tokens, runs[-1][1])
        rows = OpenRows(template.repeat(group_size), end_token)
        settings = token_settings(legal_tokens, self.engine.vocab_size, end_token)
        device = "cpu" if generator is None else generator.device
        for start, stop in runs:
            copies = group_size if start == runs[0][0] else 1
            prompts = rows.prompts(start)[::copies]
            # vLLM counts up from each seed, so none is near the largest
            seeds = torch.randint(2**62, (len(prompts),), generator=generator, device=device)
            settings |= {"n": copies, "max_tokens": stop - start}
            rows.write(start, stop, self.engine.generate(prompts, seeds.tolist(), **settings))
        self.engine.rest()
        return rows.filled(), rows.log_probs.to(template.ids.device)

    def check(self, template: TokenSequence, legal_tokens: Tensor, end: int) -> None:
        if self.engine.vocab_size < len(legal_tokens):
            raise ValueError(
                f"{self.path}: its config.json names {self.engine.vocab_size} tokens, but the "
                f"codec has {len(legal_tokens)}"
            )
        length = end - (0 if template.padding is None else int(template.padding.min()))
        if length > self.engine.max_model_len:
            raise ValueError(
                f"max_model_len: a sequence of {length} tokens does not fit into "
                f"{self.engine.max_model_len}; raise max_model_len or shorten prompts or answers"
            )


def token_settings(legal_tokens: Tensor, vocab_size: int, end_token: int | None) -> dict[str, Any]:
    """What vLLM's sampling parameters say of tokens; no list where every token is legal."""
    legal = None
    if len(legal_tokens) < vocab_size or not legal_tokens.all():
        legal = legal_tokens.nonzero().flatten().tolist()
    stops = None if end_token is None else [end_token]
    return {"allowed_token_ids": legal, "stop_token_ids": stops}


class OpenRows:
    """Sequences [N, T] on the CPU while their predicted positions are being filled.

    A row that draws ``end_token`` is filled up with it and takes part in no further round.
    """

    def __init__(self, sequence: TokenSequence, end_token: int | None) -> None:
        self.sequence = sequence
        self.ids = sequence.ids.to("cpu", copy=True)
        self.target_mask = sequence.target_mask.to("cpu", copy=True)
        self.log_probs = torch.zeros(self.ids.shape)
        padding = sequence.padding
        self.first = [0] * len(self.ids) if padding is None else padding.tolist()
        if max(self.first) >= sequence.prompt_length:
            raise ValueError("a template needs a given position and a predicted one after it")
        self.end_token = end_token
        self.open = list(range(len(self.ids)))

    def prompts(self, end: int) -> list[list[int]]:
        return [self.ids[row, self.first[row] : end].tolist() for row in self.open]

    def write(self, start: int, stop: int, answers: list[tuple[list[int], list[float]]]) -> None:
        still_open = []
        for row, (tokens, log_probs) in zip(self.open, answers, strict=True):
            end = start + len(tokens)
            self.ids[row, start:end] = torch.tensor(tokens)
            self.log_probs[row, start:end] = torch.tensor(log_probs)
            if tokens[-1] == self.end_token:
                self.ids[row, end:] = self.end_token
                self.target_mask[row, end:] = False
            elif end == stop:
                still_open.append(row)
            else:
                raise RuntimeError(f"vLLM stopped after {end - start} of {stop - start} tokens")
        self.open = still_open

    def filled(self) -> TokenSequence:
        device = self.sequence.ids.device
        return self.sequence._replace(
            ids=self.ids.to(device), target_mask=self.target_mask.to(device)
        )
