"""The one table of data sets (`--dataset_mode`)."""

from cyclegan.data.settings import DatasetMode
from cyclegan.data.unpaired import UnpairedImages

DATASETS: dict[DatasetMode, type[UnpairedImages]] = {"unaligned": UnpairedImages}
