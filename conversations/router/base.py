"""The router that the endpoints hang on."""

from ninja import Router

router = Router()
