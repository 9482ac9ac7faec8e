"""A tiny ONNX model in the layout of sentence-transformers: a token's vector is its row of ``TABLE``."""

import json
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "alpha", "beta", "gamma", "delta")
WIDTH = 4
TABLE = np.random.default_rng(7).normal(size=(len(WORDS), WIDTH)).astype(np.float32)


def tiny(root: Path, *, pooling: str = "mean_tokens", normalise: bool = True, most: int = 16, **tensors: Any) -> Path:
    """Writes the model to ``root / "tiny"``. Needs the extra ``local`` and the package ``onnx``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    path = root / "tiny"
    (path / "1_Pooling").mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=40)  # as MiniLM's file does: not what a text should be padded to
    tokenizer.enable_truncation(8)
    tokenizer.save(str(path / "tokenizer.json"))
    modules = ["Transformer", "Pooling", *(["Normalize"] if normalise else [])]
    where = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    kinds = [{"type": f"sentence_transformers.models.{name}", "path": where[name]} for name in modules]
    (path / "modules.json").write_text(json.dumps(kinds))
    (path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": most}))
    graph(path / "model.onnx", **tensors)
    return path


def graph(path: Path, *, extra: str = "", output: str = "last_hidden_state") -> None:
    import onnx

    helper, types = onnx.helper, onnx.TensorProto
    inputs = [
        helper.make_tensor_value_info(name, types.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", *([extra] if extra else []))
    ]
    found = helper.make_tensor_value_info(output, types.FLOAT, ["batch", "tokens", WIDTH])
    table = helper.make_tensor("table", types.FLOAT, TABLE.shape, TABLE.ravel())
    node = helper.make_node("Gather", ["table", "input_ids"], [output])
    made = helper.make_model(
        helper.make_graph([node], "tiny", inputs, [found], [table]), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 9
    onnx.save(made, str(path))
