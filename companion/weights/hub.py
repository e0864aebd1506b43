"""Models of the Hugging Face hub, through its own library and into its own cache."""

from __future__ import annotations

from pathlib import Path

from companion._optional import optional_import
from companion.data.cache import is_offline

# Weights only as safetensors, whole or in parts; and the tokenizer, so that one download is enough.
WANTED = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


def download(name: str, revision: str | None) -> Path:
    """Return the folder of a model of the hub, downloaded unless it is in the hub's cache.

    Raises
    ------
    FileNotFoundError
        If the hub has no such model or revision, or it asks for an account.
    ConnectionError
        If the hub cannot be reached and the cache lacks the model.
    ImportError
        If the hub's library is missing; the message says how to install it.
    """
    hub = optional_import("huggingface_hub", extra="labs", purpose="to download a model from the hub")
    errors = optional_import("huggingface_hub.errors", extra="labs", purpose="to download a model from the hub")
    at = f"{name!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        folder = hub.snapshot_download(
            name, revision=revision, allow_patterns=list(WANTED), local_files_only=is_offline()
        )
    except errors.HFValidationError as error:
        raise FileNotFoundError(f"{at} is no folder, no model of companion.data and no name of the hub") from error
    except errors.GatedRepoError as error:
        raise FileNotFoundError(
            f"the hub gives {at} only to those who have accepted its terms: do so on its page, then run `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise FileNotFoundError(
            f"the hub has no model {at}: check the name, and whether it is private (then run `hf auth login`)"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # a full disk, say
            raise
        raise ConnectionError(
            f"{at} is not in this machine's cache of the hub, and the hub could not be reached ({_reason(error)}). "
            "Check the network (HF_HUB_OFFLINE and COMPANION_OFFLINE forbid it when set), or give a folder that has "
            "the files, or a model of companion.data, which comes from the package index (`companion data list`)"
        ) from error
    return Path(folder)


def _reason(error: Exception) -> str:
    lines = str(error.__cause__ or error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
