"""What the event handlers of all tabs share."""

from typing import Any, TypeAlias

from gradio.blocks import Block

Updates: TypeAlias = dict[Block, Any]
"""What an event handler returns: new values or properties by component. The others stay as they are."""

PRIVATE: Any = {"api_visibility": "private"}
"""Options of an event that is no endpoint."""

SILENT: Any = {**PRIVATE, "queue": False, "show_progress": "hidden"}
"""Options of an event that only changes the page: it does not wait in the queue, and shows no progress."""

MODEL_QUEUE: Any = {"concurrency_id": "model", "concurrency_limit": 1}
"""Options of an event that computes with a model: one such event runs at a time."""
