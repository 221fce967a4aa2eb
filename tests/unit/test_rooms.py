"""The plan of the house: no circle, no hall, every room says what it is."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import myia_sdk

PACKAGE = Path(myia_sdk.__file__).parent
#: A family of checks is a module of its own, however many there are.
WITHOUT_LIMIT = {"certification/checks"}
MOST_MODULES = 12


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}
ROOMS = sorted(
    path.parent.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("__init__.py")
    if path.parent != PACKAGE
)


def imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it, for types only too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for item in node.names:
                whole = f"{node.module}.{item.name}"
                yield whole if whole in MODULES else str(node.module)


def room_of(module: str) -> str:
    room = module.rpartition(".")[0]
    is_room = MODULES[module].name == "__init__.py" or room == "myia_sdk"
    return module if is_room else room


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_through_others():
    graph = {name: set(imports(path)) - {name} for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > len(MODULES), "the walk saw no imports"
    assert circle(graph) == []


def test_no_room_imports_itself_through_others():
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        # The package's own names are handed out lazily, from every room.
        if name == "myia_sdk":
            continue
        room = graph.setdefault(room_of(name), set())
        room |= {room_of(found) for found in imports(path)} - {room_of(name)}
    assert circle(graph) == []


def test_a_circle_would_be_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_no_hall(room: str):
    modules = [path.name for path in (PACKAGE / room).glob("[!_]*.py")]
    assert room in WITHOUT_LIMIT or len(modules) <= MOST_MODULES, modules


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_lives_there(room: str):
    text = (PACKAGE / room / "__init__.py").read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{room}/__init__.py has no docstring"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_says_its_role(name: str):
    document = ast.get_docstring(ast.parse(MODULES[name].read_text("utf-8")))
    assert document, name
    assert document.partition("\n")[0].endswith((".", ":")), name


def test_only_the_ground_and_the_facade_stand_outside_the_rooms():
    assert {path.stem for path in PACKAGE.glob("[!_]*.py")} == {
        *("arguments", "colors", "errors", "facade"),
    }


@pytest.mark.parametrize("room", ROOMS)
def test_the_readme_names_every_room(room: str):
    readme = (PACKAGE.parent / "README.md").read_text("utf-8")
    assert f"`{room.rpartition('/')[2]}`" in readme, room
