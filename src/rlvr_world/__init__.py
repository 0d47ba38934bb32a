"""World models trained by maximum likelihood, then by RL with verifiable rewards."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlvr_world.applications.predictor import load
    from rlvr_world.codec import Codec
    from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk
    from rlvr_world.modules.mle import MLEWorldModel
    from rlvr_world.modules.rlvr import RLVRWorldModel
    from rlvr_world.modules.world_model import WorldModel
    from rlvr_world.nn.language_model import LanguageModel
    from rlvr_world.nn.sequence_model import SequenceModel
    from rlvr_world.nn.transformer import Transformer
    from rlvr_world.reward import Reward, RewardSet
    from rlvr_world.rl.grpo import GRPO
    from rlvr_world.rl.sampler import Sampler
    from rlvr_world.types import Batch, Rollout, TokenSequence
    from rlvr_world.video.tokenizer.vq_tokenizer import VQTokenizer

__version__ = "0.1.0"

PUBLIC = {
    "Batch": "types",
    "Codec": "codec",
    "GRPO": "rl.grpo",
    "LanguageModel": "nn.language_model",
    "MLEWorldModel": "modules.mle",
    "MinimumBayesRisk": "modules.minimum_bayes_risk",
    "RLVRWorldModel": "modules.rlvr",
    "Reward": "reward",
    "RewardSet": "reward",
    "Rollout": "types",
    "Sampler": "rl.sampler",
    "SequenceModel": "nn.sequence_model",
    "TokenSequence": "types",
    "Transformer": "nn.transformer",
    "VQTokenizer": "video.tokenizer.vq_tokenizer",
    "WorldModel": "modules.world_model",
    "load": "applications.predictor",
}
"""The module of each public name, imported when the name is used."""

__all__ = [
    "GRPO",
    "Batch",
    "Codec",
    "LanguageModel",
    "MLEWorldModel",
    "MinimumBayesRisk",
    "RLVRWorldModel",
    "Reward",
    "RewardSet",
    "Rollout",
    "Sampler",
    "SequenceModel",
    "TokenSequence",
    "Transformer",
    "VQTokenizer",
    "WorldModel",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    module, _, attribute = PUBLIC[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
