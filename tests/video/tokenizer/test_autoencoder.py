import pytest
import torch

from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder, SelfAttention, normalization

PAPER_CHANNELS = [128, 256, 256, 512, 768]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_paper_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        encoder = Encoder(PAPER_CHANNELS, latent_channels=64, layers=2)
        decoder = Decoder(PAPER_CHANNELS, latent_channels=64, layers=2)
        latents = encoder(torch.empty(1, 3, 256, 320))
    assert latents.shape == (1, 64, 16, 20)
    assert parameters(encoder) == 61_057_472
    assert parameters(decoder) == 43_355_907


def test_the_paper_size_decodes_to_the_size_of_the_frame():
    with torch.device("meta"):
        decoder = Decoder(PAPER_CHANNELS, latent_channels=64, layers=2)
        assert decoder(torch.empty(1, 64, 16, 20)).shape == (1, 3, 256, 320)


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize(
    ("channels", "stem", "downscale"), [([8, 16], 1, 2), ([16], 4, 4), ([8, 16], 4, 8)]
)
def test_encoder_and_decoder_mirror_each_other(norm, channels, stem, downscale):
    encoder = Encoder(channels, 6, layers=1, stem=stem, norm=norm)
    decoder = Decoder(channels, 6, layers=1, stem=stem, norm=norm)
    latents = encoder(torch.rand(2, 3, 32, 48))
    assert latents.shape == (2, 6, 32 // downscale, 48 // downscale)
    assert decoder(latents).shape == (2, 3, 32, 48)


@pytest.mark.parametrize(("channels", "stem"), [([16], 8), ([8, 16], 4)])
def test_with_kernel_size_one_a_latent_sees_only_its_own_patch(channels, stem):
    encoder = Encoder(
        channels, 4, layers=1, stem=stem, kernel_size=1, norm="batch", attention=False
    ).eval()
    frames = torch.rand(1, 3, 32, 32)
    changed = frames.clone()
    changed[:, :, 8:16, 16:24] = 0
    moved = (encoder(frames) - encoder(changed)).abs().amax(dim=(0, 1)) > 0
    expected = torch.zeros(4, 4, dtype=torch.bool)
    expected[1, 2] = True
    torch.testing.assert_close(moved, expected)


def test_self_attention_equals_a_plain_softmax():
    attention = SelfAttention(8, "group")
    features = torch.randn(2, 8, 3, 4)
    query, key, value = attention.query_key_value(attention.norm(features)).flatten(2).chunk(3, 1)
    weights = torch.softmax(query.transpose(1, 2) @ key / 8**0.5, dim=-1)
    mixed = (weights @ value.transpose(1, 2)).transpose(1, 2).view(2, 8, 3, 4)
    torch.testing.assert_close(attention(features), features + attention.output(mixed))


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="'group' or 'batch', got 'layer'"):
        normalization("layer", 8)
