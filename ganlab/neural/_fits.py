"""What of a run a checkpoint holds, what tells runs apart, and whether the one fits the other."""

import functools
import json
from collections.abc import Mapping

import torch

from ganlab.neural._disk import CheckpointError
from ganlab.neural.runs import DivergedError

SCHEMA = 2  # 1 kept moments weight by weight


class NotFinite(CheckpointError, DivergedError):
    """Weights that are not finite are not saved: the run has diverged."""

    __module__ = "ganlab.neural.checkpoints"  # where users find it


def players(run):
    """The networks and the optimisers of a run, under their names in the file."""
    averaged = {} if run.ema is run.G else {"ema": run.ema}
    return {"G": run.G, "D": run.D, **averaged}, {"opt_G": run.opt_G, "opt_D": run.opt_D}


def state_of(run):
    """What is saved: all that a run is, apart from what its script builds."""
    networks, optimizers = players(run)
    state = {"schema": SCHEMA, "step": run.step}
    for name, network in networks.items():  # copies: in the run they are views of one tensor
        state[name] = {key: t.detach().clone() for key, t in network.state_dict().items()}
    for name, optimizer in optimizers.items():
        content = optimizer.state_dict()
        # in plain values: a NumPy number in a recipe would make a file that nothing loads
        state[name] = {"state": content["state"], "param_groups": _plain(content["param_groups"])}
    return state


def flat(state):
    """Every tensor of a state under one name: ``G.0.weight``, ``opt_G.0.exp_avg``."""
    tensors = {}
    for part, content in state.items():
        if part.startswith("opt_"):
            content = {f"{k}.{name}": t for k, slots in content["state"].items() for name, t in slots.items()}
        if part not in ("schema", "step"):
            tensors.update({f"{part}.{name}": t for name, t in content.items()})
    return {name: t for name, t in tensors.items() if t is not None}


def refuse_not_finite(tensors, run, where):
    """Raise if a tensor holds NaN or infinity; in a stack, if it does so for every network."""
    for name, t in tensors.items():
        wrong = ~torch.isfinite(t)
        if wrong.flatten(1).any(1).all() if run.rng.stacked and t.ndim else wrong.any():
            raise NotFinite(f"{name} of {where} has {int(wrong.sum())} numbers that are not finite; go back "
                            "to an older checkpoint, with a lower lr or a stronger penalty")  # fmt: skip


def compare(tensors, run, step, path):
    """Raise unless names, shapes and dtypes are those of the run."""
    networks, optimizers = players(run)
    wanted = flat({name: network.state_dict() for name, network in networks.items()})
    for part, optimizer in optimizers.items():
        parameters, slots = optimizer.param_groups[0]["params"], _slots(optimizer)
        # a parameter that never had a gradient has no moments
        given = {k for k in range(len(parameters)) if any(name.startswith(f"{part}.{k}.") for name in tensors)}
        for k in given or range(len(parameters) if step else 0):
            wanted |= {f"{part}.{k}.{slot}": parameters[k] if t.ndim else t for slot, t in slots.items()}
    for name in sorted({*tensors, *wanted}):
        if name not in wanted or name not in tensors:
            raise CheckpointError(f"{path} {'lacks' if name in wanted else 'has an unknown'} {name}")
        seen, own = tensors[name], wanted[name]
        if type(seen) is not torch.Tensor or seen.layout != torch.strided or seen.device.type != "cpu":
            raise CheckpointError(f"{name} of {path} is no plain tensor")
        if (seen.shape, seen.dtype) != (own.shape, own.dtype):
            raise CheckpointError(f"{name} of {path} is {tuple(seen.shape)} of {seen.dtype}, and this run has "
                                  f"{tuple(own.shape)} of {own.dtype}")  # fmt: skip


def _slots(optimizer):
    """What the optimiser keeps for a parameter, shown on a vector of zeros; a scalar stays one for every shape."""
    own = optimizer.param_groups[0]["params"][0]
    example = torch.zeros(1, dtype=own.dtype, requires_grad=True)
    example.grad = torch.zeros_like(example)
    twin = type(optimizer)([example], **optimizer.defaults)
    twin.step()
    return {slot: t for slot, t in twin.state[example].items() if t is not None}


def restore(run, step, tensors, rates):
    """Copy what was checked into the run."""
    networks, optimizers = players(run)
    for part, network in networks.items():
        network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
    for part, optimizer in optimizers.items():
        groups, slots = optimizer.state_dict()["param_groups"], _slots(optimizer)
        groups[0]["lr"] = rates[part]
        state = {k: {slot: tensors[f"{part}.{k}.{slot}"].clone() for slot in slots}
                 for k in groups[0]["params"] if all(f"{part}.{k}.{slot}" in tensors for slot in slots)}  # fmt: skip
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    run.step = step


def about(run):
    """What tells runs apart, in plain values: recipe, seed, and a few figures of the data."""
    rows = run.data[:: max(1, len(run.data) // 1000)].double()
    figures = [float(f"{x:.5g}") for x in (rows.abs().mean(), rows.square().mean())]
    seed = list(run.rng.seeds) if run.rng.stacked else run.rng.seeds[0]
    recipe = {name: _plain(value) for name, value in vars(run.recipe).items()}
    return {"recipe": recipe, "seed": seed, "data": [list(run.data.shape), figures]}


def _plain(value):
    """A value of a recipe as JSON has it; a function by its name, an objective by what it answers, too."""
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(weight) for name, weight in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "d_gain"):
        t = torch.tensor([-1.5, -0.2, 0.4, 2.0], dtype=torch.float64)
        return [value.name, *(float(f"{gain(t, t.flip(0) / 3):.5g}") for gain in (value.d_gain, value.g_gain))]
    if isinstance(value, functools.partial):
        return f"{_plain(value.func)}{value.args}{value.keywords}"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value.item() if hasattr(value, "item") else value


def as_json(content):
    """The bytes of a JSON file."""
    return json.dumps(content, indent=1).encode()


def differences(saved, mine):
    """Where the run of a manifest and this one differ, one phrase each."""
    saved, mine = ({**about["recipe"], "seed": about["seed"], "data": about["data"]} for about in (saved, mine))
    mine = json.loads(as_json(mine))
    if mine["schedule"] == "constant" and not mine["instance_noise"]:
        saved["steps"] = mine["steps"]  # nothing in the run depends on its length
    return [f"{name} is {saved.get(name)!r} there and {mine.get(name)!r} here"
            for name in sorted({*saved, *mine}) if saved.get(name) != mine.get(name)]  # fmt: skip
