"""Networks that turn frames into codes and back, and their training."""

from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel
from rlvr_world.video.tokenizer.vq_model import VQModel

__all__ = ["CompressiveVQModel", "TokenizerModel", "VQModel"]
