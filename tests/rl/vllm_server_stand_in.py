"""The part of vLLM's server and weight transfer that the sampler uses, on a tiny model on the CPU.

``Server`` answers HTTP on 127.0.0.1 and samples for real. ``modules`` stand where training finds
vLLM's side of the transfer. Weights go from one to the other over gloo in NCCL's place, one tensor
after another, each loaded as it arrives, while ``update_weights`` waits for its answer.
"""

import json
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import torch
import vllm_stand_in
from torch.distributed import PrefixStore, ProcessGroupGloo, TCPStore

LIMIT = timedelta(seconds=3)


def gloo(address, port, rank, world_size):
    store = TCPStore(address, port, world_size, rank == 0, LIMIT, wait_for_workers=False)
    return ProcessGroupGloo(PrefixStore("weights", store), rank, world_size, LIMIT)


class Server(ThreadingHTTPServer):
    """``vllm serve FOLDER --tokens-only --weight-transfer-config ...`` in a thread of its own.

    ``faults`` holds a function for each path that misbehaves, called with the request's handler;
    ``paths`` lists what was asked, but for samples.
    """

    daemon_threads = True

    def __init__(self, folder, port=0, logprobs_mode="processed_logprobs", max_model_len=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.llm = vllm_stand_in.LLM(
            str(folder), dtype="float32", skip_tokenizer_init=True, load_format="dummy",
            logprobs_mode=logprobs_mode, max_model_len=max_model_len, tensor_parallel_size=1,
        )  # fmt: skip
        self.folder, self.group, self.version = str(folder), None, "default"
        self.open, self.running, self.lock = threading.Event(), 0, threading.Condition()
        self.open.set()
        self.is_updating, self.paths, self.faults, self.seen = False, [], {}, []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join(10)

    def get_models(self, query, body):
        card = {"id": self.folder, "root": self.folder, "object": "model"}
        return {"data": [card | {"max_model_len": self.llm.model_config.max_model_len}]}

    def get_world_size(self, query, body):
        return {"world_size": 1}

    def weight_info(self, query, body):
        return {"weight_version": self.version}

    def pause(self, query, body):
        assert query == {"mode": ["wait"]}
        self.open.clear()
        with self.lock:
            assert self.lock.wait_for(lambda: not self.running, 20)
        return {"status": "paused"}

    def resume(self, query, body):
        self.open.set()
        return {"status": "resumed"}

    def update_weight_version(self, query, body):
        self.version = body["new_version"]
        return {"success": True}

    def init_weight_transfer_engine(self, query, body):
        info = body["init_info"]
        rank, world_size = info["rank_offset"], info["world_size"]
        self.group = gloo(info["master_address"], info["master_port"], rank, world_size)
        return {"message": "Weight transfer initialized"}

    def start_weight_update(self, query, body):
        assert not self.open.is_set(), "weights change while requests run"
        assert not self.is_updating, "a weight update is already active"
        self.is_updating = True
        return {"message": "Weight update started"}

    def update_weights(self, query, body):
        assert self.is_updating
        info, own = body["update_info"], self.llm.model.state_dict()
        for name, kind, shape in zip(*(info[k] for k in ("names", "dtype_names", "shapes"))):  # noqa: B905
            weight = torch.empty(shape, dtype=getattr(torch, kind))
            self.group.broadcast(weight, 0).wait()
            if "update_weights/tensor" in self.faults:
                self.faults["update_weights/tensor"](name)
            if name not in own or own[name].shape != weight.shape:
                raise ValueError(f"There is no module or parameter named {name} of {shape}")
            own[name].copy_(weight)
        return {"message": "Weights updated"}

    def finish_weight_update(self, query, body):
        assert self.is_updating
        self.is_updating, self.version = False, body["weight_version"]
        return {"message": "Weight update finished"}

    def reset_prefix_cache(self, query, body):
        self.llm.prefixes.clear()
        return {"success": True}

    def generate(self, query, body):
        assert self.open.wait(20)
        with self.lock:
            self.running += 1
        try:
            params = vllm_stand_in.SamplingParams(**body["sampling_params"])
            with self.lock:
                self.seen.append((body["token_ids"], params))
                drawn = self.llm.samples({"prompt_token_ids": body["token_ids"]}, params)
            return {"choices": [self.choice(each) for each in reversed(drawn)]}
        finally:
            with self.lock:
                self.running -= 1
                self.lock.notify_all()

    def choice(self, output):
        content = [
            {"token_id": token, "logprob": entry[token].logprob, "rank": entry[token].rank}
            for token, entry in zip(output.token_ids, output.logprobs, strict=True)
        ]
        span = {"version": self.version, "start": 0, "end": len(content)}
        return {
            "index": output.index, "token_ids": output.token_ids, "logprobs": {"content": content},
            "finish_reason": output.finish_reason, "weight_versions": [span],
        }  # fmt: skip


ROUTES = {
    "GET /v1/models": "get_models",
    "GET /get_world_size": "get_world_size",
    "GET /weight_info": "weight_info",
    "POST /inference/v1/generate": "generate",
    **{
        f"POST /{name}": name
        for name in (
            "pause", "resume", "update_weight_version", "init_weight_transfer_engine",
            "start_weight_update", "update_weights", "finish_weight_update", "reset_prefix_cache",
        )
    },
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = ROUTES.get(f"{self.command} {parts.path}")
        if route not in ("generate", "weight_info", None):
            self.server.paths.append(route)
        if (fault := self.server.faults.get(route)) and fault(self):
            return
        if route is None:
            self.answer(404, {"detail": "Not Found"})
            return
        try:
            query = parse_qs(parts.query)
            found = getattr(self.server, route)(query, json.loads(body or "{}"))
        except Exception as error:
            self.answer(500, {"error": {"message": f"{type(error).__name__}: {error}"}})
        else:
            self.answer(200, found)

    do_POST = do_GET

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def log_message(self, *args):
        pass


class WeightSource:
    """What subclasses of vLLM's offer: ``metadata`` and iteration."""


@dataclass(frozen=True)
class ParamMeta:
    name: str
    dtype: torch.dtype
    shape: tuple


@dataclass
class NCCLTrainerInitInfo:
    backend: ClassVar[str] = "nccl"
    master_address: str
    master_port: int
    world_size: int
    packed: bool = True
    rank: int = field(kw_only=True)


class TrainerEngine:
    """Sends weights as vLLM's does, from the first process of training."""

    def __init__(self, info, client, source):
        self.client, self.source, self.is_sender = client, source, info.rank == 0
        if not self.is_sender:
            return
        told = {k: v for k, v in asdict(info).items() if k != "rank"} | {"rank_offset": 1}
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(client.init_weight_transfer_engine, told)
            self.group = gloo(info.master_address, info.master_port, 0, info.world_size)
            future.result()

    def send_weights(self):
        meta = self.source.metadata()
        if not self.is_sender:
            for _ in self.source:
                pass
            return
        told = {
            "names": [each.name for each in meta],
            "dtype_names": [str(each.dtype).split(".")[-1] for each in meta],
            "shapes": [list(each.shape) for each in meta],
        }
        self.client.start_weight_update()
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.client.update_weights, told)
        try:
            if future.done():
                future.result()
            for each, (name, tensor) in zip(meta, self.source, strict=True):
                assert (name, tensor.dtype, tuple(tensor.shape)) == tuple(vars(each).values())
                self.group.broadcast(tensor.contiguous(), 0).wait()
            future.result()
        finally:
            pool.shutdown(wait=False)
        self.client.finish_weight_update()


class WeightTransferTrainerFactory:
    @staticmethod
    def trainer_init(*, init_info, client, source):
        return TrainerEngine(init_info, client, source)


def modules():
    """Modules to be put into ``sys.modules`` by their names."""
    transfer = types.ModuleType("vllm.distributed.weight_transfer")
    transfer.WeightSource, transfer.ParamMeta = WeightSource, ParamMeta
    transfer.WeightTransferTrainerFactory = WeightTransferTrainerFactory
    nccl = types.ModuleType(f"{transfer.__name__}.nccl_engine")
    nccl.NCCLTrainerInitInfo = NCCLTrainerInitInfo
    return {
        "vllm": vllm_stand_in.module(),
        "vllm.distributed": types.ModuleType("vllm.distributed"),
        transfer.__name__: transfer,
        nccl.__name__: nccl,
    }
