"""Whether the installed torch and torchvision can be imported together."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version


def check_torch_pair() -> None:
    """Refuse a torchvision that breaks the import of torch's users, before anything imports it.

    Raises:
        ModuleNotFoundError: The two do not fit; the sentence says what to install.
    """
    try:
        torch, torchvision = version("torch"), version("torchvision")
    except PackageNotFoundError:
        return
    problem = mismatch(torch, torchvision, platform.system())
    if problem:
        raise ModuleNotFoundError(problem)


def mismatch(torch: str, torchvision: str, system: str) -> str | None:
    """What is wrong with a pair of versions, and what to install; None if they fit.

    torch 2.N goes with torchvision 0.(N + 15). On Linux a build of torch for the CPU needs one of
    torchvision for the CPU: the registry's needs CUDA libraries, and without them its operators are
    missing.
    """
    release = re.match(r"2\.(\d+)", torch)
    if release is None:
        return None
    wanted = f"0.{int(release[1]) + 15}"
    local = torch.partition("+")[2]
    lacks_cpu = system == "Linux" and local == "cpu" and torchvision.partition("+")[2] != "cpu"
    if torchvision.startswith(f"{wanted}.") and not lacks_cpu:
        return None
    index = " --index-url https://download.pytorch.org/whl/cpu" if local == "cpu" else ""
    return (
        f"torch {torch} and torchvision {torchvision} cannot be imported together: "
        f"pip install 'torchvision=={wanted}.*'{index}, or pip uninstall torchvision"
    )
