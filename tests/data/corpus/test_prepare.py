"""From names to two corpora on disk: nothing done twice, nothing stale, nothing on both sides."""

import random

import pytest
from typer.testing import CliRunner

from companion import cli
from companion.data import DataError
from companion.data.corpus import Bucketed, PackedRows, Shards, choose_texts, prepare, prepare_corpus
from companion.tokenization import ByteLevelBPE, load

SOME = "the a cat dog house river stone walks sings over under green old quick north winter seven bread"
WORDS = SOME.split()


def write_rows(seed, n=60):
    rng = random.Random(seed)
    return [{"title": f"title {i}", "text": " ".join(rng.choices(WORDS, k=rng.randrange(10, 90)))} for i in range(n)]


ROWS = {"one": write_rows(1), "two": write_rows(2), "tables": [{"word": "cat"}]}
ROWS["two"] += [{"title": None, "text": ROWS["one"][3]["text"]}, {"title": None, "text": "17 | 13 | 9 | 12.5 | 99"}]
TOKENIZER = ByteLevelBPE.train([row["text"] for row in ROWS["one"]], 300, special_tokens=["<end>"])
END = TOKENIZER.vocab["<end>"]


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    monkeypatch.setattr(prepare, "rows_of", lambda name: ROWS[name])


def test_texts_are_cleaned_deduplicated_and_split():
    texts = choose_texts(["one", "two"], validation=0.2, progress=False)
    given = {row["text"] for name in ("one", "two") for row in ROWS[name]}
    assert sorted(texts.train + texts.validation) == sorted(given - {"17 | 13 | 9 | 12.5 | 99"})
    assert texts.report.startswith("cleaning: kept 121 of 122 texts")
    assert "dropped 1: less than 50% letters" in texts.report
    assert "dropped 1: repeats an earlier text" in texts.report
    assert texts.report.count("\nsplit: ") == 1


def test_texts_of_one_title_stay_together(monkeypatch):
    rows = [row | {"title": f"title {index % 10}"} for index, row in enumerate(ROWS["one"])]
    monkeypatch.setitem(ROWS, "titled", rows)
    texts = choose_texts("titled", validation=0.3, progress=False)
    titles = [{row["title"] for row in rows if row["text"] in part} for part in (texts.train, texts.validation)]
    assert not titles[0] & titles[1]


def test_a_corpus_holds_the_chosen_texts_with_their_ends(tmp_path):
    corpus = prepare_corpus("one", TOKENIZER, folder=tmp_path, validation=0.2, end=[END], progress=False)
    texts = choose_texts("one", validation=0.2, progress=False)
    for shards, part in ((corpus.train, texts.train), (corpus.validation, texts.validation)):
        assert [shards[index].tolist() for index in range(len(shards))] == [
            [*TOKENIZER.encode(text), END] for text in part
        ]
    assert corpus.report == texts.report


def test_the_second_time_nothing_is_chosen_or_encoded_again(tmp_path, monkeypatch):
    options = {"folder": tmp_path, "validation": 0.2, "progress": False}
    first = prepare_corpus(["one", "two"], TOKENIZER, **options)
    monkeypatch.setattr(prepare, "drop_duplicates", None)
    monkeypatch.setattr(ByteLevelBPE, "encode_batch", None)
    second = prepare_corpus(["one", "two"], TOKENIZER, **options)
    assert second.report == first.report
    assert (second.train.folder, second.train.n_tokens) == (first.train.folder, first.train.n_tokens)


def test_a_damaged_choice_is_named(tmp_path):
    choose_texts("one", folder=tmp_path, progress=False)
    (path,) = tmp_path.glob("choice-*.json")
    path.write_text("{")
    with pytest.raises(DataError, match=rf"{path.name} is damaged: delete it"):
        choose_texts("one", folder=tmp_path, progress=False)


def test_progress_goes_to_standard_error(capsys):
    choose_texts("one", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "looking for repetitions" in captured.err


def test_another_tokenizer_needs_no_other_choice(tmp_path, monkeypatch):
    options = {"folder": tmp_path, "validation": 0.2, "progress": False}
    prepare_corpus("one", TOKENIZER, **options)
    monkeypatch.setattr(prepare, "drop_duplicates", None)
    prepare_corpus("one", lambda text: [len(text)], fingerprint="length", **options)


def test_whatever_changes_the_result_changes_the_folder(tmp_path, monkeypatch):
    def folder(names="one", tokenizer=TOKENIZER, **options):
        corpus = prepare_corpus(names, tokenizer, folder=tmp_path, progress=False, **({"validation": 0.2} | options))
        assert corpus.validation.folder.parent == corpus.train.folder.parent
        return corpus.train.folder.parent

    other = ByteLevelBPE.train(["the cat"], 258)
    folders = [
        folder(),
        folder("two"),
        folder(["one", "two"]),
        folder(["two", "one"]),
        folder(tokenizer=other),
        folder(fingerprint="mine"),
        folder(validation=0.3),
        folder(seed=1),
        folder(begin=[1]),
        folder(end=[1]),
        folder(vocab_size=400),
    ]
    monkeypatch.setitem(ROWS, "one", [*ROWS["one"][:-1], {"title": "changed", "text": "a changed text, long enough"}])
    folders.append(folder())
    assert len(set(folders)) == len(folders)


def test_no_token_of_a_document_is_on_both_sides_whatever_it_is_cut_into(tmp_path):
    numbers = {row["text"]: index for index, row in enumerate(ROWS["one"])}
    corpus = prepare_corpus(
        "one",
        lambda text: [numbers[text]] * len(text.split()),
        folder=tmp_path,
        validation=0.3,
        fingerprint="numbers",
        progress=False,
    )
    sides = []
    for shards in (corpus.train, corpus.validation):
        packed = PackedRows(shards, length=16, batch_size=4, cut="anywhere", pad_id=999)
        padded = Bucketed(shards, length=16, batch_size=4, pad_id=999)
        sides.append({token for step in range(len(packed)) for token in packed(step)["input_ids"].flatten().tolist()})
        assert sides[-1] | {999} == {
            token for step in range(len(padded)) for token in padded(step)["input_ids"].flatten().tolist()
        } | {999}
    assert sides[0] & sides[1] <= {999}
    assert len(sides[0] | sides[1] - {999}) >= len(numbers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"names": []}, ValueError, r"names must be one or several different names of datasets, got \[\]"),
        ({"names": ["one", "one"]}, ValueError, "different names"),
        ({"names": 3}, TypeError, "names must be the name of a dataset or a list of names, got 3"),
        ({"names": "tables"}, ValueError, r"with a column of texts, got \['tables'\]"),
        ({"tokenizer": "bpe"}, TypeError, "encode must be a tokenizer or a function"),
        ({"tokenizer": len}, ValueError, "fingerprint must be given"),
        ({"folder": 3}, TypeError, "folder must be a path, got 3"),
        ({"validation": 1}, ValueError, "validation must be above 0 and below 1"),
        ({"threshold": 0}, ValueError, "threshold must be above 0"),
        ({"stretch": 0}, ValueError, "stretch must be at least 2"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"end": [-1]}, ValueError, "end must be token ids"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, options, error, message):
    arguments = {"names": "one", "tokenizer": TOKENIZER, "folder": tmp_path / "new", "progress": False} | options
    with pytest.raises(error, match=message):
        prepare_corpus(arguments.pop("names"), arguments.pop("tokenizer"), **arguments)


# The command.


def run(*arguments):
    return CliRunner().invoke(cli.app, ["data", "prepare", *map(str, arguments)])


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_the_command_learns_a_tokenizer_from_the_training_part(tmp_path, kind):
    arguments = (
        "one",
        "--out",
        tmp_path,
        "--tokenizer",
        kind,
        "--vocab-size",
        290,
        "--end",
        "<end>",
        "--validation",
        0.2,
    )
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    texts = choose_texts("one", validation=0.2, progress=False)
    assert texts.report in result.output
    (path,) = tmp_path.glob("tokenizer-*.json")
    tokenizer = load(path)
    assert f"tokenizer: {path}" in result.output
    (folder,) = (path.parent for path in tmp_path.glob("*/train"))
    assert f"train: {len(texts.train)} documents, " in result.output
    assert f"in {folder / 'train'}\n" in result.output
    shards = Shards.open(folder / "validation")
    assert shards[0].tolist() == [*tokenizer.encode(texts.validation[0]), tokenizer.vocab["<end>"]]
    again = run(*arguments)
    assert result.stdout.endswith(again.stdout)  # the first time a bar was shown before it
    assert len(list(tmp_path.glob("*/train"))) == 1


def test_the_command_takes_a_tokenizer_from_a_file(tmp_path):
    TOKENIZER.save(tmp_path / "mine.json")
    result = run("one", "two", "--out", tmp_path / "out", "--tokenizer", tmp_path / "mine.json")
    assert result.exit_code == 0, result.stderr
    assert f"tokenizer: {tmp_path / 'mine.json'}" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "--tokenizer", "gpt5"], "tokenizer must be a file or one of bpe, wordpiece, unigram, got 'gpt5'"),
        (
            ["one", "--tokenizer", "mine.json", "--end", "[SEP]"],
            "end must be a special token of the tokenizer, got '[SEP]'",
        ),
        (["one", "--validation", "2"], "validation must be above 0 and below 1"),
        (["tables"], "names must be those of datasets with a column of texts"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    TOKENIZER.save("mine.json")
    result = run(*arguments, "--out", "out")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
