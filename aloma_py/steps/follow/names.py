"""Which functions of Python are known to leave their arguments as they are, and which methods change their object."""

from __future__ import annotations

from typing import Final

NEVER: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("exec", "eval", "compile", "globals", "locals", "vars", "breakpoint")),
        *("builtins.__import__", "sys._getframe", "sys._current_frames", "random.Random.shuffle"),
    }
)
"""Functions that can reach everything, or change what they are given."""

NEVER_MODULES: Final = ("inspect.", "gc.", "ctypes.")

_READING_BUILTINS: Final = (
    "abs all any ascii bin bool bytearray bytes callable chr complex divmod float format hash hex id int isinstance "
    "issubclass len object oct ord pow print range repr round slice str type"
)
_READING_MODULES: Final = (
    "anyio.sleep asyncio.sleep asyncio.tasks.sleep base64 binascii bisect.bisect builtins.bytes. builtins.float. "
    "builtins.int. builtins.str. calendar cmath copy.deepcopy datetime decimal email.utils fractions hashlib hmac html "
    "ipaddress json logging math numbers os.path posixpath random.Random.rand random.Random.uniform re secrets.token "
    "statistics.fmean statistics.mean statistics.median statistics.stdev string textwrap time unicodedata "
    "urllib.parse uuid warnings zlib zoneinfo"
)
READING: Final = frozenset(f"builtins.{name}" for name in _READING_BUILTINS.split())
READING_PREFIXES: Final = tuple(_READING_MODULES.split())
"""They read their arguments, and give something new that holds nothing of them."""

_HOLDING_BUILTINS: Final = (
    "aiter anext dict enumerate filter frozenset iter list map max min next reversed set sorted sum tuple zip"
)
_CHOOSING: Final = "aiter anext map max min next sum"
_COLLECTIONS: Final = "Counter OrderedDict defaultdict deque"
_HOLDING_OTHERS: Final = (
    "collections.Counter collections.OrderedDict collections.defaultdict collections.deque copy.copy functools.reduce "
    "heapq.merge heapq.nlargest heapq.nsmallest types.SimpleNamespace random.Random.choice random.Random.choices "
    "random.Random.sample statistics.mode difflib.get_close_matches asyncio.gather asyncio.wait_for "
    "asyncio.create_task asyncio.as_completed asyncio.tasks.gather asyncio.tasks.wait_for asyncio.tasks.create_task "
    "asyncio.tasks.as_completed"
)
HOLDING: Final = frozenset({*(f"builtins.{name}" for name in _HOLDING_BUILTINS.split()), *_HOLDING_OTHERS.split()})
CONTAINERS: Final = frozenset(
    {f"builtins.{name}" for name in _HOLDING_BUILTINS.split()} - {f"builtins.{n}" for n in _CHOOSING.split()}
    | {f"collections.{name}" for name in _COLLECTIONS.split()}
)
"""Of these, the ones that always give a new container, and never an element itself."""

HOLDING_PREFIXES: Final = ("itertools.",)
"""They read their arguments, and give something new that holds what is in them, or an element of them."""

CALLING: Final = frozenset(
    {f"builtins.{name}" for name in ("filter", "map", "max", "min", "sorted")}
    | {"functools.reduce", "heapq.nlargest", "heapq.nsmallest", "heapq.merge", "re.sub", "re.subn"}
)
"""Of these, the ones that call a function they are given with what is in their other arguments."""

CALLS_FIRST: Final = frozenset(
    {"builtins.map", "builtins.filter", "functools.reduce"}
    | {f"itertools.{name}" for name in ("starmap", "takewhile", "dropwhile", "filterfalse")}
)
CALLS_SECOND: Final = frozenset({"itertools.groupby", "itertools.accumulate"})
"""Where the function stands that they call with what is in their other arguments."""

ATTRIBUTES: Final = frozenset(f"builtins.{name}" for name in ("getattr", "hasattr", "setattr", "delattr"))

READERS: Final = frozenset(
    {name for kind in (str, int, float) for name in vars(kind) if not name.startswith("_")} | {"count", "index", "keys"}
)
"""Methods of JSON values that read them and give nothing of what is in them."""

VIEWS: Final = frozenset({"copy", "items", "values"})
"""Methods that read, and give what is in the object in a new container."""

CHANGERS: Final = frozenset({"append", "clear", "extend", "insert", "popitem", "remove", "reverse", "sort"})
"""Methods that change the whole object, as far as one can tell. ``get pop setdefault update`` may name a member."""

FIXED_TYPES: Final = (str, bytes, int, float, tuple, frozenset)
CONTAINER_READERS: Final = READERS | VIEWS | {
    "get", "isdisjoint", "issubset", "issuperset", "union", "intersection", "difference", "symmetric_difference",
}  # fmt: skip
"""Methods of a container outside the step that do not keep what they are given."""


def reads_only(name: str) -> bool:
    """Whether the function of that full name reads its arguments and gives nothing of them back."""
    return name in READING or _begins(name, READING_PREFIXES)


def holds_arguments(name: str) -> bool:
    """Whether the function of that full name reads its arguments and gives something made of them."""
    return name in HOLDING or _begins(name, HOLDING_PREFIXES)


def is_forbidden(name: str) -> bool:
    """Whether nothing is known any more after a call of it."""
    return name in NEVER or name.startswith(NEVER_MODULES)


def _begins(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether the name is one of the modules, below one, or below a prefix that ends in a dot or a part of a name."""
    for prefix in prefixes:
        if name == prefix or name.startswith(prefix if prefix.endswith(".") else f"{prefix}."):
            return True
        if "." in prefix and name.startswith(prefix):
            return True
    return False
