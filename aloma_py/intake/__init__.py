"""What comes from outside becomes a task, or an error that says what was wrong and where (SPEC §5). Pure values."""

from aloma_py.intake.checks import check_data, check_name, check_tags, nearly_full
from aloma_py.intake.files import read_task_file
from aloma_py.intake.jsontask import read_task_json
from aloma_py.intake.tasks import new_task, new_task_id

__all__ = [
    "check_data",
    "check_name",
    "check_tags",
    "nearly_full",
    "new_task",
    "new_task_id",
    "read_task_file",
    "read_task_json",
]
