"""Many processes, one model: each rank takes its rows of the batch, and gradients are averaged in one flat sum.

Not the DistributedDataParallel wrapper: a penalty alone leaves some parameters without a gradient, and the wrapper
then waits for ever or averages wrongly without a word (pytorch issues 47562, 63812, 63929). One flat all-reduce after
``backward`` is right for every loss of the course, and the mathematics stays in sight. Start two processes with
``torchrun --nproc-per-node=2 script.py``; with one process every function here leaves its argument as it is.
"""

import os

import torch
import torch.distributed as dist
from torch.distributed.nn.functional import all_reduce

__all__ = ["average", "broadcast", "join", "rank", "same_everywhere", "sync_gradients", "world"]


def rank():
    """Return this process's number, 0 when there is one process.

    Examples
    --------
    >>> rank()
    0
    """
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world():
    """Return the number of processes.

    Examples
    --------
    >>> world()
    1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def join():
    """Join the processes that torchrun started, over NCCL on GPUs and gloo on CPUs; do nothing without torchrun.

    Returns
    -------
    int
        The local rank, which is also the number of the GPU to use.

    Examples
    --------
    >>> join()
    0
    """
    if "RANK" not in os.environ:
        return 0
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("LOCAL_RANK", 0))


def average(x):
    """Average a tensor over all processes, so that gradients (of any order) flow through the average.

    Parameters
    ----------
    x : tensor
        Any shape, the same on every rank.

    Examples
    --------
    >>> average(torch.tensor(2.0))
    tensor(2.)
    """
    return x if world() == 1 else all_reduce(x) / world()


@torch.no_grad()
def sync_gradients(parameters):
    """Replace the gradient of every parameter by its average over the processes, in one flat all-reduce.

    A parameter without a gradient counts as zero: ranks that disagreed about which ones to send would mix them up.

    Parameters
    ----------
    parameters : sequence of tensor
        The same order on every rank.

    Examples
    --------
    >>> sync_gradients([torch.zeros(2, requires_grad=True)])
    """
    if world() == 1:
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    flat /= world()
    for p, g in zip(parameters, flat.split([g.numel() for g in grads]), strict=True):
        p.grad = g.view_as(p)


@torch.no_grad()
def broadcast(module):
    """Give every process the parameters and buffers that rank 0 has.

    Examples
    --------
    >>> broadcast(torch.nn.Linear(2, 1))
    """
    if world() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor, 0)


@torch.no_grad()
def same_everywhere(module):
    """Tell whether all processes hold the same parameters, bit for bit.

    Examples
    --------
    >>> same_everywhere(torch.nn.Linear(2, 1))
    True
    """
    if world() == 1:
        return True
    mine = torch.cat([p.reshape(-1) for p in module.parameters()])
    first = mine.clone()
    dist.broadcast(first, 0)
    unequal = (~torch.eq(mine, first)).any().float()
    dist.all_reduce(unequal)
    return unequal.item() == 0
