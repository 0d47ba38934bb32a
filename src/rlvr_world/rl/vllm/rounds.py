"""Sequences that an engine fills in rounds, one for each run of predicted positions."""

import torch

from rlvr_world.types import TokenSequence


class OpenRows:
    """Sequences [N, T] on the CPU while their predicted positions are being filled.

    A row that draws ``end_token`` is filled up with it and takes part in no further round.
    """

    def __init__(self, sequence: TokenSequence, end_token: int | None) -> None:
        self.sequence = sequence
        self.ids = sequence.ids.to("cpu", copy=True)
        self.target_mask = sequence.target_mask.to("cpu", copy=True)
        self.log_probs = torch.zeros(self.ids.shape)
        padding = sequence.padding
        self.first = [0] * len(self.ids) if padding is None else padding.tolist()
        if max(self.first) >= sequence.prompt_length:
            raise ValueError("a template needs a given position and a predicted one after it")
        self.end_token = end_token
        self.open = list(range(len(self.ids)))

    def prompts(self, end: int) -> list[list[int]]:
        """What each open row holds before position ``end``, without padding."""
        return [self.ids[row, self.first[row] : end].tolist() for row in self.open]

    def write(self, start: int, stop: int, answers: list[tuple[list[int], list[float]]]) -> None:
        still_open = []
        for row, (tokens, log_probs) in zip(self.open, answers, strict=True):
            end = start + len(tokens)
            self.ids[row, start:end] = torch.tensor(tokens)
            self.log_probs[row, start:end] = torch.tensor(log_probs)
            if tokens[-1] == self.end_token:
                self.ids[row, end:] = self.end_token
                self.target_mask[row, end:] = False
            elif end == stop:
                still_open.append(row)
            else:
                raise RuntimeError(f"vLLM stopped after {end - start} of {stop - start} tokens")
        self.open = still_open

    def filled(self) -> TokenSequence:
        device = self.sequence.ids.device
        return self.sequence._replace(
            ids=self.ids.to(device), target_mask=self.target_mask.to(device)
        )
