"""`python -m components.settings` writes the files that are generated from the settings."""

from __future__ import annotations

from pathlib import Path

from components.settings.documents import generated_files

for path, text in generated_files(Path(__file__).resolve().parents[2]).items():
    path.write_text(text, encoding="utf-8")
