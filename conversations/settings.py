"""What an installation can choose about conversations."""

import re
from functools import cache

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tenants.settings import JsonList


class ConversationsSettings(BaseSettings):
    """Read from the environment with the prefix `TENANTRY_CONVERSATIONS_`."""

    model_config = SettingsConfigDict(
        env_prefix="TENANTRY_CONVERSATIONS_",
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,
    )

    default_page_limit: int = Field(
        default=20, ge=1, le=100, description="Items on a page when a request doesn't say."
    )
    max_batch_messages: int = Field(
        default=100, ge=1, le=1000, description="Messages that one append may carry."
    )
    max_text_characters: int = Field(
        default=1_000_000, ge=1, description="Characters that a message's text may have."
    )
    max_metadata_bytes: int = Field(
        default=16_384, ge=2, description="Size of a conversation's metadata as JSON."
    )
    openai_page_limit: int = Field(
        default=20,
        ge=1,
        le=100,
        description="Items on a page of the OpenAI wire when a request doesn't say; its clients "
        "rarely do, and read a long conversation with fewer requests where it is larger.",
    )
    openai_retry_seconds: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long a retry of the OpenAI SDK is answered with what the earlier attempt "
        "wrote; 0 turns it off.",
    )
    idempotency_hours: int = Field(
        default=24,
        ge=1,
        description="How long the answer to a request with an `Idempotency-Key` is kept, to be "
        "given again.",
    )
    max_usage_days: int = Field(
        default=366, ge=1, le=3660, description="Days that one usage report may span."
    )
    max_usage_rows: int = Field(
        default=10_000, ge=1, description="Rows that one usage report may have."
    )
    max_attachment_bytes: int = Field(
        default=25 * 1024 * 1024,
        ge=1,
        description="Size of an attachment; `TENANTRY_MAX_UPLOAD_BYTES` must leave room for it.",
    )
    attachment_media_types: JsonList = Field(
        default=["*/*"],
        description="Media types that attachments may have, as a JSON list such as "
        '`["image/*", "application/pdf"]`.',
    )
    undo_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="How long a deleted conversation can be restored; then it is erased.",
    )
    expire_calls_every_seconds: float = Field(
        default=120.0,
        ge=0,
        description="How often servers look for tool calls that are overdue; 0 for never.",
    )
    finish_erasures_every_seconds: float = Field(
        default=120.0,
        ge=0,
        description="How often servers carry on erasures that were cut off or took longer than a "
        "request; 0 for never.",
    )
    erase_due_every_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How often servers erase what is past its end or its time to be restored; "
        "0 for never.",
    )
    forget_answers_every_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How often servers forget answers that are older than `idempotency_hours`; "
        "0 for never.",
    )
    reindex_messages_every_seconds: float = Field(
        default=120.0,
        ge=0,
        description="How often servers index the messages of long conversations anew that were "
        "given another language; 0 for never.",
    )
    remove_stray_files_every_seconds: float = Field(
        default=86_400.0,
        ge=0,
        description="How often servers remove bytes that no attachment has; 0 for never.",
    )
    default_context_tokens: int = Field(
        default=32_000, ge=1, description="Tokens of a context when a request doesn't say."
    )
    max_context_messages: int = Field(
        default=5_000,
        ge=1,
        description="Messages that are read for a context, whatever its budget.",
    )
    max_summary_characters: int = Field(
        default=100_000, ge=1, description="Characters that a summary may have."
    )
    max_fork_messages: int = Field(
        default=10_000, ge=0, description="Messages that a fork may copy."
    )
    max_content_parts: int = Field(
        default=100, ge=1, description="Parts that a message's content may have."
    )
    max_part_json_bytes: int = Field(
        default=262_144, ge=2, description="Size of the value of a content part of type `json`."
    )
    max_url_characters: int = Field(
        default=2048, ge=32, description="Characters that the URL of an image or a file may have."
    )

    @field_validator("attachment_media_types")
    @classmethod
    def _are_patterns(cls, value: list[str]) -> list[str]:
        if not value or not all(
            re.fullmatch(r"\*/\*|[^/*\s]+/(\*|[^/*\s]+)", each) for each in value
        ):
            raise ValueError('must be media types such as ["image/*", "application/pdf"]')
        return [each.lower() for each in value]


@cache
def get_settings() -> ConversationsSettings:
    return ConversationsSettings()
