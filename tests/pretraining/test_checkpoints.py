"""Our own checkpoints: whole, small, loaded by name, and what their cards say is what their files and a rerun say."""

import json
import shutil
from statistics import fmean

import pytest
import torch

from companion.data import PACKAGED, packaged_path
from companion.models import BERT, GPT, T5
from companion.objectives import token_loss
from companion.pretraining import PRESETS, evaluate, load_checkpoint, prepare_texts, read_evaluation, read_record
from companion.pretraining.batches import make_batches
from companion.pretraining.card import read_log_rows, write_card
from companion.pretraining.labels import TASKS, Labels, compare
from companion.pretraining.names import CARD, LABELS, LOG, SHIPPED
from companion.pretraining.run import make_trainer
from companion.training import Mode
from companion.weights import CheckpointError

CLASSES = {"tiny-gpt": GPT, "tiny-bert": BERT, "tiny-t5": T5, "tiny-bert-zh": BERT}
LARGEST = 15_000_000  # bytes
#: As the runs were computed, but not compiled: that takes longer than the few steps here.
MODE = Mode(autocast=torch.bfloat16)
by_name = pytest.mark.parametrize("name", PACKAGED)


@by_name
def test_a_checkpoint_is_whole_and_small(name):
    files = {path.name: path.stat().st_size for path in packaged_path(name).iterdir()}
    expected = set(SHIPPED) if name in TASKS else set(SHIPPED) - {LABELS}
    assert set(files) == expected  # and so nothing that may be a pickle
    assert files["model.safetensors"] <= LARGEST
    assert 3e6 <= read_evaluation(name)["parameters"] <= 12e6


@by_name
def test_a_checkpoint_is_loaded_by_its_name(name):
    model, tokenizer = load_checkpoint(name)
    again = CLASSES[name].from_pretrained(name)
    assert isinstance(model, CLASSES[name])
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    assert not again.load_report.fresh
    assert model.config.vocab_size == tokenizer.vocab_size
    text = "the river" if name != "tiny-bert-zh" else "这本书"
    assert tokenizer.decode(tokenizer.encode(text)).replace(" ", "") == text.replace(" ", "")


@by_name
def test_transformers_loads_a_checkpoint(name):
    transformers = pytest.importorskip("transformers")
    model, tokenizer = load_checkpoint(name)
    classes = {GPT: "GPT2LMHeadModel", BERT: "BertForPreTraining", T5: "T5ForConditionalGeneration"}
    theirs = getattr(transformers, classes[type(model)]).from_pretrained(packaged_path(name), dtype=torch.float32)
    text = "the river flows" if name != "tiny-bert-zh" else "这本书很好"
    pieces = transformers.AutoTokenizer.from_pretrained(packaged_path(name))
    assert pieces(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
    ids = torch.tensor([tokenizer.encode(text)])
    with torch.no_grad():
        if isinstance(model, T5):
            ours, other = model(ids, ids), theirs(input_ids=ids, decoder_input_ids=ids).logits
        elif isinstance(model, BERT):
            ours, other = model.mlm_logits(model(ids)), theirs(input_ids=ids).prediction_logits
        else:
            ours, other = model(ids), theirs(input_ids=ids).logits
    torch.testing.assert_close(ours, other, rtol=1e-3, atol=1e-3)


@by_name
def test_the_card_is_what_the_files_say(name, tmp_path):
    shutil.copytree(packaged_path(name), tmp_path / name)
    assert write_card(tmp_path / name).read_text() == (packaged_path(name) / CARD).read_text()


@by_name
def test_the_record_is_that_of_the_preset_and_the_log(name):
    record, preset = read_record(name), PRESETS[name]
    assert record["steps"] == preset.recipe.steps
    data = " ".join(f"--data {one}" for one in preset.data)
    assert record["command"] == (
        f"companion pretrain --preset {name} {data} --steps {record['steps']} --seed {record['seed']} --out {name}"
    )
    assert record["preset"] | {"recipe": None} == preset.to_json() | {"recipe": None}
    rows = read_log_rows(packaged_path(name) / LOG)
    assert rows[-1]["step"] == record["steps"]
    held_out = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert held_out[-1] < held_out[len(held_out) // 2] < held_out[0]


def test_an_unknown_checkpoint_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"name must be a folder or one of tiny-gpt, .*, got 'tiny-x'"):
        load_checkpoint("tiny-x")
    with pytest.raises(CheckpointError, match="is no whole checkpoint"):
        load_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="revision must be None for 'tiny-bert'"):
        BERT.from_pretrained("tiny-bert", revision="main")


def test_a_pretrained_bert_guesses_far_better_than_the_commonest_tokens():
    for name in ("tiny-bert", "tiny-bert-zh"):
        figures = read_evaluation(name)["figures"]
        assert figures["guessed at once"] > 2 * figures["the commonest token"]
        assert figures["guessed among five"] > 1.5 * figures["the five commonest tokens"]


def test_a_pretrained_gpt_needs_far_fewer_bits_than_token_frequencies():
    figures = read_evaluation("tiny-gpt")["figures"]
    assert figures["bits a byte"] < 0.6 * figures["bits a byte of token frequencies"]


def test_a_pretrained_t5_guesses_far_better_than_the_commonest_token():
    figures, examples = (read_evaluation("tiny-t5")[part] for part in ("figures", "examples"))
    assert figures["guessed, those before it known"] > 4 * figures["the commonest token"]
    assert figures["spans guessed to the last token"] > 0.05
    (preheat,) = (each["answer"] for each in examples if each["prompt"].startswith("Preheat"))
    assert preheat == "oven"


@pytest.mark.data
@torch.no_grad()
def test_a_pretrained_t5_reads_the_text_whose_gaps_it_fills():
    """Given another text, it fills them far worse: what it writes comes out of what its encoder has read."""
    model, preset = T5.from_pretrained("tiny-t5").eval(), PRESETS["tiny-t5"]
    texts = prepare_texts(preset, progress=False)
    batch = make_batches(preset, texts, texts.validation, seed=0, hidden_share=0.15)(0)
    read, other = (
        token_loss(model(ids, model.shift_right(batch["labels"])), batch["labels"]).mean
        for ids in (batch["input_ids"], batch["input_ids"].roll(1, 0))
    )
    assert other > read + 1


def test_fine_tuning_a_pretrained_bert_beats_random_weights():
    for name, tasks in TASKS.items():
        measured = json.loads((packaged_path(name) / LABELS).read_text())
        assert [task["data"] for task in measured["tasks"]] == [task.data for task in tasks]
        assert len(measured["seeds"]) == 3
        if name != "tiny-bert":  # what little the Chinese one has read is of no use to its task, as its card says
            continue
        gains = [fmean(task["pretrained"]) - fmean(task["random"]) for task in measured["tasks"]]
        assert max(gains) > 0.05
        best = measured["tasks"][gains.index(max(gains))]
        assert min(best["pretrained"]) > max(best["random"])


@pytest.mark.data
@pytest.mark.slow
def test_fine_tuning_again_on_fewer_questions_shows_the_same():
    scores = compare("tiny-bert", Labels(data="trec_questions", train=500, test=400), seed=3)
    assert scores["pretrained"] > scores["random"] + 0.02
    assert scores["pretrained"] > scores["commonest"] + 0.2


@pytest.mark.data
@pytest.mark.slow
@by_name
def test_the_command_makes_the_beginning_of_the_log_again(name):
    record, preset = read_record(name), PRESETS[name]
    texts = prepare_texts(preset, progress=False)
    assert texts.facts == record["texts"]
    trainer = make_trainer(preset, texts, record["steps"], seed=record["seed"], mode=MODE, show=False)
    trainer.validation = {}
    logged = {int(row["step"]): row["loss"] for row in read_log_rows(packaged_path(name) / LOG) if "loss" in row}
    again = {}

    def compare_rows(trainer, row):
        if row.loss is not None:
            again[row.step] = row.loss
        if row.step >= (20 if name == "tiny-gpt" else 12):
            trainer.stop()

    trainer.callbacks.append(compare_rows)
    trainer.run()
    assert len(again) >= 2
    for step, loss in again.items():
        assert loss == pytest.approx(logged[step], rel=0.02)


@pytest.mark.data
@pytest.mark.slow
@by_name
def test_the_figures_are_found_again_on_a_part_of_the_texts(name):
    model, _ = load_checkpoint(name)
    preset = PRESETS[name]
    found = evaluate(model, preset, prepare_texts(preset, progress=False), rows=64)
    told = read_evaluation(name)
    assert found["examples"] == told["examples"]
    for figure in ("bits a byte", "guessed at once", "guessed among five", "guessed, those before it known"):
        if figure in told["figures"]:
            assert found["figures"][figure] == pytest.approx(told["figures"][figure], abs=0.06)
