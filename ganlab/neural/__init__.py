"""The laboratory: networks that train. It needs torch, which the numpy half of ganlab does without."""

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError("ganlab.neural needs torch: pip install 'ganlab[torch]'", name="torch") from None
