"""Ask about an image: a file, if its path is given, or else an image on the web."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from responses_proto.models import InputImage, InputText, Message
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient

ON_THE_WEB = "https://huggingface.co/datasets/huggingface/documentation-images/resolve/main/pipeline-cat-chonk.jpeg"


async def main(client: ResponsesClient, model: str) -> None:
    """Ask what is in the image."""
    try:
        image = InputImage.from_path(sys.argv[1]) if len(sys.argv) > 1 else InputImage(image_url=ON_THE_WEB)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    question = Message(role="user", content=[InputText(text="What is in this image?"), image])
    response = await client.create(model=model, input=[question])
    print(response.output_text)


if __name__ == "__main__":
    run(main, model="Qwen/Qwen2.5-VL-7B-Instruct")
