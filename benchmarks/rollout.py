"""Tokens per second of the sampler, beside ``generate`` of ``transformers`` on the same weights."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.generate import generated
from benchmarks.harness import Case, Contender, Work
from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence

MODEL = {"vocab_size": 1256, "dim": 256, "depth": 4, "heads": 4, "hidden": 688}
TINY = {"vocab_size": 64, "dim": 32, "depth": 2, "heads": 2}
SMOLLM2 = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
           "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3}  # fmt: skip
TINY_LLAMA = SMOLLM2 | {"vocab_size": 64, "hidden_size": 36, "num_hidden_layers": 2}


@dataclass(frozen=True)
class Shape:
    """Sizes of a rollout: each round samples ``new`` tokens, which ``given`` ones follow."""

    prompts: int
    shortest: int
    longest: int
    group: int
    new: int
    rounds: int = 1
    given: int = 0

    @property
    def tokens(self) -> int:
        """The number of sampled tokens."""
        return self.prompts * self.group * self.new * self.rounds

    @property
    def own(self) -> int:
        """Positions of each member after its prompt."""
        return self.rounds * (self.new + self.given) - self.given

    def __str__(self) -> str:
        length = f"{self.longest}"
        if self.shortest < self.longest:
            length = f"{self.shortest} to {length}"
        rounds = f"{self.rounds} x ({self.new} new, {self.given} given)"
        new = f"{self.new} new" if self.rounds == 1 else rounds
        return f"{self.prompts} prompts of {length} tokens x {self.group} members, {new}"

    def template(self, vocab_size: int) -> TokenSequence:
        """Random prompts, and blanks with given tokens between the rounds."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.prompts, self.longest + self.own)
        ids = torch.randint(vocab_size, shape, generator=generator)
        places = (torch.arange(self.own) % (self.new + self.given)) < self.new
        mask = torch.cat([torch.zeros(self.longest, dtype=torch.bool), places]).repeat(shape[0], 1)
        padding = None
        if self.shortest < self.longest:
            lengths = torch.linspace(self.shortest, self.longest, self.prompts).long()
            padding = self.longest - lengths
        return TokenSequence(ids, mask, padding).blank()


SHAPES = {
    "single-step": Shape(16, 272, 272, 16, 64),
    "single-step, twice the lengths": Shape(16, 544, 544, 16, 128),
    "multi-step": Shape(16, 272, 272, 16, 16, rounds=7, given=4),
    "text": Shape(8, 300, 600, 8, 128),
    "few prompts": Shape(4, 272, 272, 16, 64),
    "few members": Shape(8, 450, 450, 8, 128),
}
SMOLLM2_SHAPE = Shape(4, 300, 600, 8, 32)
GROUPS = {f"{n} groups": Shape(n, 272, 272, 16, 64) for n in (4, 8, 16, 32, 64)}
TINY_SHAPES = {
    "single-step": Shape(2, 8, 8, 3, 6),
    "multi-step": Shape(2, 8, 8, 3, 3, rounds=3, given=2),
    "text": Shape(3, 4, 9, 2, 5),
}
TINY_GROUPS = {"2 groups": Shape(2, 8, 8, 3, 4)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--cases``, ``--compiled``, ``--dtype``."""
    parser.add_argument("--cases", nargs="+", help="names of cases; all if not given")
    parser.add_argument("--compiled", action="store_true", help="compile our decode step")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """The shapes beside ``generate``, then ours alone from few groups to many."""
    tiny = args.scale == "tiny"
    torch.manual_seed(0)
    model = Transformer(**(TINY if tiny else MODEL)).to(args.device, getattr(torch, args.dtype))
    sampler = Sampler(compiled=args.compiled)
    for name, shape in (TINY_SHAPES if tiny else SHAPES).items():
        if not args.cases or name in args.cases:
            yield case(name, shape, model.eval(), sampler, rival=True)
    name = "language model of transformers"
    if not args.cases or name in args.cases:
        yield language_case(name, TINY_SHAPES["text"] if tiny else SMOLLM2_SHAPE, args)
    for name, shape in (TINY_GROUPS if tiny else GROUPS).items():
        if not args.cases or name in args.cases:
            yield case(name, shape, model.eval(), sampler, rival=False)


def case(name: str, shape: Shape, model: Transformer, sampler: Sampler, rival: bool) -> Case:
    """One shape."""
    theirs = Contender("generate", lambda: their_work(model, shape))
    return Case(
        name,
        str(shape),
        "tokens",
        Contender("Sampler", lambda: our_work(model, shape, sampler)),
        (theirs,) if rival else (),
        {"our KV cache on paper, MiB": cache_bytes(model, shape) / 2**20},
    )


def language_case(name: str, shape: Shape, args: argparse.Namespace) -> Case:
    """``LanguageModel`` at SmolLM2-135M's sizes, random weights, beside ``generate`` on them."""
    sizes = TINY_LLAMA if args.scale == "tiny" else SMOLLM2
    vocabulary, settings = sizes["vocab_size"], {"model_type": "llama", **sizes}
    model = LanguageModel(vocabulary, architecture=settings, dtype=args.dtype)
    model = model.to(args.device).eval()
    template = on(shape.template(vocabulary), args.device)
    legal = torch.ones(vocabulary, dtype=torch.bool, device=args.device)
    sampler, generator = Sampler(compiled=args.compiled), torch.Generator(args.device)

    def ours() -> int:
        sequence, _ = sampler(model, template, legal, shape.group, generator.manual_seed(0))
        return int(sequence.target_mask.sum())

    theirs = Contender("generate", lambda: lambda: generated(model.model, template, shape.group))
    return Case(name, str(shape), "tokens", Contender("Sampler", lambda: ours), (theirs,), {})


def cache_bytes(model: Transformer, shape: Shape) -> int:
    """Bytes of keys and values: each prompt once, the own positions of each member."""
    weight = model.embedding.weight
    per_token = 2 * len(model.blocks) * weight.shape[1] * weight.itemsize
    return per_token * shape.prompts * (shape.longest + shape.group * shape.own)


def our_work(model: Transformer, shape: Shape, sampler: Sampler) -> Work:
    """A whole rollout by the sampler."""
    device = model.embedding.weight.device
    template = on(shape.template(model.embedding.num_embeddings), device)
    legal = torch.ones(model.embedding.num_embeddings, dtype=torch.bool, device=device)
    generator = torch.Generator(device)

    def work() -> int:
        sequence, _ = sampler(model, template, legal, shape.group, generator.manual_seed(0))
        return int(sequence.target_mask.sum())

    return work


def their_work(model: Transformer, shape: Shape) -> Work:
    """The same rollout by ``generate``, on the same weights."""
    device = model.embedding.weight.device
    llama = to_llama(model).to(device, model.embedding.weight.dtype).eval()
    template = on(shape.template(model.embedding.num_embeddings), device)
    return lambda: generated(llama, template, shape.group)


def on(template: TokenSequence, device: torch.device) -> TokenSequence:
    """The template on a device."""
    move: Callable[[Tensor], Tensor] = lambda field: field.to(device)  # noqa: E731
    return TokenSequence(*(field if field is None else move(field) for field in template))
