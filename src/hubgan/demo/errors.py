"""How the demo reports errors: as a toast on the page, and as the message of an endpoint."""

import html
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import gradio as gr

from hubgan.errors import HubganError, Remedy

P = ParamSpec("P")
R = TypeVar("R")
Error = TypeVar("Error", bound=HubganError)


def sentences(error: HubganError) -> str:
    """The message and the remedy of an error, with a full stop at the end."""
    return f"{str(error).rstrip('.')}."


def translate_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap an event handler: Gradio shows a HubganError as a toast, without a traceback in the log."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except HubganError as error:
            # A toast is HTML, and the message may quote what a visitor sent.
            raise gr.Error(html.escape(sentences(error), quote=False), print_exception=False) from error

    return wrapper


def without_path(error: Error, path: str, name: str) -> Error:
    """The same error with `name` in place of `path`: where files lie is not shown to visitors."""
    remedy = Remedy(*(text.replace(path, name) for text in error.remedy))
    return type(error)(error.message.replace(path, name), remedy)
