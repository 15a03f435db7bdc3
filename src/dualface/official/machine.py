"""Pickles, read as data.

A pickle is a program: Python's own reader imports what it names and calls it. This one carries out the instructions
that lay out data, and takes the names in it for words: of tensors, storages and ordered dicts it knows what they
stand for, a network module's class is kept as a label of the module's state, and all else is refused by name. It
imports nothing, calls nothing and makes no tensor. `pickletools`, which decodes the instructions, executes none.

Why not torch's reader for weights only: it reads no whole modules, and it makes tensors and byte arrays of any size
that a file of 100 bytes asks for. Why no subclass of `pickle.Unpickler`: a deeply nested key ends the process.
"""

import pickletools
from collections.abc import Iterable
from typing import IO, Any, TypeVar

from dualface.errors import CheckpointError
from dualface.official.records import STORAGES, Module, Name, Storage, View, storage_of, view_of

MOST_STEPS = 2_000_000  # instructions in a file; FaceForensics++'s Xception takes about 30,000

TENSORS = {Name("torch._utils", "_rebuild_tensor"), Name("torch._utils", "_rebuild_tensor_v2")}
PARAMETERS = {
    Name("torch._utils", "_rebuild_parameter"),
    Name("torch._utils", "_rebuild_parameter_with_state"),
    Name("torch.nn.parameter", "Parameter"),
}
ORDERED = {Name("collections", "OrderedDict")}
PLAIN = {Name("builtins", "set"), Name("__builtin__", "set"), Name("torch", "Size")}
# Figures of a training, devices, and what torch before 1.2 kept in each module: nobody needs their values.
UNREAD = {
    Name("torch", "device"),
    Name("torch.nn.backends.thnn", "_get_thnn_function_backend"),
    Name("collections", "Counter"),
    Name("numpy", "dtype"),
    Name("numpy", "ndarray"),
    Name("numpy.core.multiarray", "_reconstruct"),
    Name("numpy._core.multiarray", "_reconstruct"),
    Name("numpy.core.multiarray", "scalar"),
    Name("numpy._core.multiarray", "scalar"),
    Name("_codecs", "encode"),
    *(Name("torch", str(dtype).removeprefix("torch.")) for dtype in STORAGES.values()),
}
KNOWN = {*STORAGES, *TENSORS, *PARAMETERS, *ORDERED, *PLAIN, *UNREAD}
PARTS = ("_parameters", "_buffers", "_modules")  # of the state of any network module
T = TypeVar("T")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Machine:
    """Reads the pickles of one file.

    Attributes:
        storages: all that the file named, by key.
    """

    def __init__(self) -> None:
        """Start with nothing read."""
        self.storages: dict[str, Storage] = {}
        self._left = MOST_STEPS

    def run(self, stream: IO[bytes]) -> object:
        """Read one pickle, and leave the stream behind its end.

        Returns:
            dicts (with their keys as text), lists, tuples, numbers, text and bytes; `View` for a tensor, `Module`
            for a network module, None for what nobody needs.

        Raises:
            CheckpointError: it names something else, or asks for what no file of tensors needs.
            ValueError, TypeError, IndexError, KeyError: it is damaged.
        """
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._names: set[Name] = set()
        self._classes: set[Name] = set()
        for opcode, argument, _ in pickletools.genops(stream):
            self._spend(1)
            self._step(opcode.name, argument)
        strange = self._names - KNOWN - self._classes
        if strange:
            raise _refused(min(strange, key=str))
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise CheckpointError(f"its pickle has more than {MOST_STEPS:,} instructions")

    def _step(self, opcode: str, argument: Any) -> None:  # noqa: PLR0912  (one case for each instruction)
        push = self._stack.append
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                push(CONSTANTS[opcode])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                push(argument)
            case "BINSTRING" | "SHORT_BINSTRING" | "BINBYTES" | "SHORT_BINBYTES":
                push(argument)
            case "EMPTY_TUPLE":
                push(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(self._pop(int(opcode[-1]))))
            case "MARK":
                self._marks.append(len(self._stack))
            case "TUPLE":
                push(tuple(self._since_mark()))
            case "EMPTY_LIST" | "EMPTY_SET":
                push([])
            case "APPEND" | "APPENDS" | "ADDITEMS":
                items = self._pop(1) if opcode == "APPEND" else self._since_mark()
                _a(list, self._stack[-1]).extend(items)
            case "EMPTY_DICT":
                push({})
            case "SETITEM" | "SETITEMS":
                items = self._pop(2) if opcode == "SETITEM" else self._since_mark()
                _fill(_a(dict, self._stack[-1]), zip(items[::2], items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._stack[-1]
            case "BINGET" | "LONG_BINGET":
                push(self._memo[argument])
            case _:
                self._risky_step(opcode, argument)

    def _risky_step(self, opcode: str, argument: Any) -> None:
        """Carry out the instructions by which other readers get to run code."""
        push = self._stack.append
        match opcode:
            case "GLOBAL":
                push(self._name(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                push(self._name(*self._pop(2)))
            case "BINPERSID":
                push(self._persistent(*_a(tuple, self._stack.pop())))
            case "REDUCE":
                name, arguments = self._pop(2)
                push(self._stands_for(_a(Name, name), _a(tuple, arguments)))
            case "NEWOBJ":
                name, arguments = self._pop(2)
                if _a(Name, name) in KNOWN or arguments:
                    raise _refused(name)
                push(Module(name))
            case "BUILD":
                state = self._stack.pop()
                self._keep(self._stack[-1], state)
            case _:
                raise CheckpointError(f"its pickle uses the instruction {opcode}, which no file of tensors needs")

    def _pop(self, count: int) -> list[Any]:
        taken = self._stack[-count:]
        if len(taken) < count:
            raise IndexError("the stack is empty")
        del self._stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        taken = self._stack[mark:]
        del self._stack[mark:]
        return taken

    def _name(self, module: object, name: object) -> Name:
        found = Name(_a(str, module), _a(str, name))
        self._names.add(found)
        return found

    def _persistent(self, kind: object, *facts: Any) -> Name | Storage:
        if kind == "module":  # before torch 1.6: a module's class, its source file and its source
            return _a(Name, facts[0])
        if kind != "storage" or len(facts) not in (4, 5):
            raise CheckpointError("its pickle refers to something outside that is no storage")
        name, key, _device, count, *view = facts
        storage = storage_of(name, key, count, view[0] if view else None)
        known = self.storages.setdefault(key, storage)
        if (known.dtype, known.count) != (storage.dtype, storage.count):
            raise CheckpointError("a storage in it has two sizes or two kinds of numbers")
        return storage

    def _stands_for(self, name: Name, arguments: tuple[Any, ...]) -> object:
        """Return what a call would give; nothing is called."""
        if name in TENSORS:
            return view_of(*arguments[:4])
        if name in PARAMETERS:
            return _a(View, arguments[0])
        if name in PLAIN:
            return arguments[0] if arguments else []
        if name in ORDERED:
            pairs = _a(list, arguments[0]) if arguments else []  # Python 2 gave them at once
            self._spend(len(pairs))
            ordered: dict[str, Any] = {}
            _fill(ordered, pairs)
            return ordered
        if name in UNREAD:
            return None
        raise _refused(name)

    def _keep(self, thing: object, state: Any) -> None:
        """Keep a module's state; what tensors, dicts and unread values carry besides is nobody's concern."""
        if type(thing) is Module:
            if type(state) is not dict or not all(type(state.get(part)) is dict for part in PARTS):
                raise _refused(thing.name)
            thing.state = state
            self._classes.add(thing.name)
        elif type(thing) not in (View, dict, type(None)):
            raise TypeError("state for something that can't have one")


def _refused(name: Name) -> CheckpointError:
    return CheckpointError(f"refused: its pickle asks for {name}, and only tensors and network modules are read")


def _a(kind: type[T], thing: object) -> T:
    if type(thing) is not kind:
        raise TypeError(f"{type(thing).__name__} where {kind.__name__} was to be")
    return thing


def _fill(target: dict[str, Any], pairs: Iterable[Any]) -> None:
    """Set entries. A key becomes text: numbers could be chosen so that a dict of them takes forever."""
    for key, value in pairs:
        if type(key) not in (str, int, float, bool, type(None)):
            raise TypeError("a key that is neither text nor a number")
        target[str(key)] = value
