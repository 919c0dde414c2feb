"""WeasyPrint as a server that forks: imported once, one child per document.

Reads frames from standard input, writes replies to standard output, and ends when its input does. Runs on the Python that
WeasyPrint is installed for, with nothing but WeasyPrint and the standard library.

    frame   u32 length of the header, u32 length of the body, header (JSON), body
            the first:  {"jobs", "max_pdf_bytes", "memory", "oldest"}, body: a page to get warm with
            a document: {"id", "seconds", "variant", "html", "attachments": [{"name", "description", "relationship",
                        "date", "length"}], "xmp"}, body: html, attachments, xmp, one after the other
            a recall:   {"id", "recall": true}
    reply   u32 id, u8 status, u32 length, bytes: the PDF, or words for the log
            the first has the id 0: WeasyPrint's version

The trap: a child has all that the server has, its descriptors and its mappings too. It must never return into the server's
loop, and it ends by `_exit`: unloading Pango under one of its own threads is how WeasyPrint's command line now and then dies.
"""

import ctypes
import gc
import json
import logging
import os
import resource
import selectors
import signal
import struct
import sys
import time
from collections import deque
from datetime import datetime, timezone

DONE, FAILED, LATE, MEMORY, DIED, FLOOD, READY = range(7)
FRAME = struct.Struct('>II')
REPLY = struct.Struct('>IBI')
RESULT = struct.Struct('>BI')
PR_SET_PDEATHSIG = 1


def die_with(parent):
    """Is killed when the parent dies, however that happens."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        pass  # another system: the end of the input ends the server, the limit of processor time its children
    if os.getppid() != parent:
        os._exit(0)


def write_all(descriptor, *pieces):
    """Writes to a pipe that takes a part at a time."""
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view):]


class Remarks(logging.Handler):
    """WeasyPrint's last remarks on a document, for the log if it fails."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = deque(maxlen=8)

    def emit(self, record):
        self.lines.append(record.getMessage()[:500])


class Printer:
    """WeasyPrint, fenced in: only `data:` URLs, and everything else fails the document."""

    def __init__(self):
        # Looking for libraries takes the linker and the compiler, a dozen processes each; the names are tried anyway.
        import ctypes.util
        ctypes.util.find_library = lambda name: None
        import pydyf
        import weasyprint
        from weasyprint.logger import LOGGER
        from weasyprint.pdf import metadata
        from weasyprint.urls import URLFetcher
        self.weasyprint = weasyprint
        self.fonts = None
        self.fetcher = lambda: URLFetcher(allowed_protocols={'data'}, allow_redirects=False, fail_on_errors=True)
        self.remarks = Remarks()
        LOGGER.handlers = [self.remarks]
        LOGGER.propagate = False
        generate = metadata.DocumentMetadata.generate_rdf_metadata

        def generate_whole(self, *arguments):
            # One rdf:RDF with all descriptions, as ISO 16684-1 wants it; WeasyPrint would write two side by side.
            rdf = generate(self, *arguments)
            head, end, tail = rdf.rpartition(b'</rdf:RDF>')
            further, self.xmp_metadata = b''.join(self.xmp_metadata), []
            return head + further + end + tail
        metadata.DocumentMetadata.generate_rdf_metadata = generate_whole

        data = pydyf.Stream.data.fget

        def data_with_clear_end(stream):
            # Validators take a last byte that is a carriage return for a part of the line end after it, and find the length
            # wrong; that byte is a checksum's, so every 256th stream has it. With a whole line end nobody errs.
            written = data(stream)
            return written[:-10] + b'\r\nendstream' if written.endswith(b'\r\nendstream') else written
        pydyf.Stream.data = property(data_with_clear_end)

    @property
    def version(self):
        return self.weasyprint.__version__

    def warm_up(self, html):
        """Loads what WeasyPrint loads late, and fonts: what the server has, no child has to get."""
        from weasyprint.text.fonts import FontConfiguration
        self.fonts = FontConfiguration()
        self.pdf({'html': len(html), 'attachments': [], 'variant': 'pdf/a-3a'}, html)

    def attachment(self, told, content):
        day = datetime.fromisoformat(told['date']).replace(tzinfo=timezone.utc)
        from io import BytesIO
        return self.weasyprint.Attachment(
            file_obj=BytesIO(content), name=told['name'], description=told['description'],
            relationship=told['relationship'], created=day, modified=day, url_fetcher=self.fetcher())

    def pdf(self, header, body):
        html, rest = body[:header['html']], body[header['html']:]
        attachments = []
        for told in header['attachments']:
            content, rest = rest[:told['length']], rest[told['length']:]
            attachments.append(self.attachment(told, bytes(content)))
        page = self.weasyprint.HTML(
            string=str(html, 'utf-8'), url_fetcher=self.fetcher(), media_type='print')
        options = {'pdf_variant': header['variant'], 'attachments': attachments}
        document = page.render(font_config=self.fonts, **options)
        if rest:
            document.metadata.xmp_metadata.append(bytes(rest))
        return document.write_pdf(**{**self.weasyprint.DEFAULT_OPTIONS, **options})


class Child:
    """A document that is being made."""

    def __init__(self, header, pid, pipe):
        self.id = header['id']
        self.pid = pid
        self.pipe = pipe
        self.until = time.monotonic() + header['seconds']
        self.output = bytearray()


class Server:
    """Takes documents, makes some of them at once, and outlives each of them."""

    def __init__(self, start, printer, replies):
        self.jobs = start['jobs']
        self.memory = start['memory']
        self.max_output = start['max_pdf_bytes'] + RESULT.size
        self.printer = printer
        self.replies = replies
        self.selector = selectors.DefaultSelector()
        self.waiting = deque()
        self.children = {}
        self.input = bytearray()

    def reply(self, identity, status, content=b''):
        write_all(self.replies, REPLY.pack(identity, status, len(content)), content)

    def serve(self):
        os.set_blocking(0, False)
        self.selector.register(0, selectors.EVENT_READ)
        while True:
            next_end = min((child.until for child in self.children.values()), default=None)
            patience = None if next_end is None else max(0, next_end - time.monotonic())
            for key, _ in self.selector.select(patience):
                if key.fd == 0:
                    if not self.read():
                        return
                elif (child := self.children.get(key.fd)) is not None:
                    # One that was recalled in this very round is gone.
                    self.collect(child)
            now = time.monotonic()
            for child in [child for child in self.children.values() if child.until <= now]:
                self.end(child, LATE)
            while self.waiting and len(self.children) < self.jobs:
                self.begin(*self.waiting.popleft())

    def read(self):
        """Takes what stands in the input; false at its end."""
        piece = os.read(0, 1 << 20)
        self.input += piece
        while (frame := take(self.input)) is not None:
            header, body = frame
            if header.get('recall'):
                self.recall(header['id'])
            else:
                self.waiting.append((header, body))
        return bool(piece)

    def recall(self, identity):
        """Nobody waits for the document any more; nothing is replied."""
        self.waiting = deque(frame for frame in self.waiting if frame[0]['id'] != identity)
        for child in [child for child in self.children.values() if child.id == identity]:
            self.end(child, None)

    def begin(self, header, body):
        source, target = os.pipe()
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                die_with(me)
                os.close(source)
                os.close(self.replies)
                self.make(header, body, target)
            finally:
                os._exit(1)
        os.close(target)
        os.set_blocking(source, False)
        self.children[source] = Child(header, pid, source)
        self.selector.register(source, selectors.EVENT_READ)

    def make(self, header, body, target):
        """In the child: the document, or why there is none."""
        seconds = int(header['seconds']) + 3
        for limit, value in (
                (resource.RLIMIT_AS, self.memory), (resource.RLIMIT_CPU, seconds),
                (resource.RLIMIT_FSIZE, self.max_output), (resource.RLIMIT_CORE, 0)):
            most = resource.getrlimit(limit)[1]
            value = value if most == resource.RLIM_INFINITY else min(value, most)
            # Two seconds between the word and the end of it.
            soft = max(value - 2, 1) if limit == resource.RLIMIT_CPU else value
            resource.setrlimit(limit, (soft, value))
        gc.disable()
        self.printer.remarks.lines.clear()
        try:
            status, content = DONE, self.printer.pdf(header, body)
        except MemoryError:
            status, content = MEMORY, b''
        except BaseException as error:
            words = [f'{type(error).__name__}: {str(error)[:500]}', *self.printer.remarks.lines]
            status, content = FAILED, '\n'.join(words).encode()
        write_all(target, RESULT.pack(status, len(content)), content)
        os._exit(0)

    def collect(self, child):
        """Takes what a child has written, and its leave at the end."""
        piece = os.read(child.pipe, 1 << 20)
        child.output += piece
        if len(child.output) > self.max_output:
            self.end(child, FLOOD)
        elif not piece:
            self.end(child, DIED)

    def end(self, child, status):
        """Ends a child that has ended, or has to, and replies."""
        self.selector.unregister(child.pipe)
        os.close(child.pipe)
        del self.children[child.pipe]
        try:
            os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        content = b''
        if status == DIED:
            whole = len(child.output) >= RESULT.size
            result, length = RESULT.unpack_from(child.output) if whole else (DIED, 0)
            if whole and len(child.output) == RESULT.size + length:
                status, content = result, memoryview(child.output)[RESULT.size:]
            elif code == -signal.SIGXCPU:
                status = LATE
            else:
                content = f'ended with {code}'.encode()
        if status is not None:
            self.reply(child.id, status, content)


def take(pending):
    """The first whole frame, taken out of what was read."""
    if len(pending) < FRAME.size:
        return None
    header, body = FRAME.unpack_from(pending)
    begin, end = FRAME.size + header, FRAME.size + header + body
    if len(pending) < end:
        return None
    frame = json.loads(bytes(pending[FRAME.size:begin])), bytes(pending[begin:end])
    del pending[:end]
    return frame


def first():
    """The first frame, waited for."""
    pending = bytearray()
    while (frame := take(pending)) is None:
        piece = os.read(0, 1 << 16)
        if not piece:
            sys.exit(0)
        pending += piece
    return frame


def stays_alone(work):
    """Whether this leaves no thread behind, tried in a child. A fork keeps one thread, and the locks of all."""
    me = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with(me)
            work()
            for _ in range(100):
                if len(os.listdir('/proc/self/task')) == 1:
                    os._exit(0)
                time.sleep(0.01)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def main():
    parent = os.getppid()
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C means the service, which ends us when it has drained
    replies = os.dup(1)
    os.dup2(2, 1)  # whatever is printed must not get between the replies
    start, warm_up = first()
    printer = Printer()
    if int(printer.version.split('.')[0]) < start['oldest']:
        sys.exit(f"WeasyPrint {printer.version} is older than {start['oldest']}")
    if stays_alone(lambda: printer.warm_up(warm_up)):
        printer.warm_up(warm_up)
    gc.collect()
    gc.freeze()
    server = Server(start, printer, replies)
    server.reply(0, READY, printer.version.encode())
    server.serve()
    os._exit(0)


main()
