"""Many processes, one model: each rank takes its rows of the batch, and gradients are averaged in one flat sum.

Not the DistributedDataParallel wrapper: a penalty alone leaves some parameters without a gradient, and the wrapper
then waits for ever or averages wrongly without a word (pytorch issues 47562, 63812, 63929). One flat all-reduce after
``backward`` is right for every loss of the course, and the mathematics stays in sight. Start two processes with
``torchrun --nproc-per-node=2 script.py``; with one process every function here leaves its argument as it is.
"""

import os

import torch
import torch.distributed as dist

__all__ = ["average", "broadcast", "join", "lead", "leave", "rank", "same_everywhere", "world"]

ELSEWHERE = "(raised in process 0)"


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
        # both where there is a GPU: the user may still choose the CPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("LOCAL_RANK", 0))


def lead(work):
    """Do something in the first process while the others wait; what it raises there is raised in all of them.

    One that failed alone would leave the others waiting until their next exchange breaks down.

    Parameters
    ----------
    work : callable
        Without arguments.

    Raises
    ------
    Exception
        What `work` raises; in the other processes it has the note `ELSEWHERE`.

    Examples
    --------
    >>> lead(lambda: print("written once"))
    written once
    """
    if world() == 1:
        work()
    elif rank() == 0:
        try:
            work()
        except Exception as error:
            dist.broadcast_object_list([error], 0)
            raise
        dist.broadcast_object_list([None], 0)
    else:
        told = [None]
        dist.broadcast_object_list(told, 0)
        if told[0] is not None:
            told[0].add_note(ELSEWHERE)
            raise told[0]


def leave():
    """Leave the other processes, at the end of a program that has joined them.

    Examples
    --------
    >>> leave()
    """
    if "RANK" in os.environ and dist.is_initialized():
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes. Its gradient is the sum of theirs, and so on for every order.

    torch.distributed.nn.functional.all_reduce is the same, but deprecated, and what is to follow it is not public.
    """

    @staticmethod
    def forward(ctx, x):
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, slope):
        return _Sum.apply(slope)


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
    return x if world() == 1 else _Sum.apply(x) / world()


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
    """Tell whether all processes hold the same parameters and buffers, bit for bit.

    Examples
    --------
    >>> same_everywhere(torch.nn.Linear(2, 1))
    True
    """
    if world() == 1:
        return True
    mine = torch.cat([t.flatten().contiguous().view(torch.uint8) for t in [*module.parameters(), *module.buffers()]])
    first = mine.clone()
    dist.broadcast(first, 0)
    unequal = mine.ne(first).any().float()
    dist.all_reduce(unequal)
    return unequal.item() == 0
