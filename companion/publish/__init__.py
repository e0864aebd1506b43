"""From sources to what readers get: notebooks for Colab, the students' labs, and what the site build needs."""

from companion.publish.project import colab_url, project_urls, repository_root, setup_line

__all__ = ["colab_url", "project_urls", "repository_root", "setup_line"]
