"""Checks of a stream (``check_stream``), a server (``check_server``) and a client (``check_client``); timelines, and reports."""
