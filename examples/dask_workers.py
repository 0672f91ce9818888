"""Answer many prompts with two worker processes on this machine; with ``Client("tcp://scheduler:8786")``, on any number of machines.

``pip install distributed``. Requests and responses travel between the processes by pickle. Each worker has its own client and its own
gate. The gates find the common limit, because the server refuses requests beyond it.

The same with Ray::

    ray.init()
    parts = ray.get([ray.remote(answer).remote(part) for part in parts])
"""

from __future__ import annotations

import anyio
from distributed import Client, LocalCluster

from responses_proto import CreateResponse, Response, ResponsesClient
from responses_proto.scripted import MODEL

WORKERS = 2


def answer(requests: list[CreateResponse]) -> list[Response]:
    """Answer some of the requests, in a worker."""

    async def main() -> list[Response]:
        async with ResponsesClient() as client:
            return [result.response async for result in client.map(requests, ordered=True)]

    return anyio.run(main)


def main() -> None:
    """Divide the requests among the workers, and print the answers."""
    requests = [CreateResponse(model=MODEL, input=f"Say {number}.") for number in range(10)]
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as workers,
    ):
        parts = workers.gather(workers.map(answer, [requests[worker::WORKERS] for worker in range(WORKERS)]))
    for response in [response for part in parts for response in part]:
        print(response.output_text)


if __name__ == "__main__":
    main()
