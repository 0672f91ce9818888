# ruff: noqa: A004 - the names are redis-py's
# The part of redis-py that the library uses: its own annotations are unions of the synchronous and the asynchronous client.
from redis import exceptions as exceptions
from redis.client import Redis as Redis
from redis.exceptions import ConnectionError as ConnectionError
from redis.exceptions import TimeoutError as TimeoutError
