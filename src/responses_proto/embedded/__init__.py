"""What the embedded model thinks, without I/O: a request in, the steps of its answer out.

* :mod:`.turn` reads the request: what was asked, what the input ends with, what it costs.
* :mod:`.markers` is the table of what a user message can ask for in brackets.
* :mod:`.offers`, :mod:`.hosted` and :mod:`.mcp` know the tools: which may be called, and what a call of each looks like.
* :mod:`.plan` decides, and :mod:`.words` has the words. :mod:`.script` lets a file decide instead.
* :mod:`.steps` is what comes out; :class:`~responses_proto.aio.scripted.Scripted` says it.

Everything is a function of the request alone, so that the same request always gets the same answer.
"""
