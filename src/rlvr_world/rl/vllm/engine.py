"""A vLLM engine in this process that follows the weights of a model in training."""

import os
import random
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from rlvr_world.extras import require
from rlvr_world.nn.sequence_model import SequenceModel

BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class VLLMEngine:
    """Makes ``vllm.LLM`` on first use and hands weights over whenever they have changed.

    Weights go through ``reload_weights``, vLLM's documented call for new weights in place (its
    guide "Layerwise (Re)loading"); the prefix cache, which the old weights filled, is then dropped.
    With ``sleep`` it gives the memory of both back between uses (vLLM's sleep mode, level 2).
    """

    def __init__(self, arguments: dict[str, Any], sleep: bool = False) -> None:
        self.arguments = arguments
        self.sleep = sleep
        self.llm: Any = None
        self.asleep = False
        self.checksum: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes an engine of its own."""
        return vars(self) | {"llm": None, "asleep": False, "checksum": None}

    @property
    def vocab_size(self) -> int:
        """Tokens that the model knows, by its config."""
        return int(self.llm.model_config.get_vocab_size())

    @property
    def max_model_len(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.llm.model_config.max_model_len)

    def load(self, model: SequenceModel) -> None:
        if self.llm is None:
            self.llm = make_llm(self.arguments)
        if self.asleep:
            self.llm.wake_up(tags=["weights"])
        checksum = weight_checksum(model)
        if changed := self.checksum is None or not torch.equal(checksum, self.checksum):
            weights = {"weights_iterator": self.weights(model)}
            self.llm.collective_rpc("reload_weights", kwargs=weights)
        if self.asleep:
            self.llm.wake_up(tags=["kv_cache"])
            self.asleep = False
        if changed and self.llm.reset_prefix_cache() is False:
            raise RuntimeError("vLLM did not drop the prefix cache of the weights before")
        self.checksum = checksum

    def weights(self, model: SequenceModel) -> Any:
        """Names and tensors in ``transformers``' form; a list where they go to other processes."""
        named = ((name, tensor.detach()) for name, tensor in model.to_transformers_state())
        if self.arguments["tensor_parallel_size"] == 1:
            return named
        return [(name, tensor.cpu()) for name, tensor in named]

    def generate(
        self, prompts: list[list[int]], seeds: list[int], **settings: Any
    ) -> list[tuple[list[int], list[float]]]:
        """Tokens and their log-probabilities, for each sample of each prompt in turn.

        They are drawn from the full distribution, whatever end-of-sequence tokens the model's
        config names. vLLM gives the samples of a prompt seeds of their own.
        ``settings`` are further arguments of ``vllm.SamplingParams``.
        """
        fixed = {"temperature": 1.0, "logprobs": 0, "ignore_eos": True, "detokenize": False}
        params = [import_vllm().SamplingParams(seed=seed, **fixed, **settings) for seed in seeds]
        requests = [{"prompt_token_ids": prompt} for prompt in prompts]
        outputs = self.llm.generate(requests, params, use_tqdm=False) if requests else []
        drawn = []
        for sample in (sample for output in outputs for sample in output.outputs):
            pairs = zip(sample.token_ids, sample.logprobs, strict=True)
            log_probs = [by_token[token].logprob for token, by_token in pairs]
            drawn.append((list(sample.token_ids), log_probs))
        return drawn

    def rest(self) -> None:
        """Sleep, where asked for; the weights are handed over anew after that."""
        if self.sleep:
            self.llm.sleep(level=2)
            self.asleep, self.checksum = True, None


def import_vllm() -> ModuleType:
    """The module ``vllm``."""
    return require("vllm", "vllm", "VLLMSampler")


def make_llm(arguments: dict[str, Any]) -> Any:
    """A ``vllm.LLM`` in this very process, so that weights need no copy to reach it.

    Where training runs on several processes, each has an engine of its own on its own GPU, which
    vLLM calls an external launcher.
    """
    vllm = import_vllm()
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if distributed.is_available() and distributed.is_initialized():
        if arguments["tensor_parallel_size"] > 1:
            raise ValueError("tensor_parallel_size: must be 1 where training has several processes")
        rank = distributed.get_rank()
        os.environ.setdefault("RANK", str(rank))
        os.environ.setdefault("LOCAL_RANK", str(rank % max(torch.cuda.device_count(), 1)))
        os.environ.setdefault("WORLD_SIZE", str(distributed.get_world_size()))
        arguments = {"distributed_executor_backend": "external_launcher"} | arguments
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        llm = vllm.LLM(**arguments)  # seeds the global random states
    random.setstate(python)
    np.random.set_state(numpy)
    return llm


def weight_checksum(model: SequenceModel) -> Tensor:
    """One number for each parameter that changes with any of its bits, [P] long, on the CPU.

    Version counters of tensors would not do: optimizers with kernels of their own leave them be.
    """
    parameters = [parameter.detach().contiguous() for parameter in model.parameters()]
    sums = [part.view(BITS[part.itemsize]).sum(dtype=torch.int64) for part in parameters]
    return torch.stack(sums).cpu()
