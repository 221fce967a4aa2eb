"""Why a model could not be measured: categories, what they mean, what to do.

Ten categories are those of the original system. The eleventh,
``TEMPORARILY_UNAVAILABLE``, separates an outage of the provider, which passes, from
a model that does not exist, which does not: the original called both unavailable and
so scored outages as bad models.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ErrorCategory(StrEnum):
    """Kind of the reason for which a check has no measurement."""

    UNAVAILABLE = "UNAVAILABLE"
    PERMISSION_ERROR = "PERMISSION_ERROR"
    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    CONFIGURATION_ERROR = "CONFIGURATION_ERROR"
    PROVISIONING_REQUIRED = "PROVISIONING_REQUIRED"
    RATE_LIMIT = "RATE_LIMIT"
    TIMEOUT = "TIMEOUT"
    QUALITY_ISSUE = "QUALITY_ISSUE"
    NETWORK_ERROR = "NETWORK_ERROR"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"

    @property
    def facts(self) -> CategoryFacts:
        """What is known about this category."""
        return CATEGORIES[self]


class CategorySeverity(StrEnum):
    """How much a category hinders the use of a model, worst first."""

    CRITICAL = "critical"  #: unusable until someone acts
    HIGH = "high"  #: someone must act, a workaround may exist
    MEDIUM = "medium"  #: passes by itself
    LOW = "low"  #: usable with limits


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryFacts:
    """What a category means and what to do about it."""

    severity: CategorySeverity
    #: Whether the same request may succeed later without anybody acting.
    temporary: bool = False
    #: How often one request is repeated; 0 for what waiting does not cure.
    max_retries: int = 0
    #: Wait before the first repetition; doubled for each further one.
    base_delay: timedelta = timedelta(0)
    #: One sentence for the person who asked for the certification.
    message: str
    #: What to do, most likely cure first.
    suggestions: tuple[str, ...]


#: Facts of every category; retries and severities are the original's. The order is
#: its order of precedence, which decides between categories of equal severity.
CATEGORIES: Mapping[ErrorCategory, CategoryFacts] = MappingProxyType(
    {
        ErrorCategory.UNAVAILABLE: CategoryFacts(
            severity=CategorySeverity.CRITICAL,
            message="The provider does not offer this model here.",
            suggestions=(
                "Compare the model id with the provider's list, letter by letter.",
                "Ask whether the model is offered in this region; try another one.",
                "On Bedrock, try the regional prefix: us., eu. or apac.",
                "If the model was retired, register its successor.",
            ),
        ),
        ErrorCategory.PERMISSION_ERROR: CategoryFacts(
            severity=CategorySeverity.CRITICAL,
            message="The credentials are known but may not use this model.",
            suggestions=(
                (
                    "On Bedrock, allow bedrock:InvokeModel and "
                    "bedrock:InvokeModelWithResponseStream for the model's ARN."
                ),
                "Ask whether a policy of the organisation denies the model or region.",
                "With an API key, check the project and the scopes it is limited to.",
            ),
        ),
        ErrorCategory.AUTHENTICATION_ERROR: CategoryFacts(
            severity=CategorySeverity.CRITICAL,
            message="The provider did not accept the credentials.",
            suggestions=(
                "Check that the secret named in the request is set on the worker.",
                "Renew the key or the token: it may have expired or been revoked.",
                "Check that the key belongs to this provider and this endpoint.",
                "For AWS, compare the worker's clock with the true time.",
            ),
        ),
        ErrorCategory.CONFIGURATION_ERROR: CategoryFacts(
            severity=CategorySeverity.HIGH,
            message="The provider refused the request as it is configured.",
            suggestions=(
                "Read the provider's message: it usually names the parameter.",
                "Check the base URL and the region of the model.",
                "On Bedrock, use the inference profile id instead of the model id.",
                "Remove parameters that this model does not take.",
            ),
        ),
        ErrorCategory.PROVISIONING_REQUIRED: CategoryFacts(
            severity=CategorySeverity.CRITICAL,
            message="The account has no access to this model yet.",
            suggestions=(
                "On Bedrock, open Model access in the console and request the model.",
                "Use an inference profile when the model has no on-demand throughput.",
                "Buy provisioned throughput when the model needs it.",
                "Check the account's billing and its remaining credit.",
            ),
        ),
        ErrorCategory.RATE_LIMIT: CategoryFacts(
            severity=CategorySeverity.MEDIUM,
            temporary=True,
            max_retries=3,
            base_delay=timedelta(seconds=2),
            message="The provider limits how fast requests may come.",
            suggestions=(
                "Wait some minutes and retry the job.",
                "Lower 'concurrency' or set 'requests_per_second' in parameters.",
                "Space the jobs of a batch with a rate limit on the queue.",
                "Ask the provider for a higher quota.",
            ),
        ),
        ErrorCategory.TIMEOUT: CategoryFacts(
            severity=CategorySeverity.MEDIUM,
            temporary=True,
            max_retries=1,
            base_delay=timedelta(seconds=5),
            message="The model did not answer within the time given.",
            suggestions=(
                "Retry the job: a cold start takes longer than a warm one.",
                "Give each request more time: parameters={'request_timeout': 240}.",
                "Choose a region nearer to the worker.",
            ),
        ),
        ErrorCategory.QUALITY_ISSUE: CategoryFacts(
            severity=CategorySeverity.LOW,
            message="The model answered, but not as the check asks.",
            suggestions=(
                "Read the answers: client.samples(job) has those of endpoints.",
                "Compare with a larger model of the same family.",
                "If the threshold is stricter than your use, write your own suite.",
            ),
        ),
        ErrorCategory.NETWORK_ERROR: CategoryFacts(
            severity=CategorySeverity.MEDIUM,
            temporary=True,
            max_retries=2,
            base_delay=timedelta(seconds=1),
            message="The endpoint could not be reached from the worker.",
            suggestions=(
                "Check the base URL, its host name and its port.",
                "Check proxy and firewall between the worker and the endpoint.",
                "If the server is your own, check that it runs.",
            ),
        ),
        ErrorCategory.TEMPORARILY_UNAVAILABLE: CategoryFacts(
            severity=CategorySeverity.MEDIUM,
            temporary=True,
            max_retries=3,
            base_delay=timedelta(seconds=2),
            message="The provider has an outage, or the model is being loaded.",
            suggestions=(
                "Read the provider's status page.",
                "Retry the job later.",
                "Try another region.",
            ),
        ),
        ErrorCategory.UNKNOWN_ERROR: CategoryFacts(
            severity=CategorySeverity.MEDIUM,
            message="The reason fits no known category.",
            suggestions=(
                "Read the job's log: it has the type and text of the error.",
                "Repeat the request by hand against the same endpoint.",
                "Report the error if it looks like a defect of the SDK.",
            ),
        ),
    }
)

#: Whatever the score, a model with one of these is not usable: the verdict is
#: ``failed``.
FORCED_FAILURES = frozenset(
    {
        ErrorCategory.UNAVAILABLE,
        ErrorCategory.PERMISSION_ERROR,
        ErrorCategory.AUTHENTICATION_ERROR,
        ErrorCategory.CONFIGURATION_ERROR,
        ErrorCategory.PROVISIONING_REQUIRED,
    }
)

_SEVERITIES = tuple(CategorySeverity)
_PRECEDENCE = tuple(CATEGORIES)


def most_severe(categories: Iterable[ErrorCategory]) -> ErrorCategory | None:
    """Choose the category that hinders most; the order given does not matter.

    Parameters
    ----------
    categories : iterable of ErrorCategory
        Categories of the checks that could not be measured.

    Returns
    -------
    ErrorCategory or None
        ``None`` when there are none.
    """
    return min(categories, key=_rank, default=None)


def _rank(category: ErrorCategory) -> tuple[int, int]:
    severity = CATEGORIES[category].severity
    return _SEVERITIES.index(severity), _PRECEDENCE.index(category)
