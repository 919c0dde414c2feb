drop table company_document_content, company_document, document_type, company_invitation, company_member,
    company_configuration, company;
