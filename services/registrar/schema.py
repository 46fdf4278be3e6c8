"""Writes the OpenAPI document that Cog's own build would write for a model.

Run by the python of the model's environment, in the model's folder:
    python schema.py '{"predict": "run.py:Runner", "train": null}'
One JSON object goes to file descriptor 3, so that what the model prints stays apart from it:
    {"cogVersion", "schema", "concurrency", "isAsync"}  or  {"error": {"message", "file", "line", "missingModule"}}
Cog up to 0.16 has its own generator in Python, which is asked. Later ones derive the document in the Go CLI, from the
source (pkg/schema in replicate/cog at 6110c912); here the same rules are applied to the imported types.
"""

import ast
import dataclasses
import enum
import importlib.util
import inspect
import json
import os
import sys
import traceback
import typing

from mimeo_document import PREDICT, TRAIN, assemble
from mimeo_types import input_schema, output_schema, title


class Refused(Exception):
    """A mistake in the model, with the place where it can be mended."""

    def __init__(self, message, file=None, line=None, missing_module=None):
        super().__init__(message)
        self.place = {"message": message, "file": file, "line": line, "missingModule": missing_module}


def main():
    refs = json.loads(sys.argv[1])
    answer = os.fdopen(3, "w", encoding="utf-8")
    # As `python -m` does, so that the model's own modules are found and ours are not.
    sys.path[0] = os.getcwd()
    sys.argv = sys.argv[:1]
    try:
        result = derive(refs)
    except Refused as refused:
        result = {"error": refused.place}
    json.dump(result, answer)
    answer.close()
    # Threads that the model started at import must not keep this process.
    sys.stdout.flush()
    os._exit(1 if "error" in result else 0)


def derive(refs):
    explicit = Explicit()
    run = find_callable(refs["predict"], ("run", "predict"))
    if is_old_line() and run.is_method and run.name != "predict":
        raise run.refuse(f"cog {cog_version()} calls predict(), not run(); rename it or ask for a newer sdk_version")
    document = own_document() if is_old_line() else build_document(run, explicit, PREDICT)
    if refs["train"] and not is_old_line():
        trained = build_document(find_callable(refs["train"], ("train",)), explicit, TRAIN)
        document["paths"] = {**trained["paths"], **document["paths"]}
        schemas = document["components"]["schemas"]
        document["components"]["schemas"] = {**trained["components"]["schemas"], **schemas}
    return {
        "cogVersion": cog_version(),
        "schema": document,
        "concurrency": getattr(run.function, "__cog_concurrent_max__", None),
        "isAsync": inspect.iscoroutinefunction(run.function) or inspect.isasyncgenfunction(run.function),
    }


# --- Loading the model ---


@dataclasses.dataclass
class Callable:
    """The function that runs the model, and where it is written."""

    name: str
    function: typing.Any
    file: str
    is_method: bool

    def line(self, parameter=None):
        """The line of the function, or of one of its parameters ("return": of its result)."""
        try:
            source, first = inspect.getsourcelines(self.function)
            node = ast.parse("if True:\n" + "".join(source) if source[0][0].isspace() else "".join(source))
            first -= 2 if source[0][0].isspace() else 1
            function = next(n for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
        except (OSError, SyntaxError, StopIteration):
            return None
        spec = function.args
        found = {a.arg: a.lineno for a in [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]}
        for extra in (spec.vararg, spec.kwarg):
            if extra:
                found[extra.arg] = extra.lineno
        if function.returns:
            found["return"] = function.returns.lineno
        return first + found.get(parameter, function.lineno)

    def refuse(self, message, parameter=None):
        return Refused(message, self.file, self.line(parameter))


def find_callable(ref, method_names):
    file, name = ref.rsplit(":", 1)
    module = load_module(file)
    target = getattr(module, name, None)
    if target is None:
        known = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__]
        hint = f"; it has {', '.join(known)}" if known else ""
        raise Refused(f"{file} has no class or function called {name}{hint}", file)
    if not inspect.isclass(target):
        return Callable(name, inspect.unwrap(target), own_path(target, file), False)
    owners = {n: user_method_owner(target, n) for n in method_names}
    found = [n for n, owner in owners.items() if owner]
    line = class_line(file, name)
    if len(found) > 1:
        raise Refused(f"{name} defines both run() and predict(); keep run()", file, line)
    if not found:
        raise Refused(f"{name} has no {method_names[0]}() method; add one", file, line)
    function = inspect.unwrap(getattr(target, found[0]))
    return Callable(found[0], function, own_path(function, file), True)


def load_module(file):
    """Loads the file as Cog does: by its path, under its bare name."""
    if not os.path.isfile(file):
        raise Refused(f"there is no {file} in the folder; check the name in cog.yaml and .dockerignore", "cog.yaml")
    name = os.path.basename(file)[: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # a model may call sys.exit() at import
        raise import_refusal(error, file) from error
    return module


def import_refusal(error, file):
    """Reduces a traceback to the last line of the user's own code."""
    place, line = file, None
    for frame in traceback.extract_tb(error.__traceback__):
        own = own_name(frame.filename)
        if own:
            place, line = own, frame.lineno
    if isinstance(error, SyntaxError) and error.filename and own_name(error.filename):
        place, line = own_name(error.filename), error.lineno
    missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else None
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Refused(text, place, line, missing.split(".")[0] if missing else None)


def own_name(path):
    """The path inside the model's folder, or None for what is installed."""
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(os.getcwd()))
    return None if relative.startswith("..") or not os.path.isfile(relative) else relative


def own_path(function, default):
    try:
        return own_name(inspect.getsourcefile(function)) or default
    except TypeError:
        return default


def class_line(file, name):
    with open(file, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    return next((n.lineno for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name), None)


def user_method_owner(target, name):
    """The class of the user that defines the method; Cog's own base classes do not count."""
    for owner in inspect.getmro(target):
        if owner is object or owner.__module__.split(".")[0] == "cog":
            return None
        if callable(owner.__dict__.get(name)):
            return owner
    return None


class Explicit:
    """Notes, before the model is imported, what Cog's runtime forgets and its build reads from the source."""

    def __init__(self):
        import cog

        self.defaults, self.streaming, self.kept = set(), set(), []
        if is_old_line():
            return
        make_input = cog.Input

        def noting_input(*args, **kwargs):
            info = make_input(*args, **kwargs)
            if args or "default" in kwargs:
                self.kept.append(info)  # an id is only good while its object lives
                self.defaults.add(id(info))
            return info

        cog.Input = noting_input
        if hasattr(cog, "streaming"):
            cog.streaming = self.noting_streaming

    def noting_streaming(self, function=None):
        def note(inner):
            self.streaming.add(inspect.unwrap(inner))
            return inner

        return note if function is None else note(function)


def is_old_line():
    """Whether this is the pure-Python line of Cog (0.16 and before), which generates its document itself."""
    return importlib.util.find_spec("coglet") is None


def cog_version():
    from importlib.metadata import version

    return version("cog")


def own_document():
    from cog.command.openapi_schema import remove_title_next_to_ref
    from cog.config import Config
    from cog.server.http import create_app

    app = create_app(cog_config=Config(), shutdown_event=None, is_build=True)
    failed = app.state.setup_result
    if failed:
        lines = "".join(failed.logs).strip().splitlines()
        raise Refused(lines[-1] if lines else "Cog could not load the model")
    return remove_title_next_to_ref(app.openapi())


# --- Inputs and output ---


def build_document(run, explicit, kind):
    signature = inspect.signature(run.function)
    try:
        hints = typing.get_type_hints(run.function, include_extras=True)
    except Exception as error:
        raise run.refuse(f"the annotations of {run.name}() cannot be resolved: {error}") from error
    properties, required, enums = {}, [], {}
    for order, parameter in enumerate(list(signature.parameters.values())[1 if run.is_method else 0 :]):
        prop, needed, choices = describe_input(run, parameter, hints, explicit)
        properties[parameter.name] = {**prop, "x-order": order}
        if needed:
            required.append(parameter.name)
        if choices:
            enums[parameter.name] = choices
    inputs = {"title": kind["input"], "type": "object", "properties": properties}
    if required:
        inputs["required"] = required
    output = describe_output(run, hints)
    streaming = kind is PREDICT and run.function in explicit.streaming
    if streaming and output.get("x-cog-array-type") != "iterator":
        raise run.refuse("@cog.streaming needs an Iterator[...] or ConcatenateIterator[str] as result", "return")
    return assemble(kind, cog_version(), inputs, output, enums, streaming)


def describe_output(run, hints):
    if hints.get("return") in (None, type(None)):
        raise run.refuse(f"{run.name}() has no return type; say what it returns, as in `-> str`", "return")
    try:
        return {"title": "Output", **output_schema(hints["return"])}
    except ValueError as error:
        raise run.refuse(str(error), "return") from error


def describe_input(run, parameter, hints, explicit):
    """The property of one parameter, whether it is required, and its enum where it has choices."""
    name, default = parameter.name, parameter.default
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise run.refuse(f"{run.name}() must not have *{name}; name each input", name)
    if name not in hints:
        raise run.refuse(f"input {name} has no type; give it one, as in `{name}: str`", name)
    try:
        schema = input_schema(hints[name])
    except ValueError as error:
        raise run.refuse(f"input {name}: {error}", name) from error

    info = default if type(default).__name__ == "FieldInfo" else None
    given = default is not parameter.empty and (info is None or id(info) in explicit.defaults)
    value = plain(info.default if info else default) if given else None
    nullable = schema.get("nullable", False) or (schema.get("x-cog-secret", False) and given and value is None)
    # None as the default of what may not be null stands for "none": such an input is required.
    given = given and (value is not None or nullable)
    choices = [plain(c) for c in getattr(info, "choices", None) or []]
    if choices:
        prop = {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
        kind = schema.get("type", "string")
        choices = {"title": name, "description": "An enumeration.", "enum": choices, "type": kind}
    else:
        prop = {"title": title(name), **schema}
    if nullable:
        prop["nullable"] = True
    if given:
        prop["default"] = jsonable(run, name, value)
    for attribute, keyword in INPUT_KEYWORDS.items():
        limit = getattr(info, attribute, None)
        if limit is not None and limit is not False:
            prop[keyword] = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    return prop, not given and not nullable, choices


INPUT_KEYWORDS = {
    "description": "description",
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "deprecated": "deprecated",
    "accept": "x-cog-accept",
}


def plain(value):
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, tuple)):
        return list(value)
    return str(value) if isinstance(value, os.PathLike) else value


def jsonable(run, name, value):
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        message = f"the default of input {name} cannot be written as JSON; use a plain value"
        raise run.refuse(message, name) from error


if __name__ == "__main__":
    main()
