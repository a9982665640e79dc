"""Where the files of MNIST and Fashion-MNIST are, what they must be, and how they are fetched when asked."""

import http.client
import urllib.request
from hashlib import sha256

from ganlab._files import put
from ganlab._idx import is_page, load, path_of
from ganlab.checks import InputError, choose

__all__ = ["files", "find"]

SPLITS = {"train": "train", "test": "t10k"}
TITLES = {False: "MNIST", True: "Fashion-MNIST"}
# MNIST's own server has refused downloads for years; these are the mirrors of PyTorch, Google and Zalando.
MIRRORS = {
    False: ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    True: (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    ),
}
# fmt: off
# (fashion, name): the packed size, the SHA-256 of the packed file and that of the unpacked one.
PUBLISHED = {
    (False, "train-images-idx3-ubyte"): (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                                         "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    (False, "train-labels-idx1-ubyte"): (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                                         "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    (False, "t10k-images-idx3-ubyte"): (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                                        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    (False, "t10k-labels-idx1-ubyte"): (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                                        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    (True, "train-images-idx3-ubyte"): (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                                        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    (True, "train-labels-idx1-ubyte"): (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                                        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    (True, "t10k-images-idx3-ubyte"): (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                                       "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    (True, "t10k-labels-idx1-ubyte"): (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                                       "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}
# fmt: on


def files(folder, fashion, split, download, check):
    """The arrays of pictures and labels of one split, found in `folder` or fetched into it."""
    folder = path_of("folder", folder)
    if folder.is_file():
        raise InputError(f"folder must be a folder, but {folder} is a file: take the folder that it lies in")
    start = choose("split", split, SPLITS)
    names = [f"{start}-images-idx3-ubyte", f"{start}-labels-idx1-ubyte"]
    missing = [name for name in names if find(folder, name, fashion) is None]
    if missing and not download:
        raise InputError(f"{TITLES[fashion]} is not in {folder}: {_how_to(folder, missing, fashion)}, "
                         "or pass download=True")  # fmt: skip
    for name in missing:
        _fetch(folder, name, fashion)
    return [_verified(find(folder, name, fashion), name, fashion, check) for name in names]


def find(folder, name, fashion):
    """The file, packed or not, also where torchvision puts it; None if there is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> find(Path("no-such-folder"), "train-images-idx3-ubyte", False)
    """
    dotted = name.replace("-idx", ".idx")  # as in the copies on Kaggle
    inner = folder / TITLES[fashion].replace("-", "") / "raw"
    places = [place / f"{word}{end}" for place in (folder, inner) for word in (name, dotted) for end in ("", ".gz")]
    return next((place for place in places if place.is_file()), None)


def _how_to(folder, names, fashion):
    packed = " and ".join(f"{name}.gz" for name in names)
    return f"get {packed} from {MIRRORS[fashion][0]} (or take them from any copy) and put them into {folder}"


def _verified(path, name, fashion, check):
    array, seen = load(path)
    if check and seen != PUBLISHED[fashion, name][2]:
        if seen == PUBLISHED[not fashion, name][2]:
            raise InputError(f"{path} belongs to {TITLES[not fashion]}: pass fashion={not fashion}")
        raise InputError(f"{path} is not the file that {TITLES[fashion]} published: its unpacked SHA-256 is {seen}, "
                         f"not {PUBLISHED[fashion, name][2]}. Delete it and get it again, or, if it is data of your "
                         "own in the same format, pass check=False")  # fmt: skip
    return array


def _fetch(folder, name, fashion):
    """Get the packed file from the first mirror that has it; nothing is kept that has another hash."""
    size, wanted, _ = PUBLISHED[fashion, name]
    reasons = []
    for mirror in MIRRORS[fashion]:
        try:
            with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=30) as answer:
                data = answer.read(size + 1)
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"{mirror}: {error}")
            continue
        if sha256(data).hexdigest() == wanted:
            return _write(folder / f"{name}.gz", data)
        what = "a web page" if is_page(data) else f"{len(data)} bytes with SHA-256 {sha256(data).hexdigest()}"
        reasons.append(f"{mirror}: sent {what}, not the {size} bytes with {wanted}")
    raise InputError(f"{TITLES[fashion]} could not be downloaded ({'; '.join(reasons)}); "
                     f"{_how_to(folder, [name], fashion)}")  # fmt: skip


def _write(path, data):
    """Put bytes into a file, and make its folder if there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}; free some space or choose another folder") from error
