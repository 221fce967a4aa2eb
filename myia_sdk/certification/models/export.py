"""Networks of PyTorch and Keras as ONNX files, which need no code of theirs to load."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.request import OnnxModel
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

#: Rows of the example as it is traced: with one row a framework takes the number of
#: rows for a constant.
_ROWS = 2


def export_onnx(
    model: Any,
    example: Any,
    path: str | PathLike[str] | None = None,
    *,
    classes: Sequence[object] | None = None,
) -> OnnxModel:
    """Export a network of PyTorch or Keras to ONNX, to be submitted.

    Parameters
    ----------
    model : torch.nn.Module or keras.Model
        The network, with one input and one output; of a classifier logits or
        probabilities, one column per class.
    example : array or DataFrame
        A few rows of the data, in the shape the network takes.
    path : str or PathLike, optional
        Where the file is written too, to verify a certificate with it; the content is
        only kept in memory if not given.
    classes : sequence, optional
        The labels in the order of the scores; 0, 1, ... if not given.

    Returns
    -------
    OnnxModel
        What ``client.submit`` takes.

    Raises
    ------
    MissingExtraError
        The extra ``onnx-export`` is not installed.
    ModelRejectedError
        It is no such network, or the framework cannot export it.

    Examples
    --------
    >>> network = torch.nn.Linear(4, 3)  # doctest: +SKIP
    >>> client.submit(export_onnx(network, X[:1]), dataset=(X, y))  # doctest: +SKIP
    """
    export = _exporter_of(model)
    rows = _rows_of(example)
    try:
        content = export(model, rows)
    except ImportError as exc:
        if exc.name in {"onnx", "onnxscript"}:
            raise MissingExtraError("onnx-export", "exports to ONNX") from exc
        raise ModelRejectedError(
            f"The export needs the package {exc.name!r}; install it."
        ) from exc
    except Exception as exc:
        raise ModelRejectedError(
            f"{type(model).__name__} cannot be exported to ONNX: "
            f"{type(exc).__name__}: {exc}"
        ) from exc
    if path is not None:
        Path(path).expanduser().write_bytes(content)
    return OnnxModel(content, classes=classes, name=type(model).__name__)


def _exporter_of(model: Any) -> Any:
    kinds = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    # Keras on PyTorch is both.
    if "keras" in kinds:
        return _keras
    if "torch" in kinds:
        return _torch
    raise ModelRejectedError(
        f"{type(model).__name__} is no network of PyTorch or Keras; estimators are "
        "submitted as they are, ONNX files as a path."
    )


def _rows_of(example: Any) -> Any:
    import numpy as np

    if hasattr(example, "detach"):
        example = example.detach().cpu()
    rows = np.asarray(example)
    if rows.ndim == 0 or not len(rows):
        raise ModelRejectedError(
            f"The example has the shape {rows.shape}; give a few rows of the data."
        )
    if rows.dtype == np.float64:
        # What networks are made of, unless they say otherwise.
        rows = rows.astype(np.float32)
    return np.repeat(rows[:1], _ROWS, axis=0)


def _torch(model: Any, rows: Any) -> bytes:
    import onnxscript  # noqa: F401 - the exporter's own error names no extra
    import torch

    was_training = model.training
    model.eval()
    example = torch.from_numpy(rows)
    kind = next(iter(model.parameters()), example).dtype
    if example.is_floating_point():
        example = example.to(kind)
    buffer = io.BytesIO()
    try:
        with _quietly():
            torch.onnx.export(
                model,
                (example,),
                buffer,
                input_names=["X"],
                output_names=["scores"],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
                dynamo=True,
                external_data=False,
            )
    finally:
        model.train(was_training)
    return buffer.getvalue()


def _keras(model: Any, rows: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        with _quietly():
            model.predict(rows, verbose=0)
            model.export(path, format="onnx", verbose=False)
        return path.read_bytes()


@contextlib.contextmanager
def _quietly() -> Any:
    """Keep exporters' progress and advice out of the notebook."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
