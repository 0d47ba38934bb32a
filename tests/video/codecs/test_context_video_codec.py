from functools import partial

import pytest
import torch
from torch.nn import functional as F

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

CODES, CONTEXT_CODES = 25, 9
CONTEXT_TOKENS, TOKENS, ACTIONS = 16, 4, 2


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return CompressiveVQModel(
        frame_size=[16, 16], channels=[8, 8], levels=[5, 5], context_levels=[3, 3],
        latent_channels=8, layers=1, patch_size=2, stem=2, attention_height=4,
    ).eval()  # fmt: skip


def codec(tokenizer, **options):
    return ContextVideoCodec(tokenizer, [0.0, -1.0], [10.0, 1.0], **options)


def clips(frames=4, rows=2, seed=1):
    random = torch.Generator().manual_seed(seed)
    return {
        "frames": torch.randint(256, (rows, frames, 3, 16, 16), generator=random).byte(),
        "context": torch.randint(256, (rows, 3, 16, 16), generator=random).byte(),
        "actions": torch.rand(rows, frames, ACTIONS, generator=random),
        "key": [f"clip{row}" for row in range(rows)],
    }


@pytest.mark.parametrize("last_action", [False, True])
@pytest.mark.parametrize("window", [1, 2])
def test_layout_is_context_then_frames_with_actions_between(tokenizer, window, last_action):
    video, batch = codec(tokenizer, window=window, last_action=last_action), clips()
    ids, mask, _ = video.encode(batch)
    pixels = batch["frames"].float() / 255
    codes = tokenizer.encode(batch["context"].float() / 255, pixels)
    actions = video.action_tokens(batch)
    rows = [codes.context.flatten(1) + CODES]
    given = [torch.zeros(2, CONTEXT_TOKENS)]
    for frame in range(4):
        rows += [codes.frames[:, frame].flatten(1), actions[:, frame]]
        given += [torch.full((2, TOKENS), float(frame >= window)), torch.zeros(2, ACTIONS)]
    length = CONTEXT_TOKENS + 4 * (TOKENS + ACTIONS) - (not last_action) * ACTIONS
    assert torch.equal(ids, torch.cat(rows, 1)[:, :length])
    assert torch.equal(mask, torch.cat(given, 1)[:, :length].bool())


def test_ids_of_frames_context_actions_and_special_tokens_follow_each_other(tokenizer):
    video = codec(tokenizer, special_tokens=True)
    assert video.vocab_size == CODES + CONTEXT_CODES + 256 + 2
    ids = video.encode(clips()).ids
    context = ids[:, :CONTEXT_TOKENS]
    assert (context >= CODES).all()
    assert (context < CODES + CONTEXT_CODES).all()
    actions = video.action_tokens({"actions": torch.tensor([[[0.0, 1.0]]])})
    assert actions.tolist() == [[[CODES + CONTEXT_CODES, CODES + CONTEXT_CODES + 255]]]
    assert int(ids.max()) < video.vocab_size - 2
    assert video.legal_tokens().nonzero().flatten().tolist() == list(range(CODES))


def test_template_needs_no_later_frames_and_equals_encode_at_given_positions(tokenizer):
    video, batch = codec(tokenizer), clips()
    full = video.encode(batch)
    blank = video.template(batch | {"frames": batch["frames"][:, :1]})
    assert torch.equal(full.target_mask, blank.target_mask)
    assert torch.equal(full.ids[~full.target_mask], blank.ids[~full.target_mask])
    assert (blank.ids[blank.target_mask] == 0).all()


def test_truth_filled_in_decodes_to_the_reconstruction(tokenizer):
    video, batch = codec(tokenizer, last_action=True), clips()
    clip = torch.cat([batch["context"][:, None], batch["frames"]], dim=1).float() / 255
    expected = tokenizer(clip).frames[:, 2:].clamp(0, 1)
    decoded = video.decode(video.encode(batch))
    torch.testing.assert_close(decoded, expected)
    assert decoded.shape == video.target(batch).shape == (2, 3, 3, 16, 16)
    assert torch.equal(video.copy_last(batch)[:, 2], batch["frames"][:, 0].float() / 255)


def test_tokens_of_a_batch_are_used_as_they_are(tokenizer):
    video, batch = codec(tokenizer), clips()
    expected = video.encode(batch)
    prefix, batch["tokens"] = video.tokens(batch)
    batch["context_tokens"] = prefix - CODES
    batch["tokenizer"] = [video.tokenizer_fingerprint] * 2
    del batch["frames"], batch["context"]
    assert torch.equal(video.encode(batch).ids, expected.ids)
    assert torch.equal(video.template(batch).ids, expected.blank().ids)
    batch["tokenizer"][1] = "another"
    with pytest.raises(ValueError, match="sample clip1: its tokens were made by tokenizer another"):
        video.encode(batch)


def test_a_batch_without_a_context_frame_is_refused(tokenizer):
    batch = clips()
    del batch["context"]
    with pytest.raises(ValueError, match="sample clip0 has no context frame; give context_gap"):
        codec(tokenizer).encode(batch)


def test_fingerprint_covers_the_layout(tokenizer):
    options = [{}, {"window": 2}, {"special_tokens": True}, {"last_action": True}]
    assert len({codec(tokenizer, **each).fingerprint for each in options}) == 4
    with pytest.raises(ValueError, match="window must be at least 1"):
        codec(tokenizer, window=0)


def test_special_tokens_stand_around_the_predicted_frames_of_a_frame_codec():
    model = VQModel([8], [5, 5], 8, 1, stem=8, norm="batch", attention=False).eval()
    plain, marked = (
        FrameCodec(model, (16, 16), [0.0, -1.0], [10.0, 1.0], 2, special_tokens=special)
        for special in (False, True)
    )
    batch = clips(3)
    expected, sequence = plain.encode(batch), marked.encode(batch)
    beginning, end = CODES + 256, CODES + 257
    assert marked.vocab_size == plain.vocab_size + 2 == CODES + 258
    start = 2 * (TOKENS + ACTIONS)
    row = expected.ids[0].tolist()
    assert sequence.ids[0].tolist() == [*row[:start], beginning, *row[start:], end]
    assert sequence.target_mask[0].nonzero().flatten().tolist() == [*range(start + 1, start + 5)]
    torch.testing.assert_close(marked.decode(sequence), plain.decode(expected))
    assert not marked.legal_tokens()[[beginning, end]].any()
    assert marked.fingerprint != plain.fingerprint
    assert not plain.marks(expected).any()
    assert marked.marks(sequence)[0].nonzero().flatten().tolist() == [start, start + 5]


def test_published_models_learn_the_marks_over_all_ids():
    """The loss is the plain cross-entropy of the 320 + 2 positions of the original's labels."""
    model = VQModel([8], [5, 5], 8, 1, stem=8, norm="batch", attention=False).eval()
    codec = FrameCodec(model, (16, 16), [0.0, -1.0], [10.0, 1.0], 2, special_tokens=True)
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    mle = MLEWorldModel(codec=codec, backbone=backbone, learn_marks=True).eval()
    mle.log = lambda *_, **__: None
    batch = clips(3)
    ids = codec.encode(batch).ids
    start = 2 * (TOKENS + ACTIONS)
    logits = mle.backbone.logits(mle.backbone(ids[:, :-1]))[:, start - 1 :]
    expected = F.cross_entropy(logits.flatten(0, 1), ids[:, start:].flatten())
    assert ids.shape[1] - start == TOKENS + 2
    torch.testing.assert_close(mle.training_step(batch, 0), expected)
