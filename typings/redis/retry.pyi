from abc import ABCMeta

from redis.backoff import ExponentialBackoff

class Retry(metaclass=ABCMeta):
    def __init__(self, backoff: ExponentialBackoff, retries: int) -> None: ...
