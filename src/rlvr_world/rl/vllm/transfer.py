"""The channel by which weights of a model in training reach a vLLM server, vLLM's own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from torch import Tensor, distributed

from rlvr_world.extras import require
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.rl.vllm.client import ServerClient

PACKAGE = "vllm.distributed.weight_transfer"


class WeightTransfer:
    """Sends weights by NCCL, as vLLM's guide "Weight Transfer" has it.

    Every training process has one, since whole tensors of sharded weights take them all; the
    first process sends. It opens when it is made and needs vLLM here, too.
    """

    def __init__(self, client: ServerClient) -> None:
        package = require(PACKAGE, "vllm", "VLLMSampler with a server")
        nccl = require(f"{PACKAGE}.nccl_engine", "vllm", "VLLMSampler with a server")
        self.client, self.source = client, weight_source(package)
        address, port = free_port(client.url, client.timeout)
        workers = client.get("get_world_size")["world_size"]
        info = nccl.NCCLTrainerInitInfo(
            master_address=address,
            master_port=port,
            world_size=1 + workers,
            rank=process_rank(),
            packed=False,  # packed, an error of the server would be waited out for ever
        )
        self.engine: Any = None
        with self.failing_as_said():
            self.engine = package.WeightTransferTrainerFactory.trainer_init(
                init_info=info, client=client, source=self.source
            )

    def send(self, model: SequenceModel) -> None:
        """Send all weights of a model, under the name that the client gives them.

        Raises:
            ConnectionError: They did not arrive.
        """
        self.source.model = model
        with self.failing_as_said():
            self.engine.send_weights()
        self.source.model = None

    @contextmanager
    def failing_as_said(self) -> Iterator[None]:
        """What the server said, rather than what followed from it, is the error."""
        self.client.failure = None
        try:
            yield
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            followed = ConnectionError(f"{self.client.url}: weights did not arrive: {text}")
            raise self.client.failure or followed from error


def weight_source(package: Any) -> Any:
    """A ``WeightSource`` of vLLM's that reads its attribute ``model``."""

    class Source(package.WeightSource):  # type: ignore[misc]
        model: SequenceModel

        def metadata(self) -> list[Any]:
            named = self.model.to_transformers_state()
            return [package.ParamMeta(name, each.dtype, tuple(each.shape)) for name, each in named]

        def __iter__(self) -> Iterator[tuple[str, Tensor]]:
            return ((name, each.detach()) for name, each in self.model.to_transformers_state())

    return Source()


def free_port(url: str, timeout: float) -> tuple[str, int]:
    """The address of this machine on the way to a server, and a port that is free there."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    with socket.create_connection((parts.hostname or "", port), timeout) as connection:
        address = connection.getsockname()[0]
    with socket.socket(connection.family) as probe:
        probe.bind((address, 0))
        return address, probe.getsockname()[1]


def process_rank() -> int:
    """Rank among the processes of training."""
    is_one_of_many = distributed.is_available() and distributed.is_initialized()
    return distributed.get_rank() if is_one_of_many else 0
