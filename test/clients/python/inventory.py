"""The methods of the client, by introspection, and which of them were called. Import it before the first call."""

import inspect

import replicate
from replicate.model import Model
from replicate.prediction import Prediction
from replicate.resource import Namespace
from replicate.version import Versions

methods, called = set(), set()


def note(owner, name, path):
    original = inspect.getattr_static(owner, name)
    is_static = isinstance(original, staticmethod)
    function = original.__func__ if is_static else original

    def noted(*args, **kwargs):
        called.add(path)
        return function(*args, **kwargs)

    methods.add(path)
    setattr(owner, name, staticmethod(noted) if is_static else noted)


def is_method(attribute):
    return inspect.isfunction(attribute) or isinstance(attribute, staticmethod)


def look_at(kind, path):
    for name, attribute in list(vars(kind).items()):
        if not name.startswith("_") and is_method(attribute):
            note(kind, name, path + name)


def look_through(namespace, path):
    look_at(type(namespace), path)
    for name in dir(type(namespace)):
        if isinstance(getattr(namespace, name, None), Namespace):
            look_through(getattr(namespace, name), f"{path}{name}.")


def inventory():
    return {"methods": sorted(methods), "called": sorted(called)}


client = replicate.Client(api_token="none")
for each in list(vars(replicate.Client)):
    if not each.startswith("_") and isinstance(getattr(replicate.Client, each), property):
        look_through(getattr(client, each), f"{each}.")
look_at(replicate.Client, "")
look_at(Prediction, "Prediction.")
look_at(Model, "Model.")
look_at(Versions, "models.versions.")
# The module's functions are those of a client that was made before.
replicate.run = lambda *args, **kwargs: replicate.default_client.run(*args, **kwargs)
replicate.stream = lambda *args, **kwargs: replicate.default_client.stream(*args, **kwargs)
