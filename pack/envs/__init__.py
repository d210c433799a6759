"""What a model needs to run: requirements, the environment files, and how they are inferred and read back."""

from __future__ import annotations

from pack.envs import requirements as requirements
from pack.envs.files import Environment as Environment
from pack.envs.files import read_environment as read_environment
from pack.envs.files import write_environment as write_environment
from pack.envs.infer import infer_requirements as infer_requirements
from pack.envs.infer import modules_of_code as modules_of_code
from pack.envs.installed import Mismatch as Mismatch
from pack.envs.installed import mismatches as mismatches
from pack.envs.locks import locked_requirements as locked_requirements
