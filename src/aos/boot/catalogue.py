"""`python -m aos.boot.catalogue`: writes `kernel/models/catalogue_data.py` from the prices of genai-prices and the table here.

genai-prices knows what a token costs and since when; what a model can do, how strong it is and how long its provider serves
it stands in the table below, kept by hand. A model that genai-prices does not price, or prices by something else than tokens,
is an error: nothing is guessed. The package belongs to the development environment; AOS itself never needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from aos.boot.installation import installation_root
from aos.kernel.models.values import Capability, Provider

FILE: Final = "src/aos/kernel/models/catalogue_data.py"

# Capabilities, by letter: tools, images, JSON schema, reasoning, embeddings.
_LETTERS: Final = {
    "t": Capability.TOOLS,
    "i": Capability.IMAGES,
    "j": Capability.JSON_SCHEMA,
    "r": Capability.REASONING,
    "e": Capability.EMBEDDINGS,
}
# What a model is good for, by letter: the names of the purposes of `kernel/models/purposes.py`, and two signs besides.
_TAGS: Final = {
    "G": "general-reasoning",
    "S": "specialized-reasoning",
    "O": "orchestration",
    "E": "embedding",
    "H": "high-speed",
    "W": "open-weights",
    "C": "code",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept by hand of one model. `priced` is its name at genai-prices, `provider:name` where that is another's."""

    name: str
    priced: str
    context: int
    output: int
    strength: int
    can: str
    tags: str
    upstream: str = ""
    aliases: tuple[str, ...] = ()
    ends: date | None = None


_OCT_2026, _DEC_2026, _JAN_2027 = date(2026, 10, 23), date(2026, 12, 11), date(2027, 1, 14)

OPENAI: Final = (
    Row("gpt-6-astra", "gpt-6-astra", 1_050_000, 128_000, 5, "tijr", "S"),
    Row("gpt-6.1-sol", "gpt-6.1-sol", 1_050_000, 128_000, 5, "tijr", "GS"),
    Row("gpt-6-sol", "gpt-6-sol", 1_050_000, 128_000, 5, "tijr", "GS"),
    Row("gpt-6.1-terra", "gpt-6.1-terra", 1_050_000, 128_000, 4, "tijr", "GO"),
    Row("gpt-6-luna", "gpt-6-luna", 1_050_000, 128_000, 3, "tijr", "H"),
    Row("gpt-5.6-sol", "gpt-5.6-sol", 1_050_000, 128_000, 5, "tijr", "GS"),
    Row("gpt-5.6-terra", "gpt-5.6-terra", 1_050_000, 128_000, 4, "tijr", "GO"),
    Row("gpt-5.6-luna", "gpt-5.6-luna", 1_050_000, 128_000, 3, "tijr", "H"),
    Row("gpt-5.5", "gpt-5.5", 1_000_000, 128_000, 5, "tijr", "GS"),
    Row("gpt-5.4", "gpt-5.4", 1_050_000, 128_000, 5, "tijr", "GS"),
    Row("gpt-5.4-mini", "gpt-5.4-mini", 400_000, 128_000, 3, "tijr", "GH"),
    Row("gpt-5.4-nano", "gpt-5.4-nano", 400_000, 128_000, 2, "tijr", "H"),
    Row("gpt-5.2", "gpt-5.2", 400_000, 128_000, 4, "tijr", "GS"),
    Row("gpt-5.1", "gpt-5.1", 400_000, 128_000, 4, "tijr", "GS", ends=date(2027, 4, 1)),
    Row("gpt-5", "gpt-5", 400_000, 128_000, 4, "tijr", "GS", ends=_DEC_2026),
    Row("gpt-5-mini", "gpt-5-mini", 400_000, 128_000, 3, "tijr", "GH", ends=_DEC_2026),
    Row("gpt-5-nano", "gpt-5-nano", 400_000, 128_000, 2, "tijr", "H", ends=_DEC_2026),
    Row("gpt-4.1", "gpt-4.1", 1_000_000, 32_768, 4, "tij", "GO", ends=_JAN_2027),
    Row("gpt-4.1-mini", "gpt-4.1-mini", 1_000_000, 32_768, 3, "tij", "GH", ends=_JAN_2027),
    Row("gpt-4.1-nano", "gpt-4.1-nano", 1_000_000, 32_768, 2, "tij", "H", ends=_OCT_2026),
    Row("gpt-4o", "gpt-4o", 128_000, 16_384, 3, "tij", "G", ends=_JAN_2027),
    Row("gpt-4o-mini", "gpt-4o-mini", 128_000, 16_384, 2, "tij", "H", ends=_JAN_2027),
    Row("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", 128_000, 4_096, 3, "ti", "G", ends=_OCT_2026),
    Row("o3", "o3", 200_000, 100_000, 4, "tijr", "S", ends=_DEC_2026),
    Row("o4-mini", "o4-mini", 200_000, 100_000, 3, "tijr", "S", ends=_OCT_2026),
    Row("gpt-4-turbo", "gpt-4-turbo", 128_000, 4_096, 3, "ti", "G", aliases=("gpt-4-turbo-preview",), ends=_OCT_2026),
    Row("gpt-4-32k", "gpt-4-32k", 32_768, 32_768, 3, "t", "G", aliases=("gpt-4-32k-0613",), ends=date(2025, 6, 6)),
    Row("gpt-4", "gpt-4", 8_192, 8_192, 3, "t", "G", aliases=("gpt-4-0613",), ends=_OCT_2026),
    Row(
        "gpt-3.5-turbo", "gpt-3.5-turbo", 16_385, 4_096, 1, "t", "H",
        aliases=("gpt-3.5-turbo-0125", "gpt-35-turbo"), ends=_OCT_2026,
    ),
    Row("text-embedding-3-large", "text-embedding-3-large", 8_192, 0, 4, "e", "E"),
    Row("text-embedding-3-small", "text-embedding-3-small", 8_192, 0, 3, "e", "E"),
    Row("text-embedding-ada-002", "text-embedding-ada-002", 8_192, 0, 2, "e", "E"),
)  # fmt: skip

ANTHROPIC: Final = (
    Row("claude-fable-5-2", "claude-fable-5-2", 1_000_000, 128_000, 5, "tijr", "S"),
    Row("claude-fable-5-1", "claude-fable-5-1", 1_000_000, 128_000, 5, "tijr", "S"),
    Row("claude-opus-5-5", "claude-opus-5-5", 1_000_000, 128_000, 5, "tijr", "GSC"),
    Row("claude-sonnet-5-5", "claude-sonnet-5-5", 1_000_000, 128_000, 4, "tijr", "GSOC"),
    Row("claude-haiku-5-5", "claude-haiku-5-5", 1_000_000, 64_000, 3, "tijr", "H"),
    Row("claude-opus-5", "claude-opus-5", 1_000_000, 128_000, 5, "tijr", "GSC"),
    Row("claude-sonnet-5", "claude-sonnet-5", 1_000_000, 128_000, 4, "tijr", "GSOC"),
    Row("claude-opus-4-8", "claude-opus-4-8", 1_000_000, 128_000, 5, "tijr", "GSC"),
    Row("claude-opus-4-7", "claude-opus-4-7", 1_000_000, 128_000, 5, "tijr", "GSC"),
    Row("claude-opus-4-6", "claude-opus-4-6", 1_000_000, 128_000, 5, "tijr", "GSC"),
    Row("claude-opus-4-5", "claude-opus-4-5", 200_000, 64_000, 5, "tijr", "GSC"),
    Row("claude-opus-4-1", "claude-opus-4-1", 200_000, 32_000, 4, "tijr", "S"),
    Row("claude-opus-4-0", "claude-opus-4-0", 200_000, 32_000, 4, "tir", "S", aliases=("claude-opus-4",)),
    Row("claude-sonnet-4-6", "claude-sonnet-4-6", 1_000_000, 64_000, 4, "tijr", "GSOC"),
    Row("claude-sonnet-4-5", "claude-sonnet-4-5", 200_000, 64_000, 4, "tijr", "GSOC", ends=date(2026, 11, 30)),
    Row("claude-sonnet-4-0", "claude-sonnet-4-0", 200_000, 64_000, 4, "tir", "GSC", aliases=("claude-sonnet-4",)),
    Row("claude-haiku-4-5", "claude-haiku-4-5", 200_000, 64_000, 3, "tijr", "H"),
    Row("claude-3-7-sonnet", "claude-3-7-sonnet-latest", 200_000, 64_000, 3, "tir", "S", "claude-3-7-sonnet-20250219",
        ("claude-3-7-sonnet-latest",), date(2026, 2, 19)),
    Row("claude-3-5-sonnet", "claude-3-5-sonnet", 200_000, 8_192, 3, "ti", "S", "claude-3-5-sonnet-20241022",
        ("claude-3-5-sonnet-latest",), date(2025, 10, 28)),
    Row("claude-3-5-haiku", "claude-3-5-haiku-latest", 200_000, 8_192, 2, "ti", "H", "claude-3-5-haiku-20241022",
        ("claude-3-5-haiku-latest",), date(2026, 2, 19)),
    Row("claude-3-opus", "claude-3-opus-latest", 200_000, 4_096, 3, "ti", "S", "claude-3-opus-20240229",
        ("claude-3-opus-latest",), date(2026, 1, 5)),
    Row("claude-3-sonnet", "claude-3-sonnet", 200_000, 4_096, 2, "ti", "S", "claude-3-sonnet-20240229",
        (), date(2025, 7, 21)),
    Row("claude-3-haiku", "claude-3-haiku", 200_000, 4_096, 1, "ti", "SH", "claude-3-haiku-20240307"),
)  # fmt: skip

MISTRAL: Final = (
    Row("mistral-large-4", "mistral-large-4", 1_048_576, 32_768, 4, "tij", "GSO", aliases=("mistral-large-4-0",)),
    Row("mistral-large-2512", "mistral-large-2512", 262_144, 32_768, 4, "tij", "GOW"),
    Row("mistral-large-2411", "mistral-large", 128_000, 16_384, 3, "tj", "GO"),
    Row("mistral-medium-latest", "mistral-medium-latest", 262_144, 32_768, 4, "tij", "GO"),
    Row("mistral-medium-3-5", "mistral-medium-3-5", 262_144, 32_768, 4, "tij", "GO", aliases=("mistral-medium-2604",)),
    Row("mistral-small-latest", "mistral-small-latest", 262_144, 16_384, 3, "tij", "OHW"),
    Row("mistral-small-2603", "mistral-small-2603", 262_144, 16_384, 3, "tij", "OHW"),
    Row("ministral-14b-2512", "ministral-14b-2512", 262_144, 16_384, 2, "tij", "OHW"),
    Row("ministral-8b-2512", "ministral-8b-2512", 262_144, 16_384, 2, "tij", "OHW"),
    Row("ministral-3b-2512", "ministral-3b-2512", 131_072, 16_384, 1, "tij", "HW"),
    Row("codestral-2508", "codestral-2508", 256_000, 16_384, 3, "tj", "C"),
    Row("magistral-medium", "magistral-medium", 40_000, 16_384, 3, "tr", "S", "magistral-medium-latest",
        ("magistral-medium-latest",)),
    Row("open-mistral-nemo", "mistral-nemo", 128_000, 16_384, 2, "tj", "OHW", aliases=("mistral-nemo",)),
    Row("open-mistral-7b", "mistral-7b", 32_768, 8_192, 1, "", "OHW", aliases=("mistral-7b",)),
    Row("open-mixtral-8x7b", "mixtral-8x7b", 32_768, 8_192, 2, "", "OW", aliases=("mixtral-8x7b",)),
    Row("mistral-embed", "mistral-embed", 8_192, 0, 3, "e", "E"),
    Row("codestral-embed-2505", "codestral-embed-2505", 8_000, 0, 3, "e", "EC"),
)  # fmt: skip

# Open weights that anyone may serve: the prices are Together's, by genai-prices; on a machine of one's own they are free.
COMPATIBLE: Final = (
    Row("llama-2-70b-chat", "together:meta-llama/Llama-2-70b-chat-hf", 4_096, 2_048, 2, "", "OHW"),
    Row("llama-2-13b-chat", "together:meta-llama/Llama-2-13b-chat-hf", 4_096, 2_048, 1, "", "OHW"),
    Row("llama-2-7b-chat", "together:meta-llama/Llama-2-7b-chat-hf", 4_096, 2_048, 1, "", "HW",
        aliases=("llama2", "llama2-chat")),
    Row("mistral-7b-instruct", "together:mistralai/Mistral-7B-Instruct-v0.2", 32_768, 4_096, 1, "", "OHW"),
)  # fmt: skip

# SmolLM2-135M on the machine's own processor: it writes plausible text, calls no tools and invents facts.
LOCAL: Final = (Row("local/smollm2", "", 2_048, 1_024, 1, "", "OHW", "smollm2", ("smollm2",)),)

TABLE: Final = {
    Provider.OPENAI: OPENAI,
    Provider.ANTHROPIC: ANTHROPIC,
    Provider.MISTRAL: MISTRAL,
    Provider.COMPATIBLE: COMPATIBLE,
    Provider.LOCAL: LOCAL,
}
_REGIONS: Final = {Provider.MISTRAL: "eu", Provider.LOCAL: "local"}
_PARTS: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")

_HEAD = '''\
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


'''


def main(root: Path) -> int:
    """Write the catalogue's data if they differ, and say so."""
    file, text = root / FILE, catalogue_text()
    if not file.is_file() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")
        print(f"wrote {FILE}")
    return 0


def catalogue_text() -> str:
    """Return the text of the data's module. Raises KeyError or ValueError where a model has no price by tokens."""
    known = {provider.id: provider for provider in _genai_providers()}
    sources: dict[str, str] = {}
    lines = ["CATALOGUE: Final[tuple[CatalogueModel, ...]] = (", *_models(known, sources), ")", ""]
    named = [f'{sign} = "{source}"' for source, sign in sources.items()]
    start = "_ANY_DAY = date(1970, 1, 1)"
    return _HEAD.replace("\n\ndef _model", "\n\n# fmt: off\ndef _model") + "\n".join([start, *named, "", *lines])


def _models(known: dict[str, Any], sources: dict[str, str]) -> Iterator[str]:
    for provider, rows in TABLE.items():
        for row in rows:
            source_id, _, priced = row.priced.rpartition(":")
            prices = ["_price(_OWN, _ANY_DAY, 0, (0, 0, None, None, None))"]
            sources.setdefault("the machine's own processor", "_OWN")
            if priced:
                seller = known[source_id or provider.value]
                source = f"genai-prices {version('genai-prices')}, {seller.pricing_urls[0]}"
                sign = sources.setdefault(source, f"_{seller.id.upper()}")
                prices = [_price_text(sign, *price) for price in _prices(_find(seller, priced), row)]
            yield from _model_text(provider, row, prices)


def _model_text(provider: Provider, row: Row, prices: list[str]) -> Iterator[str]:
    can = " ".join(_LETTERS[letter].value for letter in row.can)
    tags = " ".join(_TAGS[letter] for letter in row.tags)
    dialects = "(Dialect.EMBEDDINGS,)" if "e" in row.can else f"_chat(Provider.{provider.name})"
    more = [f'region="{_REGIONS[provider]}"'] if provider in _REGIONS else []
    if row.aliases:
        more.append(f"aliases=({', '.join(f'{alias!r}' for alias in row.aliases)},)".replace("'", '"'))
    if row.ends:
        more.append(f"ends=date({row.ends.year}, {row.ends.month}, {row.ends.day})")
    yield f'    _model("{row.name}", Provider.{provider.name}, "{row.upstream or row.name}", {dialects},'
    yield f'           ({row.context:_}, {row.output:_}, {row.strength}), "{can}",'
    yield f'           "{tags}", ('
    yield from (f"        {price}," for price in prices)
    yield f"    ){''.join(f', {part}' for part in more)}),"


def _price_text(source: str, since: date | None, above: int, rates: tuple[int | None, ...]) -> str:
    day = f"date({since.year}, {since.month}, {since.day})" if since else "_ANY_DAY"
    shown = ", ".join(str(rate) if rate is None else f"{rate:_}" for rate in rates)
    return f"_price({source}, {day}, {above:_}, ({shown}))"


def _prices(model: Any, row: Row) -> Iterator[tuple[date | None, int, tuple[int | None, ...]]]:
    """Yield day, least input and rates of each price, embeddings without one for output."""
    dated = model.prices if isinstance(model.prices, list) else [None]
    for condition in dated:
        since, price = None, model.prices
        if condition is not None:
            price = condition.prices
            since = condition.constraint.start_date if condition.constraint else None
        values = {part: getattr(price, part, None) for part in _PARTS}
        if values["input_mtok"] is None or (values["output_mtok"] is None and "e" not in row.can):
            raise ValueError(f"`{row.name}` is not priced by tokens at genai-prices")
        starts = {tier.start for value in values.values() for tier in getattr(value, "tiers", ())}
        for start in (0, *sorted(starts)):
            rates = [_millionths(_at(values[part], start)) for part in _PARTS]
            rates[1] = 0 if "e" in row.can else rates[1]  # an embedding has no output
            # A tier of genai-prices holds past its start; ours names the first token count that it holds for.
            yield since, start + 1 if start else 0, tuple(rates)


def _at(value: Any, start: int) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        price = tier.price if tier.start <= start else price
    return price


def _millionths(price: Decimal | None) -> int | None:
    if price is None:
        return None
    scaled = price * 1_000_000
    if scaled != int(scaled):
        raise ValueError(f"`{price}` for a million tokens has more than six places")
    return int(scaled)


def _find(seller: Any, name: str) -> Any:
    for model in seller.models:
        if model.id == name:
            return model
    raise KeyError(f"genai-prices knows no model `{name}` of `{seller.id}`")


def _genai_providers() -> list[Any]:
    from genai_prices.data import providers  # only who writes the catalogue has it

    return list(providers)


if __name__ == "__main__":
    sys.exit(main(installation_root()))
