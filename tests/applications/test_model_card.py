"""What an exported model says of itself."""

import json

import pytest
import torch
from tiny_video import export_tokenizer, save_untrained

from rlvr_world.applications.export import export

HOSTILE = "x\n```\n</script><script>"


def test_the_card_has_provenance_and_the_results_of_this_checkpoint(tmp_path):
    path = tmp_path / "runs/mle/checkpoints/best.ckpt"
    path.parent.mkdir(parents=True)
    save_untrained(path, export_tokenizer(tmp_path / "vq"))
    content = torch.load(path, weights_only=True)
    content["provenance"]["commit"] = HOSTILE
    torch.save(content, path)
    table = {
        "labels": {"mse": "MSE"}, "higher_is_better": {"mse": False},
        "split": "test", "samples": 40, "seeds": 3, "data": "d4", "commit": "c0",
        "checkpoints": {
            "mle": "elsewhere/mle/checkpoints/best.ckpt", "other": "mle/checkpoints/last.ckpt",
        },
        "rows": {"mle": {"mse": [0.25, 0.01]}, "other": {"mse": [0.5, 0.01]}},
    }  # fmt: skip
    (tmp_path / "runs/table.json").write_text(json.dumps(table))
    export(path, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert '"MSE ↓": "0.25 ± 0.01"' in card
    assert '"samples": 40' in card
    assert "0.5 ±" not in card
    assert '"stage": "MLEWorldModel"' in card
    assert all(
        line[:4] == "    " for line in card.splitlines() if "script" in line or "```" in line
    )
    assert (tmp_path / "out/model.safetensors").exists()
    (tmp_path / "runs/table.json").write_text("{}")
    with pytest.raises(ValueError, match=r"table\.json: is no table that evaluate wrote"):
        export(path, tmp_path / "again")
