"""JSON schemas of Python types, by the rules of Cog's build (pkg/schema in replicate/cog at 6110c912).

Whatever cannot be expressed is a ValueError that says so.
"""

import collections.abc
import dataclasses
import os
import sys
import types
import typing

ANY = {"type": "object"}
KNOWN = "str, int, float, bool, cog.Path, cog.File, cog.Secret, dict, list[...] and Optional[...] of these"


def primitive(tpe):
    import cog

    if tpe is typing.Any:
        return dict(ANY)
    names = {bool: "boolean", float: "number", int: "integer", str: "string"}
    if tpe in names:
        return {"type": names[tpe]}
    if not isinstance(tpe, type):
        return None
    if issubclass(tpe, cog.Secret):
        return {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}
    if issubclass(tpe, (cog.File, os.PathLike)):
        return {"type": "string", "format": "uri"}
    return None


def is_dict(tpe):
    return tpe is dict or typing.get_origin(tpe) is dict or is_typed_dict(tpe)


def is_typed_dict(tpe):
    return isinstance(tpe, type) and issubclass(tpe, dict) and hasattr(tpe, "__total__")


def is_union(tpe):
    return typing.get_origin(tpe) in (typing.Union, types.UnionType)


def split_optional(tpe):
    """The members of a union without None, and whether None was one of them."""
    if not is_union(tpe):
        return [tpe], False
    args = typing.get_args(tpe)
    members = [a for a in args if a is not type(None)]
    return members, len(members) < len(args)


def strip_annotated(tpe):
    """Annotated[X, ...] is X; with cog.Opaque among the rest it is any JSON object, or a list of them."""
    if typing.get_origin(tpe) is not typing.Annotated:
        return tpe
    inner, *rest = typing.get_args(tpe)
    if not any(type(r).__name__ == "_OpaqueMarker" for r in rest):
        return strip_annotated(inner)
    members, optional = split_optional(inner)
    opaque = list[typing.Any] if members[0] is list or typing.get_origin(members[0]) is list else typing.Any
    return typing.Optional[opaque] if optional else opaque


def input_schema(tpe):
    tpe = strip_annotated(tpe)
    members, nullable = split_optional(tpe)
    if len(members) == 1:
        schema = single_input(strip_annotated(members[0]))
    else:
        variants = [single_input(strip_annotated(m)) for m in members]
        if any(v.get("format") or v.get("items", {}).get("format") for v in variants):
            raise ValueError("Path, File and Secret cannot be part of a union")
        schema = {"anyOf": [{**v, "nullable": True} if nullable else v for v in variants]}
    return {**schema, "nullable": True} if nullable else schema


def single_input(tpe):
    if tpe is list or is_dict(tpe):
        return {"type": "array", "items": dict(ANY)} if tpe is list else dict(ANY)
    if typing.get_origin(tpe) is list:
        element = strip_annotated(typing.get_args(tpe)[0])
        if is_union(element) or typing.get_origin(element) is list:
            raise ValueError(f"{type_name(tpe)} is nested; Cog's lists hold plain values")
        return {"type": "array", "items": single_input(element)}
    found = primitive(tpe)
    if found is None:
        raise ValueError(f"Cog cannot take {type_name(tpe)} as an input; it knows {KNOWN}")
    return found


def output_schema(tpe, seen=()):
    tpe = strip_annotated(tpe)
    origin, args = typing.get_origin(tpe), typing.get_args(tpe)
    if is_union(tpe):
        optional = split_optional(tpe)[1]
        kind = "Optional" if optional else "a union"
        raise ValueError(f"Cog cannot return {kind}; return a BaseModel with optional fields instead")
    if tpe is list or origin is list:
        return {"type": "array", "items": output_schema(args[0], seen) if args else dict(ANY)}
    if origin is dict and len(args) == 2:
        return {"type": "object", "additionalProperties": output_schema(args[1], seen)}
    if origin in (collections.abc.Iterator, collections.abc.AsyncIterator) and len(args) == 1:
        return {"type": "array", "items": output_schema(args[0], seen), "x-cog-array-type": "iterator"}
    name = getattr(origin or tpe, "__name__", "")
    if name in ("ConcatenateIterator", "AsyncConcatenateIterator"):
        if args != (str,):
            raise ValueError(f"{name} must be of str")
        shape = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}
        return {**shape, "x-cog-array-display": "concatenate"}
    fields = model_fields(tpe)
    if fields is not None:
        return dict(ANY) if tpe in seen else object_schema(fields, (*seen, tpe))
    found = dict(ANY) if is_dict(tpe) else primitive(tpe)
    if found is None:
        hint = "a BaseModel, an Iterator[...] or a ConcatenateIterator[str]"
        raise ValueError(f"Cog cannot return {type_name(tpe)}; it knows {KNOWN}, {hint}")
    return found


def object_schema(fields, seen):
    properties, required = {}, []
    for name, (tpe, needed) in fields.items():
        members, nullable = split_optional(strip_annotated(tpe))
        if len(members) > 1:
            raise ValueError(f"field {name} is a union; Cog's fields have one type, or Optional of one")
        properties[name] = {**output_schema(members[0], seen), "title": title(name)}
        if nullable:
            properties[name]["nullable"] = True
        if needed and not nullable:
            required.append(name)
    schema = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def model_fields(tpe):
    """{name: (type, whether it must be there)} of a BaseModel (Cog's or pydantic's) or a TypedDict, else None."""
    import cog

    if not isinstance(tpe, type):
        return None
    if is_typed_dict(tpe):
        return {n: (t, n in tpe.__required_keys__) for n, t in typing.get_type_hints(tpe).items()}
    hints = typing.get_type_hints(tpe, include_extras=True) if tpe.__module__ != "builtins" else {}
    if issubclass(tpe, cog.BaseModel) and dataclasses.is_dataclass(tpe):
        missing = dataclasses.MISSING
        fields = dataclasses.fields(tpe)
        return {f.name: (hints[f.name], f.default is missing and f.default_factory is missing) for f in fields}
    pydantic = sys.modules.get("pydantic")
    if pydantic and issubclass(tpe, pydantic.BaseModel) and hasattr(tpe, "model_fields"):
        return {n: (hints.get(n, f.annotation), f.is_required()) for n, f in tpe.model_fields.items()}
    return None


def type_name(tpe):
    return tpe.__name__ if isinstance(tpe, type) and not typing.get_args(tpe) else str(tpe)


def title(name):
    return " ".join(part[:1].upper() + part[1:] for part in name.split("_"))
