"""The tables behind `domain.media`: what each extension may turn out to be, and what may be sent under its own name.

Plain data. Names of media types are those that IANA registers, or else the ones in common use.
"""

from types import MappingProxyType

UNKNOWN = "application/octet-stream"
EMPTY = "application/x-empty"
PLAIN_TEXT = "text/plain"
HTML = "text/html"
SVG = "image/svg+xml"
XML = "application/xml"
SCRIPT = "text/x-shellscript"
ZIP = "application/zip"
OLE = "application/x-ole-storage"
ENCRYPTED = "application/encrypted"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"

# Text says nothing of what it means, so each of these takes any text, and the extension names the type.
TEXTS = MappingProxyType(
    {
        "txt": PLAIN_TEXT,
        "text": PLAIN_TEXT,
        "log": PLAIN_TEXT,
        "ini": PLAIN_TEXT,
        "conf": PLAIN_TEXT,
        "md": "text/markdown",
        "markdown": "text/markdown",
        "rst": "text/x-rst",
        "tex": "application/x-tex",
        "csv": "text/csv",
        "tsv": "text/tab-separated-values",
        "json": "application/json",
        "jsonl": "application/jsonl",
        "ndjson": "application/x-ndjson",
        "geojson": "application/geo+json",
        "yaml": "application/yaml",
        "yml": "application/yaml",
        "toml": "application/toml",
        "xml": XML,
        "html": HTML,
        "htm": HTML,
        "css": "text/css",
        "sql": "application/sql",
        "ics": "text/calendar",
        "vcf": "text/vcard",
        "srt": "application/x-subrip",
        "vtt": "text/vtt",
        "eml": "message/rfc822",
        "diff": "text/x-diff",
        "patch": "text/x-diff",
        "c": "text/x-c",
        "h": "text/x-c",
        "go": "text/x-go",
        "rs": "text/x-rust",
        "java": "text/x-java",
        "py": "text/x-python",
        "rb": "text/x-ruby",
        "pl": "text/x-perl",
    },
)
# Programs as text, whose first line may name an interpreter.
SCRIPTS = frozenset({"py", "rb", "pl"})

# What the bytes of each other extension may turn out to be. The first is the extension's own.
BINARIES = MappingProxyType(
    {
        "pdf": ("application/pdf",),
        "doc": ("application/msword", "application/rtf"),  # Word itself saves RTF under .doc
        "xls": ("application/vnd.ms-excel",),
        "ppt": ("application/vnd.ms-powerpoint",),
        "docx": (DOCX,),
        "xlsx": (XLSX,),
        "pptx": (PPTX,),
        "odt": (ODT,),
        "ods": (ODS,),
        "odp": (ODP,),
        "rtf": ("application/rtf",),
        "epub": (EPUB,),
        "msg": ("application/vnd.ms-outlook",),
        "jpg": ("image/jpeg",),
        "jpeg": ("image/jpeg",),
        "png": ("image/png", "image/apng"),
        "apng": ("image/apng", "image/png"),
        "gif": ("image/gif",),
        "bmp": ("image/bmp",),
        "webp": ("image/webp",),
        "avif": ("image/avif",),
        "heic": ("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"),
        "heif": ("image/heif", "image/heic", "image/heif-sequence", "image/heic-sequence"),
        "tif": ("image/tiff",),
        "tiff": ("image/tiff",),
        "ico": ("image/vnd.microsoft.icon",),
        "psd": ("image/vnd.adobe.photoshop",),
        "svg": (SVG,),
        "mp4": ("video/mp4", "video/x-m4v", "video/quicktime", "video/3gpp"),
        "m4v": ("video/x-m4v", "video/mp4", "video/quicktime"),
        "mov": ("video/quicktime", "video/mp4", "video/x-m4v"),
        "3gp": ("video/3gpp", "video/mp4"),
        "avi": ("video/x-msvideo",),
        "wmv": ("video/x-ms-wmv",),
        "webm": ("video/webm",),
        "mkv": ("video/x-matroska", "video/webm"),
        "mpg": ("video/mpeg",),
        "mpeg": ("video/mpeg",),
        "ogv": ("video/ogg",),
        "mp3": ("audio/mpeg",),
        "wav": ("audio/wav",),
        "ogg": ("audio/ogg", "video/ogg"),
        "oga": ("audio/ogg",),
        "opus": ("audio/ogg",),
        "flac": ("audio/flac",),
        "m4a": ("audio/mp4",),
        "aac": ("audio/aac",),
        "wma": ("audio/x-ms-wma",),
        "aif": ("audio/aiff",),
        "aiff": ("audio/aiff",),
        "mid": ("audio/midi",),
        "zip": (ZIP,),
        "rar": ("application/vnd.rar",),
        "7z": ("application/x-7z-compressed",),
        "tar": ("application/x-tar",),
        "gz": ("application/gzip",),
        "tgz": ("application/gzip",),
        "bz2": ("application/x-bzip2",),
        "xz": ("application/x-xz",),
        "zst": ("application/zstd",),
    },
)

# Findings that an extension takes for its own type: containers whose kind the first bytes do not always show, and
# formats built on another one.
TAKEN_AS_OWN = MappingProxyType(
    {
        "doc": (OLE,),
        "xls": (OLE,),
        "ppt": (OLE,),
        "msg": (OLE,),
        "docx": (ENCRYPTED,),  # a document with a password is an OLE file with the document inside
        "xlsx": (ENCRYPTED,),
        "pptx": (ENCRYPTED,),
        "mp4": ("audio/mp4",),
        "m4a": ("video/mp4",),
        "wmv": ("video/x-ms-asf",),
        "wma": ("video/x-ms-asf",),
        "zip": (
            DOCX,
            XLSX,
            PPTX,
            ODT,
            ODS,
            ODP,
            EPUB,
            "application/java-archive",
            "application/vnd.android.package-archive",
        ),
    },
)

# Other names that libmagic, in one release or another, gives to the same thing.
SYNONYMS = MappingProxyType(
    {
        "application/CDFV2": OLE,
        "application/vnd.ms-office": OLE,
        "application/x-gtar": "application/x-tar",
        "application/x-gzip": "application/gzip",
        "application/x-ustar": "application/x-tar",
        "application/x-rar": "application/vnd.rar",
        "application/x-zstd": "application/zstd",
        "application/x-dosexec": "application/vnd.microsoft.portable-executable",
        "audio/x-aiff": "audio/aiff",
        "audio/x-flac": "audio/flac",
        "audio/x-hx-aac-adts": "audio/aac",
        "audio/x-m4a": "audio/mp4",
        "audio/x-wav": "audio/wav",
        "image/vnd.mozilla.apng": "image/apng",
        "image/x-icon": "image/vnd.microsoft.icon",
        "image/x-ms-bmp": "image/bmp",
        "inode/x-empty": EMPTY,
        "text/rtf": "application/rtf",
        "text/xml": XML,
    },
)

# Never accepted, not even under an extension that an operator added and the tables do not know.
DANGEROUS = frozenset(
    {
        HTML,
        SCRIPT,
        "application/vnd.android.package-archive",
        "application/vnd.debian.binary-package",
        "application/vnd.microsoft.portable-executable",
        "application/x-coredump",
        "application/x-executable",
        "application/x-java-applet",
        "application/x-mach-binary",
        "application/x-ms-shortcut",
        "application/x-msi",
        "application/x-object",
        "application/x-pie-executable",
        "application/x-rpm",
        "application/x-sharedlib",
    },
)

# Shown by browsers without running anything. Sound and video are missing: opened on their own they do not play under
# the content security policy that every download carries, and inside a page they play whatever their disposition.
INLINE = frozenset(
    {
        PLAIN_TEXT,
        "application/pdf",
        "image/apng",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
    },
)
# Sent under their own name; everything else as a stream of octets. HTML, SVG, XML and whatever else a browser could
# run or style with are missing on purpose.
SAFE = INLINE | {
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-outlook",
    "application/rtf",
    DOCX,
    XLSX,
    PPTX,
    ODT,
    ODS,
    ODP,
    EPUB,
    ZIP,
    "application/gzip",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-tar",
    "application/x-xz",
    "application/zstd",
    "application/json",
    "application/geo+json",
    "application/jsonl",
    "application/x-ndjson",
    "application/toml",
    "application/yaml",
    "text/calendar",
    "text/csv",
    "text/markdown",
    "text/tab-separated-values",
    "text/vcard",
    "image/heic",
    "image/heif",
    "image/tiff",
    "image/vnd.adobe.photoshop",
    "image/vnd.microsoft.icon",
    "audio/aac",
    "audio/aiff",
    "audio/flac",
    "audio/midi",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/x-ms-wma",
    "video/3gpp",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/webm",
    "video/quicktime",
    "video/x-m4v",
    "video/x-matroska",
    "video/x-ms-wmv",
    "video/x-msvideo",
}
