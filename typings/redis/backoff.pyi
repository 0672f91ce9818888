from abc import ABCMeta

class ExponentialBackoff(metaclass=ABCMeta):
    def __init__(self, cap: float = ..., base: float = ...) -> None: ...
