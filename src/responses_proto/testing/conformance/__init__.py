"""Checks of what servers send: one stream (:func:`check_stream`) or a whole server (:func:`check_server`)."""
