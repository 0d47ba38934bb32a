"""Causal language models of ``transformers`` as sequence models."""

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from rlvr_world.extras import require
from rlvr_world.nn.gains import Gains, norm_gains
from rlvr_world.nn.pretrained import pretrained
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.nn.shared_prompts import SharedPromptCache, can_share, shared_attention

RESCALED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings of models whose logits are more than a linear map of the hidden states."""


@dataclass
class LanguageModelCache:
    """A cache of ``transformers``, ``states``, of some rows, and what goes with it.

    ``length`` positions are remembered; ``padding`` [B] is how many of them hold nothing. Rows that
    are ``shared`` are prompts whose members come later; they stay as they are.
    """

    states: Cache
    rows: int
    length: int
    padding: Tensor | None
    shared: bool

    def grown(self, group_size: int) -> "LanguageModelCache":
        """A copy whose rows are the members of each prompt's group; gradients flow through it."""
        states = copy.copy(self.states)
        states.layers = [copy.copy(layer) for layer in self.states.layers]
        states.batch_repeat_interleave(group_size)
        padding = None if self.padding is None else self.padding.repeat_interleave(group_size)
        rows = self.rows * group_size
        return LanguageModelCache(states, rows, self.length, padding, shared=False)


@dataclass
class PromptIds:
    """Prompts [B, P] that are read again by each member of their group."""

    ids: Tensor
    padding: Tensor | None

    def followed_by(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        group = len(ids) // len(self.ids)
        padding = None if self.padding is None else self.padding.repeat_interleave(group)
        return torch.cat([self.ids.repeat_interleave(group, 0), ids], dim=1), padding


class LanguageModel(SequenceModel):
    """Any causal language model of ``transformers``, whole or with LoRA.

    Args:
        vocab_size: Number of token ids, supplied by the codec; the model may know more.
        source: Folder of a pretrained model, or its name on the hub.
        architecture: Settings of a model that starts from random weights instead, ``model_type``
            among them.
        lora: Settings of ``peft.LoraConfig``: the weights stay as they are and low-rank
            differences are trained. Needs the extra ``text``.
        dtype: Type of the weights, as PyTorch names it; LoRA's differences are float32 in any case.
            Frozen weights in ``bfloat16`` sample several times as fast on a CPU with
            ``precision: bf16-mixed``, which otherwise converts them and the keys at every token.
        checkpointing: Recompute each block in the backward pass instead of keeping its activations.
            ``transformers`` cannot do that with a cache, so in training each member of a group
            then reads its prompt again.
    """

    def __init__(
        self,
        vocab_size: int,
        source: Path | str | None = None,
        architecture: dict[str, Any] | None = None,
        lora: dict[str, Any] | None = None,
        dtype: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.is_pretrained = source is not None
        if source is not None and architecture is None:
            self.model = pretrained(source, AutoModelForCausalLM, getattr(torch, dtype))
        elif architecture is not None and source is None:
            config = AutoConfig.for_model(**({"vocab_size": vocab_size} | architecture))
            self.model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        else:
            raise ValueError("language model: give either `source` or `architecture`")
        check(self.model, vocab_size)
        known = inspect.signature(self.model.base_model.forward).parameters
        self.cache_name = (
            "cache" if "cache" in known else "past_key_values"
        )  # as earlier versions say
        self.vocab_size = vocab_size
        self.checkpointing = checkpointing
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if lora is not None:
            add_lora(self.model, lora)

    @property
    def layers(self) -> list[nn.Module]:
        names = self.model._no_split_modules or ()
        return [module for module in self.model.modules() if type(module).__name__ in names]

    @property
    def gains(self) -> Gains:
        """The weights of the last norm, and the bias of the head if it has one."""
        in_blocks = {module for block in self.layers for module in block.modules()}
        norms = [
            module
            for module in self.model.base_model.modules()
            if "norm" in type(module).__name__.lower() and module not in in_blocks
        ]
        found = norm_gains(norms[-1]) if norms else None
        bias = getattr(self.model.get_output_embeddings(), "bias", None)
        if found is None or (found.offset and bias is not None):
            raise ValueError(
                f"{type(self.model).__name__} has no last norm whose weights scale its logits: "
                "leave out temperature_lr"
            )
        return found if bias is None else Gains([*found.parameters, bias])

    def forward(
        self,
        ids: Tensor,
        cache: LanguageModelCache | SharedPromptCache | PromptIds | None = None,
        padding: Tensor | None = None,
    ) -> Tensor:
        if cache is None:
            return self.hidden(ids, 0, padding)
        if isinstance(cache, SharedPromptCache):
            return self.members_hidden(ids, cache)
        if isinstance(cache, PromptIds):
            whole, padding = cache.followed_by(ids)
            return self.hidden(whole, 0, padding)[:, -ids.shape[1] :]
        if cache.shared:
            cache = cache.grown(len(ids) // cache.rows)
        hidden = self.hidden(ids, cache.length, cache.padding, cache.states)
        cache.length += ids.shape[1]
        return hidden

    def hidden(
        self, ids: Tensor, start: int, padding: Tensor | None, states: Cache | None = None
    ) -> Tensor:
        """Hidden states of ids [N, T] that follow ``start`` positions held in ``states``.

        Without those, what holds nothing is put behind the rest, so that causal attention needs no
        mask, with which fused kernels are slower or cannot be had.
        """
        if states is None and padding is not None:
            places, length = torch.arange(ids.shape[1], device=ids.device), ids.shape[1]
            order, back = (places + padding[:, None]) % length, (places - padding[:, None]) % length
            hidden = self.hidden(ids.gather(1, order), start, None)
            return hidden.gather(1, back[..., None].expand_as(hidden))
        total = torch.arange(start + ids.shape[1], device=ids.device)
        positions, mask = total[None, start:], None
        if padding is not None:
            positions = (positions - padding[:, None]).clamp(min=0)
            mask = (total >= padding[:, None]).long()
        return self.model.base_model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions.expand(len(ids), -1),
            use_cache=states is not None,
            **{self.cache_name: states},
        ).last_hidden_state

    def members_hidden(self, ids: Tensor, cache: SharedPromptCache) -> Tensor:
        """Hidden states of ids [N, T] that members of groups add to their prompts."""
        positions, attends = cache.positions(*ids.shape), cache.attends(*ids.shape)
        with shared_attention(self.model):
            output = self.model.base_model(
                input_ids=ids, position_ids=positions, use_cache=False, attends=attends
            )
        cache.advance(ids.shape[1])
        return output.last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        head = self.model.get_output_embeddings()
        return head(hidden.to(head.weight.dtype))[..., : self.vocab_size]

    def prompt_cache(
        self, ids: Tensor, padding: Tensor | None = None
    ) -> LanguageModelCache | PromptIds:
        if self.checkpointing and self.training:
            return PromptIds(ids, padding)
        return self.read(ids, padding)[1]

    def sampling_cache(
        self,
        ids: Tensor,
        group_size: int,
        capacity: int,
        padding: Tensor | None = None,
        static: bool = False,
    ) -> tuple[Tensor, LanguageModelCache | SharedPromptCache]:
        hidden, cache = self.read(ids, padding)
        if not can_share(self.model, cache.states):
            return hidden[:, -1], cache.grown(group_size)
        options = (ids.shape[1], padding, group_size, capacity, static)
        return hidden[:, -1], SharedPromptCache(cache.states, *options)

    def to_transformers(self) -> PreTrainedModel:
        """The model with low-rank differences merged into its weights."""
        merged = AutoModelForCausalLM.from_config(self.model.config, dtype=self.model.dtype)
        merged.load_state_dict(dict(self.to_transformers_state()))
        return merged

    def to_transformers_state(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self.model.state_dict().items():
            if ".lora_" in name:
                continue
            layer, _, rest = name.partition(".base_layer")
            if rest == ".weight":
                adapted: Any = self.model.get_submodule(layer)
                tensor = tensor + adapted.get_delta_weight("default")
            yield layer + rest, tensor

    def packed(self) -> dict[str, Any]:
        return {"source": None, "architecture": self.model.config.to_diff_dict()}

    def read(self, ids: Tensor, padding: Tensor | None) -> tuple[Tensor, LanguageModelCache]:
        states = DynamicCache(config=self.model.config)
        hidden = self.hidden(ids, 0, padding, states)
        rows, length = ids.shape
        return hidden, LanguageModelCache(states, rows, length, padding, shared=True)


def check(model: PreTrainedModel, vocab_size: int) -> None:
    """Raise ``ValueError`` if the model cannot stand behind this class."""
    rows = model.get_output_embeddings().weight.shape[0]
    if rows < vocab_size:
        raise ValueError(
            f"the model knows {rows} tokens, fewer than the {vocab_size} of the codec; give the "
            "codec the tokenizer of this model"
        )
    for name in RESCALED_LOGITS:
        if getattr(model.config, name, None) not in (None, 1.0):
            raise ValueError(f"models with {name} are not supported: their logits are rescaled")


def add_lora(model: PreTrainedModel, settings: dict[str, Any]) -> None:
    """Put low-rank differences, in float32, beside the weights of a model, which are frozen."""
    peft = require("peft", "text", "LoRA")
    peft.inject_adapter_in_model(peft.LoraConfig(**settings), model)
    for name, parameter in model.named_parameters():
        trained = "lora_" in name
        parameter.requires_grad_(trained)
        if trained:
            parameter.data = parameter.data.float()
