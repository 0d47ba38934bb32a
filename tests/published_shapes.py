"""Names and shapes of published weights, written down apart from the code under test."""

LEVELS = {8: 3, 12: 5}  # channels of a quantiser by the bits that configs name


def shapes(config):
    """Names and shapes of the weights that a config asks for."""
    if config.get("model_type") == "llama":
        return llama(config)
    channels, latent = config["block_out_channels"], config["latent_channels"]
    arguments = channels, latent, config["layers_per_block"]
    if config["_class_name"] == "CNNFSQModel256":
        codes = LEVELS[config["fsq_levels"]]
        return (
            encoder("encoder", *arguments, True)
            | convolution("quant_linear", latent, codes, 1)
            | convolution("post_quant_linear", codes, latent, 1)
            | frame_decoder("decoder", *arguments)
        )
    codes, later = LEVELS[config["vq_fsq_levels"]], LEVELS[config["dyn_fsq_levels"]]
    patch, attention = latent * config["patch_size"] ** 2, config["mid_block_add_attention"]
    heights = [config["resolution"] // 2 ** min(i + 1, len(channels) - 1)
               for i in range(len(channels))]  # fmt: skip
    attending = [c for c, h in zip(channels, heights, strict=True) if h <= 32]
    return (
        encoder("encoder", *arguments, attention)
        | encoder("cond_encoder", *arguments, True)
        | decoder("decoder", *arguments, attention)
        | decoder("cond_decoder", *arguments, True)
        | cross_attentions("cond_encoder", attending)
        | cross_attentions("cond_decoder", channels[-1:])
        | convolution("quant_conv", latent, codes, 1)
        | convolution("post_quant_conv", codes, latent, 1)
        | linear("quant_linear", patch, later)
        | linear("post_quant_linear", later, patch)
    )


def encoder(name, channels, latent, layers, attention):
    found = convolution(f"{name}.conv_in", 3, channels[0])
    for i, width in enumerate(channels):
        block = f"{name}.down_blocks.{i}"
        found |= resnets(block, channels[max(i - 1, 0)], width, layers)
        if i < len(channels) - 1:
            found |= convolution(f"{block}.downsamplers.0.conv", width, width)
    found |= middle(f"{name}.mid_block", channels[-1], attention)
    found |= affine(f"{name}.conv_norm_out", channels[-1])
    return found | convolution(f"{name}.conv_out", channels[-1], latent)


def decoder(name, channels, latent, layers, attention):
    """As in diffusers: a layer more, and all blocks but the last double the resolution."""
    widths = channels[::-1]
    found = convolution(f"{name}.conv_in", latent, widths[0])
    found |= middle(f"{name}.mid_block", widths[0], attention)
    for i, width in enumerate(widths):
        block = f"{name}.up_blocks.{i}"
        found |= resnets(block, widths[max(i - 1, 0)], width, layers + 1)
        if i < len(widths) - 1:
            found |= convolution(f"{block}.upsamplers.0.conv", width, width)
    return found | affine(f"{name}.conv_norm_out", widths[-1]) | convolution(
        f"{name}.conv_out", widths[-1], 3
    )  # fmt: skip


def frame_decoder(name, channels, latent, layers):
    """Blocks take on the next width, and all but the first double the resolution."""
    widths = [*channels[::-1], channels[0]]
    found = convolution(f"{name}.conv_in", latent, widths[0])
    found |= middle(f"{name}.mid_block", widths[0], True)
    for i in range(len(channels)):
        block = f"{name}.up_blocks.{i}"
        found |= resnets(block, widths[i], widths[i + 1], layers)
        if i > 0:
            found |= convolution(f"{block}.upsamplers.0.conv", widths[i + 1], widths[i + 1])
    return found | affine(f"{name}.conv_norm_out", widths[-1]) | convolution(
        f"{name}.conv_out", widths[-1], 3
    )  # fmt: skip


def middle(name, width, attention):
    found = resnets(name, width, width, 2)
    if attention:
        found |= affine(f"{name}.attentions.0.group_norm", width)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            found |= linear(f"{name}.attentions.0.{part}", width, width)
    return found


def resnets(name, width_in, width, count):
    found = {}
    for i in range(count):
        block, before = f"{name}.resnets.{i}", width if i else width_in
        found |= affine(f"{block}.norm1", before) | affine(f"{block}.norm2", width)
        found |= convolution(f"{block}.conv1", before, width)
        found |= convolution(f"{block}.conv2", width, width)
        if before != width:
            found |= convolution(f"{block}.conv_shortcut", before, width, 1)
    return found


def cross_attentions(name, widths):
    found = {}
    for i, width in enumerate(widths):
        block = f"{name}.cross_att_blocks.{i}"
        found |= {f"{block}.{end}_pos_emb": (1280, width) for end in ("q", "kv")}
        found |= affine(f"{block}.q_norm", width) | affine(f"{block}.kv_norm", width)
        found |= linear(f"{block}.att.out_proj", width, width)
        found[f"{block}.att.in_proj_weight"] = (3 * width, width)
        found[f"{block}.att.in_proj_bias"] = (3 * width,)
    return found


def llama(config):
    wide, vocabulary = config["hidden_size"], config["vocab_size"]
    found = {"model.embed_tokens.weight": (vocabulary, wide), "model.norm.weight": (wide,)}
    found["lm_head.weight"] = (vocabulary, wide)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for part in "qkvo":
            found[f"{layer}.self_attn.{part}_proj.weight"] = (wide, wide)
        for part in ("gate", "up"):
            found[f"{layer}.mlp.{part}_proj.weight"] = (config["intermediate_size"], wide)
        found[f"{layer}.mlp.down_proj.weight"] = (wide, config["intermediate_size"])
        for part in ("input", "post_attention"):
            found[f"{layer}.{part}_layernorm.weight"] = (wide,)
    return found


def convolution(name, width_in, width, side=3):
    return {f"{name}.weight": (width, width_in, side, side), f"{name}.bias": (width,)}


def linear(name, width_in, width):
    return {f"{name}.weight": (width, width_in), f"{name}.bias": (width,)}


def affine(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
