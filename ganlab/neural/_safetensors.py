"""The safetensors format for arrays: a length, a JSON table, then plain numbers, and nothing that could be run.

Eight bytes say how long the table is (little-endian); the table has for every name a type, a shape and where its
numbers begin and end after it. Whoever reads compares all of this with the bytes that are there before he believes it.
"""

import json
import math

import numpy as np

from ganlab.checks import InputError

TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}
MOST_TABLE = 2**20  # bytes; that of a network with a thousand tensors takes a tenth of it


def pack(arrays):
    """Return the bytes of a safetensors file: little-endian, the widest numbers first, so that all stand aligned."""
    table, parts, at = {}, [], 0
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        kind = NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise InputError(f"{name} must be of one of the types {', '.join(TYPES)}, got {array.dtype}")
        part = array.astype(TYPES[kind]).tobytes()
        table[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(part)]}
        parts, at = [*parts, part], at + len(part)
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def unpack(data, name="data"):
    """Return the arrays in the bytes of a safetensors file, by name, each a copy.

    Raises
    ------
    InputError
        If the bytes are cut short, say more than they hold, leave holes, overlap, or use a type that is not known here.
    """
    size = int.from_bytes(data[:8], "little")
    try:
        if len(data) < 8 or not 0 < size <= min(len(data) - 8, MOST_TABLE):
            raise ValueError(f"its table would have {size} bytes, and {max(0, len(data) - 8)} are there")
        table, values = json.loads(data[8 : 8 + size], object_pairs_hook=_once), data[8 + size :]
        table.pop("__metadata__", None)
        answer, at = {}, 0
        for key, entry in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
            answer[key], at = _array(key, entry, values, at)
        if at != len(values):
            raise ValueError(f"{len(values) - at} bytes belong to no tensor")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{name} is no safetensors file: {error}") from None
    return answer


def _once(pairs):
    names = [key for key, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name comes twice in its table")
    return dict(pairs)


def _array(key, entry, values, at):
    """One tensor, which must begin where the last one ended and be exactly as long as its shape says."""
    kind, shape, (begin, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"sizes and places of {key} must be whole numbers")
    # Python's own whole numbers: those of numpy would overflow, and a giant could pass for a dwarf
    wanted = math.prod(shape) * np.dtype(kind).itemsize
    if begin != at or end - begin != wanted or end > len(values):
        raise ValueError(
            f"{key} of shape {shape} takes {wanted} bytes from {at} on, not {begin} to {end} of {len(values)}"
        )
    return np.frombuffer(values[begin:end], kind).reshape(shape).copy(), end
