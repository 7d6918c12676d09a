"""One file through one generator, to what `cyclegan convert` makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclegan.conversion.files import plan
from cyclegan.conversion.look import Look
from cyclegan.conversion.painting import paint
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.sizes import scaled
from cyclegan.conversion.translator import Translator
from cyclegan.images.document import (
    check_holds,
    depth_to_write,
    open_document,
    write_document,
)
from cyclegan.images.encoding import Encoding
from cyclegan.images.picture import Document, Picture


@dataclass(frozen=True)
class Single:
    """How one file is converted."""

    translator: Translator
    look: Look
    load_size: int | None = None
    """pixels that the shorter side is scaled to"""

    def convert(self, source: Path, folder: Path) -> Path:
        """Convert `source` into `folder`; return the file that was made there. Raises UserError."""
        architecture = self.translator.generator.architecture
        self.look.check(architecture.input_nc, architecture.output_nc)
        (job,) = plan(ConvertSettings(input=source, output=folder))
        document = open_document(source, self.translator.generator.values)
        check_holds(job.target, document)
        pictures = self._painted(document, job.target)
        write_document(job.target, pictures, document, Encoding())
        return job.target

    def _painted(self, document: Document, target: Path) -> Iterator[Picture]:
        for picture in document.pictures:
            scaled_picture = picture.scaled(scaled(picture.size, self.load_size))
            chosen = depth_to_write(target, scaled_picture)
            yield paint(scaled_picture, self.translator, self.look, chosen)
