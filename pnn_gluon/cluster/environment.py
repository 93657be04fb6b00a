"""The variables by which MXNet's parameter server finds the other processes."""

KIND = "dist_sync"
"""Every worker's gradients of a step are there before a server updates; of MXNet's kinds of parameter server."""

_NOTHING_IS_CUT = 2**31 - 1
"""MXNet cuts larger arrays over the servers by itself; the plan has done so."""


def role_environment(
    role: str, *, workers: int, servers: int, root: tuple[str, int], host: str, threads: int | None = None
) -> dict[str, str]:
    """Variables of a process.

    Args:
        role: scheduler, server or worker.
        workers: Number of workers.
        servers: Number of servers.
        root: Address and port where the scheduler listens.
        host: Address where this process listens, and is found by the others.
        threads: Threads that it computes with; None for all processors.
    """
    variables = {
        "DMLC_ROLE": role,
        "DMLC_NUM_WORKER": str(workers),
        "DMLC_NUM_SERVER": str(servers),
        "DMLC_PS_ROOT_URI": root[0],
        "DMLC_PS_ROOT_PORT": str(root[1]),
        "DMLC_NODE_HOST": host,
        "MXNET_KVSTORE_BIGARRAY_BOUND": str(_NOTHING_IS_CUT),
    }
    return variables | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
