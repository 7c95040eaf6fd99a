"""Small files of every kind, made here: real where the standard library can write them, else with a real start."""

import gzip
import io
import struct
import tarfile
import wave
import zipfile
import zlib

NO_SECTOR = 0xFFFFFFFF
END_OF_CHAIN = 0xFFFFFFFE
FAT_SECTOR = 0xFFFFFFFD
INSTALLER_CLASS = bytes.fromhex("84100c0000000000c000000000000046")


def zipped(*names: str, first: tuple[str, bytes] | None = None) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        if first is not None:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, b"<x/>")
    return packed.getvalue()


class Unseekable(io.RawIOBase):
    """Makes zipfile write sizes after the data, as streaming writers do."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)


def streamed_zip(*names: str) -> bytes:
    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"<x/>" * 50)
    return bytes(out.written)


def tarred(archive_format: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=archive_format) as archive:
        entry = tarfile.TarInfo("note.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    return packed.getvalue()


def old_tar() -> bytes:
    """A member as Unix V7 wrote it: no magic, only a checksum."""
    head = bytearray(512)
    head[:8] = b"note.txt"
    head[100:148] = b"0000644\0" + b"0000000\0" * 2 + b"00000000005\0" + b"14000000000\0"
    head[148:157] = b" " * 8 + b"0"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + b"hello".ljust(512, b"\0") + bytes(1024)


def png(text: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    comment = chunk(b"tEXt", b"Comment\0" + text) if text else b""
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\xff\0\0" * 2) * 2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + comment + pixels + chunk(b"IEND", b"")


def bmp() -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, 5, 5, 1, 24, 0, 80, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 134, 0, 0, 54) + info + bytes(80)


def wav() -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        out.writeframes(bytes(200))
    return sound.getvalue()


def riff(kind: bytes, rest: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(rest)) + kind + rest


def box(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def iso_media(brand: bytes) -> bytes:
    return box(b"ftyp", brand + b"\0\0\2\0" + b"isom" + brand) + box(b"free") + box(b"mdat", bytes(64))


def ogg(stream: bytes) -> bytes:
    return b"OggS\0\2" + bytes(8) + b"abcd" + bytes(8) + bytes([1, len(stream)]) + stream


def matroska(kind: bytes) -> bytes:
    start = b"\x42\x86\x81\1\x42\xf7\x81\1\x42\xf2\x81\4\x42\xf3\x81\x08\x42\x82" + bytes([0x80 + len(kind)]) + kind
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 + len(start)]) + start + bytes(64)


def mp3(sync: bytes) -> bytes:
    return (sync + b"\x90\x64" + bytes(413)) * 2


def ole(*streams: str, class_id: bytes = bytes(16), directory_sector: int = 1) -> bytes:
    """An OLE compound file with empty streams; the directory may lie anywhere. Source: [MS-CFB]."""

    def entry(name: str, kind: int, child: int = NO_SECTOR, right: int = NO_SECTOR, class_id: bytes = b"") -> bytes:
        encoded = (name + "\0").encode("utf-16-le")
        start = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, NO_SECTOR, right, child)
        return (start + class_id).ljust(116, b"\0") + struct.pack("<IQ", END_OF_CHAIN, 0)

    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(24, b"\0") + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header = header.ljust(40, b"\0")
    header += struct.pack("<IIIIIIIII", 0, 1, directory_sector, 0, 4096, END_OF_CHAIN, 0, END_OF_CHAIN, 0)
    header += struct.pack("<109I", 0, *[NO_SECTOR] * 108)
    sectors = [FAT_SECTOR] + [NO_SECTOR] * 127
    sectors[directory_sector] = END_OF_CHAIN
    names = [
        entry(name, 2, right=at + 1 if at < len(streams) else NO_SECTOR) for at, name in enumerate(streams, start=1)
    ]
    directory = entry("Root Entry", 5, child=1 if streams else NO_SECTOR, class_id=class_id) + b"".join(names)
    filler = bytes(512 * (directory_sector - 1))
    return header + struct.pack("<128I", *sectors) + filler + directory.ljust(1024, b"\0")


WORD = zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(64)
GIF = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(64)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
ELF = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(64)
WINDOWS_PROGRAM = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0\x64\x86" + bytes(64)
MAC_PROGRAM = bytes.fromhex("cffaedfe0700000103000000020000001000000000000000") + bytes(64)

# What each name must be accepted with, and the media type to record.
AGREEING: list[tuple[str, bytes, str]] = [
    ("a.pdf", PDF, "application/pdf"),
    ("junk before.pdf", b"\r\n\0" + PDF, "application/pdf"),
    ("a.doc", ole("WordDocument", "1Table"), "application/msword"),
    ("far.doc", ole("WordDocument", directory_sector=100), "application/msword"),
    ("rich.doc", b"{\\rtf1\\ansi hello}", "application/rtf"),
    ("a.xls", ole("Workbook"), "application/vnd.ms-excel"),
    ("a.ppt", ole("PowerPoint Document"), "application/vnd.ms-powerpoint"),
    ("a.docx", WORD, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (
        "a.xlsx",
        zipped("_rels/.rels", "xl/workbook.xml"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        "a.pptx",
        streamed_zip("_rels/.rels", "ppt/presentation.xml"),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    (
        "secret.docx",
        ole("EncryptedPackage", "EncryptionInfo"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        "a.odt",
        zipped("content.xml", first=("mimetype", b"application/vnd.oasis.opendocument.text")),
        "application/vnd.oasis.opendocument.text",
    ),
    ("a.epub", zipped("a.opf", first=("mimetype", b"application/epub+zip")), "application/epub+zip"),
    ("a.rtf", b"{\\rtf1\\ansi hello}", "application/rtf"),
    ("a.jpg", JPEG, "image/jpeg"),
    ("A.JPEG", JPEG, "image/jpeg"),
    ("a.png", png(), "image/png"),
    ("commented.png", png(b"a < b, <x:xmpmeta> and no page"), "image/png"),
    ("a.gif", GIF, "image/gif"),
    ("a.bmp", bmp(), "image/bmp"),
    ("a.webp", riff(b"WEBP", b"VP8 " + bytes(64)), "image/webp"),
    ("a.heic", iso_media(b"heic"), "image/heic"),
    ("a.tiff", b"II*\0\x08\0\0\0" + bytes(64), "image/tiff"),
    ("a.ico", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(64), "image/vnd.microsoft.icon"),
    ("a.svg", b'<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    ("plain.svg", b"<!-- drawn by hand -->\n<svg><rect/></svg>", "image/svg+xml"),
    ("a.mp4", iso_media(b"isom"), "video/mp4"),
    ("b.mp4", iso_media(b"mp42"), "video/mp4"),
    ("camera.mp4", iso_media(b"XAVC"), "video/mp4"),
    ("psp.mp4", iso_media(b"MSNV"), "video/mp4"),
    ("phone.mp4", iso_media(b"qt  "), "video/quicktime"),
    ("a.mov", iso_media(b"qt  "), "video/quicktime"),
    ("old.mov", box(b"moov", box(b"mvhd", bytes(100))), "video/quicktime"),
    ("wide.mov", box(b"wide") + box(b"mdat", bytes(64)), "video/quicktime"),
    ("a.avi", riff(b"AVI ", b"LIST" + bytes(64)), "video/x-msvideo"),
    ("a.wmv", ASF, "video/x-ms-wmv"),
    ("a.wma", ASF, "audio/x-ms-wma"),
    ("a.webm", matroska(b"webm"), "video/webm"),
    ("a.mkv", matroska(b"matroska"), "video/x-matroska"),
    ("a.mp3", mp3(b"\xff\xfb"), "audio/mpeg"),
    ("slow.mp3", mp3(b"\xff\xf3"), "audio/mpeg"),
    ("tagged.mp3", b"ID3\4\0\0\0\0\0\x0aTIT2" + bytes(6) + mp3(b"\xff\xfb"), "audio/mpeg"),
    ("oldtag.mp3", b"ID3\2\0\0\0\0\0\x0a" + bytes(64), "audio/mpeg"),
    ("podcast.mp3", b"ID3\3\0\0\0\0\1\x00COMM<p>Notes</p><img src=x>" + bytes(200), "audio/mpeg"),
    ("a.wav", wav(), "audio/wav"),
    ("a.ogg", ogg(b"\1vorbis" + bytes(23)), "audio/ogg"),
    ("opus.ogg", ogg(b"OpusHead\1\2" + bytes(9)), "audio/ogg"),
    ("film.ogg", ogg(b"\x80theora" + bytes(30)), "video/ogg"),
    ("rare.ogg", ogg(b"unheard"), "audio/ogg"),
    ("a.flac", b"fLaC\0\0\0\x22" + bytes(64), "audio/flac"),
    ("a.m4a", iso_media(b"M4A "), "audio/mp4"),
    ("a.zip", zipped("a.txt"), "application/zip"),
    ("empty.zip", zipped(), "application/zip"),
    ("page.zip", zipped(first=("index.html", b"<html><script>")), "application/zip"),
    ("document.zip", WORD, "application/zip"),
    ("a.rar", b"Rar!\x1a\x07\0" + bytes(64), "application/vnd.rar"),
    ("new.rar", b"Rar!\x1a\x07\1\0" + bytes(64), "application/vnd.rar"),
    ("a.7z", bytes.fromhex("377abcaf271c0004") + bytes(64), "application/x-7z-compressed"),
    ("a.tar", tarred(tarfile.USTAR_FORMAT), "application/x-tar"),
    ("gnu.tar", tarred(tarfile.GNU_FORMAT), "application/x-tar"),
    ("pax.tar", tarred(tarfile.PAX_FORMAT), "application/x-tar"),
    ("old.tar", old_tar(), "application/x-tar"),
    ("a.tar.gz", gzip.compress(b"hello"), "application/gzip"),
    ("a.txt", b"hello\r\n", "text/plain"),
    ("empty.txt", b"", "text/plain"),
    ("umlaut.txt", "Grüße, 世界".encode(), "text/plain"),
    ("cut.txt", "世".encode()[:2], "text/plain"),
    ("western.txt", "Grüße".encode("cp1252"), "text/plain"),
    ("windows.txt", "Grüße".encode("utf-16"), "text/plain"),
    ("cut16.txt", "Grüße".encode("utf-16")[:-1], "text/plain"),
    ("wide.txt", "Grüße".encode("utf-32"), "text/plain"),
    ("coloured.log", b"\x1b[31mred\x1b[0m\n", "text/plain"),
    ("source.txt", b"<!doctype html>\n<title>source of a page</title>", "text/plain"),
    ("a.csv", b"a,b\n1,2\n", "text/csv"),
    ("a.json", b'{"a": 1}', "application/json"),
    ("not really.json", b"hello", "application/json"),
    ("a.xml", b'<?xml version="1.0"?><a/>', "application/xml"),
    ("README.md", b'<h1 align="center">Cairn</h1>\n', "text/markdown"),
    ("a.yaml", b"a: 1\n", "application/yaml"),
    ("a.html", b"<!DOCTYPE html><p>hello", "text/html"),
    ("a.py", b"#!/usr/bin/env python3\nprint()\n", "text/x-python"),
    ("a.step", b"ISO-10303-21;\nHEADER;\n", "text/plain"),
    ("a.kml", b'<?xml version="1.0"?><kml/>', "application/xml"),
    ("a.dwg", bytes(64), "application/octet-stream"),
    ("nothing.dwg", b"", "application/octet-stream"),
    ("no extension", JPEG, "image/jpeg"),
]

# What each name must be refused with, and what to say that it is.
CONTRADICTING: list[tuple[str, bytes, str]] = [
    ("page.jpg", b"<html><script>alert(1)</script>", "text/html"),
    ("page.png", b"\xef\xbb\xbf \n<!DOCTYPE html><p>", "text/html"),
    ("comment.gif", b"GIF89a/*\0<ScRiPt>alert(1)</script>", "text/html"),
    ("comment.png", png(b"<body onload=alert(1)>"), "text/html"),
    ("comment.jpg", JPEG + b"<img src=x onerror=alert(1)>", "text/html"),
    ("picture.jpg", png(), "image/png"),
    ("text.jpg", b"hello", "text/plain"),
    ("vector.png", b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "image/svg+xml"),
    ("text.svg", b"hello", "text/plain"),
    ("empty.png", b"", "application/x-empty"),
    ("empty.pdf", b"", "application/x-empty"),
    ("program.jpg", ELF, "application/x-executable"),
    ("program.pdf", WINDOWS_PROGRAM, "application/vnd.microsoft.portable-executable"),
    ("old program.txt", b"MZ\x90\0\3\0\0\0" + bytes(64), "application/vnd.microsoft.portable-executable"),
    ("program.png", MAC_PROGRAM, "application/x-mach-binary"),
    ("program.dwg", ELF, "application/x-executable"),
    ("page.dwg", b"<html>", "text/html"),
    ("script.dwg", b"#! /bin/sh\n", "text/x-shellscript"),
    ("script.jpg", b"#!/bin/sh\n", "text/x-shellscript"),
    ("script.txt", b"#!/bin/sh\nrm -r .\n", "text/x-shellscript"),
    ("script.md", b"\xef\xbb\xbf#!/bin/sh\n", "text/x-shellscript"),
    (
        "shortcut.txt",
        bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(64),
        "application/x-ms-shortcut",
    ),
    ("picture.txt", png(), "image/png"),
    ("binary.json", bytes(100), "application/octet-stream"),
    ("binary.csv", b"a,b\n\0\1\2", "application/octet-stream"),
    ("half a pair.txt", b"\xff\xfe\x00\xd8a\0", "application/octet-stream"),
    ("control.txt", "a\0b".encode("utf-16"), "application/octet-stream"),
    ("zip.docx", zipped("a.txt", "b/word/document.xml"), "application/zip"),
    ("inner.docx", zipped(first=("a.docx", WORD)), "application/zip"),
    ("empty.docx", zipped(), "application/zip"),
    ("cut.docx", WORD[:20], "application/zip"),
    ("book.docx", zipped("xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("word.docx", ole("WordDocument"), "application/msword"),
    ("book.doc", ole("Workbook"), "application/vnd.ms-excel"),
    ("modern.doc", WORD, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("setup.doc", ole("x", class_id=INSTALLER_CLASS), "application/x-msi"),
    ("setup.dwg", ole("x", class_id=INSTALLER_CLASS), "application/x-msi"),
    ("sound.mp4", wav(), "audio/wav"),
    ("film.mp3", iso_media(b"isom"), "video/mp4"),
    ("zeros.tar", bytes(10240), "application/octet-stream"),
    ("tar.gz", tarred(tarfile.USTAR_FORMAT), "application/x-tar"),
    ("words.mov", b"Carefree words", "text/plain"),
]
