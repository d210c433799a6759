"""The load policy: what may run code, what was verified, and the one place that deserializes."""

from __future__ import annotations

from pack.trust.admission import Admission as Admission
from pack.trust.admission import admit as admit
from pack.trust.admission import read_bytes as read_bytes
from pack.trust.policy import Policy as Policy
from pack.trust.policy import policy_for as policy_for
from pack.trust.records import is_remembered as is_remembered
from pack.trust.records import remember as remember
