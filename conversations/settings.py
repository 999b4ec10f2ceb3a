"""What an installation can choose about conversations."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    max_content_parts: int = Field(
        default=100, ge=1, description="Parts that a message's content may have."
    )
    max_part_json_bytes: int = Field(
        default=262_144, ge=2, description="Size of the value of a content part of type `json`."
    )
    max_url_characters: int = Field(
        default=2048, ge=32, description="Characters that the URL of an image or a file may have."
    )


@cache
def get_settings() -> ConversationsSettings:
    return ConversationsSettings()
