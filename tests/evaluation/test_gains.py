import json
from math import nan

import pytest

from rlvr_world.evaluation.gains import gains

TABLE = {
    "labels": {"mse": "MSE", "psnr": "PSNR", "nll": "NLL"},
    "higher_is_better": {"mse": False, "psnr": True, "nll": False},
    "rows": {
        "copy_last": {"mse": [1.0, 0.0]},
        "mle": {"mse": [0.5, 0.1], "psnr": [-20.0, None], "nll": [0.0, 0.0]},
        "rlvr": {"mse": [0.4, 0.1], "psnr": [-15.0, None], "nll": [0.3, 0.0]},
    },
    "checkpoints": {"mle": "a", "rlvr": "b"},
}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "table.json").write_text(json.dumps(TABLE))
    return tmp_path / "table.json"


def test_better_is_positive_in_either_direction(path, tmp_path):
    percent = gains({"test": path}, "mle", tmp_path / "out").loc["test"]["percent"]
    assert percent.index.unique("row").tolist() == ["mle", "rlvr"]
    assert percent["rlvr"].tolist() == pytest.approx([20, 25, nan], nan_ok=True)
    assert percent["mle"].tolist() == pytest.approx([0, 0, nan], nan_ok=True)
    written = json.loads((tmp_path / "out/gains.json").read_text())
    assert written["tables"]["test"]["rlvr"]["mse"]["mean"] == 0.4
    assert written["tables"]["test"]["rlvr"]["psnr"] == {"mean": -15, "std": None, "percent": 25}
    lines = (tmp_path / "out/gains.csv").read_text().splitlines()
    assert lines[0] == "table,row,metric,mean,std,gain %"
    assert lines[1] == "test,mle,mse,0.5,0.1,0.0"
    assert lines[3] == "test,mle,nll,0.0,0.0,"
    assert (tmp_path / "out/gains.png").stat().st_size > 1000


def test_wrong_input_is_named(path, tmp_path):
    with pytest.raises(ValueError, match="has no model copy_last; base can be one of mle, rlvr"):
        gains({"test": path}, "copy_last", tmp_path)
    with pytest.raises(ValueError, match="mle has no ssim; metrics are mse, psnr, nll"):
        gains({"test": path}, "mle", tmp_path, ["ssim"])
    with pytest.raises(FileNotFoundError, match="no such table"):
        gains({"test": tmp_path / "none.json"}, "mle", tmp_path)
