"""What is inside an ONNX file, read without loading it.

onnxruntime can only load a model whole, and would open files that the model names.
So the file's few relevant fields are read here, from Protocol Buffers' wire format;
numbers and names of fields are those of ``onnx.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from myia_sdk.errors import ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Operators that onnxruntime has itself; others would need a library of code.
KNOWN_DOMAINS = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.training",
        "ai.onnx.preview.training",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    }
)

#: Operators that give a number and never a score of a class.
_REGRESSORS = frozenset({"LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor"})

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 30
_MAX_VARINT_BITS = 70

# Numbers of the fields, by message.
_MODEL_PRODUCER, _MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 2, 7, 8, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODE, _FUNCTION_DOMAIN = 7, 10
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_NAME = 1
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 8, 9
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


class _MalformedError(ValueError):
    """The bytes do not follow the wire format."""


@dataclass(slots=True)
class OnnxContent:
    """Facts about an ONNX file."""

    producer: str = ""
    #: Domains of the operators it uses.
    domains: set[str] = field(default_factory=set)
    #: Domains of the functions it defines itself, out of known operators.
    own_domains: set[str] = field(default_factory=set)
    #: Files outside that it wants to read.
    external: list[str] = field(default_factory=list)
    #: Class labels that a classifier's operator carries.
    labels: list[str] | list[int] = field(default_factory=list)
    #: Whether an operator says that it is one.
    is_regressor: bool = False
    has_graph: bool = False


def inspect_onnx(content: bytes) -> OnnxContent:
    """Read the facts.

    Raises
    ------
    ModelRejectedError
        The bytes are no ONNX file.
    """
    facts = OnnxContent()
    try:
        _read_model(memoryview(content), facts)
    except (_MalformedError, UnicodeDecodeError) as exc:
        raise ModelRejectedError(
            f"The model is not a readable ONNX file: {exc}."
        ) from exc
    if not facts.has_graph:
        raise ModelRejectedError("The model is not an ONNX file: it has no graph.")
    return facts


def require_self_contained(content: bytes) -> OnnxContent:
    """Refuse a file that reads other files or needs operators of a library.

    Raises
    ------
    ModelRejectedError
        It does.
    """
    facts = inspect_onnx(content)
    if facts.external:
        raise ModelRejectedError(
            "The ONNX model keeps its weights in other files "
            f"({', '.join(map(repr, facts.external[:3]))}), which are not read: a path "
            "in a model may lead anywhere. Save it as one file: onnx.save_model(model, "
            "path, save_as_external_data=False)."
        )
    foreign = sorted(facts.domains - KNOWN_DOMAINS - facts.own_domains)
    if foreign:
        raise ModelRejectedError(
            f"The ONNX model uses operators of the domains {', '.join(foreign)}, which "
            "need a library of code; only onnxruntime's own operators are accepted."
        )
    return facts


def _read_model(message: memoryview, facts: OnnxContent) -> None:
    for number, value in _fields(message):
        if number == _MODEL_PRODUCER:
            facts.producer = _text(value)
        elif number == _MODEL_GRAPH:
            facts.has_graph = True
            _read_graph(_message(value), facts, 0)
        elif number == _MODEL_OPSET:
            _read_opset(_message(value), facts)
        elif number == _MODEL_FUNCTION:
            _read_function(_message(value), facts)


def _read_opset(message: memoryview, facts: OnnxContent) -> None:
    domain = ""
    for number, value in _fields(message):
        if number == _OPSET_DOMAIN:
            domain = _text(value)
    facts.domains.add(domain)


def _read_function(message: memoryview, facts: OnnxContent) -> None:
    for number, value in _fields(message):
        if number == _FUNCTION_DOMAIN:
            facts.own_domains.add(_text(value))
        elif number == _FUNCTION_NODE:
            _read_node(_message(value), facts, 0)


def _read_graph(message: memoryview, facts: OnnxContent, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _MalformedError("graphs are nested too deeply")
    for number, value in _fields(message):
        if number == _GRAPH_NODE:
            _read_node(_message(value), facts, depth)
        elif number == _GRAPH_INITIALIZER:
            _read_tensor(_message(value), facts)
        elif number == _GRAPH_SPARSE:
            # A sparse tensor holds two tensors, its fields 1 and 2.
            for inner, tensor in _fields(_message(value)):
                if inner in {1, 2}:
                    _read_tensor(_message(tensor), facts)


def _read_node(message: memoryview, facts: OnnxContent, depth: int) -> None:
    for number, value in _fields(message):
        if number == _NODE_DOMAIN:
            facts.domains.add(_text(value))
        elif number == _NODE_OPERATOR:
            facts.is_regressor |= _text(value) in _REGRESSORS
        elif number == _NODE_ATTRIBUTE:
            _read_attribute(_message(value), facts, depth)


def _read_attribute(message: memoryview, facts: OnnxContent, depth: int) -> None:
    name, integers, strings = "", [], []
    for number, value in _fields(message):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number in _ATTRIBUTE_TENSORS:
            _read_tensor(_message(value), facts)
        elif number in _ATTRIBUTE_GRAPHS:
            _read_graph(_message(value), facts, depth + 1)
        elif number == _ATTRIBUTE_INTS:
            integers += _integers(value)
        elif number == _ATTRIBUTE_STRINGS:
            strings.append(value)
    if name.startswith("classlabels_"):
        facts.labels = integers or [_text(item) for item in strings]


def _read_tensor(message: memoryview, facts: OnnxContent) -> None:
    location, is_external = "", False
    for number, value in _fields(message):
        if number == _TENSOR_EXTERNAL:
            is_external = True
            entry = dict(_fields(_message(value)))
            if _text(entry.get(_ENTRY_KEY, memoryview(b""))) == "location":
                location = _text(entry.get(_ENTRY_VALUE, memoryview(b"")))
        elif number == _TENSOR_LOCATION:
            is_external = is_external or value == 1
    if is_external:
        facts.external.append(location)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise _MalformedError(f"a field has the unknown type {kind}")
        if position + size > end:
            raise _MalformedError("it ends in the middle of a field")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while position < len(message) and shift < _MAX_VARINT_BITS:
        byte = message[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return result, position
        shift += 7
    raise _MalformedError("it ends in the middle of a number")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _MalformedError("a number stands where an object should")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode("utf-8")


def _integers(value: int | memoryview) -> list[int]:
    if isinstance(value, int):
        return [_signed(value)]
    found, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        found.append(_signed(number))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
