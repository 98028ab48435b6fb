"""The invented vendors: who they are, what they sell, and which of them is trouble.

All names are made up and every mail domain ends in `.example` (RFC 2606). Larkspur itself sits in Berlin, so
vendors in Germany charge 19 or 7 % and the others charge nothing (reverse charge, or import).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random

from examples.month_end.iban import make_iban

VAT_PERCENT_HOME = 19
VAT_PERCENT_REDUCED = 7


class Role(StrEnum):
    """What is special about a vendor."""

    ORDINARY = "ordinary"
    BLOCKED = "blocked"
    BANK_VERIFIED = "bank_verified"
    BANK_UNVERIFIED = "bank_unverified"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Item:
    """Something a vendor sells; the price is for one, in cents."""

    item: str
    description: str
    price_cents: int
    reduced_vat: bool = False


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor as the ERP keeps it."""

    vendor: str
    name: str
    street: str
    postcode: str
    city: str
    country: str
    trade: str
    role: Role
    currency: str
    terms_days: int
    vat_id: str
    email: str
    iban: str
    known_since: date
    number_style: str


@dataclass(frozen=True, slots=True)
class BankChange:
    """An entry in the ERP: a vendor's account was changed."""

    vendor: str
    changed_on: date
    old_iban: str
    new_iban: str
    changed_by: str
    verified: bool


TRADES: dict[str, tuple[Item, ...]] = {
    "metal": (
        Item("ST-304", "Stainless sheet 304, 1.5 mm", 4180),
        Item("AL-6060", "Aluminium profile 6060, 3 m", 2350),
        Item("BR-12", "Brass rod 12 mm, 1 m", 1490),
    ),
    "glass": (
        Item("GL-OP", "Opal glass shade 180 mm", 1125),
        Item("GL-CL", "Clear glass cylinder 240 mm", 980),
    ),
    "electric": (
        Item("LED-27", "LED module 2700 K, 8 W", 740),
        Item("DRV-24", "Driver 24 V, 20 W", 1265),
        Item("CBL-H07", "Cable H07RN-F, 10 m", 1830),
    ),
    "packaging": (
        Item("BOX-M", "Folding box 400 x 300 x 200", 118),
        Item("PAP-01", "Paper padding, roll", 2140),
    ),
    "freight": (
        Item("FR-PAL", "Pallet freight, standard", 6900),
        Item("FR-EXP", "Express parcel", 1850),
    ),
    "coating": (
        Item("PC-7016", "Powder coating RAL 7016, m2", 1640),
        Item("PC-9005", "Powder coating RAL 9005, m2", 1590),
    ),
    "cleaning": (Item("CL-H", "Cleaning, hour", 2890), Item("CL-W", "Window cleaning, hour", 3350)),
    "software": (Item("SW-SEAT", "CAD licence, seat and month", 8900), Item("SW-SUP", "Support, hour", 9500)),
    "office": (Item("OF-PAP", "Copy paper, box", 2490), Item("OF-TON", "Toner cartridge", 6750)),
    "books": (Item("BK-STD", "Standards handbook", 5800, True), Item("BK-JRN", "Trade journal, issue", 1450, True)),
    "tools": (Item("TL-BIT", "Drill bits, set", 3290), Item("TL-GLV", "Safety gloves, pair", 480)),
    "service": (Item("SV-INS", "Inspection, hour", 7800), Item("SV-REP", "Repair, hour", 7200)),
}

# name | street | postcode | city | country | trade | role | currency | terms in days | number style
_ROWS = """
Brandt Stahlhandel GmbH|Hafenstraße 41|47119|Duisburg|DE|metal|ordinary|EUR|30|RE-{n}
Aluwerk Sonntag GmbH|Industrieweg 8|73430|Aalen|DE|metal|ordinary|EUR|30|{n}/26
Glashütte Ilmtal GmbH|Am Wehr 3|98693|Ilmenau|DE|glass|ordinary|EUR|14|G{n}
Verreries Maubert SARL|12 rue des Fours|59300|Valenciennes|FR|glass|ordinary|EUR|30|FA-{n}
Vetreria Calabrò S.r.l.|Via Fornace 27|30141|Murano|IT|glass|ordinary|EUR|30|FT {n}
Lichttechnik Oberland GmbH|Seestraße 15|83684|Tegernsee|DE|electric|ordinary|EUR|14|LT-{n}
Elektro Hauke & Söhne KG|Werftallee 2|24143|Kiel|DE|electric|ordinary|EUR|21|2026-{n}
Van Rooij Verlichting B.V.|Dorpsstraat 88|5611 AB|Eindhoven|NL|electric|ordinary|EUR|30|F{n}
Światło Nowak Sp. z o.o.|ul. Fabryczna 19|50-001|Wrocław|PL|electric|ordinary|EUR|21|FV/{n}
Kartonagen Wieland GmbH|Papiermühle 6|99817|Eisenach|DE|packaging|ordinary|EUR|14|KW-{n}
Obaly Moravec s.r.o.|Průmyslová 1204|602 00|Brno|CZ|packaging|ordinary|EUR|21|OM{n}
Embalajes Ribera S.L.|Calle del Puerto 5|46001|Valencia|ES|packaging|ordinary|EUR|30|ER-{n}
Spedition Kranich GmbH|Frachtring 22|15366|Hoppegarten|DE|freight|ordinary|EUR|14|SK{n}
Transporte Lindqvist AB|Hamngatan 7|211 22|Malmö|SE|freight|ordinary|EUR|21|TL-{n}
Nordfracht Holm ApS|Havnevej 14|6000|Kolding|DK|freight|ordinary|EUR|14|NH-{n}
Pulverlack Zeitz GmbH|Lackgasse 9|06712|Zeitz|DE|coating|ordinary|EUR|21|PZ-{n}
Beschichtung Marchfeld GmbH|Feldstraße 31|2230|Gänserndorf|AT|coating|ordinary|EUR|14|BM/{n}
Reinigung Havelblick GmbH|Uferweg 4|14467|Potsdam|DE|cleaning|ordinary|EUR|10|RH-{n}
Sauber & Fein Gebäudedienste|Kolonnenstraße 50|10829|Berlin|DE|cleaning|ordinary|EUR|10|SF{n}
Kaltwasser Software GmbH|Brühl 17|04109|Leipzig|DE|software|ordinary|EUR|14|KS-{n}
Studio Numérique Lacombe SAS|3 quai du Rhône|69002|Lyon|FR|software|ordinary|EUR|30|SNL-{n}
Bürobedarf Tietz e.K.|Marktplatz 11|16225|Eberswalde|DE|office|ordinary|EUR|14|BT{n}
Papelaria Seabra Lda.|Rua do Carmo 60|4050-164|Porto|PT|office|ordinary|EUR|30|PS {n}
Fachverlag Eschenbach|Verlagshof 2|79098|Freiburg|DE|books|ordinary|EUR|14|FE-{n}
Uitgeverij De Linde NV|Kerkstraat 25|9000|Gent|BE|books|ordinary|EUR|21|DL{n}
Werkzeug Dornbusch GmbH|Schmiedestraße 13|42853|Remscheid|DE|tools|ordinary|EUR|21|WD-{n}
Utensili Ferrante S.p.A.|Corso Torino 90|25121|Brescia|IT|tools|ordinary|EUR|30|UF/{n}
Prüfdienst Uckermark GmbH|Ringstraße 1|17291|Prenzlau|DE|service|ordinary|EUR|14|PU-{n}
Maschinenservice Albers GmbH|Am Kanal 77|26871|Papenburg|DE|service|ordinary|EUR|21|MA{n}
Clonmore Components Ltd.|Mill Road 16|R93 X2K7|Carlow|IE|electric|ordinary|EUR|30|CC-{n}
Fonderie Kirchberg S.à r.l.|Rue de l'Usine 34|4340|Esch-sur-Alzette|LU|metal|ordinary|EUR|21|FK-{n}
Gießerei Pohlmann GmbH|Hüttenplatz 5|57072|Siegen|DE|metal|bank_verified|EUR|21|GP-{n}
Atelier Verre Dumas SARL|8 place du Marché|67000|Strasbourg|FR|glass|bank_verified|EUR|21|AV-{n}
Metallbau Rautenberg GmbH|Gewerbepark 19|39104|Magdeburg|DE|metal|bank_unverified|EUR|21|MR-{n}
Drahtwerk Ostheim GmbH|Zeche 12|44135|Dortmund|DE|metal|blocked|EUR|14|DO-{n}
Kuriere Blitzner UG|Seitenstraße 6|12059|Berlin|DE|freight|blocked|EUR|10|KB{n}
Tessiner Leuchten AG|Via Stazione 21|6500|Bellinzona|CH|electric|foreign|CHF|21|TI-{n}
Präzision Aarau AG|Bahnhofstrasse 44|5000|Aarau|CH|tools|foreign|CHF|30|PA-{n}
Harrow Optics Ltd.|4 Station Parade|HA1 1AB|Harrow|GB|glass|foreign|USD|30|HO-{n}
Silverbrook Cloud Ltd.|Dock Street 2|D02 AF30|Dublin|IE|software|foreign|USD|14|SC-{n}
""".strip().splitlines()


def make_vendors(rng: Random, *, closes_on: date) -> tuple[Vendor, ...]:
    """Give every vendor its VAT id, account, address for mail and first day."""
    return tuple(_make_vendor(row.split("|"), 1001 + index, rng, closes_on) for index, row in enumerate(_ROWS))


def make_bank_changes(vendors: tuple[Vendor, ...], rng: Random, *, closes_on: date) -> tuple[BankChange, ...]:
    """Write the history of changed accounts: old ones that matter no longer, and three within the last 30 days."""
    changes = []
    for vendor in vendors:
        if vendor.role is Role.BANK_VERIFIED:
            days, changed_by, verified = rng.randint(12, 26), "h.petersen", True
        elif vendor.role is Role.BANK_UNVERIFIED:
            days, changed_by, verified = rng.randint(2, 5), "temp.04", False
        elif vendor.role is Role.ORDINARY and rng.random() < 0.2:
            days, changed_by, verified = rng.randint(60, 400), rng.choice(("h.petersen", "a.yilmaz")), True
        else:
            continue
        old = make_iban(vendor.country, rng)
        changed_on = closes_on - timedelta(days=days)
        changes.append(BankChange(vendor.vendor, changed_on, old, vendor.iban, changed_by, verified))
    return tuple(changes)


def mail_domain(name: str) -> str:
    """Return the vendor's mail domain: the first two words of its name in plain letters."""
    plain = name.lower()
    for sign, letters in zip(
        "äöüßàáâéèêíóúôłśżçñřů", "a o u ss a a a e e e i o u o l s z c n r u".split(), strict=True
    ):
        plain = plain.replace(sign, letters)
    words = ["".join(sign for sign in word if sign.isascii() and sign.isalnum()) for word in plain.split()]
    return "-".join([word for word in words if word][:2]) + ".example"


def _make_vendor(row: list[str], number: int, rng: Random, closes_on: date) -> Vendor:
    name, street, postcode, city, country, trade, role, currency, terms, style = row
    return Vendor(
        vendor=f"V-{number}",
        name=name,
        street=street,
        postcode=postcode,
        city=city,
        country=country,
        trade=trade,
        role=Role(role),
        currency=currency,
        terms_days=int(terms),
        vat_id=_make_vat_id(country, rng),
        email=f"accounts@{mail_domain(name)}",
        iban=make_iban(country, rng),
        known_since=closes_on - timedelta(days=rng.randint(500, 4000)),
        number_style=style,
    )


_VAT_FORMATS = {
    "AT": "ATU########",
    "BE": "BE0#########",
    "CH": "CHE-###.###.### MWST",
    "CZ": "CZ########",
    "DE": "DE#########",
    "DK": "DK########",
    "ES": "ESB########",
    "FR": "FR###########",
    "GB": "GB#########",
    "IE": "IE#######WA",
    "IT": "IT###########",
    "LU": "LU########",
    "NL": "NL#########B01",
    "PL": "PL##########",
    "PT": "PT#########",
    "SE": "SE##########01",
}


def _make_vat_id(country: str, rng: Random) -> str:
    return "".join(rng.choice("123456789") if sign == "#" else sign for sign in _VAT_FORMATS[country])
