"""From the form in which a package carries a model to the form in which the course reads one."""

from companion.data.conversion.flan_t5 import FLAN_T5_FILES, convert_flan_t5

__all__ = ["FLAN_T5_FILES", "convert_flan_t5"]
