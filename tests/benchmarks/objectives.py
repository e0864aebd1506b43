"""What three questions teach at equal compute, and what the next-sentence question adds.

``python tests/benchmarks/objectives.py`` trains the small model of the objectives chapter on recipes with each
question, with several seeds, and writes what the chapter draws. A quarter of an hour on one core; runs that the file
holds already are not repeated.
"""

import argparse
import copy
import datetime
import json
import math
import platform
import re
import sys
import time
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file

from rich.progress import track  # noqa: E402
from sklearn.feature_extraction.text import TfidfTransformer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import companion.data  # noqa: E402
from companion.objectives import (  # noqa: E402
    assemble_pair,
    mask_tokens,
    masked_positions,
    next_sentence_pairs,
    take_positions,
    token_loss,
)
from companion.tokenization import WordPiece  # noqa: E402
from tests.objectives.chapter_code import (  # noqa: E402
    CLS,
    EXAMS,
    MASK,
    N_WORDS,
    PAD,
    SENTINELS,
    SEP,
    UNK,
    Reader,
    cut_rows,
    exam_loss,
    exam_of,
    row_cost,
    split_sentences,
    train,
)

STEPS = 1000  # of next-token prediction; the others get as many as cost the same
PAIR_STEPS = 300
PAIR_BATCH = 16
BATCH = 8
LENGTH = 64
CHOICES = 10
# The first pattern that a category contains says what kind of dish it is.
KINDS = {
    "sweet": "dessert|cookie|cake|confection|pastr|muffin|icing|pie",
    "drink": "beverage",
    "soup": "soup|stew",
    "sauce": "sauce|dressing|spice mix",
    "bread": "bread",
    "meat or fish": "meat|chicken|pork|beef|fish|turkey|seafood|clam",
    "grain": "pasta|rice|bean|dumpling|pizza",
}
SENTENCES = (
    "Preheat the oven to 350 degrees.",
    "Add the chopped onion and cook until soft.",
    "Mix the flour, sugar and salt in a large bowl.",
    "Bring the water to a boil.",
)
HIDDEN = ("oven", "cook", "sugar", "boil")


def texts(split=None):
    """Return the rows of a split of the recipes."""
    return companion.data.load("recipes", split=split) if split else companion.data.load("recipes")


def whole_words(tokenizer):
    """List the vocabulary's words of three letters and more that are not pieces."""
    return [i for i, token in tokenizer.id_to_token.items() if token.isalpha() and len(token) >= 3]


def make_gaps(tokenizer, rows, train_rows, count=400, seed=0):
    """Choose in each row a whole word, and draw nine rivals by their frequency; return places and choices."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.zeros(N_WORDS, dtype=torch.bool)
    words[whole_words(tokenizer)] = True
    goes_on = torch.tensor([tokenizer.id_to_token[i].startswith("##") for i in range(N_WORDS)])
    frequency = train_rows.flatten().bincount(minlength=N_WORDS).float() * words
    questions = []
    for row in rows[torch.randperm(len(rows), generator=generator)]:
        free = words[row] & ~goes_on[row.roll(-1)]
        free[: LENGTH // 4] = free[-LENGTH // 4 :] = False
        places = free.nonzero()[:, 0]
        if len(places) == 0:
            continue
        place = int(places[torch.randint(len(places), (), generator=generator)])
        others = frequency.clone()
        others[row[place]] = 0
        rivals = torch.multinomial(others, CHOICES - 1, generator=generator)
        questions.append((row, place, torch.cat([row[place, None], rivals])))
    rows, places, choices = zip(*questions[:count], strict=True)
    return torch.stack(rows), torch.tensor(places), torch.stack(choices), frequency


def score_gaps(reader, exam, rows, places):
    """Score every word in every gap, the way the model was asked while it learned."""
    each = torch.arange(len(rows))
    if exam == "next token":
        causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
        return reader.scores(reader(rows, causal)[each, places - 1])
    if exam == "spans":
        read = rows.clone()
        read[each, places] = SENTINELS[0]
        ids = torch.cat([read, torch.full_like(rows[:, :1], SEP), torch.full_like(rows[:, :1], SENTINELS[0])], dim=1)
        mask = torch.ones(LENGTH + 2, LENGTH + 2, dtype=torch.bool).tril()
        mask[:, : LENGTH + 1] = True
        return reader.scores(reader(ids, mask)[:, -1])
    hidden = rows.clone()
    hidden[each, places] = MASK
    return reader.scores(reader(hidden)[each, places])


def score_whole_texts(reader, rows, places, choices):
    """Score each choice by the probability of the whole text with it: so one who looks back uses both sides."""
    causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    scores = []
    for choice in choices.T:
        filled = rows.scatter(1, places[:, None], choice[:, None])
        logs = reader.scores(reader(filled, causal)[:, :-1]).log_softmax(-1)
        scores.append(logs.gather(-1, filled[:, 1:, None])[..., 0].sum(1))
    return torch.stack(scores, dim=1)


def share(right):
    """Round a share of right answers."""
    return round(right.float().mean().item(), 4)


def gap_results(reader, exam, gaps):
    """Measure how often the hidden word is found among ten, and among all."""
    rows, places, choices, _ = gaps
    results = {"first of all": [], "first of ten": []}
    whole = []
    for part in torch.arange(len(rows)).split(100):
        scores = score_gaps(reader, exam, rows[part], places[part])[:, :N_WORDS]
        results["first of all"].append(scores.argmax(-1) == choices[part, 0])
        results["first of ten"].append(scores.gather(1, choices[part]).argmax(-1) == 0)
        if exam == "next token":
            whole.append(score_whole_texts(reader, rows[part], places[part], choices[part]).argmax(-1) == 0)
    found = {name: share(torch.cat(parts)) for name, parts in results.items()}
    return found | ({"first of ten, whole text": share(torch.cat(whole))} if whole else {})


def labelled(tokenizer):
    """Return the first tokens of recipes without their titles, and what kind of dish each is."""
    rows, kinds = [], []
    for recipe in texts():
        kind = next((kind for kind, words in KINDS.items() if re.search(words, recipe["category"].lower())), None)
        ids = tokenizer.encode(recipe["text"].partition("\n")[2])[:LENGTH] if kind else []
        if len(ids) == LENGTH:
            rows.append(ids)
            kinds.append(kind)
    return torch.tensor(rows), kinds


def probe(features, kinds):
    """Return the accuracy of a linear classifier on frozen features, in five folds."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=500))
    return round(float(cross_val_score(model, features, kinds, cv=5).mean()), 4)


def mean_vectors(reader, rows, exam):
    """Return the mean vector of each row, read as the model reads."""
    causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril() if exam == "next token" else None
    return torch.cat([reader(part, causal).mean(1) for part in rows.split(100)]).numpy()


def count_words(rows, kinds):
    """Return the accuracy of the same classifier on weighted counts of tokens, which need no training."""
    counts = torch.stack([row.bincount(minlength=N_WORDS) for row in rows]).numpy()
    model = make_pipeline(TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10, max_iter=500))
    return round(float(cross_val_score(model, counts, kinds, cv=5).mean()), 4)


def answers(reader, tokenizer, exam):
    """Return the three likeliest words for a gap in each sentence."""
    found = []
    for text, hidden in zip(SENTENCES, HIDDEN, strict=True):
        ids = tokenizer.encode(text)
        place = ids.index(tokenizer.vocab[hidden])
        row = torch.full((1, LENGTH), PAD)
        row[0] = torch.tensor((ids + [SEP] + ids * LENGTH)[:LENGTH])
        scores = score_gaps(reader, exam, row, torch.tensor([place]))[0, :N_WORDS]
        found.append([tokenizer.id_to_token[i] for i in scores.topk(3).indices.tolist()])
    return found


def curve(losses, width=50):
    """Return the mean loss of each stretch of steps, in bits."""
    return [round(sum(losses[i : i + width]) / width / math.log(2), 3) for i in range(0, len(losses), width)]


def run_exam(name, seed, data):
    """Train with one question, and measure what was learned."""
    steps = round(STEPS * row_cost(EXAMS["next token"]) / row_cost(EXAMS[name]) / 50) * 50
    reader = Reader(seed)
    start = time.process_time()
    losses = train(reader, exam_of(reader, EXAMS[name], data["train"], seed, BATCH), steps=steps)
    result = {"seed": seed, "steps": steps, "cpu_seconds": round(time.process_time() - start, 1)}
    reader.eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        parts = [exam_loss(reader, EXAMS[name], rows, generator) for rows in data["test"].split(64)]
        total, count = (sum(part).item() for part in zip(*parts, strict=True))
        result["bits"] = round(total / count / math.log(2), 3)
        result["asked"] = round(count / data["test"].numel(), 4)
        result |= gap_results(reader, name, data["gaps"])
        result["probe"] = probe(mean_vectors(reader, data["labelled"][0], name), data["labelled"][1])
        result["answers"] = answers(reader, data["tokenizer"], name)
    result["curve"] = curve(losses)
    return result, reader


def rest(data):
    """Measure what needs no training: frequencies, counts of words, and a fresh model."""
    _, _, choices, frequency = data["gaps"]
    rows, kinds = data["labelled"]
    with torch.no_grad():
        fresh = [probe(mean_vectors(Reader(seed).eval(), rows, "gaps"), kinds) for seed in range(3)]
    return {
        "most frequent of ten": share(frequency[choices].argmax(1) == 0),
        "most frequent of all": share(choices[:, 0] == frequency.argmax()),
        "gaps": len(choices),
        "word counts": count_words(rows, kinds),
        "fresh model": fresh,
        "kinds": dict(Counter(kinds)),
        "unigram bits": round(unigram_bits(data), 3),
    }


def unigram_bits(data):
    """Return the surprise of a test token to one who knows only how frequent each is."""
    counts = data["train"].flatten().bincount(minlength=N_WORDS).double() + 0.1
    return -(counts / counts.sum()).log2()[data["test"].flatten()].mean().item()


# --- the next sentence ---

PAIRS = {
    "with the question": {"random": 0.5, "asked": True},
    "same pairs, not asked": {"random": 0.5, "asked": False},
    "true pairs, not asked": {"random": 0.0, "asked": False},
}


def pad_pairs(pairs):
    """Lay pairs out as rows of one length; return ids, segments, where a token may be hidden, and labels."""
    ids, segments = torch.full((len(pairs), LENGTH), PAD), torch.zeros(len(pairs), LENGTH, dtype=torch.long)
    maskable = torch.zeros(len(pairs), LENGTH, dtype=torch.bool)
    for i, pair in enumerate(pairs):
        row = assemble_pair(pair.first, pair.second, cls_id=CLS, sep_id=SEP)
        n = len(row.input_ids)
        ids[i, :n], segments[i, :n], maskable[i, :n] = row.input_ids, row.token_type_ids, row.maskable
    return ids, segments, maskable & (ids > MASK), torch.tensor([pair.label for pair in pairs])


def pair_losses(reader, batch, generator):
    """Return the loss of the hidden tokens, and the scores of the question."""
    ids, segments, maskable, _ = batch
    hidden = mask_tokens(
        ids,
        mask_id=MASK,
        vocab_size=N_WORDS,
        special_ids=(PAD, UNK, CLS, SEP),
        maskable=maskable,
        count=round(0.15 * int(maskable.sum())),
        generator=generator,
    )
    vectors = reader(hidden.input_ids, (ids != PAD)[:, None, None], segments)
    asked = masked_positions(hidden.labels)
    loss = token_loss(reader.scores(take_positions(vectors, asked)), hidden.labels.flatten()[asked])
    return loss, reader.follows(vectors[:, 0])


def follows_scores(reader, batch):
    """Score whether the second text follows, with nothing hidden."""
    ids, segments, _, _ = batch
    parts = torch.arange(len(ids)).split(100)
    rows = [reader.follows(reader(ids[p], (ids[p] != PAD)[:, None, None], segments[p])[:, 0]) for p in parts]
    return torch.cat(rows)


def shared_words(batch):
    """Count the different words that both texts of a pair have, as a share of the shorter one's."""
    ids, segments, maskable, _ = batch
    shares = []
    for row, kind, real in zip(ids, segments, maskable, strict=True):
        first, second = (set(row[real & (kind == k)].tolist()) for k in (0, 1))
        shares.append(len(first & second) / max(1, min(len(first), len(second))))
    return torch.tensor(shares)


def best_threshold(shares, labels):
    """Choose from which share of common words on to say that a pair belongs together."""
    thresholds = shares.unique()
    right = [((shares < t).long() == labels).float().mean() for t in thresholds]
    return thresholds[int(torch.stack(right).argmax())]


def documents(tokenizer, split):
    """Return recipes as lists of sentences of token ids, without their titles."""
    found = [[tokenizer.encode(s) for s in split_sentences(t.partition("\n")[2])] for t in texts(split)["text"]]
    return [[sentence for sentence in document if sentence] for document in found]


def run_pairs(name, seed, data, reader):
    """Train a model that has filled gaps on pairs of texts, with the question or without, and measure what it knows."""
    setting = PAIRS[name]
    generator = torch.Generator().manual_seed(seed)
    pairs = [
        pair
        for _ in range(2)  # another draw of partners in the second half
        for pair in next_sentence_pairs(
            data["documents"], max_length=LENGTH - 3, generator=generator, random=setting["random"]
        )
    ]
    batch_of = pad_pairs(pairs)
    reader = copy.deepcopy(reader).train()

    def loss_of():
        chosen = torch.randint(len(pairs), (PAIR_BATCH,), generator=generator)
        batch = [part[chosen] for part in batch_of]
        loss, scores = pair_losses(reader, batch, generator)
        question = torch.nn.functional.cross_entropy(scores, batch[3])
        return loss.mean + question if setting["asked"] else loss.mean

    start = time.process_time()
    losses = train(reader, loss_of, steps=PAIR_STEPS, learning_rate=2e-3)
    result = {"seed": seed, "steps": PAIR_STEPS, "cpu_seconds": round(time.process_time() - start, 1)}
    reader.eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        batches = zip(*(part.split(64) for part in data["true pairs"]), strict=True)
        parts = [pair_losses(reader, batch, generator)[0] for batch in batches]
        total, count = (sum(part).item() for part in zip(*parts, strict=True))
        result["gap bits"] = round(total / count / math.log(2), 3)
        rows, kinds = data["labelled"]
        alone = torch.cat([torch.full_like(rows[:, :1], CLS), rows[:, :-2], torch.full_like(rows[:, :1], SEP)], dim=1)
        vectors = [reader(part, None, torch.zeros_like(part)) for part in alone.split(100)]
        result["probe, mean"] = probe(torch.cat([v.mean(1) for v in vectors]).numpy(), kinds)
        result["probe, first"] = probe(torch.cat([v[:, 0] for v in vectors]).numpy(), kinds)
        if setting["asked"]:
            said = follows_scores(reader, data["test pairs"]).argmax(-1)
            result["right"] = share(said == data["test pairs"][3])
            for test in ("true pairs", "swapped pairs", "unrelated pairs"):
                result[f"{test} said to follow"] = share(follows_scores(reader, data[test]).argmax(-1) == 0)
    result["curve"] = curve(losses)
    return result


def rule_results(data):
    """Measure what counting common words says to the same question."""
    generator = torch.Generator().manual_seed(0)
    pairs = next_sentence_pairs(data["documents"], max_length=LENGTH - 3, generator=generator)[:2000]
    batch = pad_pairs(pairs)
    threshold = best_threshold(shared_words(batch), batch[3])
    test = data["test pairs"]
    shares = shared_words(test)
    return {
        "right": share((shares < threshold).long() == test[3]),
        "threshold": round(threshold.item(), 3),
        "pairs": len(shares),
        "shared": [[round(value, 3) for value in shares[test[3] == label].tolist()] for label in (0, 1)],
    }


def prepare():
    """Load the recipes, learn the vocabulary, and draw the test questions."""
    companion.data.fetch(["recipes"])
    tokenizer = WordPiece.train(texts("train")["text"], vocab_size=N_WORDS)
    data = {"tokenizer": tokenizer}
    for split in ("train", "test"):
        data[split] = cut_rows(tokenizer, texts(split)["text"])
    data["gaps"] = make_gaps(tokenizer, data["test"], data["train"])
    data["labelled"] = labelled(tokenizer)
    data["documents"] = documents(tokenizer, "train")
    held_out = documents(tokenizer, "test") + documents(tokenizer, "validation")
    for name, chance in {"test pairs": 0.5, "true pairs": 0.0, "unrelated pairs": 1.0}.items():
        generator = torch.Generator().manual_seed(0)
        pairs = next_sentence_pairs(held_out, max_length=LENGTH - 3, generator=generator, random=chance)[:600]
        data[name] = pad_pairs(pairs)
        if name == "true pairs":
            data["swapped pairs"] = pad_pairs([pair._replace(first=pair.second, second=pair.first) for pair in pairs])
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "companion" / "objectives" / "comparison.json")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = prepare()
    content = {
        "command": "python tests/benchmarks/objectives.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "batch": BATCH,
        "pair batch": PAIR_BATCH,
        "sentences": [text.replace(word, "[?]", 1) for text, word in zip(SENTENCES, HIDDEN, strict=True)],
        "hidden": HIDDEN,
        "rest": rest(data),
        "rule": rule_results(data),
        "exams": {name: {"cost": row_cost(exam), "runs": []} for name, exam in EXAMS.items()},
        "pairs": {name: {**setting, "runs": []} for name, setting in PAIRS.items()},
    }
    old = json.loads(options.out.read_text("utf8")) if options.out.exists() else {}
    for kind in ("exams", "pairs"):
        for name, each in content[kind].items():
            each["runs"] = old.get(kind, {}).get(name, {}).get("runs", [])

    def lacks(kind, name, seed):
        return seed not in [run["seed"] for run in content[kind][name]["runs"]]

    def keep(kind, name, result):
        content[kind][name]["runs"] = sorted([*content[kind][name]["runs"], result], key=lambda run: run["seed"])
        options.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    for seed in track(range(options.seeds), "seeds"):
        waiting = [name for name in PAIRS if lacks("pairs", name, seed)]
        for name in ("more gaps", "next token", "gaps", "spans"):
            if lacks("exams", name, seed) or (name == "more gaps" and waiting):
                result, reader = run_exam(name, seed, data)
                if lacks("exams", name, seed):
                    keep("exams", name, result)
                if name == "more gaps":
                    for each in waiting:
                        keep("pairs", each, run_pairs(each, seed, data, reader))


if __name__ == "__main__":
    main()
