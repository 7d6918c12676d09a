"""Tiny whole files of every kind that is opened, made by code and always the same."""

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

STORED = Path(__file__).parents[1] / "stored"
Made = Iterator[tuple[str, bytes]]
_SIZE = (24, 18)


def _picture(mode: str = "RGB", turn: int = 0) -> Image.Image:
    """A picture whose neighbours differ, so that what is decoded is looked at."""
    width, height = _SIZE
    y, x = np.mgrid[:height, :width]
    levels = np.stack([x * 10 + turn, y * 13, (x + y + turn) * 6], axis=2) % 256
    return Image.fromarray(levels.astype(np.uint8)).convert(mode)


def _saved(image: Image.Image, format: str, **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **more)
    return file.getvalue()


def _frames(format: str, **more: Any) -> bytes:
    rest = [_picture(turn=40), _picture(turn=90)]
    return _saved(_picture(), format, save_all=True, append_images=rest, **more)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274], exif[270], exif[305] = orientation, "a picture", "code"
    return exif.tobytes()


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


#: By the name of the file; what this Pillow can't write is left out.
_BY_PILLOW: dict[str, Callable[[], bytes]] = {
    "rgb.png": lambda: _saved(_picture(), "PNG", dpi=(72, 72), exif=_exif(6)),
    "palette.png": lambda: _saved(_picture("P"), "PNG", transparency=3, bits=4),
    "alpha.png": lambda: _saved(_picture("RGBA"), "PNG", icc_profile=_profile()),
    "gray16.png": lambda: _saved(_picture("L").convert("I").convert("I;16"), "PNG"),
    "bits.png": lambda: _saved(_picture("1"), "PNG"),
    "moving.png": lambda: _frames("PNG", duration=50, loop=0),
    "deep.png": lambda: _deep_png(),
    "rgb.jpg": lambda: _saved(_picture(), "JPEG", exif=_exif(8), icc_profile=_profile()),
    "progressive.jpg": lambda: _saved(_picture(), "JPEG", progressive=True, quality=70),
    "gray.jpeg": lambda: _saved(_picture("L"), "JPEG", comment=b"x" * 20),
    "cmyk.jpg": lambda: _saved(_picture("CMYK"), "JPEG"),
    "two.mpo": lambda: _frames("MPO"),
    "lossy.webp": lambda: _saved(_picture(), "WEBP", exif=_exif(3)),
    "lossless.webp": lambda: _saved(_picture("RGBA"), "WEBP", lossless=True),
    "moving.webp": lambda: _frames("WEBP", duration=50),
    "one.gif": lambda: _saved(_picture("P"), "GIF", transparency=0, comment=b"x"),
    "moving.gif": lambda: _frames("GIF", duration=50, loop=0, disposal=2),
    "rgb.bmp": lambda: _saved(_picture(), "BMP"),
    "palette.bmp": lambda: _saved(_picture("P"), "BMP"),
    "rgb.dib": lambda: _saved(_picture(), "DIB"),
    "raw.tif": lambda: _saved(_picture(), "TIFF", exif=_exif(6)),
    "lzw.tif": lambda: _saved(_picture("L"), "TIFF", compression="tiff_lzw"),
    "deflate.tiff": lambda: _saved(_picture("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg.tif": lambda: _saved(_picture(), "TIFF", compression="jpeg"),
    "fax.tif": lambda: _saved(_picture("1"), "TIFF", compression="group4"),
    "cmyk.tif": lambda: _saved(_picture("CMYK"), "TIFF"),
    "palette.tif": lambda: _saved(_picture("P"), "TIFF"),
    "float.tif": lambda: _saved(_picture("F"), "TIFF"),
    "pages.tif": lambda: _frames("TIFF"),
    "rgb.avif": lambda: _saved(_picture(), "AVIF"),
    "moving.avif": lambda: _frames("AVIF"),
    "rgb.jp2": lambda: _saved(_picture(), "JPEG2000"),
    "rgb.j2k": lambda: _saved(_picture(), "JPEG2000", no_jp2=True, num_resolutions=2),
    "rgb.ppm": lambda: _saved(_picture(), "PPM"),
    "gray.pgm": lambda: _saved(_picture("L"), "PPM"),
    "bits.pbm": lambda: _saved(_picture("1"), "PPM"),
    "float.pfm": lambda: _saved(_picture("F"), "PPM"),
    "plain.ppm": lambda: b"P3 2 2 255\n1 2 3 4 5 6 7 8 9 10 11 12\n",
    "rgb.qoi": lambda: _saved(_picture(), "QOI"),
    "icon.ico": lambda: _saved(_picture(), "ICO", sizes=[(16, 16)]),
    "bitmap.ico": lambda: _saved(_picture(), "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
    "icon.cur": lambda: b"\0\0\x02\0" + _BY_PILLOW["bitmap.ico"]()[4:],
    "icon.icns": lambda: _saved(_picture().resize((16, 16)), "ICNS", sizes=[(16, 16)])[:60_000],
    "rgb.dds": lambda: _saved(_picture("RGBA"), "DDS"),
    "dxt.dds": lambda: _saved(_picture("RGBA").resize((24, 16)), "DDS", pixel_format="DXT5"),
    "rgb.pcx": lambda: _saved(_picture(), "PCX"),
    "palette.pcx": lambda: _saved(_picture("P"), "PCX"),
    "pages.dcx": lambda: _dcx(_saved(_picture(), "PCX")),
    "rgb.sgi": lambda: _saved(_picture(), "SGI"),
    "bits.msp": lambda: _saved(_picture("1"), "MSP"),
    "bits.xbm": lambda: _saved(_picture("1"), "XBM"),
    "two.xpm": lambda: (
        b'/* XPM */\nstatic char *x[] = {\n"2 2 2 1",\n"a c #ff0000",\n'
        b'"b c #00ff00",\n"ab",\n"ba"\n};\n'
    ),
    "palette.blp": lambda: _saved(_picture("P"), "BLP"),
    "rgb.ras": lambda: struct.pack(">8I", 0x59A66A95, 24, 18, 24, 1296, 1, 0, 0) + bytes(1296),
    "rgb.psd": lambda: _psd(),
    "brush.gbr": lambda: struct.pack(">7I", 32, 2, 4, 4, 1, 0x47494D50, 10) + b"abc\0" + bytes(16),
    "rgb.pxr": lambda: b"\x80\xe8\0\0" + bytes(412) + struct.pack("<2H", 18, 24) + bytes(2600),
    "old.fli": lambda: _fli(),
    "texture.ftu": lambda: b"FTEX" + struct.pack("<7i", 1, 4, 4, 1, 1, 1, 32) + bytes(60),
    "rgb.tga": lambda: _saved(_picture(), "TGA"),
    "packed.tga": lambda: _saved(_picture("RGBA"), "TGA", compression="tga_rle"),
}


def _deep_png() -> bytes:
    import cv2

    levels = np.asarray(_picture()).astype(np.uint16) * 257
    return bytes(cv2.imencode(".png", levels)[1].tobytes())


def _dcx(page: bytes) -> bytes:
    return struct.pack("<4I", 0x3ADE68B1, 16, 16 + len(page), 0) + page + page


def _psd() -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 18, 24, 8, 3)
    return head + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + bytes(3 * 18 * 24)


def _fli() -> bytes:
    pixels = struct.pack("<IH", 6 + 64, 16) + bytes(range(64))
    frame = struct.pack("<IHH8x", 16 + len(pixels), 0xF1FA, 1) + pixels
    head = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF11, 1, 8, 8, 8, 3, 5)
    return head.ljust(128, b"\0") + frame


def _by_tifffile() -> Made:
    import tifffile

    colours = np.asarray(_picture())
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "deep.tif": (colours.astype(np.uint16) * 257, {"photometric": "rgb"}),
        "planes.tif": (np.moveaxis(colours, 2, 0).copy(), {"planarconfig": "separate"}),
        "big.tif": (colours, {"photometric": "rgb"}),
        "tiles.tif": (colours.astype(np.int16), {"tile": (16, 16), "compression": "zlib"}),
        "float64.tif": (
            colours[:, :, 0] / 255,
            {"photometric": "minisblack", "compression": "zlib"},
        ),
        "low.tif": (colours[:, :, 0].astype(np.uint16), {"photometric": "miniswhite"}),
        "five.tif": (np.zeros((8, 8, 5), np.uint8), {"photometric": "minisblack"}),
        "jpeg2000.tif": (colours, {"photometric": "rgb", "compression": "jpeg2000"}),
    }
    for name, (pixels, more) in kinds.items():
        file = io.BytesIO()
        with tifffile.TiffWriter(file, bigtiff=name == "big.tif") as writer:
            writer.write(pixels, metadata=None, software=False, **{"photometric": "rgb"} | more)
        yield name, file.getvalue()


def _arrays() -> Made:
    for name, array in {
        "rgb.npy": np.asarray(_picture()),
        "deep.npy": np.asarray(_picture()).astype(np.uint16),
        "flat.npy": np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8),
    }.items():
        file = io.BytesIO()
        np.save(file, array)
        yield name, file.getvalue()


def _medical() -> Made:
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    for name, kind, pixels in (
        ("gray.dcm", "MONOCHROME2", np.arange(48, dtype=np.uint16).reshape(6, 8)),
        ("low.dcm", "MONOCHROME1", np.arange(48, dtype=np.uint8).reshape(6, 8)),
        ("rgb.dcm", "RGB", np.asarray(_picture())),
    ):
        held = pydicom.Dataset()
        held.file_meta = FileMetaDataset()
        held.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        held.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        held.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        held.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        held.Rows, held.Columns = pixels.shape[:2]
        held.PhotometricInterpretation, held.PlanarConfiguration = kind, 0
        held.BitsAllocated = held.BitsStored = 8 * pixels.dtype.itemsize
        held.HighBit, held.PixelRepresentation = held.BitsStored - 1, 0
        if name == "gray.dcm":
            held.WindowCenter, held.WindowWidth, held.RescaleSlope = 20, 40, 2
            held.RescaleIntercept = 1
        held.PixelData = pixels.tobytes()
        file = io.BytesIO()
        held.save_as(file, enforce_file_format=True)
        yield name, file.getvalue()


def pictures() -> Made:
    """A picture or some of every format that is read."""
    for name, make in _BY_PILLOW.items():
        with suppress(KeyError, OSError):  # not of this Pillow
            yield name, make()
    for others in (_by_tifffile, _arrays, _medical):
        yield from others()
    yield from _claiming()


def _claiming() -> Made:
    """Small files of large pictures: as large as is read, and larger."""
    for name, side in (("wide.png", 13_000), ("wider.png", 40_000)):
        packed, line = zlib.compressobj(1), bytes(side // 8 + 1)
        lines = b"".join(packed.compress(line) for _ in range(side)) + packed.flush()
        made = b"\x89PNG\r\n\x1a\n"
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        for kind, held in ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")):
            made += struct.pack(">I", len(held)) + kind + held
            made += struct.pack(">I", zlib.crc32(kind + held))
        yield name, made


def uploads() -> Made:
    """Pictures of the kinds that a server takes."""
    from cyclegan.images.formats import UPLOADED

    return ((name, held) for name, held in pictures() if Path(name).suffix in UPLOADED)


def checkpoints() -> Made:
    """A run's newest checkpoint of each recipe."""
    for path in sorted((STORED / "runs").glob("*/latest.pt")):
        yield f"{path.parent.name}.pt", path.read_bytes()


def classic() -> Made:
    """Weights as the classic scripts and others save them: bare, wrapped, several, old."""
    import torch

    from cyclegan.generators import ResnetSettings

    torch.manual_seed(0)
    weights = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance").state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    forms: dict[str, Any] = {
        "latest_net_G_A.pth": weights,
        "wrapped.pth": {"epoch": 3, "state_dict": wrapped},
        "both.pth": {"netG_A": weights, "netG_B": weights},
    }
    for name, form in forms.items():
        file = io.BytesIO()
        torch.save(form, file)
        yield name, file.getvalue()
    old = io.BytesIO()
    torch.save(weights, old, _use_new_zipfile_serialization=False)
    yield "old_net_G.pth", old.getvalue()


def safetensors() -> Made:
    """Weights as `cyclegan export` writes them, and without its texts."""
    from safetensors.torch import load, save

    held = (STORED / "g.safetensors").read_bytes()
    yield "exported.safetensors", held
    yield "bare.safetensors", save(load(held))


def _texts() -> dict[str, str]:
    """What `cyclegan export` writes into each file."""
    from cyclegan.classic import Architecture
    from cyclegan.generators import ResnetSettings
    from cyclegan.runtimes.metadata import Metadata

    return Metadata(Architecture(ResnetSettings(ngf=2, n_blocks=1), 3, 3, "instance")).texts()


_KERNEL = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)


def onnx() -> Made:
    """A convolution as ONNX, with the texts of `cyclegan export` and without."""
    from onnx import TensorProto, helper, numpy_helper

    sides = ["n", 3, "h", "w"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "k"], ["c"]), helper.make_node("Tanh", ["c"], ["y"])],
        "g", ends[:1], ends[1:], [numpy_helper.from_array(_KERNEL, "k")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    yield "bare.onnx", model.SerializeToString()
    helper.set_model_props(model, _texts())
    yield "x.onnx", model.SerializeToString()


def openvino() -> Made:
    """A convolution as OpenVINO writes it: a graph, and its weights in a second file."""
    from openvino import Model, PartialShape, Type, opset13, save_model

    from cyclegan.runtimes.openvino import SECTION

    given = opset13.parameter(PartialShape([-1, 3, -1, -1]), Type.f32, "x")
    kernel = opset13.constant(_KERNEL)
    made = opset13.convolution(given, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    model = Model([opset13.tanh(made)], [given], "x")
    for key, text in _texts().items():
        model.set_rt_info(text, [SECTION, key.removeprefix(f"{SECTION}.")])
    with TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "x.xml", compress_to_fp16=False)
        for path in sorted(Path(folder).iterdir()):
            yield path.name, path.read_bytes()


def programs() -> Made:
    """A TorchScript under two names, and the names within a file of torch.export."""
    import torch

    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Tanh(), torch.zeros(1, 3, 4, 4)), file)  # type: ignore[no-untyped-call]
    yield "x.torchscript", file.getvalue()
    yield "latest_net_G.pth", file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("archive_format", "models/model.json", "data/weights/weight_0"):
            archive.writestr(zipfile.ZipInfo(f"x/{name}", (1980, 1, 1, 0, 0, 0)), b"pt2")
    yield "x.pt2", file.getvalue()


def presets() -> Made:
    """Presets that come with the package, and the settings of runs."""
    from cyclegan.settings import presets as shipped

    for name, path in shipped().items():
        yield f"{name}.toml", path.read_bytes()
    for path in sorted((STORED / "runs").glob("*/settings.toml")):
        yield f"{path.parent.name}.toml", path.read_bytes()


def commands() -> Made:
    """Command lines, a word a line."""
    lines = (
        "train small --dataroot data --name x --lambda_A 10 --no_flip --netG resnet --ngf 8",
        "train quick --netG unet_transformer --weights luminance 2.0 --device cpu --seed 3",
        "train --model one_painting --dataroot data --painting p.jpg --n_epochs 2",
        "train --model fusion --dataroot data --loss_features plain --max_dataset_size 10",
        "train.py --dataroot ./data --name x --model cycle_gan --gpu_ids -1 --display_id 0",
        "settings small --load_size 100 --preprocess scale_width",
        "convert --name x --input photos --output results --strength 0.5 --tile 256",
        "convert --weights latest_net_G.pth --input in --output out --list l.txt --shard 1/3",
        "test.py --dataroot ./data --name x --model test --no_dropout",
        "serve --name x --port 8000 --hosts a.example --max_megabytes 5",
        "export --name x --format onnx --direction BtoA --arithmetic int8",
        "evaluate --name x --features inception --direction AtoB",
        "compare x y --count 4",
        "study small quick --minutes 5 --dataroot data",
        "sweep small --vary lambda_A 1 10 --vary gan_mode hinge lsgan --trials 5 --dataroot data",
        "stylize --content a.jpg --style b.jpg --output c.png --size 200",
        "dashboard --port 8097 --checkpoints_dir c",
        "report x --csv",
        "runs --checkpoints_dir c",
        "benchmark train small --rounds 3",
    )
    for number, line in enumerate(lines):
        yield f"{number}.txt", "\n".join(line.split()).encode()


def lists() -> Made:
    """Lists of pictures, plain and as a table."""
    yield "names.txt", '0.png\nsub/1.png\n./2.png # the last\n"é.png"\n'.encode()
    yield "table.txt", b"path,label\n0.png,3\nsub\\1.png,4\nmissing.png,5\n"


def manifests() -> Made:
    """The manifest of a folder of conversions."""
    yield "manifest.jsonl", (STORED / "converted" / "manifest.jsonl").read_bytes()


def logs() -> Made:
    """Logs of runs."""
    for path in sorted((STORED / "runs").glob("*/losses.jsonl")):
        yield f"{path.parent.name}.jsonl", path.read_bytes()


def notes() -> Made:
    """What runs keep beside their logs, each under its own name."""
    for path in sorted((STORED / "runs").glob("*/*.json")):
        yield (
            path.name if path.parent.name == "cycle_gan" else f"{path.parent.name}.json",
            (path.read_bytes()),
        )


def journal() -> Made:
    """The journal of a study."""
    figure = {"value": 0.5, "error": 0.1}
    score = {"kid": figure, "progress": figure, "ssim": 0.6}
    both = {"AtoB": score, "BtoA": score}
    end = {"seconds": 2.0, "images": 4, "finished": True, "choosing": both, "reporting": both}
    yield "study.json", json.dumps({"asked": {"minutes": 1}, "runs": {"a-0": [end]}}).encode()


def videos() -> Made:
    """Videos of three frames in many containers, and lists that are called like videos.

    Many encoders in one process have harmed its memory: they have a process of their own.
    """
    command = [sys.executable, "-c", "from fuzz.corpus import films; films()"]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run(command, env=os.environ | paths, stdout=subprocess.PIPE, check=True)
    yield from pickle.loads(made.stdout)
    yield "list.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\nfile:///etc/passwd\n"
    yield "concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"


def films() -> None:
    """Write all videos to the standard output, each by its name, and end at once."""
    sys.stdout.buffer.write(pickle.dumps(list(_films())))
    sys.stdout.buffer.flush()
    os._exit(0)


def _films() -> Made:
    kinds = (
        ("x.mp4", "mp4", "mpeg4"), ("x.mov", "mov", "mjpeg"), ("x.mkv", "matroska", "ffv1"),
        ("x.webm", "webm", "libvpx"), ("x.avi", "avi", "mpeg4"), ("x.mpg", "mpeg", "mpeg2video"),
        ("x.ts", "mpegts", "mpeg2video"), ("x.flv", "flv", "flv"), ("x.wmv", "asf", "wmv2"),
        ("x.3gp", "3gp", "mpeg4"), ("h264.mp4", "mp4", "libx264"),
        ("vp9.webm", "webm", "libvpx-vp9"),
    )  # fmt: skip
    import av

    for name, container, codec in kinds:
        with suppress(ValueError, av.error.FFmpegError):  # not of this FFmpeg
            yield name, _film(container, codec)


def _film(container: str, codec: str) -> bytes:
    import av

    file = io.BytesIO()
    options = {"fflags": "+bitexact", "flags": "+bitexact", "threads": "1"}
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as made:
        stream: Any = made.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 48, 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_image(_picture(turn=30 * number).resize((48, 32)))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    return file.getvalue()


def memories() -> Made:
    """What a stabilizer remembers, and the pixels that a cache keeps."""
    from cyclegan.video.stabilizer import LastFrame

    pixels = np.asarray(_picture())
    yield "x.memory", LastFrame.of(pixels, pixels).to_bytes()


def arrays() -> Made:
    """Arrays that caches keep."""
    return _arrays()


def packages() -> Made:
    """A package of npm with the one file that is wanted of it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for name in ("package/x.js", "package/y.css"):
            member = tarfile.TarInfo(name)
            member.size = 40
            archive.addfile(member, io.BytesIO(b"/* a script */".ljust(40)))
    held = bytearray(file.getvalue())
    held[4:8] = bytes(4)  # the time
    yield "x-1.tgz", bytes(held)


def features() -> Made:
    """Weights of a feature network."""
    import torch

    torch.manual_seed(0)
    state = {}
    for number, seen, made in ((0, 3, 64),):
        state[f"features.{number}.weight"] = torch.randn(made, seen, 3, 3)
        state[f"features.{number}.bias"] = torch.randn(made)
    file = io.BytesIO()
    torch.save(state, file)
    yield "vgg.pth", file.getvalue()


def _request(line: str, body: bytes = b"", **headers: str) -> bytes:
    named = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{named}{length}\r\n".encode() + body


def conversions() -> Made:
    """What the page of `serve` and programs ask it."""
    small = _saved(_picture(), "PNG")
    files = {
        "a.png": small,
        "b.jpg": _saved(_picture(), "JPEG"),
        "c.gif": _frames("GIF", duration=50),
        "d.tif": _frames("TIFF"),
    }
    for name, content in files.items():
        fields = {"model": "mine", "strength": "0.5", "load_size": "20", "ticket": "t"}
        yield f"convert-{name}", _form("/api/convert", {"file": (name, content)}, fields)
    yield "preview.http", _form("/api/preview", {"file": ("a.png", small)}, {})
    both = {"file": ("a.png", small), "style": ("b.png", small)}
    yield "style.http", _form("/api/convert", both, {"model": "mine"})
    for path in ("/", "/api/models", "/api/queue/t", "/openapi.json"):
        yield f"get{path.replace('/', '-')}.http", _request(f"GET {path}", Accept="*/*")
    chunked = b"5\r\nabcde\r\n0\r\n\r\n"
    yield "chunks.http", _request("POST /api/convert", Transfer_Encoding="chunked") + chunked


def _form(path: str, files: dict[str, tuple[str, bytes]], fields: dict[str, str]) -> bytes:
    parts = [f'name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    parts += [
        f'name="{key}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'.encode() + content
        for key, (name, content) in files.items()
    ]
    body = b"".join(b"--B\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    kind = "multipart/form-data; boundary=B"
    return _request(f"POST {path}", body + b"--B--\r\n", Content_Type=kind)


def panes() -> Made:
    """What training and the page ask a dashboard."""
    window = {"content": "text", "type": "text"}
    line = {"x": [1, 2], "y": [3, 4], "name": "a", "type": "scatter"}
    asked: dict[str, Any] = {
        "events": {"data": [window], "win": "w", "eid": "x", "opts": {"title": "t"}, "layout": {}},
        "update": {"data": [line], "win": "p", "eid": "x", "name": "a", "append": True, "opts": {}},
        "win_data": {"eid": "x", "win": None},
        "win_exists": {"eid": "x", "win": "w"},
        "win_hash": {"eid": "x", "win": "w"},
        "close": {"eid": "x", "win": "w"},
        "delete_env": {"eid": "y"},
        "env_state": {},
        "env_state/": {"eid": "x"},
        "fork_env": {"prev_eid": "x", "eid": "z"},
        "save": {"data": ["x"], "eid": "x"},
        "compare/x+y": {"sid": "s"},
        "env/x": {"sid": "s"},
        "socket_wrap": {"message_type": "init"},
        "vis_socket_wrap": {"message_type": "query", "sid": "s"},
        "experiment_bundle": {},
    }
    for path, body in asked.items():
        content = json.dumps(body).encode()
        made = _request(f"POST /{path}", content, Content_Type="application/json")
        yield f"{path.replace('/', '-')}.http", made
    plot = asked["events"] | {"data": [line], "win": "p"}
    yield "plot.http", _request("POST /events", json.dumps(plot).encode(), Accept="*/*")
    for path in ("/", "/env/x", "/compare/x+y", "/static/js/main.js", "/user/x", "/login"):
        yield f"get{path.replace('/', '-')}.http", _request(f"GET {path}")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    opened = _request("GET /socket", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **upgrade)
    for name, said in {
        "save": {"cmd": "save", "data": {}, "eid": "x", "prev_eid": "x"},
        "close": {"cmd": "close", "eid": "x", "data": "w"},
        "layout": {"cmd": "save_layouts", "data": "[]"},
        "echo": {"cmd": "echo", "eid": "x"},
        "forward": {"cmd": "forward_to_vis", "data": {"eid": "x", "event_type": "x"}},
    }.items():
        yield f"socket-{name}.http", opened + frame(json.dumps(said).encode())


def frame(text: bytes) -> bytes:
    """A text as a browser's WebSocket sends it."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else struct.pack(">BH", 0xFE, len(text))
    return b"\x81" + size + bytes(4) + text


def copy_run(run: str, folder: Path) -> Path:
    """A run's folder, copied."""
    return Path(shutil.copytree(STORED / "runs" / run, folder / run))
