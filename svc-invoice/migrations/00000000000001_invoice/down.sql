drop table document_link, document, number_series, invoice;
drop function invoice_stays_as_issued, number_series_only_grows;
