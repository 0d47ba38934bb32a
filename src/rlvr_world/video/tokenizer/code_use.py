"""How a tokenizer uses its codes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class CodeUse(Metric):
    """How a codebook is used over a set of clips.

    Args:
        num_codes: Size of the codebook.
    """

    full_state_update = False

    def __init__(self, num_codes: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(num_codes), dist_reduce_fx="sum")
        self.add_state("unchanged", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("pairs", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, codes: Tensor) -> None:
        """Count the codes [B, T, h, w] of B clips."""
        self.counts += torch.bincount(codes.flatten(), minlength=len(self.counts))
        same = codes[:, 1:] == codes[:, :-1]
        self.unchanged += same.sum()
        self.pairs += same.numel()

    def compute(self) -> dict[str, Tensor]:
        """Share of codes that occur, perplexity, and share that stay from frame to frame."""
        shares = self.counts / self.counts.sum()
        return {
            "codebook_use": (self.counts > 0).float().mean(),
            "perplexity": torch.special.entr(shares).sum().exp(),
            "code_stability": self.unchanged / self.pairs,
        }
