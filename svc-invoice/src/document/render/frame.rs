//! What goes over the fork server's pipes; `fork_server.py` tells the format.

use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;

use crate::document::page::Page;

/// No reply is longer than the longest PDF and a header; whatever claims to be is a broken pipe.
const MARGIN: usize = 1 << 16;

/// The first frame: bounds for all documents, and a page to get warm with.
#[derive(Serialize)]
pub(super) struct Start {
    /// Documents at once.
    pub(super) jobs: usize,
    /// The largest PDF.
    pub(super) max_pdf_bytes: usize,
    /// Address space of one document.
    pub(super) memory: u64,
    /// The oldest version of WeasyPrint that is safe.
    pub(super) oldest: u32,
}

#[derive(Serialize)]
struct Document<'a> {
    id: u32,
    seconds: f64,
    variant: &'a str,
    html: usize,
    attachments: Vec<Attached<'a>>,
}

#[derive(Serialize)]
struct Attached<'a> {
    name: &'a str,
    description: &'a str,
    relationship: &'a str,
    date: chrono::NaiveDate,
    length: usize,
}

#[derive(Serialize)]
struct Recall {
    id: u32,
    recall: bool,
}

/// What the server says of a document.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: u32,
    pub(super) status: Status,
    pub(super) content: Vec<u8>,
}

/// How a document ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// The content is its PDF.
    Done,
    /// WeasyPrint gave up; the content says why.
    Failed,
    /// Killed at its deadline.
    Late,
    /// It needed more memory than allowed.
    Memory,
    /// Its process died; the content says how.
    Died,
    /// Killed because its PDF is larger than allowed.
    Flood,
    /// No document: the server is ready, and the content is WeasyPrint's version.
    Ready,
}

impl Status {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Done,
            1 => Self::Failed,
            2 => Self::Late,
            3 => Self::Memory,
            4 => Self::Died,
            5 => Self::Flood,
            6 => Self::Ready,
            _ => return None,
        })
    }
}

/// The first frame.
pub(super) fn start(start: &Start, warm_up: &str) -> io::Result<Vec<u8>> {
    frame(start, &[warm_up.as_bytes()])
}

/// A document that is wanted within a time.
pub(super) fn document(id: u32, page: &Page, within: Duration) -> io::Result<Vec<u8>> {
    let attached = page.attachments.iter().map(|attachment| Attached {
        name: attachment.name,
        description: attachment.description,
        relationship: attachment.relationship.code(),
        date: attachment.date,
        length: attachment.bytes.len(),
    });
    let header = Document {
        id,
        seconds: within.as_secs_f64(),
        variant: page.variant.code(),
        html: page.html.len(),
        attachments: attached.collect(),
    };
    let mut body: Vec<&[u8]> = vec![page.html.as_bytes()];
    body.extend(page.attachments.iter().map(|attachment| attachment.bytes.as_slice()));
    body.extend(page.xmp.as_deref().map(str::as_bytes));
    frame(&header, &body)
}

/// A document that is not wanted any more.
pub(super) fn recall(id: u32) -> io::Result<Vec<u8>> {
    frame(&Recall { id, recall: true }, &[])
}

fn frame(header: &impl Serialize, body: &[&[u8]]) -> io::Result<Vec<u8>> {
    let header = serde_json::to_vec(header)?;
    let length = body.iter().map(|piece| piece.len()).sum::<usize>();
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut frame = Vec::with_capacity(8 + header.len() + length);
    frame.extend_from_slice(&u32::try_from(header.len()).map_err(too_long)?.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(length).map_err(too_long)?.to_be_bytes());
    frame.extend_from_slice(&header);
    body.iter().for_each(|piece| frame.extend_from_slice(piece));
    Ok(frame)
}

/// The next reply, waited for; an error at the pipe's end.
pub(super) fn read(pipe: &mut impl Read, max_pdf_bytes: usize) -> io::Result<Reply> {
    let (mut id, mut status, mut length) = ([0; 4], [0; 1], [0; 4]);
    pipe.read_exact(&mut id)?;
    pipe.read_exact(&mut status)?;
    pipe.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let [status] = status;
    let status = Status::of(status).filter(|_| length <= max_pdf_bytes.saturating_add(MARGIN));
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let mut content = vec![0; length];
    pipe.read_exact(&mut content)?;
    Ok(Reply { id: u32::from_be_bytes(id), status, content })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_two_lengths_a_header_and_a_body() {
        let page = Page { xmp: Some("<x/>".to_owned()), ..Page::of("<p>ü".to_owned()) };
        let frame = document(7, &page, Duration::from_secs(2)).unwrap();
        let header = usize::try_from(u32::from_be_bytes(frame[..4].try_into().unwrap())).unwrap();
        assert_eq!(u32::from_be_bytes(frame[4..8].try_into().unwrap()), 9);
        let told: serde_json::Value = serde_json::from_slice(&frame[8..8 + header]).unwrap();
        assert_eq!((&told["id"], &told["html"], &told["seconds"]), (&7.into(), &5.into(), &2.0.into()));
        assert_eq!(&frame[8 + header..], "<p>ü<x/>".as_bytes());
    }

    #[test]
    fn a_reply_is_read_whole_or_not_at_all() {
        let bytes = [0, 0, 0, 9, 4, 0, 0, 0, 2, b'n', b'o'];
        let reply = read(&mut &bytes[..], 10).unwrap();
        assert_eq!((reply.id, reply.status, reply.content.as_slice()), (9, Status::Died, &b"no"[..]));
        assert!(read(&mut &bytes[..10], 10).is_err(), "it was cut off");
        assert!(read(&mut &[0, 0, 0, 9, 99, 0, 0, 0, 0][..], 10).is_err(), "there is no such status");
        assert!(read(&mut &[0, 0, 0, 9, 0, 255, 0, 0, 0][..], 10).is_err(), "nobody reads 4 GB");
    }
}
