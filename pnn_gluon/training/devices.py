"""The devices training runs on, and placing a network on them."""

from typing import Any

from pnn_gluon.cuda import gpus
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.options import Device


def contexts(device: Device, count: int) -> list[Any]:
    """The first `count` devices of a kind; CPU contexts are replicas on the same processors.

    Raises:
        ConfigError: a GPU is asked for that this machine or this build of MXNet does not have, or that its
            compiled code cannot run on.
    """
    if device == "cpu":
        return [mx.cpu(i) for i in range(count)]
    found = _usable_gpus()
    if count > found:
        raise ConfigError(
            f"{count} GPU(s) asked for, {found} found: install the extra [cu112] on a machine with an NVIDIA driver, "
            "lower `devices`, or set device = 'cpu'"
        )
    places = [mx.gpu(i) for i in range(count)]
    for place in places:
        _try(place)
    return places


def _usable_gpus() -> int:
    if not mx.runtime.Features().is_enabled("CUDA"):
        return 0
    if faults := [fault for gpu in gpus() if (fault := gpu.fault) is not None]:
        raise ConfigError("; ".join(faults))
    try:
        return int(mx.context.num_gpus())
    except mx.MXNetError as error:
        raise ConfigError(f"the GPU driver does not answer ({_first_line(error)}); set device = 'cpu'") from error


def _try(gpu: Any) -> None:
    try:
        mx.nd.ones((1,), ctx=gpu).wait_to_read()
    except mx.MXNetError as error:
        raise ConfigError(
            f"{gpu} is there but MXNet cannot compute on it ({_first_line(error)}): the CUDA 11.2 build runs on "
            "Pascal to Ampere and Ada; set device = 'cpu'"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def initialize(net: HybridBlock, places: list[Any], seed: int) -> None:
    """Give parameters without values their starting values, drawn from `seed`, and place all on the devices."""
    mx.random.seed(seed)
    for parameter in net.collect_params().values():
        if has_values(parameter):
            parameter.reset_ctx(places)
        else:
            parameter.initialize(ctx=places)


def has_values(parameter: Any) -> bool:
    """Whether a parameter was initialized."""
    try:
        parameter.list_ctx()
    except RuntimeError:
        return False
    return True
