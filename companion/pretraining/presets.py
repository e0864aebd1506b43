"""What can be pretrained by name: a model, an objective, texts, a tokenizer and a recipe, each in one frozen record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from companion._validation import describe, require_count
from companion.models import BERTConfig, GPTConfig, T5Config
from companion.training import TrainerConfig

ModelConfig = GPTConfig | BERTConfig | T5Config
Objective = Literal["causal", "masked", "spans"]
TokenizerKind = Literal["bpe", "wordpiece", "unigram"]
Words = Literal["pieces", "spaces", "jieba"]
#: The model that each objective trains.
MODELS = {"causal": GPTConfig, "masked": BERTConfig, "spans": T5Config}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything that decides what a pretrained model becomes, but for the seed and the number of steps.

    Parameters
    ----------
    name
        What it is called on the command line.
    about
        What it is, in a few words, for the list of presets and the model card.
    objective
        ``"causal"`` (the next token), ``"masked"`` (hidden tokens, and whether two texts belong together) or
        ``"spans"`` (hidden stretches).
    model
        The model's sizes. Its ``vocab_size`` is the most that the tokenizer may learn.
    data
        Names of texts, as :func:`companion.data.load` knows them.
    tokenizer
        The kind of the tokenizer, which is learned from the same texts.
    words
        What is hidden as one: single ``"pieces"``, words between ``"spaces"``, or Chinese words as ``"jieba"`` cuts
        them.
    hidden_share
        What share of the tokens hides, for the objectives ``"masked"`` and ``"spans"``.
    span_length
        How many tokens a span has on average, for the objective ``"spans"``.
    length, batch_size
        Positions of a row, and rows of a batch.
    recipe
        How it is trained; the steps are those of the shipped checkpoint. A run of other length keeps the share of the
        warm-up.
    examples
        Texts for the card: what the model goes on from, or texts with ``[MASK]`` or ``<extra_id_0>``.

    Raises
    ------
    TypeError, ValueError
        If the parts do not belong together.
    """

    name: str
    about: str
    objective: Objective
    model: ModelConfig
    data: tuple[str, ...]
    tokenizer: TokenizerKind
    words: Words = "pieces"
    hidden_share: float = 0.15
    span_length: float = 3.0
    length: int
    batch_size: int
    recipe: TrainerConfig
    examples: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, known in (("objective", Objective), ("tokenizer", TokenizerKind), ("words", Words)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(known))}, got {describe(getattr(self, name))}"
                )
        if not isinstance(self.model, MODELS[self.objective]):
            raise TypeError(
                f"model must be a {MODELS[self.objective].__name__} for the objective {self.objective!r}, "
                f"got {describe(self.model)}"
            )
        if not isinstance(self.data, tuple) or not self.data:
            raise ValueError(f"data must be a tuple of at least one name, got {describe(self.data)}")
        if not 0 < self.hidden_share < 1:
            raise ValueError(f"hidden_share must be above 0 and below 1, got {self.hidden_share}")
        if not self.span_length >= 1:
            raise ValueError(f"span_length must be at least 1, got {self.span_length}")
        for name in ("length", "batch_size"):
            require_count(name, getattr(self, name))
        room = getattr(self.model, "max_len", self.length)
        if self.length > room:
            raise ValueError(f"length must be at most the model's max_len {room}, got {self.length}")

    def recipe_for(self, steps: int, **changes: Any) -> TrainerConfig:
        """Return the recipe of a run of another length, warmed up for the same share of it."""
        require_count("steps", steps)
        warmup = round(self.recipe.warmup * steps / self.recipe.steps)
        return replace(self.recipe, steps=steps, warmup=warmup, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        facts |= {"data": list(self.data), "examples": list(self.examples)}
        return facts | {"model": asdict(self.model), "recipe": self.recipe.to_json()}


# Found on short runs of tiny-gpt: AdamW ends much higher; twice the rate ends about as low.
RECIPE = TrainerConfig(steps=2300, optimizer="muon", lr=6e-3, weight_decay=0.1, schedule="linear", warmup=60, floor=0.0)
# Few hidden tokens make noisy gradients: a lower rate, kept up until half of the steps are done.
MASKED_RECIPE = replace(RECIPE, lr=2e-3, schedule="wsd", decay=0.5, warmup=100)

_PRESETS = (
    Preset(
        name="tiny-gpt",
        about="a GPT of English recipes and encyclopaedia articles",
        objective="causal",
        model=GPTConfig(vocab_size=6144, max_len=256, d_model=256, n_heads=4, n_layers=4),
        data=("recipes", "wiki"),
        tokenizer="bpe",
        length=256,
        batch_size=8,
        recipe=RECIPE,
        examples=(
            "Chocolate Cake\nIngredients:",
            "Mix the flour, sugar and eggs in a bowl. Preheat the oven to",
            "Albert Einstein was a",
            "The river",
        ),
    ),
    Preset(
        name="tiny-bert",
        about="a BERT of the English encyclopaedia",
        objective="masked",
        model=BERTConfig(vocab_size=8192, max_len=128, d_model=256, n_heads=4, n_layers=4),
        data=("wiki", "boolq"),
        tokenizer="wordpiece",
        hidden_share=0.3,
        length=128,
        batch_size=16,
        recipe=replace(MASKED_RECIPE, steps=3200),
        examples=(
            "Paris is the capital of [MASK].",
            "The river flows into the [MASK].",
            "She was an American [MASK] and actress.",
            "The second world [MASK] ended in 1945.",
        ),
    ),
    Preset(
        name="tiny-t5",
        about="a T5 of English recipes and encyclopaedia articles",
        objective="spans",
        # A head of its own learns which token follows which without first forgetting to repeat the token it reads.
        model=T5Config(vocab_size=6144, d_model=256, n_heads=4, n_layers=2, d_ff=768, gated=True, tied=False),
        data=("recipes", "wiki"),
        tokenizer="unigram",
        hidden_share=0.3,
        length=96,
        batch_size=20,
        recipe=replace(RECIPE, steps=4000, lr=4e-3, schedule="wsd", decay=0.5),
        examples=(
            "Preheat the <extra_id_0> to 350°F.",
            "He was born <extra_id_0> and died in London.",
            "Combine all ingredients in a large <extra_id_0>. Chill for 1 hour.",
        ),
    ),
    Preset(
        name="tiny-bert-zh",
        about="a BERT of Chinese reviews and newspaper paragraphs, which hides whole words",
        objective="masked",
        model=BERTConfig(vocab_size=6144, max_len=128, d_model=256, n_heads=4, n_layers=4),
        data=("zh_reviews", "zh_news"),
        tokenizer="wordpiece",
        words="jieba",
        hidden_share=0.3,
        length=128,
        batch_size=16,
        recipe=replace(MASKED_RECIPE, steps=2600),
        examples=("这家酒店的服务很[MASK]。", "这本书写得很[MASK]，值得一读。", "中国人民[MASK]行行长"),
    ),
)
#: All presets by name.
PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _PRESETS}


def get_preset(name: str) -> Preset:
    """Find a preset by its name.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
