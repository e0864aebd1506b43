"""The files of a checkpoint's folder."""

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
LOG, CURVE, CARD = "log.csv", "curve.svg", "README.md"
RECORD, EVALUATION, LABELS = "pretraining.json", "evaluation.json", "finetuning.json"
RUN = "run"  # the folder of what is only needed while training
#: What is shipped of it.
SHIPPED = (WEIGHTS, CONFIG, TOKENIZER, TOKENIZER_CONFIG, LOG, CURVE, CARD, RECORD, EVALUATION, LABELS)
