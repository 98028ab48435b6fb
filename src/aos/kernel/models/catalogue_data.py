"""The catalogue's data: written by `python -m aos.boot.catalogue`; change the table there, not this file.

Rates are millionths of a dollar for a million tokens: input, output, cached, cache writes, cache writes kept for an hour.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from aos.kernel.dialects.values import Dialect
from aos.kernel.models.providers import BASE_URLS, DIALECTS_OF
from aos.kernel.models.values import Capability, CatalogueModel, Price, Provider

_C = {sign.value: sign for sign in Capability}


def _chat(provider: Provider) -> tuple[Dialect, ...]:
    return tuple(dialect for dialect in DIALECTS_OF[provider] if dialect is not Dialect.EMBEDDINGS)


# fmt: off
def _model(
    name: str, provider: Provider, upstream: str, dialects: tuple[Dialect, ...], sizes: tuple[int, int, int],
    can: str, tags: str, prices: tuple[Price, ...], region: str = "", aliases: tuple[str, ...] = (), ends: date | None = None,
) -> CatalogueModel:
    return CatalogueModel(
        name, provider, upstream, BASE_URLS.get(provider, ""), dialects, *sizes,
        tuple(_C[sign] for sign in can.split()), tuple(tags.split()), prices, region, aliases, ends,
    )


def _price(source: str, since: date, above: int, rates: tuple[int, int, int | None, int | None, int | None]) -> Price:
    return Price(
        "USD", rates[0] * 1_000, rates[1] * 1_000, _nanos(rates[2]), _nanos(rates[3]), _nanos(rates[4]),
        since=since, above_tokens=above, source=source,
    )


def _nanos(rate: int | None) -> int | None:
    return None if rate is None else rate * 1_000


_ANY_DAY = date(1970, 1, 1)
_OWN = "the machine's own processor"
_OPENAI = "genai-prices 0.2.3, https://developers.openai.com/api/docs/pricing"
_ANTHROPIC = "genai-prices 0.2.3, https://www.anthropic.com/pricing#api"
_MISTRAL = "genai-prices 0.2.3, https://mistral.ai/pricing/api"
_TOGETHER = "genai-prices 0.2.3, https://www.together.ai/pricing"

CATALOGUE: Final[tuple[CatalogueModel, ...]] = (
    _model("gpt-6-astra", Provider.OPENAI, "gpt-6-astra", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 5), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (10_000_000, 50_000_000, 1_000_000, 12_500_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (20_000_000, 75_000_000, 2_000_000, 25_000_000, None)),
    )),
    _model("gpt-6.1-sol", Provider.OPENAI, "gpt-6.1-sol", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (2_000_000, 10_000_000, 100_000, 2_500_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (4_000_000, 15_000_000, 200_000, 5_000_000, None)),
    )),
    _model("gpt-6-sol", Provider.OPENAI, "gpt-6-sol", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (2_000_000, 10_000_000, 200_000, 2_500_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (4_000_000, 15_000_000, 400_000, 5_000_000, None)),
    )),
    _model("gpt-6.1-terra", Provider.OPENAI, "gpt-6.1-terra", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning orchestration", (
        _price(_OPENAI, _ANY_DAY, 0, (1_000_000, 5_000_000, 50_000, 1_250_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (2_000_000, 7_500_000, 100_000, 2_500_000, None)),
    )),
    _model("gpt-6-luna", Provider.OPENAI, "gpt-6-luna", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 3), "tools images json_schema reasoning",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (100_000, 500_000, 10_000, 125_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (200_000, 750_000, 20_000, 250_000, None)),
    )),
    _model("gpt-5.6-sol", Provider.OPENAI, "gpt-5.6-sol", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (5_000_000, 30_000_000, 500_000, 6_250_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (10_000_000, 45_000_000, 1_000_000, 12_500_000, None)),
        _price(_OPENAI, date(2026, 8, 21), 0, (4_000_000, 20_000_000, 400_000, 5_000_000, None)),
        _price(_OPENAI, date(2026, 8, 21), 272_001, (8_000_000, 30_000_000, 800_000, 10_000_000, None)),
    )),
    _model("gpt-5.6-terra", Provider.OPENAI, "gpt-5.6-terra", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning orchestration", (
        _price(_OPENAI, _ANY_DAY, 0, (2_500_000, 15_000_000, 250_000, 3_125_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (5_000_000, 22_500_000, 500_000, 6_250_000, None)),
        _price(_OPENAI, date(2026, 7, 30), 0, (2_000_000, 12_000_000, 200_000, 2_500_000, None)),
        _price(_OPENAI, date(2026, 7, 30), 272_001, (4_000_000, 18_000_000, 400_000, 5_000_000, None)),
    )),
    _model("gpt-5.6-luna", Provider.OPENAI, "gpt-5.6-luna", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 3), "tools images json_schema reasoning",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (1_000_000, 6_000_000, 100_000, 1_250_000, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (2_000_000, 9_000_000, 200_000, 2_500_000, None)),
        _price(_OPENAI, date(2026, 7, 30), 0, (200_000, 1_200_000, 20_000, 250_000, None)),
        _price(_OPENAI, date(2026, 7, 30), 272_001, (400_000, 1_800_000, 40_000, 500_000, None)),
    )),
    _model("gpt-5.5", Provider.OPENAI, "gpt-5.5", _chat(Provider.OPENAI),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (5_000_000, 30_000_000, 500_000, None, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (10_000_000, 45_000_000, 1_000_000, None, None)),
    )),
    _model("gpt-5.4", Provider.OPENAI, "gpt-5.4", _chat(Provider.OPENAI),
           (1_050_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (2_500_000, 15_000_000, 250_000, None, None)),
        _price(_OPENAI, _ANY_DAY, 272_001, (5_000_000, 22_500_000, 500_000, None, None)),
    )),
    _model("gpt-5.4-mini", Provider.OPENAI, "gpt-5.4-mini", _chat(Provider.OPENAI),
           (400_000, 128_000, 3), "tools images json_schema reasoning",
           "general-reasoning high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (750_000, 4_500_000, 75_000, None, None)),
    )),
    _model("gpt-5.4-nano", Provider.OPENAI, "gpt-5.4-nano", _chat(Provider.OPENAI),
           (400_000, 128_000, 2), "tools images json_schema reasoning",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (200_000, 1_250_000, 20_000, None, None)),
    )),
    _model("gpt-5.2", Provider.OPENAI, "gpt-5.2", _chat(Provider.OPENAI),
           (400_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (1_750_000, 14_000_000, 175_000, None, None)),
    )),
    _model("gpt-5.1", Provider.OPENAI, "gpt-5.1", _chat(Provider.OPENAI),
           (400_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (1_250_000, 10_000_000, 125_000, None, None)),
    ), ends=date(2027, 4, 1)),
    _model("gpt-5", Provider.OPENAI, "gpt-5", _chat(Provider.OPENAI),
           (400_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (1_250_000, 10_000_000, 125_000, None, None)),
    ), ends=date(2026, 12, 11)),
    _model("gpt-5-mini", Provider.OPENAI, "gpt-5-mini", _chat(Provider.OPENAI),
           (400_000, 128_000, 3), "tools images json_schema reasoning",
           "general-reasoning high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (250_000, 2_000_000, 25_000, None, None)),
    ), ends=date(2026, 12, 11)),
    _model("gpt-5-nano", Provider.OPENAI, "gpt-5-nano", _chat(Provider.OPENAI),
           (400_000, 128_000, 2), "tools images json_schema reasoning",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (50_000, 400_000, 5_000, None, None)),
    ), ends=date(2026, 12, 11)),
    _model("gpt-4.1", Provider.OPENAI, "gpt-4.1", _chat(Provider.OPENAI),
           (1_000_000, 32_768, 4), "tools images json_schema",
           "general-reasoning orchestration", (
        _price(_OPENAI, _ANY_DAY, 0, (2_000_000, 8_000_000, 500_000, None, None)),
    ), ends=date(2027, 1, 14)),
    _model("gpt-4.1-mini", Provider.OPENAI, "gpt-4.1-mini", _chat(Provider.OPENAI),
           (1_000_000, 32_768, 3), "tools images json_schema",
           "general-reasoning high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (400_000, 1_600_000, 100_000, None, None)),
    ), ends=date(2027, 1, 14)),
    _model("gpt-4.1-nano", Provider.OPENAI, "gpt-4.1-nano", _chat(Provider.OPENAI),
           (1_000_000, 32_768, 2), "tools images json_schema",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (100_000, 400_000, 25_000, None, None)),
    ), ends=date(2026, 10, 23)),
    _model("gpt-4o", Provider.OPENAI, "gpt-4o", _chat(Provider.OPENAI),
           (128_000, 16_384, 3), "tools images json_schema",
           "general-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (2_500_000, 10_000_000, 1_250_000, None, None)),
    ), ends=date(2027, 1, 14)),
    _model("gpt-4o-mini", Provider.OPENAI, "gpt-4o-mini", _chat(Provider.OPENAI),
           (128_000, 16_384, 2), "tools images json_schema",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (150_000, 600_000, 75_000, None, None)),
    ), ends=date(2027, 1, 14)),
    _model("gpt-4o-2024-05-13", Provider.OPENAI, "gpt-4o-2024-05-13", _chat(Provider.OPENAI),
           (128_000, 4_096, 3), "tools images",
           "general-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (5_000_000, 15_000_000, None, None, None)),
    ), ends=date(2026, 10, 23)),
    _model("o3", Provider.OPENAI, "o3", _chat(Provider.OPENAI),
           (200_000, 100_000, 4), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (10_000_000, 40_000_000, 500_000, None, None)),
        _price(_OPENAI, date(2025, 6, 10), 0, (2_000_000, 8_000_000, 500_000, None, None)),
    ), ends=date(2026, 12, 11)),
    _model("o4-mini", Provider.OPENAI, "o4-mini", _chat(Provider.OPENAI),
           (200_000, 100_000, 3), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (1_100_000, 4_400_000, 275_000, None, None)),
    ), ends=date(2026, 10, 23)),
    _model("gpt-4-turbo", Provider.OPENAI, "gpt-4-turbo", _chat(Provider.OPENAI),
           (128_000, 4_096, 3), "tools images",
           "general-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (10_000_000, 30_000_000, None, None, None)),
    ), aliases=("gpt-4-turbo-preview",), ends=date(2026, 10, 23)),
    _model("gpt-4-32k", Provider.OPENAI, "gpt-4-32k", _chat(Provider.OPENAI),
           (32_768, 32_768, 3), "tools",
           "general-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (60_000_000, 120_000_000, None, None, None)),
    ), aliases=("gpt-4-32k-0613",), ends=date(2025, 6, 6)),
    _model("gpt-4", Provider.OPENAI, "gpt-4", _chat(Provider.OPENAI),
           (8_192, 8_192, 3), "tools",
           "general-reasoning", (
        _price(_OPENAI, _ANY_DAY, 0, (30_000_000, 60_000_000, None, None, None)),
    ), aliases=("gpt-4-0613",), ends=date(2026, 10, 23)),
    _model("gpt-3.5-turbo", Provider.OPENAI, "gpt-3.5-turbo", _chat(Provider.OPENAI),
           (16_385, 4_096, 1), "tools",
           "high-speed", (
        _price(_OPENAI, _ANY_DAY, 0, (500_000, 1_500_000, None, None, None)),
    ), aliases=("gpt-3.5-turbo-0125", "gpt-35-turbo",), ends=date(2026, 10, 23)),
    _model("text-embedding-3-large", Provider.OPENAI, "text-embedding-3-large", (Dialect.EMBEDDINGS,),
           (8_192, 0, 4), "embeddings",
           "embedding", (
        _price(_OPENAI, _ANY_DAY, 0, (130_000, 0, None, None, None)),
    )),
    _model("text-embedding-3-small", Provider.OPENAI, "text-embedding-3-small", (Dialect.EMBEDDINGS,),
           (8_192, 0, 3), "embeddings",
           "embedding", (
        _price(_OPENAI, _ANY_DAY, 0, (20_000, 0, None, None, None)),
    )),
    _model("text-embedding-ada-002", Provider.OPENAI, "text-embedding-ada-002", (Dialect.EMBEDDINGS,),
           (8_192, 0, 2), "embeddings",
           "embedding", (
        _price(_OPENAI, _ANY_DAY, 0, (100_000, 0, None, None, None)),
    )),
    _model("claude-fable-5-2", Provider.ANTHROPIC, "claude-fable-5-2", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (8_000_000, 40_000_000, 200_000, 10_000_000, 16_000_000)),
    )),
    _model("claude-fable-5-1", Provider.ANTHROPIC, "claude-fable-5-1", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (10_000_000, 50_000_000, 250_000, 12_500_000, 20_000_000)),
    )),
    _model("claude-opus-5-5", Provider.ANTHROPIC, "claude-opus-5-5", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000)),
    )),
    _model("claude-sonnet-5-5", Provider.ANTHROPIC, "claude-sonnet-5-5", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning orchestration code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000)),
    )),
    _model("claude-haiku-5-5", Provider.ANTHROPIC, "claude-haiku-5-5", _chat(Provider.ANTHROPIC),
           (1_000_000, 64_000, 3), "tools images json_schema reasoning",
           "high-speed", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (100_000, 500_000, 10_000, 125_000, 200_000)),
        _price(_ANTHROPIC, _ANY_DAY, 100_001, (500_000, 2_500_000, 50_000, 625_000, 1_000_000)),
    )),
    _model("claude-opus-5", Provider.ANTHROPIC, "claude-opus-5", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
    )),
    _model("claude-sonnet-5", Provider.ANTHROPIC, "claude-sonnet-5", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning orchestration code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (2_000_000, 10_000_000, 200_000, 2_500_000, 4_000_000)),
    )),
    _model("claude-opus-4-8", Provider.ANTHROPIC, "claude-opus-4-8", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
    )),
    _model("claude-opus-4-7", Provider.ANTHROPIC, "claude-opus-4-7", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
    )),
    _model("claude-opus-4-6", Provider.ANTHROPIC, "claude-opus-4-6", _chat(Provider.ANTHROPIC),
           (1_000_000, 128_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
        _price(_ANTHROPIC, _ANY_DAY, 200_001, (10_000_000, 37_500_000, 1_000_000, 12_500_000, 20_000_000)),
        _price(_ANTHROPIC, date(2026, 3, 13), 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
    )),
    _model("claude-opus-4-5", Provider.ANTHROPIC, "claude-opus-4-5", _chat(Provider.ANTHROPIC),
           (200_000, 64_000, 5), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000)),
    )),
    _model("claude-opus-4-1", Provider.ANTHROPIC, "claude-opus-4-1", _chat(Provider.ANTHROPIC),
           (200_000, 32_000, 4), "tools images json_schema reasoning",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (15_000_000, 75_000_000, 1_500_000, 18_750_000, 30_000_000)),
    )),
    _model("claude-opus-4-0", Provider.ANTHROPIC, "claude-opus-4-0", _chat(Provider.ANTHROPIC),
           (200_000, 32_000, 4), "tools images reasoning",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (15_000_000, 75_000_000, 1_500_000, 18_750_000, 30_000_000)),
    ), aliases=("claude-opus-4",)),
    _model("claude-sonnet-4-6", Provider.ANTHROPIC, "claude-sonnet-4-6", _chat(Provider.ANTHROPIC),
           (1_000_000, 64_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning orchestration code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
        _price(_ANTHROPIC, _ANY_DAY, 200_001, (6_000_000, 22_500_000, 600_000, 7_500_000, 12_000_000)),
        _price(_ANTHROPIC, date(2026, 3, 13), 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
    )),
    _model("claude-sonnet-4-5", Provider.ANTHROPIC, "claude-sonnet-4-5", _chat(Provider.ANTHROPIC),
           (200_000, 64_000, 4), "tools images json_schema reasoning",
           "general-reasoning specialized-reasoning orchestration code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
        _price(_ANTHROPIC, _ANY_DAY, 200_001, (6_000_000, 22_500_000, 600_000, 7_500_000, 12_000_000)),
    ), ends=date(2026, 11, 30)),
    _model("claude-sonnet-4-0", Provider.ANTHROPIC, "claude-sonnet-4-0", _chat(Provider.ANTHROPIC),
           (200_000, 64_000, 4), "tools images reasoning",
           "general-reasoning specialized-reasoning code", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
    ), aliases=("claude-sonnet-4",)),
    _model("claude-haiku-4-5", Provider.ANTHROPIC, "claude-haiku-4-5", _chat(Provider.ANTHROPIC),
           (200_000, 64_000, 3), "tools images json_schema reasoning",
           "high-speed", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000)),
    )),
    _model("claude-3-7-sonnet", Provider.ANTHROPIC, "claude-3-7-sonnet-20250219", _chat(Provider.ANTHROPIC),
           (200_000, 64_000, 3), "tools images reasoning",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
    ), aliases=("claude-3-7-sonnet-latest",), ends=date(2026, 2, 19)),
    _model("claude-3-5-sonnet", Provider.ANTHROPIC, "claude-3-5-sonnet-20241022", _chat(Provider.ANTHROPIC),
           (200_000, 8_192, 3), "tools images",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
    ), aliases=("claude-3-5-sonnet-latest",), ends=date(2025, 10, 28)),
    _model("claude-3-5-haiku", Provider.ANTHROPIC, "claude-3-5-haiku-20241022", _chat(Provider.ANTHROPIC),
           (200_000, 8_192, 2), "tools images",
           "high-speed", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (800_000, 4_000_000, 80_000, 1_000_000, 1_600_000)),
    ), aliases=("claude-3-5-haiku-latest",), ends=date(2026, 2, 19)),
    _model("claude-3-opus", Provider.ANTHROPIC, "claude-3-opus-20240229", _chat(Provider.ANTHROPIC),
           (200_000, 4_096, 3), "tools images",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (15_000_000, 75_000_000, 1_500_000, 18_750_000, 30_000_000)),
    ), aliases=("claude-3-opus-latest",), ends=date(2026, 1, 5)),
    _model("claude-3-sonnet", Provider.ANTHROPIC, "claude-3-sonnet-20240229", _chat(Provider.ANTHROPIC),
           (200_000, 4_096, 2), "tools images",
           "specialized-reasoning", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000)),
    ), ends=date(2025, 7, 21)),
    _model("claude-3-haiku", Provider.ANTHROPIC, "claude-3-haiku-20240307", _chat(Provider.ANTHROPIC),
           (200_000, 4_096, 1), "tools images",
           "specialized-reasoning high-speed", (
        _price(_ANTHROPIC, _ANY_DAY, 0, (250_000, 1_250_000, 30_000, 300_000, 500_000)),
    )),
    _model("mistral-large-4", Provider.MISTRAL, "mistral-large-4", _chat(Provider.MISTRAL),
           (1_048_576, 32_768, 4), "tools images json_schema",
           "general-reasoning specialized-reasoning orchestration", (
        _price(_MISTRAL, _ANY_DAY, 0, (680_000, 2_090_000, 70_000, None, None)),
        _price(_MISTRAL, date(2026, 10, 20), 0, (1_360_000, 4_180_000, 140_000, None, None)),
        _price(_MISTRAL, date(2026, 10, 29), 0, (700_000, 2_100_000, 70_000, None, None)),
    ), region="eu", aliases=("mistral-large-4-0",)),
    _model("mistral-large-2512", Provider.MISTRAL, "mistral-large-2512", _chat(Provider.MISTRAL),
           (262_144, 32_768, 4), "tools images json_schema",
           "general-reasoning orchestration open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (500_000, 1_500_000, 50_000, None, None)),
    ), region="eu"),
    _model("mistral-large-2411", Provider.MISTRAL, "mistral-large-2411", _chat(Provider.MISTRAL),
           (128_000, 16_384, 3), "tools json_schema",
           "general-reasoning orchestration", (
        _price(_MISTRAL, _ANY_DAY, 0, (2_000_000, 6_000_000, None, None, None)),
    ), region="eu"),
    _model("mistral-medium-latest", Provider.MISTRAL, "mistral-medium-latest", _chat(Provider.MISTRAL),
           (262_144, 32_768, 4), "tools images json_schema",
           "general-reasoning orchestration", (
        _price(_MISTRAL, _ANY_DAY, 0, (400_000, 2_000_000, 40_000, None, None)),
        _price(_MISTRAL, date(2026, 6, 16), 0, (1_500_000, 7_500_000, 150_000, None, None)),
    ), region="eu"),
    _model("mistral-medium-3-5", Provider.MISTRAL, "mistral-medium-3-5", _chat(Provider.MISTRAL),
           (262_144, 32_768, 4), "tools images json_schema",
           "general-reasoning orchestration", (
        _price(_MISTRAL, _ANY_DAY, 0, (1_500_000, 7_500_000, 150_000, None, None)),
    ), region="eu", aliases=("mistral-medium-2604",)),
    _model("mistral-small-latest", Provider.MISTRAL, "mistral-small-latest", _chat(Provider.MISTRAL),
           (262_144, 16_384, 3), "tools images json_schema",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (100_000, 300_000, None, None, None)),
        _price(_MISTRAL, date(2026, 3, 16), 0, (150_000, 600_000, 15_000, None, None)),
    ), region="eu"),
    _model("mistral-small-2603", Provider.MISTRAL, "mistral-small-2603", _chat(Provider.MISTRAL),
           (262_144, 16_384, 3), "tools images json_schema",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (150_000, 600_000, 15_000, None, None)),
    ), region="eu"),
    _model("ministral-14b-2512", Provider.MISTRAL, "ministral-14b-2512", _chat(Provider.MISTRAL),
           (262_144, 16_384, 2), "tools images json_schema",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (200_000, 200_000, 20_000, None, None)),
    ), region="eu"),
    _model("ministral-8b-2512", Provider.MISTRAL, "ministral-8b-2512", _chat(Provider.MISTRAL),
           (262_144, 16_384, 2), "tools images json_schema",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (150_000, 150_000, 15_000, None, None)),
    ), region="eu"),
    _model("ministral-3b-2512", Provider.MISTRAL, "ministral-3b-2512", _chat(Provider.MISTRAL),
           (131_072, 16_384, 1), "tools images json_schema",
           "high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (100_000, 100_000, 10_000, None, None)),
    ), region="eu"),
    _model("codestral-2508", Provider.MISTRAL, "codestral-2508", _chat(Provider.MISTRAL),
           (256_000, 16_384, 3), "tools json_schema",
           "code", (
        _price(_MISTRAL, _ANY_DAY, 0, (300_000, 900_000, 30_000, None, None)),
    ), region="eu"),
    _model("magistral-medium", Provider.MISTRAL, "magistral-medium-latest", _chat(Provider.MISTRAL),
           (40_000, 16_384, 3), "tools reasoning",
           "specialized-reasoning", (
        _price(_MISTRAL, _ANY_DAY, 0, (2_000_000, 5_000_000, None, None, None)),
    ), region="eu", aliases=("magistral-medium-latest",)),
    _model("open-mistral-nemo", Provider.MISTRAL, "open-mistral-nemo", _chat(Provider.MISTRAL),
           (128_000, 16_384, 2), "tools json_schema",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (150_000, 150_000, None, None, None)),
    ), region="eu", aliases=("mistral-nemo",)),
    _model("open-mistral-7b", Provider.MISTRAL, "open-mistral-7b", _chat(Provider.MISTRAL),
           (32_768, 8_192, 1), "",
           "orchestration high-speed open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (250_000, 250_000, None, None, None)),
    ), region="eu", aliases=("mistral-7b",)),
    _model("open-mixtral-8x7b", Provider.MISTRAL, "open-mixtral-8x7b", _chat(Provider.MISTRAL),
           (32_768, 8_192, 2), "",
           "orchestration open-weights", (
        _price(_MISTRAL, _ANY_DAY, 0, (700_000, 700_000, None, None, None)),
    ), region="eu", aliases=("mixtral-8x7b",)),
    _model("mistral-embed", Provider.MISTRAL, "mistral-embed", (Dialect.EMBEDDINGS,),
           (8_192, 0, 3), "embeddings",
           "embedding", (
        _price(_MISTRAL, _ANY_DAY, 0, (100_000, 0, None, None, None)),
    ), region="eu"),
    _model("codestral-embed-2505", Provider.MISTRAL, "codestral-embed-2505", (Dialect.EMBEDDINGS,),
           (8_000, 0, 3), "embeddings",
           "embedding code", (
        _price(_MISTRAL, _ANY_DAY, 0, (150_000, 0, 15_000, None, None)),
    ), region="eu"),
    _model("llama-2-70b-chat", Provider.COMPATIBLE, "llama-2-70b-chat", _chat(Provider.COMPATIBLE),
           (4_096, 2_048, 2), "",
           "orchestration high-speed open-weights", (
        _price(_TOGETHER, _ANY_DAY, 0, (900_000, 900_000, None, None, None)),
    )),
    _model("llama-2-13b-chat", Provider.COMPATIBLE, "llama-2-13b-chat", _chat(Provider.COMPATIBLE),
           (4_096, 2_048, 1), "",
           "orchestration high-speed open-weights", (
        _price(_TOGETHER, _ANY_DAY, 0, (225_000, 225_000, None, None, None)),
    )),
    _model("llama-2-7b-chat", Provider.COMPATIBLE, "llama-2-7b-chat", _chat(Provider.COMPATIBLE),
           (4_096, 2_048, 1), "",
           "high-speed open-weights", (
        _price(_TOGETHER, _ANY_DAY, 0, (200_000, 200_000, None, None, None)),
    ), aliases=("llama2", "llama2-chat",)),
    _model("mistral-7b-instruct", Provider.COMPATIBLE, "mistral-7b-instruct", _chat(Provider.COMPATIBLE),
           (32_768, 4_096, 1), "",
           "orchestration high-speed open-weights", (
        _price(_TOGETHER, _ANY_DAY, 0, (200_000, 200_000, None, None, None)),
    )),
    _model("local/smollm2", Provider.LOCAL, "smollm2", _chat(Provider.LOCAL),
           (2_048, 1_024, 1), "",
           "orchestration high-speed open-weights", (
        _price(_OWN, _ANY_DAY, 0, (0, 0, None, None, None)),
    ), region="local", aliases=("smollm2",)),
)
