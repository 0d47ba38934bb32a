"""A tiny video world without shards: a square that actions push to and fro."""

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from rlvr_world.video.tokenizer.compressive import CompressiveVQModel

SIZE, SQUARE, STEP = 16, 4, 4


class Walks(Dataset):
    """Clips with a context frame: the square moves left (-1), not at all (0) or right (1)."""

    def __init__(self, count: int, frames: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.moves = torch.randint(-1, 2, (count, frames + 1), generator=random)
        start = torch.randint(SIZE // STEP, (count, 1), generator=random)
        steps = torch.cat([start, self.moves[:, :-1]], dim=1).cumsum(dim=1)
        self.places = steps % (SIZE // STEP) * STEP

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        clip = torch.full((self.places.shape[1], 3, SIZE, SIZE), 255, dtype=torch.uint8)
        for frame, place in zip(clip, self.places[index].tolist(), strict=True):
            frame[:, 6 : 6 + SQUARE, place : place + SQUARE] = 0
        return {
            "context": clip[0],
            "frames": clip[1:],
            "actions": self.moves[index, 1:, None].float(),
            "key": f"walk{index}",
        }


class TinyWalk(LightningDataModule):
    """Walks of ``frames`` frames after the context frame."""

    fingerprint = "walks"

    def __init__(self, frames: int = 4, batch_size: int = 16, size: int = 256) -> None:
        super().__init__()
        self.frames, self.batch_size, self.size = frames, batch_size, size

    def train_dataloader(self):
        return DataLoader(Walks(self.size, self.frames, 0), self.batch_size)

    def val_dataloader(self):
        return DataLoader(Walks(32, self.frames, 1), batch_size=32)

    test_dataloader = predict_dataloader = val_dataloader


def tiny_tokenizer(seed=0):
    """An untrained compressive tokenizer: 16 codes for the context frame, 4 for each other."""
    torch.manual_seed(seed)
    return CompressiveVQModel(
        frame_size=[SIZE, SIZE], channels=[16], levels=[5, 5], context_levels=[5, 5],
        latent_channels=16, layers=1, patch_size=2, stem=4, attention_height=4, dropout=0.0,
        normalize_codes=True,
    )  # fmt: skip
