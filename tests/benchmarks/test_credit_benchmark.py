"""The decoder's gradient beside GRPO's on checkpoints of the demo's stages."""

import pytest
import torch

from benchmarks import credit


def test_it_prints_cosines_of_a_run(workplace, capsys):
    credit.main(["checkpoints/pusht/rlvr/checkpoints/last.ckpt", "data/pusht",
                 "--prompts", "2", "--samples", "64"])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("GRPO, 32 samples with 32 others: ")
    assert lines[1].startswith("decoder's gradient, 32 samples with 32 others: ")
    assert lines[2].startswith("GRPO, 64 samples, with the decoder's gradient, 32 samples: ")


def test_noise_is_taken_out_of_the_cosine(capsys):
    """Of two noisy estimates of each of two vectors at 60 degrees."""
    generator = torch.Generator().manual_seed(0)
    true = torch.zeros(2, 20_000)
    true[0, 0] = true[1, 0] = 1.0
    true[1, 1] = 3**0.5
    noisy = [true[i] + 0.008 * torch.randn(20_000, generator=generator) for i in (0, 0, 1, 1)]
    credit.report(*noisy, n=256, m=128)
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(last.rpartition(" ")[2]) == pytest.approx(0.5, abs=0.05)
