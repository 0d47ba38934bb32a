"""A vLLM server, a process of its own, that follows the weights of a model in training."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.rl.vllm.client import HINT, ServerClient
from rlvr_world.rl.vllm.engine import weight_checksum
from rlvr_world.rl.vllm.transfer import WeightTransfer, process_rank

REQUESTS = 256
"""Requests that are on their way at once; the server makes batches of them."""

INCOMPLETE = "incomplete"
"""Name of weights that are being replaced."""


class VLLMServer:
    """Samples by a vLLM server, as ``VLLMEngine`` does by an engine in this process.

    Weights are named by their checksum. Whenever they have changed, the first training process
    pauses the server, sends them, drops the prefix cache and lets the server go on; other processes
    wait until it has these weights. Each sample says which weights it is from, so that none of
    others is taken.

    Args:
        url: Address of the server, such as ``http://127.0.0.1:8000``.
        model: The model in ``transformers``' form that it serves, a folder or a name on the hub.
        timeout: Seconds that an answer may take, and that the server may be out of reach.
    """

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self.client, self.model = ServerClient(url, timeout), model
        self.transfer: WeightTransfer | None = None
        self.version = ""
        self.vocab_size = self.max_model_len = 0

    def __getstate__(self) -> dict[str, Any]:
        """A copy connects anew."""
        client = ServerClient(self.client.url, self.client.timeout)
        return vars(self) | {"client": client, "transfer": None, "version": ""}

    def load(self, model: SequenceModel) -> None:
        """Let the server have the weights of a model.

        Raises:
            ConnectionError: It cannot be reached, refuses what it is asked, or was restarted.
            TimeoutError: It takes too long.
            ValueError: It serves another model, or is started with other options.
        """
        version = hashlib.sha256(weight_checksum(model).numpy().tobytes()).hexdigest()[:16]
        is_new = self.transfer is None
        if self.transfer is None:
            self.look()
            self.transfer = WeightTransfer(self.client)
        if version != self.version:
            if process_rank() == 0:
                self.replace_weights(self.transfer, model, version)
            else:
                self.transfer.send(model)
                self.wait_for(version)
            self.version = version
        if is_new:
            self.check_log_probs()

    def look(self) -> None:
        """Ask the server what it serves."""
        from transformers import AutoConfig

        card = self.client.get("v1/models")["data"][0]
        served = card.get("root") or card["id"]
        if Path(self.model).name not in (Path(served).name, Path(card["id"]).name):
            raise ValueError(
                f"{self.client.url} serves {served}, but the sampler's model is {self.model}{HINT}"
            )
        self.max_model_len = card["max_model_len"]
        config = AutoConfig.from_pretrained(self.model, trust_remote_code=False)
        self.vocab_size = config.get_text_config().vocab_size

    def replace_weights(self, transfer: WeightTransfer, model: SequenceModel, version: str) -> None:
        """Send weights; until all are there, the server answers no request."""
        if self.version:
            self.expect(self.version)
        self.client.post("pause?mode=wait")
        self.client.post("update_weight_version", {"new_version": INCOMPLETE})
        self.client.version = version
        transfer.send(model)
        self.expect(version)
        if self.client.post("reset_prefix_cache").get("success") is not True:
            raise ConnectionError(f"{self.client.url} did not drop what it cached of old weights")
        self.client.post("resume")

    def expect(self, version: str) -> None:
        """Check which weights the server has."""
        if (found := self.held()) != version:
            raise ConnectionError(
                f"{self.client.url} has the weights {found!r}, not {version!r}, which it was given "
                "last: it was restarted, or another run uses it"
            )

    def wait_for(self, version: str) -> None:
        """Wait until the first training process has handed these weights over."""
        deadline = time.monotonic() + self.client.timeout
        while self.held() != version:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.client.url} was not given the weights of this step within "
                    f"{self.client.timeout:g} s by the first training process"
                )
            time.sleep(0.1)

    def held(self) -> str:
        """The name of the weights that the server has."""
        return str(self.client.get("weight_info")["weight_version"])

    def check_log_probs(self) -> None:
        """Refuse log-probabilities that do not count out tokens that are not legal."""
        options = {"n": 1, "max_tokens": 1, "allowed_token_ids": [0], "stop_token_ids": None}
        _, (log_prob,) = self.generate([[0]], [0], **options)[0]
        if abs(log_prob) > 1e-3:
            raise ValueError(
                f"{self.client.url} gives the only legal token the log-probability {log_prob:.3g}; "
                "start it with --logprobs-mode processed_logprobs"
            )

    def generate(
        self, prompts: list[list[int]], seeds: list[int], **settings: Any
    ) -> list[tuple[list[int], list[float]]]:
        """Tokens and their log-probabilities, for each sample of each prompt in turn.

        ``settings`` are further sampling parameters; see ``VLLMEngine.generate``.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        fixed = {"temperature": 1.0, "logprobs": 0, "ignore_eos": True, "detokenize": False} | given

        def ask(prompt: list[int], seed: int) -> list[tuple[list[int], list[float]]]:
            body = {"token_ids": prompt, "sampling_params": fixed | {"seed": seed}}
            choices = self.client.post("inference/v1/generate", body)["choices"]
            return [self.drawn(each) for each in sorted(choices, key=lambda each: each["index"])]

        pool = ThreadPoolExecutor(max_workers=REQUESTS)
        try:
            return [each for drawn in pool.map(ask, prompts, seeds) for each in drawn]
        finally:
            pool.shutdown(cancel_futures=True)

    def drawn(self, choice: dict[str, Any]) -> tuple[list[int], list[float]]:
        """A sample, whose weights are those that the server was given."""
        versions = {span["version"] for span in choice.get("weight_versions") or ()}
        if versions != {self.version}:
            raise ConnectionError(
                f"{self.client.url} sampled from the weights {sorted(versions)}, not "
                f"{self.version!r}: it was restarted, another run uses it, or it is older than "
                "vLLM 0.32"
            )
        tokens = choice["logprobs"]["content"]
        return [each["token_id"] for each in tokens], [each["logprob"] for each in tokens]

    def rest(self) -> None:
        """Do nothing: the server's memory is its own."""
