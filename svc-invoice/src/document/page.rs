//! What the renderer makes a PDF of: a page, what is attached to it, and what the PDF says of itself.
//!
//! The trap: `xmp` goes into the file as it is. Whoever writes it escapes what came from outside; the HTML comes from
//! the template, which does.

use chrono::NaiveDate;

/// The kind of PDF that is made.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Variant {
    /// PDF/A-3a: for archives, tagged for readers.
    #[default]
    A3a,
    /// PDF/A-3b: for archives.
    A3b,
    /// PDF/UA-1: tagged for readers.
    Ua1,
}

impl Variant {
    /// As WeasyPrint calls it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::A3a => "pdf/a-3a",
            Self::A3b => "pdf/a-3b",
            Self::Ua1 => "pdf/ua-1",
        }
    }
}

/// What an attachment is to the page (PDF 2.0, `AFRelationship`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Relationship {
    /// The same in another form: an invoice for machines.
    Alternative,
    /// What the page shows was made from it.
    Data,
    /// The page was made from it.
    Source,
}

impl Relationship {
    /// The name in the PDF.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Alternative => "Alternative",
            Self::Data => "Data",
            Self::Source => "Source",
        }
    }
}

/// A file within the PDF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// Its name: `factur-x.xml`. One of this program's constants, never a text from outside.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// What it is to the page.
    pub relationship: Relationship,
    /// Its day: that of the invoice, so that the same invoice is the same file.
    pub date: NaiveDate,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// The renderer's input. The same page becomes the same PDF, byte for byte.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// One HTML document that needs nothing else.
    pub html: String,
    /// The files within the PDF.
    pub attachments: Vec<Attachment>,
    /// The kind of PDF.
    pub variant: Variant,
    /// Further metadata: one or more `rdf:Description` elements, which the renderer puts into the `rdf:RDF` of the PDF.
    pub xmp: Option<String>,
}

impl Page {
    /// A page with nothing attached.
    pub fn of(html: String) -> Self {
        Self { html, ..Self::default() }
    }

    /// The bytes that the renderer has to take.
    pub fn size(&self) -> usize {
        let attached = self.attachments.iter().map(|attachment| attachment.bytes.len());
        let xmp = self.xmp.as_ref().map_or(0, String::len);
        attached.fold(self.html.len().saturating_add(xmp), usize::saturating_add)
    }
}
