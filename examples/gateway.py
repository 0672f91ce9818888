"""A gateway that identifies callers, offers a model under another name, and counts the tokens of each caller."""

from __future__ import annotations

import asyncio
from collections import Counter

from responses_proto import ResponsesClient
from responses_proto.models import Event, ResponseCompleted
from responses_proto.scripted import Scripted
from responses_proto.server import Reply, ResponsesApp, relay, serving

KEYS = {"key-of-ann": "ann", "key-of-bob": "bob"}
tokens: Counter[str] = Counter()


def count(event: Event, reply: Reply) -> None:
    """Count the tokens of a completed response. Called with each event that is relayed."""
    if isinstance(event, ResponseCompleted) and event.response.usage:
        tokens[reply.identity or ""] += event.response.usage.total_tokens


async def call(url: str) -> None:
    """Call the gateway as Ann and as Bob."""
    for key, name in KEYS.items():
        async with ResponsesClient(url, key) as client:
            response = await client.create(model="fast", input=f"I am {name}.")
            print(f"{response.model}: {response.output_text}")


with serving(ResponsesApp(Scripted())) as upstream_url:  # in production: the URL of a provider, and your key for it
    upstream = ResponsesClient(upstream_url)
    gateway = relay(upstream, models={"fast": "scripted"}, tap=count)
    with serving(ResponsesApp(gateway, keys=KEYS, tenants=True, lifespan=lambda: upstream)) as gateway_url:
        asyncio.run(call(gateway_url))
print(", ".join(f"{name}: {total} tokens" for name, total in tokens.items()))
