"""Run every notebook and store what it shows; `make notebooks` calls this. The same run stores the same file, but for its figures."""

import base64
import io
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

COLOURS = 64  # of a stored figure: a third of the bytes


def smaller(figure: str) -> str:
    """A PNG in base64 with few colours."""
    held = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(figure))).convert("RGB").quantize(COLOURS).save(
        held, "png", optimize=True
    )
    return base64.b64encode(held.getvalue()).decode()


for path in sorted(Path(__file__).parent.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbclient.NotebookClient(
        notebook, timeout=600, record_timing=False, coalesce_streams=True
    ).execute(cwd=str(path.parent))
    notebook.metadata = nbformat.from_dict(metadata)  # without the version of the interpreter
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = smaller(output.data["image/png"])
    nbformat.write(notebook, path)
