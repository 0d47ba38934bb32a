import pytest
import torch

from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.tokenizer.vq_model import VQModel

SMALL = {"channels": [8, 8], "levels": [5, 5], "latent_channels": 8, "layers": 1, "norm": "batch"}


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return VQModel(**SMALL, stem=4, attention=False).eval()


def codec(tokenizer, context_frames=2, low=(0.0, -1.0), high=(10.0, 1.0), size=(16, 24)):
    return FrameCodec(tokenizer, size, low, high, context_frames)


def clips(frames=3, rows=2, size=(16, 24), action_dims=2):
    generator = torch.Generator().manual_seed(1)
    shape = (rows, frames, 3, *size)
    return {
        "frames": torch.randint(256, shape, generator=generator, dtype=torch.uint8),
        "actions": torch.rand(rows, frames, action_dims, generator=generator),
        "key": [f"clip{row}" for row in range(rows)],
    }


@pytest.mark.parametrize(("frames", "context"), [(3, 2), (5, 4), (5, 2), (2, 1)])
def test_layout_is_frames_with_actions_between(tokenizer, frames, context):
    video, batch = codec(tokenizer, context), clips(frames)
    ids, mask, _ = video.encode(batch)
    tokens, actions = video.frame_tokens(batch), video.action_tokens(batch)
    per_frame = tokens.shape[-1]
    assert per_frame == 2 * 3
    assert ids.shape == mask.shape == (2, frames * per_frame + (frames - 1) * 2)
    at = 0
    for frame in range(frames):
        assert torch.equal(ids[:, at : at + per_frame], tokens[:, frame])
        assert mask[:, at : at + per_frame].all() == (frame >= context)
        at += per_frame
        if frame < frames - 1:
            assert torch.equal(ids[:, at : at + 2], actions[:, frame])
            assert not mask[:, at : at + 2].any()
            at += 2


def test_template_is_blank_where_encode_is_predicted_and_equal_elsewhere(tokenizer):
    video, batch = codec(tokenizer), clips(4)
    full, blank = video.encode(batch), video.template(batch)
    assert torch.equal(full.target_mask, blank.target_mask)
    assert torch.equal(full.ids[~full.target_mask], blank.ids[~full.target_mask])
    assert (blank.ids[blank.target_mask] == 0).all()


def test_truth_filled_in_decodes_to_the_reconstruction(tokenizer):
    video, batch = codec(tokenizer), clips(4)
    decoded = video.decode(video.encode(batch))
    frames = batch["frames"][:, 2:].float() / 255
    expected = tokenizer.decode(tokenizer.encode(frames.flatten(0, 1))).unflatten(0, (2, 2))
    assert decoded.shape == video.target(batch).shape == (2, 2, 3, 16, 24)
    torch.testing.assert_close(decoded, expected)
    assert torch.equal(video.target(batch), frames)
    assert torch.equal(video.copy_last(batch)[:, 1], batch["frames"][:, 1].float() / 255)


def test_ids_stay_below_the_vocabulary_and_only_codes_are_legal(tokenizer):
    video = codec(tokenizer)
    ids, mask, _ = video.encode(clips())
    assert video.vocab_size == 25 + 256
    assert int(ids.max()) < video.vocab_size
    legal = video.legal_tokens()
    assert legal.tolist() == [True] * 25 + [False] * 256
    assert legal[ids[mask]].all()


def test_action_bins_by_hand(tokenizer):
    video = codec(tokenizer)
    actions = torch.tensor([[[0.0, -1.0], [10.0, 1.0], [5.0, 0.0], [-3.0, 9.0], [0.039, 0.99]]])
    bins = video.action_tokens({"actions": actions}) - video.num_codes
    assert bins.tolist() == [[[0, 0], [255, 255], [128, 128], [0, 255], [0, 254]]]


def test_a_stride_brings_several_actions_between_frames(tokenizer):
    video = codec(tokenizer)
    batch = {"actions": torch.tensor([[[0.0, -1.0, 10.0, 1.0]]]), "steps": [2]}
    assert (video.action_tokens(batch) - video.num_codes).tolist() == [[[0, 0, 255, 255]]]


@pytest.mark.parametrize(
    ("low", "dims", "steps", "message"),
    [
        ((0.0, -1.0), 4, None, r"has 2 dimensions, but actions have 4 \(at 1 per frame\)"),
        ((0.0,), 4, [1, 1], r"has 1 dimensions, but actions have 4 \(at 1 per frame\)"),
        ((0.0, -1.0), 8, [2, 2], r"has 2 dimensions, but actions have 4 \(at 2 per frame\)"),
        ((0.0, -1.0), 5, [2, 2], r"has 2 dimensions, but actions have 2.5 \(at 2 per frame\)"),
    ],
)
def test_actions_of_other_dimensions_are_no_stride(tokenizer, low, dims, steps, message):
    video = codec(tokenizer, low=low, high=tuple(bound + 2 for bound in low))
    batch = clips(action_dims=dims) | ({"steps": steps} if steps else {})
    with pytest.raises(ValueError, match=message):
        video.encode(batch)


def test_tokens_of_a_batch_are_used_as_they_are(tokenizer):
    video, batch = codec(tokenizer), clips()
    expected = video.encode(batch)
    batch["tokens"] = video.frame_tokens(batch)
    batch["tokenizer"] = [video.tokenizer_fingerprint] * 2
    del batch["frames"]
    assert torch.equal(video.encode(batch).ids, expected.ids)
    batch["tokenizer"][1] = "another"
    with pytest.raises(ValueError, match="sample clip1: its tokens were made by tokenizer another"):
        video.encode(batch)


def test_batches_without_frames_cannot_be_scored(tokenizer):
    with pytest.raises(ValueError, match="sample clip0 has tokens but no frames"):
        codec(tokenizer).target({"tokens": torch.zeros(1, 3, 6), "key": ["clip0"]})


def test_fingerprint_covers_tokenizer_and_layout(tokenizer):
    fingerprints = {
        codec(tokenizer).fingerprint,
        codec(tokenizer, context_frames=1).fingerprint,
        codec(tokenizer, high=(10.0, 2.0)).fingerprint,
        codec(VQModel(**SMALL, stem=4, attention=False)).fingerprint,
    }
    assert len(fingerprints) == 4
    assert codec(tokenizer).fingerprint in fingerprints


def test_frames_of_the_wrong_size_are_named(tokenizer):
    with pytest.raises(ValueError, match="frames are 16x16, but frame_size of the codec is 16x24"):
        codec(tokenizer).encode(clips(size=(16, 16)))


def test_clips_without_a_frame_to_predict_are_refused(tokenizer):
    with pytest.raises(ValueError, match="raise clip_length"):
        codec(tokenizer, context_frames=3).encode(clips(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": (0.0,)}, "action_low and action_high"),
        ({"low": (20.0, 0.0)}, "low below high"),
        ({"context_frames": 0}, "context_frames must be at least 1"),
        ({"size": (16, 20)}, "multiple of"),
    ],
)
def test_bad_settings_are_named(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        codec(tokenizer, **arguments)


@pytest.mark.parametrize("special_tokens", [False, True])
def test_places_are_those_of_the_codes_in_the_sequence(tokenizer, special_tokens):
    video = codec(tokenizer, context_frames=2)
    video.special_tokens, video.vocab_size = special_tokens, video.vocab_size + 2 * special_tokens
    places = video.places(3)
    sequence = video.encode(clips(3))
    assert len(places) == sequence.ids.shape[1]
    rows, columns = video.grid
    grid = [[row + 1, column + 1] for row in range(rows) for column in range(columns)]
    predicted = places[sequence.target_mask[0]]
    assert predicted.tolist() == [[*place, 3] for place in grid]
    assert places[: len(grid)].tolist() == [[*place, 1] for place in grid]
    is_code = sequence.ids[0] < video.num_codes
    assert ((places > 0).all(dim=1) == is_code).all()
    assert (places[~is_code] == 0).all()


def test_features_tell_tokens_apart_and_put_neighbours_close(tokenizer):
    video = codec(tokenizer)
    features = video.features()
    assert len(features) == video.vocab_size == len(features.unique(dim=0))
    bins = features[video.action_offset :]
    assert (bins[9] - bins[10]).norm() < (bins[9] - bins[90]).norm()
    assert not (features[: video.num_codes].any(dim=0) & bins.any(dim=0)).any()


def test_a_model_that_learns_places_knows_the_stride(tokenizer):
    video = codec(tokenizer)
    with pytest.raises(ValueError, match=r"backbone\.frames must be above the 2 given frames"):
        video.places(2)
    video.places(3)
    batch = clips(3, action_dims=4) | {"steps": [2, 2]}
    with pytest.raises(ValueError, match=r"codec\.stride is 1, but the data has 2 actions"):
        video.encode(batch)
