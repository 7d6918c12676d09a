"""Converts pictures: one file after the other, or those of one size together."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from rich.progress import Progress

from cyclegan.conversion import Reading
from cyclegan.conversion.blend import Blend
from cyclegan.conversion.files import Job
from cyclegan.conversion.network import Network
from cyclegan.conversion.reader import Reader, SizeAdvice
from cyclegan.conversion.stages import threads
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.writer import Output, OutputError, Writer
from cyclegan.device import cores
from cyclegan.images.encoding import Encoding
from cyclegan.progress import part

log = logging.getLogger(__name__)
_TOGETHER_ON_A_GPU = 8


@dataclass(frozen=True)
class PictureConverter:
    """Converts file after file with one generator: a reader, a network and a writer."""

    translator: Translator
    output: Output
    blend: Blend = field(default_factory=Blend)
    reading: Reading = field(default_factory=Reading)
    encoding: Encoding = field(default_factory=Encoding)
    advice: SizeAdvice = field(default_factory=SizeAdvice)
    also: Sequence[str] = ()
    """what is made beside the conversions, by name"""
    back: Translator | None = None
    """the other generator, where that needs it"""

    def __call__(self, todo: Sequence[Job], bar: Progress) -> list[str]:
        """Return a line for each that failed.

        The next ones are read and the last ones written meanwhile, by as many threads each as half
        the cores; how much of that is in memory depends on no number of files.
        """
        task = bar.add_task("converting", total=len(todo), unit="pictures")
        many = 1 if self.translator.device.type == "cpu" else _TOGETHER_ON_A_GPU
        at_once, count = self.reading.batch_size or many, max(1, cores() // 2)
        most = 2 * (at_once + count - 1)
        values = self.reading.range or self.translator.generator.values
        failed: list[str] = []
        with (
            threads(count) as read,
            threads(1) as computed,
            threads(count, always_end=True) as written,
        ):
            storage = self.output.storage
            reader = Reader(self.reading, values, storage, at_once, most, read)
            how = (self.blend, self.advice, computed, self.also, self.back)
            network = Network(self.translator, *how)
            writer = Writer(self.output, self.encoding, written, most, failed)
            try:
                for jobs in self.output.claims.shared(todo):
                    for group in reader.groups(jobs, writer.fail):
                        made = network.convert(group, partial(part, bar, task), writer.fail)
                        writer.write(made, partial(bar.advance, task))
                    writer.end()
            except OutputError:
                for line in failed:
                    log.warning("%s", line)
                raise
            bar.update(task, completed=len(todo))
        return failed
