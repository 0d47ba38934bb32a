"""The part of vLLM's documented interface that the sampler uses, on a tiny model on the CPU.

``LLM`` samples for real, one token after another, from a ``LlamaForCausalLM``. Its prefix cache
remembers what the model said after a prefix, so it goes stale when weights change; end-of-sequence
tokens stop a request unless told otherwise and are banned by ``min_tokens``; sleep loses weights.
"""

import os
import random
import types
from dataclasses import dataclass, field

import torch
from transformers import LlamaConfig, LlamaForCausalLM

ENGINE_ARGUMENTS = {
    "max_model_len", "gpu_memory_utilization", "tensor_parallel_size", "enforce_eager",
    "enable_sleep_mode", "max_num_seqs", "distributed_executor_backend",
}  # fmt: skip


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    detokenize: bool = True
    allowed_token_ids: list[int] | None = None


@dataclass
class Logprob:
    logprob: float
    rank: int
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool = True


class LLM:
    made: list["LLM"] = []  # noqa: RUF012

    def __init__(
        self,
        model,
        dtype="auto",
        enable_prefix_caching=True,
        skip_tokenizer_init=False,
        load_format="auto",
        logprobs_mode="raw_logprobs",
        **arguments,
    ):
        assert set(arguments) <= ENGINE_ARGUMENTS
        assert skip_tokenizer_init, "there is no tokenizer in the folder"
        config = LlamaConfig.from_pretrained(model)
        assert config.eos_token_id == 2
        torch.manual_seed(0)
        random.seed(0)
        make = LlamaForCausalLM if load_format == "dummy" else LlamaForCausalLM.from_pretrained
        self.model = make(config if load_format == "dummy" else model).eval()
        self.model.to(getattr(torch, dtype))
        self.arguments, self.logprobs_mode = arguments, logprobs_mode
        longest = arguments.get("max_model_len") or config.max_position_embeddings
        self.model_config = types.SimpleNamespace(
            max_model_len=longest, get_vocab_size=lambda: config.vocab_size
        )
        self.prefixes = {} if enable_prefix_caching else None
        self.awake = {"weights", "kv_cache"}
        self.requests, self.calls = [], []
        LLM.made.append(self)

    def generate(self, prompts, sampling_params, *, use_tqdm=True):
        assert self.awake == {"weights", "kv_cache"}
        assert len(prompts) == len(sampling_params)
        self.requests.append((prompts, sampling_params))
        return [
            RequestOutput(prompt["prompt_token_ids"], self.samples(prompt, params))
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    def samples(self, prompt, params):
        assert not params.detokenize
        assert (params.temperature, params.top_p, params.top_k) == (1, 1, 0)
        ids = prompt["prompt_token_ids"]
        if len(ids) >= self.model_config.max_model_len:
            raise ValueError("The decoder prompt is longer than the maximum model length")
        return [self.sample(ids, params, index) for index in range(params.n)]

    def sample(self, prompt, params, index):
        generator = torch.Generator().manual_seed(params.seed + index)
        output, eos = CompletionOutput(index), self.model.config.eos_token_id
        stops = set(params.stop_token_ids or ()) | (set() if params.ignore_eos else {eos})
        while output.finish_reason is None:
            ids = prompt + output.token_ids
            logits = self.logits(ids)
            processed = logits.clone()
            if params.allowed_token_ids is not None:
                processed[:] = float("-inf")
                processed[params.allowed_token_ids] = logits[params.allowed_token_ids]
            if len(output.token_ids) < params.min_tokens:
                processed[list(stops | {eos})] = float("-inf")
            token = int(torch.multinomial(processed.softmax(-1), 1, generator=generator))
            said = processed if self.logprobs_mode == "processed_logprobs" else logits
            log_probs = said.log_softmax(-1)
            rank = 1 + int((log_probs > log_probs[token]).sum())
            output.token_ids.append(token)
            if params.logprobs is not None:
                output.logprobs.append({token: Logprob(log_probs[token].item(), rank)})
            full = len(ids) + 1 == self.model_config.max_model_len
            if token in stops:
                output.finish_reason = "stop"
            elif full or len(output.token_ids) == params.max_tokens:
                output.finish_reason = "length"
        return output

    @torch.no_grad()
    def logits(self, ids):
        if self.prefixes is None:
            return self.model(torch.tensor([ids])).logits[0, -1].float()
        if tuple(ids) not in self.prefixes:
            self.prefixes[tuple(ids)] = self.model(torch.tensor([ids])).logits[0, -1].float()
        return self.prefixes[tuple(ids)]

    def collective_rpc(self, method, timeout=None, args=(), kwargs=None):
        assert method == "reload_weights"
        assert "weights" in self.awake
        weights = kwargs["weights_iterator"]
        if self.arguments["tensor_parallel_size"] > 1:
            assert isinstance(weights, list), "a generator cannot travel to other processes"
        assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
        self.calls.append(method)
        self.model.load_state_dict(dict(weights))
        return [None]

    def reset_prefix_cache(self):
        self.calls.append("reset_prefix_cache")
        self.prefixes.clear()
        return True

    def sleep(self, level=1):
        assert self.arguments["enable_sleep_mode"]
        self.calls.append(f"sleep {level}")
        self.awake, self.prefixes = set(), {}
        for parameter in self.model.parameters():
            torch.nn.init.normal_(parameter)

    def wake_up(self, tags):
        self.calls.append(f"wake {' '.join(tags)}")
        self.awake |= set(tags)


def module():
    """A module to be put into ``sys.modules`` as ``vllm``."""
    stand_in = types.ModuleType("vllm")
    stand_in.LLM, stand_in.SamplingParams = LLM, SamplingParams
    LLM.made = []
    return stand_in
