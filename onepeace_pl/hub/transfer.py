"""Model folders by path, of a run, or from and to the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from onepeace_pl.checkpoints.loading import CONFIG
from onepeace_pl.errors import UserError, first_line

MODEL = "model"  # of a run folder
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["*.json", "*.safetensors", "README.md", "gallery.png"]


def find_folder(name: str | Path, revision: str | None = None, token: str | None = None) -> Path:
    """Return a model folder; downloaded, or from the cache, where the name is one of the Hub.

    A path is never looked for on the Hub: neither what exists, nor ``runs/NAME`` where there is a folder ``runs``.

    Args:
        name: Model folder, run folder (its ``model``), or ``owner/name`` on the Hub.
        revision: Branch, tag or commit on the Hub.
        token: Token of the Hub; by default that of ``hf auth login``.

    Raises:
        FileNotFoundError: There is no such folder.
        UserError: The Hub has no such model, or cannot be reached.
    """
    folder = Path(name)
    if folder.is_dir():
        in_run = folder / MODEL
        return in_run if not (folder / CONFIG).is_file() and (in_run / CONFIG).is_file() else folder
    if not isinstance(name, str) or not _REPO_ID.fullmatch(name) or folder.parent.is_dir():
        raise FileNotFoundError(
            f"no folder {name}; give a model folder, a run folder, or owner/name on the Hugging Face Hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=_FILES))
    except (HfHubHTTPError, OSError, ValueError) as error:  # OSError: no connection, and not in the cache
        raise UserError(
            f"{name}: no folder here, and not to be had from the Hugging Face Hub ({first_line(error)}); check the "
            "name, the token (`hf auth login`) and the connection"
        ) from error


def upload_folder(
    folder: Path, repo_id: str, private: bool | None, token: str | None, commit_message: str
) -> str:
    """Upload a model folder, into a repository that is made where there is none; return the commit's address.

    Raises:
        UserError: The Hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        made = api.create_repo(repo_id, private=private, exist_ok=True)
        found = api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message=commit_message, allow_patterns=_FILES
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"{repo_id}: not uploaded to the Hugging Face Hub ({first_line(error)}); check the name, the token "
            "(`hf auth login`) and the connection"
        ) from error
    return str(found.commit_url)
