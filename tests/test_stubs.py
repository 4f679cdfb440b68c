"""The stubs of the compiled modules have what these have."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import arraycodec


def names_of(body):
    """Names and, of functions, their parameters."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            found[node.name] = [p for p in parameters if p != "self"]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = names_of(node.body)
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = None
    return found


def compare(stub, real, where):
    public = {name for name in vars(real) if not name.startswith("_")} if inspect.isclass(real) else None
    for name, parameters in stub.items():
        item = getattr(real, name)
        if isinstance(parameters, dict):
            compare(parameters, item, f"{where}.{name}")
        elif parameters is not None and name not in ("__init__", "__new__"):
            try:
                signature = [p for p in inspect.signature(item).parameters if p != "self"]
            except (TypeError, ValueError):  # a property, or a method without a signature
                continue
            assert signature == parameters, f"{where}.{name}"
    if public is not None:
        assert public <= set(stub), f"{where} lacks {public - set(stub)}"


@pytest.mark.parametrize("name", ["_core", "_coders"])
def test_stubs(name):
    module = import_module(f"arraycodec.{name}")
    stub = names_of(ast.parse((Path(arraycodec.__file__).parent / f"{name}.pyi").read_text()).body)
    compare(stub, module, name)
    functions = {n for n, item in vars(module).items() if type(item).__name__ == "cython_function_or_method"}
    assert {n for n in functions if not n.startswith("_")} <= set(stub)
