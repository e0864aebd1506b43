"""The fine-tuning examples of the five articles: each mistake is shown to fail, and then put right.

Names of hub models are replaced by a tiny one, so that everything runs without a network.
"""

import importlib.metadata
import json

import pytest
import torch
import transformers
from sklearn.metrics import accuracy_score
from torch.nn import CrossEntropyLoss
from torch.optim import AdamW
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer, Trainer, TrainingArguments

from companion.data import model_path
from companion.finetuning import Classification, LabelEncoder, classification_loss, pool, read_rows
from companion.metrics import accuracy

CHINESE = [("这是一个技术相关的文章。", "技术"), ("这是一个娱乐新闻。", "娱乐")] * 6
ENGLISH = [("a fine film", 1), ("a dull plot", 0), ("fine and warm", 1), ("dull and old", 0)] * 4
WORDS = [*"这是一个技术相关的文章。娱乐新闻", *["a", "fine", "film", "dull", "plot", "and", "warm", "old"]]


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """A tiny untrained checkpoint with its vocabulary, in the place of bert-base-uncased."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf8")
    BertTokenizer({word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=24,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tokenizer(name):
    return BertTokenizer.from_pretrained(name)


def encode_texts(texts, tokenizer, max_len=128):
    return tokenizer(texts, padding=True, truncation=True, max_length=max_len, return_tensors="pt")


# Article 000, section 5.2: a class from a head that was never trained


def test_000_the_class_of_a_fresh_head_is_drawn_by_chance(name, tokenizer):
    inputs = tokenizer("a fine film", return_tensors="pt")
    answers = set()
    for seed in range(12):
        torch.manual_seed(seed)
        model = BertForSequenceClassification.from_pretrained(name).eval()
        answers.add(torch.argmax(model(**inputs).logits, dim=-1).item())
    assert answers == {0, 1}  # the article's tensor([1]) is one of the two


# Article 002, section 4.1: pip install sklearn


def test_002_sklearn_is_the_module_and_scikit_learn_the_package():
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution("sklearn")
    assert set(importlib.metadata.packages_distributions()["sklearn"]) == {"scikit-learn"}


# Article 002, section 4.2: reading an IMDb-style TSV


def load_data(file_path):
    """Read a TSV as the article does."""
    texts, labels = [], []
    with open(file_path) as f:  # noqa: PTH123
        for line in f:
            label, text = line.strip().split("\t")
            texts.append(text)
            labels.append(int(label))
    return texts, labels


@pytest.mark.parametrize(
    ("line", "message", "reported"),
    [
        ("1\tone\ttab too many", "too many values to unpack", [2]),
        ("0\t", "not enough values to unpack", [2]),  # strip takes the tab too
        ("", "not enough values to unpack", []),  # an empty line is no row
        ("good\tfine", "invalid literal for int", []),  # a label may be a word
    ],
)
def test_002_one_odd_line_ends_the_reading_without_its_number(line, message, reported, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text(f"1\ta fine film\n{line}\n0\ta dull plot\n")
    with pytest.raises(ValueError, match=message) as caught:
        load_data(path)
    assert "line" not in str(caught.value)
    table = read_rows(path, Classification().parse, columns=["label", "text"])
    assert [one.line for one in table.left_out] == reported
    assert {"a fine film", "a dull plot"} <= {row["text"] for row in table.rows}


class IMDbDataset(torch.utils.data.Dataset):
    """The article's data set, which is right."""

    def __init__(self, encodings, labels):
        self.encodings = encodings
        self.labels = labels

    def __getitem__(self, idx):
        item = {key: torch.tensor(val[idx]) for key, val in self.encodings.items()}
        item["labels"] = torch.tensor(self.labels[idx])
        return item

    def __len__(self):
        return len(self.labels)


@pytest.fixture(scope="module")
def imdb(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("imdb") / "train.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for text, label in ENGLISH))
    table = read_rows(path, Classification().parse, columns=["label", "text"])
    table.require_whole()
    texts, labels = [row["text"] for row in table.rows], [row["label"] for row in table.rows]
    encoder = LabelEncoder.fit(labels)
    return IMDbDataset(tokenizer(texts, truncation=True, padding=True), encoder.encode(labels))


def settings(folder, **options):
    quiet = {"report_to": [], "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "logging_strategy": "no"}
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        per_device_eval_batch_size=8,
        **(quiet | options),
    )


def make_trainer(folder, name, data, *, compute_metrics=None, **options):
    torch.manual_seed(0)
    trainer = Trainer(
        model=BertForSequenceClassification.from_pretrained(name),
        args=settings(folder, **options),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=compute_metrics,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


# Article 002, section 4.3: arguments


def test_002_a_warm_up_of_500_steps_is_longer_than_the_training(tmp_path, name, imdb):
    trainer = make_trainer(tmp_path, name, imdb, num_train_epochs=3, warmup_steps=500, learning_rate=1e-3)
    trainer.train()
    steps = 3 * 2
    assert trainer.state.global_step == steps
    reached = trainer.lr_scheduler.get_last_lr()[0]
    assert reached <= steps / 500 * 1e-3 + 1e-12  # 12 thousandths of what was asked for
    right = make_trainer(tmp_path, name, imdb, num_train_epochs=3, warmup_steps=1, learning_rate=1e-3)
    right.create_optimizer_and_scheduler(steps)
    right.lr_scheduler.step()
    assert right.lr_scheduler.get_last_lr()[0] == pytest.approx(1e-3)


def test_002_the_folder_of_logs_is_no_argument_any_more(tmp_path):
    with pytest.raises(TypeError, match="logging_dir"):
        settings(tmp_path, logging_dir="./logs")


# Article 002, section 4.4: compute_metrics


def compute_metrics(pred):
    """The article's function, which is right."""
    labels = pred.label_ids
    preds = pred.predictions.argmax(-1)
    return {"accuracy": accuracy_score(labels, preds)}


def test_002_metrics_that_come_after_the_trainer_come_too_late(tmp_path, name, imdb):
    late = make_trainer(tmp_path, name, imdb, num_train_epochs=1)
    late.train()
    assert "eval_accuracy" not in late.evaluate()
    # The article then makes a second trainer: it evaluates, but knows nothing of the training of the first.
    second = Trainer(model=late.model, args=late.args, eval_dataset=imdb, compute_metrics=compute_metrics)
    assert "eval_accuracy" in second.evaluate()
    assert second.state.global_step == 0
    assert late.state.global_step == 2


def test_002_metrics_given_at_the_start_watch_the_training(tmp_path, name, imdb):
    trainer = make_trainer(
        tmp_path,
        name,
        imdb,
        compute_metrics=compute_metrics,
        num_train_epochs=15,
        eval_strategy="epoch",
        logging_strategy="epoch",
        learning_rate=5e-3,
    )
    trainer.train()
    watched = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    assert len(watched) == 15
    assert watched[-1] == trainer.evaluate()["eval_accuracy"] == 1


# Article 001, section 5.2: technology and entertainment as JSON


def test_001_the_file_as_printed_is_no_json(tmp_path):
    objects = [json.dumps({"text": text, "label": label}, ensure_ascii=False, indent=2) for text, label in CHINESE]
    path = tmp_path / "dataset.json"
    path.write_text("\n".join(objects), "utf8")
    with path.open(encoding="utf8") as f, pytest.raises(json.JSONDecodeError, match="Extra data"):
        json.load(f)
    # One object after the other can be read without guessing; so can the list that the article's code expects.
    assert [row["label"] for row in read_rows(path).rows] == [label for _, label in CHINESE]
    path.write_text(f"[{','.join(objects)}]", "utf8")
    with path.open(encoding="utf8") as f:
        assert len(json.load(f)) == len(read_rows(path).rows) == len(CHINESE)


# Article 001, section 5.3: an English tokenizer for Chinese


@pytest.mark.data
def test_001_the_english_vocabulary_does_not_know_these_words():
    # The vocabulary of bert-base-uncased, which this model has too.
    english = BertTokenizer.from_pretrained(model_path("minilm"))
    chinese = BertTokenizer(str(next(model_path("bert_chinese_vocab").glob("*.txt"))))
    lost = {tokenizer: "".join(tokenizer.tokenize("技术 娱乐")).count("[UNK]") for tokenizer in (english, chinese)}
    assert lost[english] > 0
    assert lost[chinese] == 0


# Article 001, sections 5.4 and 5.5: the model and its training


def test_001_a_layer_is_not_added_by_a_call_that_does_not_exist(name):
    model = BertModel.from_pretrained(name)
    with pytest.raises(AttributeError):
        _ = model.add最后的输出层


@pytest.fixture
def parts(name, tokenizer):
    torch.manual_seed(0)
    texts, labels = map(list, zip(*CHINESE, strict=True))
    model = BertModel.from_pretrained(name)
    return model, torch.nn.Linear(model.config.hidden_size, 2), encode_texts(texts, tokenizer), labels


def test_001_labels_that_are_strings_become_no_tensor(parts):
    _, _, inputs, labels = parts
    with pytest.raises(ValueError, match="too many dimensions 'str'"):
        TensorDataset(inputs["input_ids"], inputs["attention_mask"], torch.tensor(labels))
    encoder = LabelEncoder.fit(labels)
    numbers = torch.tensor(encoder.encode(labels))
    assert len(TensorDataset(inputs["input_ids"], inputs["attention_mask"], numbers)) == len(CHINESE)
    assert encoder.decode(numbers.tolist()) == labels


def test_001_scores_of_every_token_fit_no_label_of_a_sentence(parts):
    model, classifier, inputs, labels = parts
    numbers = torch.tensor(LabelEncoder.fit(labels).encode(labels))
    outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    logits = classifier(outputs[0])
    assert logits.dim() == 3
    with pytest.raises((ValueError, RuntimeError), match=r"[Ee]xpected target size"):
        CrossEntropyLoss()(logits, numbers)
    with pytest.raises(ValueError, match="pool the tokens before the head"):
        classification_loss(logits, numbers)
    logits = classifier(pool(outputs[0], inputs["attention_mask"], pooling="cls"))
    torch.testing.assert_close(classification_loss(logits, numbers).mean, CrossEntropyLoss()(logits, numbers))


def run(parts, parameters, epochs=1, lr=1e-2):
    model, classifier, inputs, labels = parts
    numbers = torch.tensor(LabelEncoder.fit(labels).encode(labels))
    dataset = TensorDataset(inputs["input_ids"], inputs["attention_mask"], numbers)
    optimizer = AdamW(parameters, lr=lr)
    loader = DataLoader(dataset, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(0))
    for _ in range(epochs):
        for input_ids, attention_mask, answers in loader:
            hidden = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            loss = CrossEntropyLoss()(classifier(hidden[:, 0]), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_001_the_classifier_left_out_of_the_optimizer_is_never_trained(parts):
    model, classifier, _, _ = parts
    before = classifier.weight.detach().clone()
    run(parts, model.parameters())
    assert torch.equal(classifier.weight, before)
    run(parts, [*model.parameters(), *classifier.parameters()])
    assert not torch.equal(classifier.weight, before)


# Article 001, section 5.6: the evaluation


def test_001_a_loader_of_encodings_gives_no_batches(parts):
    inputs = parts[2]
    assert len(inputs) < len(CHINESE)  # it counts the tensors, not the texts
    with pytest.raises((KeyError, TypeError, AttributeError)):
        [{"input_ids": batch[0], "attention_mask": batch[1]} for batch in DataLoader(inputs, batch_size=4)]


def test_001_the_accuracy_crashes_and_would_compare_with_two_fixed_labels(parts):
    model, classifier, inputs, labels = parts
    run(parts, [*model.parameters(), *classifier.parameters()], epochs=12)
    model.eval()
    classifier.eval()
    predictions = []
    with torch.no_grad():
        for input_ids, attention_mask in DataLoader(
            TensorDataset(inputs["input_ids"], inputs["attention_mask"]), batch_size=4
        ):
            hidden = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            predictions.extend(torch.argmax(classifier(hidden[:, 0]), dim=1).numpy())
    with pytest.raises(AttributeError, match="'bool' object has no attribute 'mean'"):
        (predictions == [1, 0]).mean()
    right = LabelEncoder.fit(labels).encode(labels)
    assert accuracy(right, [int(one) for one in predictions]) == 1


# Article 003, section 5: the place of the mask


@pytest.mark.data
def test_003_the_mask_is_not_where_the_article_looks():
    tokenizer = BertTokenizer.from_pretrained(model_path("minilm"))
    as_printed = tokenizer.encode("[CLS] I have a [MASK] . [SEP]")
    assert tokenizer.convert_ids_to_tokens(as_printed)[:2] == ["[CLS]", "[CLS]"]  # the tokenizer adds its own
    assert as_printed.index(tokenizer.mask_token_id) == 5  # and not 4
    assert tokenizer.encode("I have a [MASK] .").index(tokenizer.mask_token_id) == 4
