"""moto's server, with a table whose writes are atomic among threads, as DynamoDB's are.

moto checks a condition and then writes, with other threads in between; it copies the whole table for each operation of a
transaction, and puts that copy back where one fails, together with whatever others have written meanwhile. For each
query it sorts all items of the table; here only those of the partition that is asked for are looked at. For each request
it looks for the service among hundreds, under one lock; here once for each host. It forms each value of an item in an
answer by the service's whole model, which takes most of the time of all; here the value as it is.
"""

import base64
import copy
import functools
import inspect
import sys
import threading

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

lock = threading.RLock()


def one_at_a_time(method):
    @functools.wraps(method)
    def locked(*args, **kwargs):
        with lock:
            return method(*args, **kwargs)

    return locked


def touched(backend, transact_items):
    """The items that a transaction names, as they are before it."""
    found = []
    for item in transact_items:
        kind, op = next(iter(item.items()))
        table = backend.get_table(op["TableName"])
        key = op["Item"] if kind == "Put" else op["Key"]
        hash_value, range_value = backend.get_keys_value(table, key)
        found.append((table, hash_value, range_value, copy.deepcopy(table.get_item(hash_value, range_value))))
    return found


def transact_write_items(write):
    @functools.wraps(write)
    def undoing(backend, transact_items):
        with lock:
            before = touched(backend, transact_items)
            streamed = [(table, len(table.stream_shard.items)) for table, *_ in before if table.stream_shard]
            try:
                return write(backend, transact_items)
            except Exception:
                for table, hash_value, range_value, item in before:
                    if item is not None:
                        table.items[hash_value][range_value] = item
                    else:
                        table.items[hash_value].pop(range_value, None)
                for table, length in streamed:
                    del table.stream_shard.items[length:]
                raise

    return undoing


def of_partition(query):
    """Has `all_items` give a query what lies in its partition."""
    signature = inspect.signature(query)

    @functools.wraps(query)
    def narrowed(table, *args, **kwargs):
        asked = signature.bind(table, *args, **kwargs).arguments
        if asked.get("index_name") is None:
            found = list(table.items.get(asked["hash_key"], {}).values())
        else:
            conditions = asked.get("hash_key_conditions") or []
            found = [
                item
                for items in list(table.items.values())
                for item in items.values()
                if all(name in item.attrs and item.attrs[name] == value for name, value in conditions)
            ]
        table.all_items = lambda: found
        try:
            return query(table, *args, **kwargs)
        finally:
            del table.all_items

    return narrowed


# What a failed transaction has done is undone above: there is no need for a copy of everything.
Table.__deepcopy__ = lambda self, memo: self
DynamoDBBackend.transact_write_items = transact_write_items(DynamoDBBackend.transact_write_items)
Table.query = of_partition(Table.query)
for name in ["put_item", "get_item", "query", "scan", "update_item", "delete_item"]:
    setattr(DynamoDBBackend, name, one_at_a_time(getattr(DynamoDBBackend, name)))

serialize_structure = BaseJSONSerializer._serialize_type_structure


def plain(value):
    """A value as DynamoDB's JSON has it."""
    if isinstance(value, DynamoType):
        return {value.type: plain(value.value)}
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [plain(member) for member in value] if isinstance(value, list) else value


def serialize(serializer, serialized, value, shape, key):
    if shape.name == "AttributeValue" and key:
        serializer._default_serialize(serialized, plain(value), shape, key)
    else:
        serialize_structure(serializer, serialized, value, shape, key)


BaseJSONSerializer._serialize_type_structure = serialize

find_backend = DomainDispatcherApplication.get_backend_for_host
backends = {}


def remembered_backend(app, host):
    if host not in backends:
        backends[host] = find_backend(app, host)
    return backends[host]


DomainDispatcherApplication.get_backend_for_host = remembered_backend
WSGIRequestHandler.log_request = lambda self, *args: None

if __name__ == "__main__":
    sys.exit(main())
