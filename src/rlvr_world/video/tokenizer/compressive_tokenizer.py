"""Stage 1 for many frames at a time: the compressive tokenizer."""

from typing import Any

from torch import Tensor

from rlvr_world.types import Batch
from rlvr_world.video.tokenizer.compressive import ClipCodes, CompressiveVQModel
from rlvr_world.video.tokenizer.quantize import CodeUse
from rlvr_world.video.tokenizer.vq_tokenizer import VQTokenizer, flat_frames


class CompressiveTokenizer(VQTokenizer):
    """Trains a ``CompressiveVQModel`` to reconstruct clips, whose first frame is the context frame.

    Each term of the loss is the mean over the context frames plus the mean over the others, so that
    one context frame weighs as much as all frames that depend on it. The frames of a clip are best
    drawn out of a longer segment, see ``segment_length`` of ``VideoDataModule``.

    Args:
        model: The tokenizer.
        **options: See ``VQTokenizer``.
    """

    model_type = CompressiveVQModel

    def __init__(self, model: CompressiveVQModel, **options: Any) -> None:
        super().__init__(model, **options)
        self.context_code_use = CodeUse(model.num_context_codes)

    def reconstruct(self, batch: Batch) -> tuple[Tensor, ClipCodes]:
        clips = flat_frames(batch).unflatten(0, batch["frames"].shape[:2])
        frames, codes = self.model(clips)
        return frames.flatten(0, 1).float(), codes

    def loss_terms(self, reconstruction: Tensor, frames: Tensor, batch: Batch) -> dict[str, Tensor]:
        pair = [x.unflatten(0, batch["frames"].shape[:2]) for x in (reconstruction, frames)]
        context = self.reconstruction_terms(*(clips[:, 0] for clips in pair))
        later = self.reconstruction_terms(*(clips[:, 1:].flatten(0, 1) for clips in pair))
        return later | {f"context_{name}": term for name, term in context.items()}

    def count_codes(self, codes: ClipCodes) -> None:
        self.code_use.update(codes.frames)
        self.context_code_use.update(codes.context[:, None])

    def log_code_use(self, prefix: str) -> None:
        super().log_code_use(prefix)
        values = self.context_code_use.compute()
        for name in ("codebook_use", "perplexity"):
            self.log(f"{prefix}/context_{name}", values[name], sync_dist=True)
        self.context_code_use.reset()
