# The parts of jinja2 (extra `report`) that this project touches. tests/test_stubs.py proves them true.
class BaseLoader: ...

class PackageLoader(BaseLoader):
    def __init__(self, package_name: str) -> None: ...

class Template:
    def render(self, *args: object, **context: object) -> str: ...

class Environment:
    def __init__(
        self,
        *,
        trim_blocks: bool = False,
        lstrip_blocks: bool = False,
        autoescape: bool = False,
        loader: BaseLoader | None = None,
    ) -> None: ...
    def get_template(self, name: str) -> Template: ...
